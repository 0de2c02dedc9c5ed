// Places of rows that went are used again, whether or not anybody expected rows to go.
#include "flow/state/row_store.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

using duckdb::LogicalType;

void Fill(duckdb::DataChunk& rows, int64_t first) {
  rows.Initialize(duckdb::Allocator::DefaultAllocator(),
                  {LogicalType::BIGINT, LogicalType::VARCHAR});
  for (duckdb::idx_t row = 0; row < STANDARD_VECTOR_SIZE; row++) {
    rows.SetValue(0, row, duckdb::Value::BIGINT(first + static_cast<int64_t>(row)));
    rows.SetValue(1, row, duckdb::Value("some text"));
  }
  rows.SetCardinality(STANDARD_VECTOR_SIZE);
}

struct Kind {
  const char* name;
  bool indexed;
  RowStore::Lists lists;
};

class RowStoreTest : public testing::TestWithParam<Kind> {};

TEST_P(RowStoreTest, PlacesOfRowsThatWentAreUsedAgain) {
  RowStore store({LogicalType::BIGINT, LogicalType::VARCHAR}, GetParam().indexed, GetParam().lists);
  auto round = [&](int64_t first) {
    duckdb::DataChunk rows;
    Fill(rows, first);
    std::vector<RowRef> refs, heads;
    for (auto& row : store.Encode(rows)) {
      RowRef& head = heads.emplace_back(kNoRow);
      bool is_listed = GetParam().lists == RowStore::Lists::kListed;
      refs.push_back(is_listed ? store.FindOrAdd(row, head) : store.FindOrAdd(row));
      if (is_listed) head = refs.back();
    }
    store.CheckInvariants();
    for (size_t i = 0; i < refs.size(); i++) {
      if (GetParam().lists == RowStore::Lists::kListed) {
        store.Remove(refs[i], heads[i]);
      } else {
        store.Remove(refs[i]);
      }
    }
    EXPECT_EQ(store.rows(), 0u);
    store.CheckInvariants();
  };
  round(0);
  size_t bytes = store.Bytes();
  for (int64_t i = 1; i < 100; i++) round(i * 10'000);
  EXPECT_LE(store.Bytes(), bytes + bytes / 10);
}

INSTANTIATE_TEST_SUITE_P(Of, RowStoreTest,
                         testing::Values(Kind{"rowsInLists", false, RowStore::Lists::kListed},
                                         Kind{"indexedRowsInLists", true, RowStore::Lists::kListed},
                                         Kind{"rows", false, RowStore::Lists::kUnlisted},
                                         Kind{"indexedRows", true, RowStore::Lists::kUnlisted}),
                         [](auto& kind) { return std::string(kind.param.name); });

}  // namespace
}  // namespace weir
