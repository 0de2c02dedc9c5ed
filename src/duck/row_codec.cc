#include "duck/row_codec.h"

#include <algorithm>
#include <optional>

#include "duck/functions/interval_forms.h"
#include "duck/functions/plain_sort_keys.h"
#include "duckdb/function/create_sort_key.hpp"

namespace weir {

struct RowCodec::State {
  std::optional<PlainSortKeys> plain;  // where it takes all columns
  duckdb::vector<duckdb::OrderModifiers> modifiers;
  std::optional<duckdb::Vector> keys;
  std::vector<std::string_view> views;
  std::vector<size_t> in_one_form;  // columns
  duckdb::DataChunk copy;           // with those so
};

RowCodec::RowCodec(std::vector<duckdb::LogicalType> types, std::vector<Direction> directions)
    : types_(std::move(types)), state_(std::make_unique<State>()) {
  directions.resize(types_.size());
  for (size_t i = 0; i < types_.size(); i++) {
    if (directions[i].one_form && HasIntervals(types_[i])) state_->in_one_form.push_back(i);
  }
  for (auto& direction : directions) {
    state_->modifiers.emplace_back(
        direction.descending ? duckdb::OrderType::DESCENDING : duckdb::OrderType::ASCENDING,
        direction.nulls_first ? duckdb::OrderByNullType::NULLS_FIRST
                              : duckdb::OrderByNullType::NULLS_LAST);
  }
  if (!std::all_of(types_.begin(), types_.end(), PlainSortKeys::Takes)) return;
  std::vector<PlainSortKeys::Column> columns;
  for (size_t i = 0; i < types_.size(); i++) {
    columns.push_back({types_[i], directions[i].descending, directions[i].nulls_first});
  }
  state_->plain.emplace(std::move(columns));
}

RowCodec::~RowCodec() = default;

const std::vector<std::string_view>& RowCodec::Encode(duckdb::DataChunk& rows) {
  auto& views = state_->views;
  views.clear();
  if (rows.ColumnCount() == 0) {
    views.assign(rows.size(), std::string_view());
    return views;
  }
  if (state_->plain) {
    state_->plain->Encode(rows, views);
    return views;
  }
  state_->keys.emplace(duckdb::LogicalType::BLOB,
                       std::max<duckdb::idx_t>(rows.size(), STANDARD_VECTOR_SIZE));
  if (state_->in_one_form.empty()) {
    duckdb::CreateSortKeyHelpers::CreateSortKey(rows, state_->modifiers, *state_->keys);
  } else {
    auto& copy = state_->copy;
    if (copy.ColumnCount() == 0) copy.InitializeEmpty({types_.begin(), types_.end()});
    copy.Reference(rows);
    for (size_t column : state_->in_one_form) {
      auto values = IntervalsInOneForm(rows.data[column], rows.size());
      copy.data[column].Reference(values);
    }
    duckdb::CreateSortKeyHelpers::CreateSortKey(copy, state_->modifiers, *state_->keys);
  }
  duckdb::UnifiedVectorFormat format;
  state_->keys->ToUnifiedFormat(rows.size(), format);
  auto* keys = duckdb::UnifiedVectorFormat::GetDataUnsafe<duckdb::string_t>(format);
  for (duckdb::idx_t i = 0; i < rows.size(); i++) {
    auto& key = keys[format.sel->get_index(i)];
    views.emplace_back(key.GetData(), key.GetSize());
  }
  return views;
}

std::string RowCodec::Encode(const duckdb::Value& value) {
  duckdb::DataChunk one;
  duckdb::vector<duckdb::LogicalType> types{types_[0]};
  one.Initialize(duckdb::Allocator::DefaultAllocator(), types, 1);
  one.SetValue(0, 0, value);
  one.SetCardinality(1);
  return std::string(Encode(one)[0]);
}

void RowCodec::Decode(std::string_view key, duckdb::DataChunk& rows, duckdb::idx_t row) const {
  if (types_.empty()) return;
  if (state_->plain) return state_->plain->Decode(key, rows, row);
  duckdb::CreateSortKeyHelpers::DecodeSortKey(
      duckdb::string_t(key.data(), static_cast<uint32_t>(key.size())), rows, row,
      state_->modifiers);
}

}  // namespace weir
