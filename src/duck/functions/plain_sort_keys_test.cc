#include "duck/functions/plain_sort_keys.h"

#include <gtest/gtest.h>

#include <random>

#include "duckdb/function/create_sort_key.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"

namespace weir {
namespace {

// Values that are far apart, at ends, and special, as SQL; NULL among them.
const std::vector<std::string> kColumns = {
    "['', 'a', 'sieben-', 'acht und', 'ünïcödé und länger', chr(1), 'a' || chr(1), NULL]",
    "[true, false, NULL]",
    "[0::TINYINT, -128, 127, NULL]",
    "[0::SMALLINT, -32768, 32767, NULL]",
    "[0::INTEGER, -2147483648, 2147483647, NULL]",
    "[0::BIGINT, -9223372036854775807, 9223372036854775807, 255, 256, NULL]",
    "[0::HUGEINT, -170141183460469231731687303715884105727, 18446744073709551616, -1, NULL]",
    "[0::UTINYINT, 255, NULL]",
    "[0::USMALLINT, 65535, NULL]",
    "[0::UINTEGER, 4294967295, NULL]",
    "[0::UBIGINT, 18446744073709551615, NULL]",
    "[0::UHUGEINT, 18446744073709551616, NULL]",
    "[0::FLOAT, -0.0::FLOAT, 1.5, -1.5, 'nan'::FLOAT, 'infinity'::FLOAT, '-infinity'::FLOAT, NULL]",
    "[0::DOUBLE, -0.0::DOUBLE, 1e300, -1e-300, NULL]",
    "['nan'::DOUBLE, 'infinity'::DOUBLE, '-infinity'::DOUBLE, NULL]",
    "[0::DECIMAL(4, 1), -99.9, NULL]",
    "[0::DECIMAL(9, 2), -99.9, NULL]",
    "[0::DECIMAL(18, 2), -99.9, NULL]",
    "[0::DECIMAL(38, 2), -99.9, NULL]",
    "[DATE '2024-02-29', 'infinity'::DATE, '-infinity'::DATE, NULL]",
    "[TIME '00:00:00', TIME '23:59:59.999999', NULL]",
    "[TIMESTAMP '2024-02-29 12:00:00', '1969-12-31'::TIMESTAMP, 'infinity'::TIMESTAMP, NULL]",
    "[TIMESTAMPTZ '2024-02-29 12:00:00+00', '1969-12-31 00:00:00+00'::TIMESTAMPTZ, NULL]",
    "[TIMESTAMP_S '2024-02-29 12:00:00', NULL]",
    "[TIMESTAMP_MS '2024-02-29 12:00:00', NULL]",
    "[TIMESTAMP_NS '2024-02-29 12:00:00', NULL]",
    "[UUID '00000000-0000-0000-0000-000000000001', NULL]",
    "[UUID 'ffffffff-ffff-ffff-ffff-ffffffffffff', NULL]",
    "['b'::ENUM('a', 'b'), 'a', NULL]",
};

class PlainSortKeysTest : public testing::Test {
 protected:
  // Rows of some of the columns, each value drawn from its list.
  std::unique_ptr<duckdb::DataChunk> Draw(const std::vector<size_t>& columns, size_t rows) {
    auto chunk = std::make_unique<duckdb::DataChunk>();
    duckdb::vector<duckdb::LogicalType> types;
    for (size_t column : columns) types.push_back(values_[column][0].type());
    chunk->Initialize(duckdb::Allocator::DefaultAllocator(), types);
    for (size_t c = 0; c < columns.size(); c++) {
      auto& values = values_[columns[c]];
      for (size_t row = 0; row < rows; row++) {
        chunk->SetValue(c, row, values[random_() % values.size()]);
      }
    }
    chunk->SetCardinality(rows);
    return chunk;
  }

  void SetUp() override {
    for (auto& column : kColumns) {
      auto result = connection_.Query("SELECT unnest(" + column + ")");
      ASSERT_FALSE(result->HasError()) << result->GetError();
      auto& values = values_.emplace_back();
      for (size_t row = 0; row < result->RowCount(); row++) {
        values.push_back(result->GetValue(0, row));
      }
    }
  }

  duckdb::DuckDB database_{nullptr};
  duckdb::Connection connection_{database_};
  std::vector<std::vector<duckdb::Value>> values_;
  std::mt19937 random_{11};
};

TEST_F(PlainSortKeysTest, AreThoseOfDuckDbAndGiveTheValuesBack) {
  for (size_t trial = 0; trial < 400; trial++) {
    std::vector<size_t> drawn;
    size_t width = trial < values_.size() ? 1 : 1 + random_() % 5;
    for (size_t i = 0; i < width; i++) {
      drawn.push_back(trial < values_.size() ? trial : random_() % values_.size());
    }
    auto rows = Draw(drawn, 1 + random_() % 100);
    std::vector<PlainSortKeys::Column> columns;
    duckdb::vector<duckdb::OrderModifiers> modifiers;
    for (auto& type : rows->GetTypes()) {
      ASSERT_TRUE(PlainSortKeys::Takes(type)) << type.ToString();
      bool descending = random_() % 2, nulls_first = random_() % 2;
      columns.push_back({type, descending, nulls_first});
      modifiers.emplace_back(
          descending ? duckdb::OrderType::DESCENDING : duckdb::OrderType::ASCENDING,
          nulls_first ? duckdb::OrderByNullType::NULLS_FIRST : duckdb::OrderByNullType::NULLS_LAST);
    }
    duckdb::SelectionVector selection(rows->size());
    for (size_t i = 0; i < rows->size(); i++) selection.set_index(i, random_() % rows->size());
    if (trial % 2) rows->Slice(selection, rows->size());

    PlainSortKeys keys(columns);
    std::vector<std::string_view> encoded;
    keys.Encode(*rows, encoded);
    duckdb::Vector expected(duckdb::LogicalType::BLOB);
    duckdb::CreateSortKeyHelpers::CreateSortKey(*rows, modifiers, expected);
    duckdb::DataChunk decoded;
    decoded.Initialize(duckdb::Allocator::DefaultAllocator(), rows->GetTypes());
    for (size_t row = 0; row < rows->size(); row++) {
      ASSERT_EQ(encoded[row],
                duckdb::FlatVector::GetData<duckdb::string_t>(expected)[row].GetString())
          << rows->data[0].GetType().ToString() << " " << rows->GetValue(0, row).ToString();
      keys.Decode(encoded[row], decoded, row);
      decoded.SetCardinality(row + 1);
      for (size_t c = 0; c < rows->ColumnCount(); c++) {
        ASSERT_TRUE(
            duckdb::Value::NotDistinctFrom(decoded.GetValue(c, row), rows->GetValue(c, row)))
            << rows->data[c].GetType().ToString() << " " << rows->GetValue(c, row).ToString()
            << " is not " << decoded.GetValue(c, row).ToString();
      }
    }
  }
}

}  // namespace
}  // namespace weir
