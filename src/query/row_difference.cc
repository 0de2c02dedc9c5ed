#include "query/row_difference.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "duckdb/common/types/value.hpp"

namespace weir {
namespace {

// A row as bytes: exact columns alone say which rows can be the same, floats say how close they
// are.
struct ComparedRow {
  std::string exact;           // all columns but floats
  std::vector<double> floats;  // NULL as NaN with `exact` saying which
  TextRow text;
};

bool IsCloseCompared(const duckdb::LogicalType& type, Nearness nearness) {
  if (nearness == Nearness::kEstimate) return type.IsNumeric();
  return type.id() == duckdb::LogicalTypeId::FLOAT || type.id() == duckdb::LogicalTypeId::DOUBLE;
}

bool Close(double a, double b, Nearness nearness) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return true;
  double tolerance = nearness == Nearness::kEstimate ? 0.05 : 1e-9;
  return std::abs(a - b) <= tolerance * std::max({std::abs(a), std::abs(b), 1.0});
}

bool Close(const ComparedRow& a, const ComparedRow& b, Nearness nearness) {
  return std::equal(a.floats.begin(), a.floats.end(), b.floats.begin(),
                    [&](double x, double y) { return Close(x, y, nearness); });
}

void AppendField(std::string& key, const std::optional<std::string>& text) {
  key += text ? 'v' : 'n';
  if (!text) return;
  key += std::to_string(text->size());
  key += ':';
  key += *text;
}

ComparedRow RowAt(duckdb::DataChunk& chunk, duckdb::idx_t row,
                  const std::vector<duckdb::LogicalType>& types, Nearness nearness) {
  ComparedRow compared;
  for (duckdb::idx_t column = 0; column < types.size(); column++) {
    duckdb::Value value = chunk.GetValue(column, row);
    std::optional<std::string> text;
    if (!value.IsNull()) text = value.ToString();
    if (IsCloseCompared(types[column], nearness)) {
      compared.exact += value.IsNull() ? 'n' : 'f';
      compared.floats.push_back(
          value.IsNull() ? NAN
                         : value.DefaultCastAs(duckdb::LogicalType::DOUBLE).GetValue<double>());
    } else {
      AppendField(compared.exact, text);
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
void ForEachRow(const Columns& rows, const std::vector<duckdb::LogicalType>& types,
                Nearness nearness, Use use) {
  for (auto& chunk : rows.chunks) {
    for (duckdb::idx_t row = 0; row < chunk->size(); row++)
      use(RowAt(*chunk, row, types, nearness));
  }
}

}  // namespace

RowDifference CompareRows(const Columns& expected, const Columns& actual,
                          const std::vector<duckdb::LogicalType>& types, size_t shown,
                          Nearness nearness) {
  // Equal to the last bit first: that settles nearly all, whatever their number.
  RowsByKey unmatched;
  ForEachRow(expected, types, nearness,
             [&](ComparedRow row) { unmatched[BitsOf(row)].push_back(std::move(row)); });
  std::vector<ComparedRow> left;
  ForEachRow(actual, types, nearness, [&](ComparedRow row) {
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
                              [&](auto& candidate) { return Close(candidate, row, nearness); });
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
