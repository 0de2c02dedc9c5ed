#include "verify/verify.h"

#include <gtest/gtest.h>

#include "catalog/memory_store.h"
#include "query/fake_views.h"
#include "sql/estimates.h"
#include "verify/row_difference.h"

namespace weir {
namespace {

using duckdb::LogicalType;

const std::vector<Column> kColumns = {{"name", LogicalType::VARCHAR}, {"x", LogicalType::DOUBLE}};
const std::vector<LogicalType> kTypes = {LogicalType::VARCHAR, LogicalType::DOUBLE};

RowDifference Compare(const std::vector<std::vector<std::string>>& expected,
                      const std::vector<std::vector<std::string>>& actual) {
  return CompareRows(RowsOf(kColumns, expected), RowsOf(kColumns, actual), kTypes, 2);
}

TEST(RowDifference, TheOrderOfRowsDoesNotMatter) {
  auto difference =
      Compare({{"a", "1"}, {"b", "2"}, {"a", "1"}}, {{"b", "2"}, {"a", "1"}, {"a", "1"}});
  EXPECT_EQ(difference.missing_rows, 0u);
  EXPECT_EQ(difference.unexpected_rows, 0u);
}

TEST(RowDifference, HowOftenARowOccursDoes) {
  auto difference = Compare({{"a", "1"}, {"a", "1"}}, {{"a", "1"}});
  EXPECT_EQ(difference.missing_rows, 1u);
  EXPECT_EQ(difference.unexpected_rows, 0u);
}

TEST(RowDifference, FloatsMayDifferByARoundingError) {
  EXPECT_EQ(Compare({{"a", "0.3"}}, {{"a", "0.30000000000000004"}}).missing_rows, 0u);
  EXPECT_EQ(Compare({{"a", "1e300"}}, {{"a", "1.0000000001e300"}}).missing_rows, 0u);
  EXPECT_EQ(Compare({{"a", "NaN"}}, {{"a", "NaN"}}).missing_rows, 0u);
  EXPECT_EQ(Compare({{"a", "0.3"}}, {{"a", "0.3001"}}).missing_rows, 1u);
  EXPECT_EQ(Compare({{"a", "0"}}, {{"a", "NULL"}}).missing_rows, 1u);
}

TEST(RowDifference, EqualValuesAreNoDifferenceInWhateverForm) {
  auto doubles = LogicalType::LIST(LogicalType::DOUBLE);
  auto lengths = LogicalType::STRUCT({{"a", LogicalType::LIST(LogicalType::INTERVAL)}});
  const std::vector<Column> columns = {
      {"i", LogicalType::INTERVAL}, {"d", doubles}, {"s", lengths}};
  const std::vector<LogicalType> types = {LogicalType::INTERVAL, doubles, lengths};
  auto differ = [&](const std::vector<std::string>& expected,
                    const std::vector<std::string>& actual) {
    auto difference = CompareRows(RowsOf(columns, {expected}), RowsOf(columns, {actual}), types, 2);
    return difference.missing_rows + difference.unexpected_rows > 0;
  };
  EXPECT_FALSE(differ({"25:00:00", "[-0.0, 0.3]", "{'a': [1 month]}"},
                      {"1 day 01:00:00", "[0.0, 0.30000000000000004]", "{'a': [30 days]}"}));
  EXPECT_TRUE(differ({"1 month", "[1.0]", "NULL"}, {"31 days", "[1.0]", "NULL"}));
  EXPECT_TRUE(differ({"1 day", "[1.0]", "NULL"}, {"1 day", "[1.0, 1.0]", "NULL"}));
  EXPECT_TRUE(differ({"1 day", "[1.0]", "NULL"}, {"1 day", "[1.001]", "NULL"}));
  EXPECT_TRUE(differ({"1 day", "[NULL]", "NULL"}, {"1 day", "[]", "NULL"}));
  EXPECT_TRUE(differ({"1 day", "[]", "{'a': [1 day]}"}, {"1 day", "[]", "{'a': [2 days]}"}));
  EXPECT_TRUE(differ({"1 day", "[]", "{'a': NULL}"}, {"1 day", "[]", "NULL"}));
}

TEST(RowDifference, EstimatesMayDifferByMoreAndNothingElse) {
  const std::vector<Column> columns = {{"n", LogicalType::BIGINT}, {"x", LogicalType::BIGINT}};
  const std::vector<LogicalType> types = {LogicalType::BIGINT, LogicalType::BIGINT};
  auto missing = [&](const char* n, const char* x, const std::vector<bool>& estimated) {
    return CompareRows(RowsOf(columns, {{"100", "1000"}}), RowsOf(columns, {{n, x}}), types, 2,
                       estimated)
        .missing_rows;
  };
  EXPECT_EQ(missing("100", "1040", {false, true}), 0u);
  EXPECT_EQ(missing("100", "1100", {false, true}), 1u);
  EXPECT_EQ(missing("100", "NULL", {false, true}), 1u);
  EXPECT_EQ(missing("101", "1000", {false, true}), 1u);
  EXPECT_EQ(missing("100", "1001", {}), 1u);
}

TEST(Estimates, AreTheColumnsThatSayThem) {
  EXPECT_EQ(EstimatedColumns(KernelSql("SELECT count(*), approx_quantile(x, 0.5) FROM s"), 2),
            (std::vector<bool>{false, true}));
  EXPECT_EQ(EstimatedColumns(KernelSql("SELECT count(*), max(x) FROM s"), 2),
            (std::vector<bool>{false, false}));
  EXPECT_EQ(
      EstimatedColumns(
          KernelSql("SELECT * FROM (SELECT g, approx_quantile(x, 0.5) FROM s GROUP BY g)"), 2),
      (std::vector<bool>{true, true}));
}

TEST(RowDifference, NullIsNotTheEmptyText) {
  auto difference = Compare({{"NULL", "1"}}, {{"", "1"}});
  EXPECT_EQ(difference.missing_rows, 1u);
  ASSERT_EQ(difference.missing.size(), 1u);
  EXPECT_FALSE(difference.missing[0][0]);
  EXPECT_EQ(difference.unexpected[0][0], "");
}

TEST(RowDifference, OnlyTheFirstRowsAreShownButAllAreCounted) {
  auto difference = Compare({{"a", "1"}, {"b", "1"}, {"c", "1"}}, {});
  EXPECT_EQ(difference.missing_rows, 3u);
  EXPECT_EQ(difference.missing.size(), 2u);
}

// Answers every query with the same rows.
class FixedBatch : public BatchEngine {
 public:
  void Run(BatchRequest request, std::function<void(BatchResult)> done) override {
    asked = request;
    BatchResult result;
    result.columns = kColumns;
    result.rows = RowsOf(kColumns, rows);
    if (fail) result.error = std::make_exception_ptr(Error(ErrorCode::kTimeout, "too slow"));
    done(std::move(result));
  }
  BatchRequest asked;
  std::vector<std::vector<std::string>> rows;
  bool fail = false;
};

class VerifyTest : public testing::Test {
 protected:
  VerifyTest() {
    auto view = std::make_shared<View>();
    view->name = "v";
    view->query = "SELECT name, x FROM events";
    view->kernel_sql = KernelSql(view->query);
    catalog_.Change([&](CatalogState& state) { state.views["v"] = view; });
    auto& content = views_.Set("v");
    content.offset = {41};
    content.as_of = 1'700'000'000'000'000;
    content.columns = kColumns;
    content.rows = RowsOf(kColumns, {{"a", "1"}, {"b", "2"}});
  }

