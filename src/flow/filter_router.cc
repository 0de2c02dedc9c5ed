#include "flow/filter_router.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/hash_bytes.h"
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

uint64_t Hash(std::string_view text) { return HashBytes(text); }

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

std::unique_ptr<FilterRouter> FilterRouter::Make(const Operator& from) {
  if (from.outputs.size() < kFewest) return nullptr;
  std::unordered_map<size_t, size_t> filters_of;  // by column
  for (auto& edge : from.outputs) {
    if (auto* equals = edge.to->passes_only()) filters_of[equals->column]++;
  }
  std::vector<bool> reads(from.types().size(), true);
  if (auto* source = dynamic_cast<const SourceOperator*>(&from)) reads = source->reads();
  CHECK(reads.size() == from.types().size());
  std::unique_ptr<FilterRouter> router(new FilterRouter(from.types(), reads));
  for (auto& edge : from.outputs) {
    auto* equals = edge.to->passes_only();
    if (!equals || filters_of[equals->column] < kFewest) {
      router->others_.push_back(edge);
      continue;
    }
    CHECK(equals->column < reads.size() && reads[equals->column]);  // or it may hold anything
    router->Add(equals->column, equals->constant, edge);
  }
  CHECK(router->routes_.size() + router->others_.size() == from.outputs.size());
  if (router->routes_.empty()) return nullptr;
  return router;
}

FilterRouter::FilterRouter(const RowTypes& types, std::vector<bool> reads)
    : kept_columns_([&] {
        std::vector<size_t> columns;
        for (size_t i = 0; i < types.size(); i++) {
          if (reads[i]) columns.push_back(i);
        }
        return columns;
      }()),
      kept_types_([&] {
        RowTypes kept;
        for (size_t column : kept_columns_) kept.push_back(types[column]);
        return kept;
      }()),
      rows_(kept_types_) {
  kept_.InitializeEmpty(DuckTypes(kept_types_));
  gathered_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(kept_types_));
  out_.InitializeEmpty(DuckTypes(types));
  for (auto& column : out_.data) SetNull(column);
}

void FilterRouter::Add(size_t column, const duckdb::Value& constant, const Operator::Edge& edge) {
  auto lookup = std::find_if(lookups_.begin(), lookups_.end(),
                             [&](auto& other) { return other.column == column; });
  if (lookup == lookups_.end()) lookup = lookups_.insert(lookup, {column, SlotIndex()});
  auto added = static_cast<uint32_t>(routes_.size());
  duckdb::Vector value(constant);
  HashColumn(value, 1, [&](duckdb::idx_t, uint64_t hash) {
    routes_.push_back({edge, hash});
    lookup->first.MakeRoom();
    uint32_t first = lookup->first.FindOrAdd(
        hash, [&](uint32_t route) { return routes_[route].hash == hash; }, [&] { return added; });
    if (first == added) return;
    routes_[added].next = routes_[first].next;
    routes_[first].next = added;
  });
}

void FilterRouter::Find(const Lookup& lookup, duckdb::DataChunk& rows) {
  HashColumn(rows.data[lookup.column], rows.size(), [&](duckdb::idx_t row, uint64_t hash) {
    uint32_t route =
        lookup.first.Find(hash, [&](uint32_t route) { return routes_[route].hash == hash; });
    for (; route != kNone; route = routes_[route].next) {
      if (kept_in_[row] == kNone) {
        kept_in_[row] = static_cast<uint32_t>(rows_.rows() + chosen_count_);
        chosen_.set_index(chosen_count_++, row);
      }
      if (routes_[route].count++ == 0) touched_.push_back(route);
      found_.push_back({route, kept_in_[row]});
    }
  });
}

void FilterRouter::Push(duckdb::DataChunk& rows, const int64_t* weights) {
  for (auto& edge : others_) edge.to->Receive(edge.port, rows, weights);
  chosen_count_ = 0;
  std::fill_n(kept_in_, rows.size(), kNone);
  for (auto& lookup : lookups_) Find(lookup, rows);
  if (chosen_count_ == 0) return;
  Keep(rows, weights);
  if (found_.size() >= kMostRows || rows_.bytes() >= kMostBytes) Flush();
}

// Each row that goes anywhere is kept once.
void FilterRouter::Keep(duckdb::DataChunk& rows, const int64_t* weights) {
  if (weights || !weights_.empty()) {
    weights_.resize(rows_.rows(), 1);
    for (duckdb::idx_t i = 0; i < chosen_count_; i++) {
      weights_.push_back(weights ? weights[chosen_.get_index(i)] : 1);
    }
  }
  for (size_t i = 0; i < kept_columns_.size(); i++) {
    kept_.data[i].Reference(rows.data[kept_columns_[i]]);
  }
  kept_.SetCardinality(rows.size());
  rows_.Append(kept_, chosen_, chosen_count_);
  CHECK(weights_.empty() || weights_.size() == rows_.rows());
}

void FilterRouter::CheckInvariants() const {
  rows_.CheckInvariants();
  CHECK(weights_.empty() || weights_.size() == rows_.rows());
  size_t waiting = 0, touched = 0;
  for (auto& route : routes_) {
    CHECK(route.next == kNone || routes_.at(route.next).hash == route.hash);
    waiting += route.count;
    touched += route.count > 0;
  }
  CHECK(waiting == found_.size() && touched == touched_.size());
  for (auto& found : found_) CHECK(found.route < routes_.size() && found.row < rows_.rows());
}

void FilterRouter::Flush() {
  if (found_.empty()) return;
  if (kDebugChecks) CheckInvariants();
  // By counts, as they are known: a step has few rows for each of many routes.
  std::sort(touched_.begin(), touched_.end());
  uint32_t begin = 0;
  for (uint32_t route : touched_) {
    routes_[route].place = begin;
    begin += routes_[route].count;
  }
  CHECK(begin == found_.size());  // each of them has its place
  sorted_.resize(found_.size());
  for (auto& found : found_) sorted_[routes_[found.route].place++] = found.row;

  int64_t weights[STANDARD_VECTOR_SIZE];
  const uint32_t* rows = sorted_.data();
  for (uint32_t touched : touched_) {
    auto& route = routes_[touched];
    while (route.count > 0) {
      auto count = std::min<uint32_t>(route.count, STANDARD_VECTOR_SIZE);
      rows_.Gather(rows, count, gathered_);
      for (size_t c = 0; c < kept_columns_.size(); c++) {
        out_.data[kept_columns_[c]].Reference(gathered_.data[c]);
      }
      out_.SetCardinality(count);
      bool only_additions = true;
      for (uint32_t i = 0; i < count && !weights_.empty(); i++) {
        weights[i] = weights_[rows[i]];
        only_additions &= weights[i] == 1;
      }
      route.edge.to->Receive(route.edge.port, out_, only_additions ? nullptr : weights);
      route.count -= count;
      rows += count;
    }
  }
  CHECK(rows == sorted_.data() + sorted_.size());
  found_.clear();
  touched_.clear();
  rows_.Clear();
  weights_.clear();
}

}  // namespace weir
