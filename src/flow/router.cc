#include "flow/router.h"

#include <algorithm>
#include <cstring>

#include "duck/constant.h"
#include "flow/operators/operators.h"

namespace weir {
namespace {

constexpr size_t kMostRows = 64 * 1024;  // collected; then they are handed on within the step
constexpr size_t kMostBytes = 8 << 20;

uint64_t Hash(uint64_t word) {
  word *= 0x9e3779b97f4a7c15ull;
  return word ^ (word >> 29);
}

uint64_t Hash(std::string_view text) { return std::hash<std::string_view>()(text); }

// Calls `row` with the hash of each value of a column that is not NULL.
template <class Word, class Row>
void HashWords(const duckdb::UnifiedVectorFormat& format, duckdb::idx_t count, Row row) {
  auto* words = duckdb::UnifiedVectorFormat::GetDataUnsafe<Word>(format);
  for (duckdb::idx_t i = 0; i < count; i++) {
    auto index = format.sel->get_index(i);
    if (format.validity.RowIsValid(index)) row(i, Hash(static_cast<uint64_t>(words[index])));
  }
}

template <class Row>
void HashColumn(duckdb::Vector& column, duckdb::idx_t count, Row row) {
  duckdb::UnifiedVectorFormat format;
  column.ToUnifiedFormat(count, format);
  switch (column.GetType().InternalType()) {
    case duckdb::PhysicalType::INT8:
    case duckdb::PhysicalType::UINT8: return HashWords<uint8_t>(format, count, row);
    case duckdb::PhysicalType::INT16:
    case duckdb::PhysicalType::UINT16: return HashWords<uint16_t>(format, count, row);
    case duckdb::PhysicalType::INT32:
    case duckdb::PhysicalType::UINT32: return HashWords<uint32_t>(format, count, row);
    case duckdb::PhysicalType::INT64:
    case duckdb::PhysicalType::UINT64: return HashWords<uint64_t>(format, count, row);
    case duckdb::PhysicalType::INT128: {
      auto* values = duckdb::UnifiedVectorFormat::GetDataUnsafe<duckdb::hugeint_t>(format);
      for (duckdb::idx_t i = 0; i < count; i++) {
        auto index = format.sel->get_index(i);
        if (!format.validity.RowIsValid(index)) continue;
        row(i, Hash(values[index].lower ^ static_cast<uint64_t>(values[index].upper)));
      }
      return;
    }
    default: {
      auto* texts = duckdb::UnifiedVectorFormat::GetDataUnsafe<duckdb::string_t>(format);
      for (duckdb::idx_t i = 0; i < count; i++) {
        auto index = format.sel->get_index(i);
        if (!format.validity.RowIsValid(index)) continue;
        row(i, Hash(std::string_view(texts[index].GetData(), texts[index].GetSize())));
      }
    }
  }
}

}  // namespace

std::unique_ptr<Router> Router::Make(const Operator& from) {
  if (from.outputs.size() < kFewest) return nullptr;
  std::unordered_map<size_t, size_t> filters_of;  // by column
  for (auto& edge : from.outputs) {
    if (auto* equals = edge.to->passes_only()) filters_of[equals->column]++;
  }
  std::vector<bool> reads(from.types().size(), true);
  if (auto* source = dynamic_cast<const SourceOperator*>(&from)) reads = source->reads();
  std::unique_ptr<Router> router(new Router(from.types(), reads));
  for (auto& edge : from.outputs) {
    auto* equals = edge.to->passes_only();
    if (!equals || filters_of[equals->column] < kFewest) {
      router->others_.push_back(edge);
      continue;
    }
    auto lookup = std::find_if(router->lookups_.begin(), router->lookups_.end(),
                               [&](auto& other) { return other.column == equals->column; });
    if (lookup == router->lookups_.end()) {
      router->lookups_.push_back({equals->column, {}});
      lookup = router->lookups_.end() - 1;
    }
    duckdb::Vector constant(equals->constant);
    HashColumn(constant, 1, [&](duckdb::idx_t, uint64_t hash) {
      lookup->routes[hash].push_back(router->routes_.size());
    });
    router->routes_.push_back(edge);
  }
  if (router->routes_.empty()) return nullptr;
  return router;
}

Router::Router(const RowTypes& types, std::vector<bool> reads)
    : types_(types), layout_([&] {
        RowTypes kept;
        for (size_t i = 0; i < types.size(); i++) {
          if (!reads[i]) continue;
          kept_columns_.push_back(i);
          kept.push_back(types[i]);
        }
        return kept;
      }()) {
  kept_.InitializeEmpty(DuckTypes(layout_.types()));
  gathered_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(layout_.types()));
  out_.InitializeEmpty(DuckTypes(types_));
  for (auto& column : out_.data) SetNull(column);
}

