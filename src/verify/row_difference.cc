#include "verify/row_difference.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "duckdb/common/types/interval.hpp"
#include "duckdb/common/types/value.hpp"

namespace weir {
namespace {

// A row as bytes: exact columns alone say which rows can be the same, floats say how close they
// are.
struct ComparedRow {
  std::string exact;           // all but floats, and how many of these there are
  std::vector<double> floats;  // NULL as NaN with `exact` saying which
  std::vector<double> tolerances;
  TextRow text;
};

constexpr double kRounding = 1e-9;

bool IsFloat(const duckdb::LogicalType& type) {
  return type.id() == duckdb::LogicalTypeId::FLOAT || type.id() == duckdb::LogicalTypeId::DOUBLE;
}

// How the columns of two row sets are compared.
struct Comparison {
  const std::vector<duckdb::LogicalType>& types;
  std::vector<double> tolerances;  // by column; 0: exactly

  Comparison(const std::vector<duckdb::LogicalType>& types, const std::vector<bool>& estimated)
      : types(types) {
    for (size_t i = 0; i < types.size(); i++) {
      bool estimate = i < estimated.size() && estimated[i] && types[i].IsNumeric();
      tolerances.push_back(estimate ? 0.05 : IsFloat(types[i]) ? kRounding : 0);
    }
  }

  static bool Close(const ComparedRow& a, const ComparedRow& b) {
    if (a.floats.size() != b.floats.size()) return false;
    for (size_t i = 0; i < a.floats.size(); i++) {
      double x = a.floats[i], y = b.floats[i];
      if (x == y || (std::isnan(x) && std::isnan(y))) continue;
      bool close = std::abs(x - y) <= a.tolerances[i] * std::max({std::abs(x), std::abs(y), 1.0});
      if (!close) return false;
    }
    return true;
  }
};

void AppendField(std::string& key, const std::optional<std::string>& text) {
  key += text ? 'v' : 'n';
  if (!text) return;
  key += std::to_string(text->size());
  key += ':';
  key += *text;
}

void AddFloat(ComparedRow& row, const duckdb::Value& value, double tolerance) {
  row.exact += value.IsNull() ? 'n' : 'f';
  row.floats.push_back(
      value.IsNull() ? NAN : value.DefaultCastAs(duckdb::LogicalType::DOUBLE).GetValue<double>());
  row.tolerances.push_back(tolerance);
}

// A value that is equal to another is the same here: floats as such wherever they stand (-0 is 0),
// intervals in one form.
void AddValue(ComparedRow& row, const duckdb::Value& value) {
  if (value.IsNull()) return AppendField(row.exact, std::nullopt);
  auto& type = value.type();
  if (IsFloat(type)) return AddFloat(row, value, kRounding);
  if (type.id() == duckdb::LogicalTypeId::INTERVAL) {
    auto one_form = duckdb::Value::INTERVAL(value.GetValue<duckdb::interval_t>().Normalize());
    return AppendField(row.exact, one_form.ToString());
  }
  const duckdb::vector<duckdb::Value>* children = nullptr;
  switch (type.InternalType()) {
    case duckdb::PhysicalType::LIST: children = &duckdb::ListValue::GetChildren(value); break;
    case duckdb::PhysicalType::ARRAY: children = &duckdb::ArrayValue::GetChildren(value); break;
    case duckdb::PhysicalType::STRUCT: children = &duckdb::StructValue::GetChildren(value); break;
    default: return AppendField(row.exact, value.ToString());
  }
  row.exact += '[' + std::to_string(children->size()) + ':';
  for (auto& child : *children) AddValue(row, child);
}

ComparedRow RowAt(duckdb::DataChunk& chunk, duckdb::idx_t row, const Comparison& comparison) {
  ComparedRow compared;
  for (duckdb::idx_t column = 0; column < comparison.types.size(); column++) {
    duckdb::Value value = chunk.GetValue(column, row);
    std::optional<std::string> text;
    if (!value.IsNull()) text = value.ToString();
    if (comparison.tolerances[column] > 0) {
      AddFloat(compared, value, comparison.tolerances[column]);
    } else {
      AddValue(compared, value);
    }
    compared.text.push_back(std::move(text));
  }
  return compared;
}

std::string BitsOf(const ComparedRow& row) {
  std::string bits = row.exact;
  for (double value : row.floats) {
    if (value == 0) value = 0;  // -0 is 0
    bits.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  return bits;
}

using RowsByKey = std::unordered_map<std::string, std::vector<ComparedRow>>;

template <typename Use>
void ForEachRow(const Columns& rows, const Comparison& comparison, Use use) {
  for (auto& chunk : rows.chunks) {
    for (duckdb::idx_t row = 0; row < chunk->size(); row++) use(RowAt(*chunk, row, comparison));
  }
}

}  // namespace

RowDifference CompareRows(const Columns& expected, const Columns& actual,
                          const std::vector<duckdb::LogicalType>& types, size_t shown,
                          const std::vector<bool>& estimated) {
  Comparison comparison(types, estimated);
  // Equal to the last bit first: that settles nearly all, whatever their number.
  RowsByKey unmatched;
  ForEachRow(expected, comparison,
             [&](ComparedRow row) { unmatched[BitsOf(row)].push_back(std::move(row)); });
  std::vector<ComparedRow> left;
  ForEachRow(actual, comparison, [&](ComparedRow row) {
    auto found = unmatched.find(BitsOf(row));
    if (found == unmatched.end() || found->second.empty()) {
      left.push_back(std::move(row));
    } else {
      found->second.pop_back();
    }
  });
  // Of the others, those with the same exact columns and close floats.
  RowsByKey candidates;
  for (auto& [key, rows] : unmatched) {
    for (auto& row : rows) candidates[row.exact].push_back(std::move(row));
  }
  RowDifference difference;
  for (auto& row : left) {
    auto& same = candidates[row.exact];
    auto match = std::find_if(same.begin(), same.end(),
                              [&](auto& candidate) { return Comparison::Close(candidate, row); });
    if (match != same.end()) {
      std::swap(*match, same.back());
      same.pop_back();
      continue;
    }
    difference.unexpected_rows++;
    if (difference.unexpected.size() < shown) difference.unexpected.push_back(std::move(row.text));
  }
  for (auto& [key, rows] : candidates) {
    for (auto& row : rows) {
      difference.missing_rows++;
      if (difference.missing.size() < shown) difference.missing.push_back(std::move(row.text));
    }
  }
  return difference;
}

}  // namespace weir
