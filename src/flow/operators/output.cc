#include <unordered_map>

#include "duck/row_codec.h"
#include "flow/operators/operators.h"
#include "flow/state/allocated.h"
#include "flow/state/weights.h"

namespace weir {

struct OutputOperator::Impl {
  explicit Impl(const RowTypes& types) : codec(types) {}
  RowCodec codec;
  std::unordered_map<std::string, int64_t> changes;
  size_t text_bytes = 0;
};

OutputOperator::OutputOperator(RowTypes types)
    : Operator("output", std::move(types), false), impl_(std::make_unique<Impl>(this->types())) {}

OutputOperator::~OutputOperator() = default;

void OutputOperator::Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) {
  auto& keys = impl_->codec.Encode(rows);
  for (duckdb::idx_t i = 0; i < rows.size(); i++) {
    auto [entry, added] = impl_->changes.try_emplace(std::string(keys[i]), 0);
    AddWeight(entry->second, weights ? weights[i] : 1);
    if (added) impl_->text_bytes += TextBytes(keys[i].size());
  }
}

size_t OutputOperator::StateBytes() const {
  return impl_->changes.size() * HashNodeBytes<std::pair<const std::string, int64_t>>() +
         impl_->text_bytes;
}

void OutputOperator::Take(const std::function<void(std::string_view, int64_t)>& row) {
  for (auto& [key, weight] : impl_->changes) {
    if (weight != 0) row(key, weight);
  }
  impl_->text_bytes = 0;
  if (impl_->changes.bucket_count() > 4096) {
    std::unordered_map<std::string, int64_t>().swap(impl_->changes);
  } else {
    impl_->changes.clear();
  }
}

bool OutputOperator::HasChanges() const { return !impl_->changes.empty(); }

}  // namespace weir