void Router::Find(const Lookup& lookup, duckdb::DataChunk& rows) {
  HashColumn(rows.data[lookup.column], rows.size(), [&](duckdb::idx_t row, uint64_t hash) {
    auto found = lookup.routes.find(hash);
    if (found == lookup.routes.end()) return;
    for (size_t route : found->second) {
      matches_.emplace_back(static_cast<duckdb::sel_t>(row), route);
    }
  });
}

void Router::Push(duckdb::DataChunk& rows, const int64_t* weights) {
  for (auto& edge : others_) edge.to->Receive(edge.port, rows, weights);
  matches_.clear();
  for (auto& lookup : lookups_) Find(lookup, rows);
  if (matches_.empty()) return;
  // Each row that goes anywhere is kept once.
  if (lookups_.size() > 1) std::stable_sort(matches_.begin(), matches_.end());
  duckdb::SelectionVector chosen(rows.size());
  duckdb::idx_t count = 0;
  for (size_t i = 0; i < matches_.size(); i++) {
    if (i == 0 || matches_[i].first != matches_[i - 1].first) {
      chosen.set_index(count++, matches_[i].first);
    }
  }
  for (size_t i = 0; i < kept_columns_.size(); i++) {
    kept_.data[i].Slice(rows.data[kept_columns_[i]], chosen, count);
  }
  kept_.SetCardinality(count);
  auto& encoded = layout_.Encode(kept_);
  size_t at = 0;
  for (size_t i = 0; i < matches_.size(); i++) {
    if (i == 0 || matches_[i].first != matches_[i - 1].first) {
      if (i > 0) at++;
      bytes_ += encoded[at];
    }
    found_.push_back({matches_[i].second, bytes_.size() - encoded[at].size(),
                      weights ? weights[matches_[i].first] : 1});
  }
  if (found_.size() >= kMostRows || bytes_.size() >= kMostBytes) Flush();
}

void Router::Flush() {
  if (found_.empty()) return;
  std::stable_sort(found_.begin(), found_.end(),
                   [](const Found& a, const Found& b) { return a.route < b.route; });
  const char* rows[STANDARD_VECTOR_SIZE];
  int64_t weights[STANDARD_VECTOR_SIZE];
  for (size_t i = 0; i < found_.size();) {
    size_t route = found_[i].route, count = 0;
    bool only_additions = true;
    for (; i < found_.size() && found_[i].route == route && count < STANDARD_VECTOR_SIZE; i++) {
      rows[count] = bytes_.data() + found_[i].offset;
      weights[count++] = found_[i].weight;
      only_additions &= found_[i].weight == 1;
    }
    gathered_.Reset();
    layout_.Gather(rows, count, gathered_, 0);
    for (size_t c = 0; c < kept_columns_.size(); c++) {
      out_.data[kept_columns_[c]].Reference(gathered_.data[c]);
    }
    out_.SetCardinality(count);
    routes_[route].to->Receive(routes_[route].port, out_, only_additions ? nullptr : weights);
  }
  found_.clear();
  bytes_.clear();
}

}  // namespace weir