  MemoryStore store_;
  Catalog catalog_{store_};
  FakeViews views_;
  FixedBatch batch_;
  Verify verify_{catalog_, views_, batch_};
};

TEST_F(VerifyTest, AViewIsComparedAtItsOwnPositionAndClock) {
  batch_.rows = {{"b", "2"}, {"a", "1"}};
  auto report = verify_.Run();
  EXPECT_TRUE(report.equal);
  EXPECT_EQ(batch_.asked.at, Offset{41});
  EXPECT_EQ(batch_.asked.as_of, 1'700'000'000'000'000);
  EXPECT_EQ(batch_.asked.sql.text, "SELECT name, x FROM events");
}

TEST_F(VerifyTest, DifferingRowsAreShown) {
  batch_.rows = {{"a", "1"}, {"c", "3"}};
  auto report = verify_.Run("v");
  EXPECT_FALSE(report.equal);
  EXPECT_EQ(
      ToJson(report),
      "{\"equal\": false, \"comparable\": true, \"views\": [{\"name\": \"v\", \"equal\": false, "
      "\"comparable\": true, \"rows\": 2, \"error_rows\": 0, \"offset\": 41, \"as_of\": "
      "\"2023-11-14T22:13:20.000Z\", \"columns\": "
      "[{\"name\":\"name\",\"type\":\"VARCHAR\"},{\"name\":\"x\",\"type\":\"DOUBLE\"}], "
      "\"missing\": [[\"c\", \"3.0\"]], \"unexpected\": [[\"b\", \"2.0\"]], "
      "\"missing_rows\": 1, \"unexpected_rows\": 1, \"left_open\": null, \"error\": null}]}\n");
}

TEST_F(VerifyTest, AViewThatCannotBeCheckedIsNotEqual) {
  batch_.fail = true;
  auto report = verify_.Run();
  EXPECT_FALSE(report.equal);
  ASSERT_TRUE(report.views[0].error);
  EXPECT_EQ(report.views[0].error->code, ErrorCode::kTimeout);
}

TEST_F(VerifyTest, AViewWithErrorRowsIsNotComparedWithAQueryThatFails) {
  views_.Set("v").error_rows = 3;
  batch_.fail = true;
  auto report = verify_.Run("v");
  EXPECT_TRUE(report.equal);
  EXPECT_FALSE(report.comparable);
  EXPECT_FALSE(report.views[0].equal);
  ASSERT_TRUE(report.views[0].error);
  EXPECT_TRUE(report.views[0].error->message.starts_with("3 error rows, cannot be compared"));
}

TEST_F(VerifyTest, AnUnknownViewIsAnError) { EXPECT_THROW(verify_.Run("w"), Error); }

}  // namespace
}  // namespace weir
