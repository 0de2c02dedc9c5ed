// What an answer looks like in each format, and that each type is the same in all of them.
#include "query/answer.h"

#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/main/materialized_query_result.hpp"
#include "lake/type_samples.h"
#include "query/test_queries.h"

namespace weir {
namespace {

using duckdb::LogicalType;

TEST_F(QueriesTest, EveryFormatObeysTheLimitOfRows) {
  for (auto format : {ResultFormat::kJson, ResultFormat::kNdjson, ResultFormat::kCsv,
                      ResultFormat::kArrow, ResultFormat::kParquet}) {
    QueryRequest request;
    request.sql = KernelSql("SELECT * FROM range(10000)");
    request.format = format;
    request.rows_max = 9999;
    Answered answer = Ask(request);
    ASSERT_TRUE(answer.error);
    EXPECT_EQ(answer.error->code, ErrorCode::kLimitExceeded);
    request.rows_max = 10000;
    EXPECT_FALSE(Ask(request).error);
  }
}

TEST_F(QueriesTest, AJsonAnswerSaysWhereItStands) {
  AppendEvents(2);
  EXPECT_EQ(Ask("SELECT id, name FROM events", ResultFormat::kJson).body,
            "{\"offset\":2,\"as_of\":\"2023-11-14T22:13:20.000Z\",\"columns\":"
            "[{\"name\":\"id\",\"type\":\"BIGINT\"},{\"name\":\"name\",\"type\":\"VARCHAR\"}],"
            "\"rows\":[[1,\"odd\"],[2,\"even\"]]}\n");
}

TEST_F(QueriesTest, BinaryFormatsAreWhole) {
  AppendEvents(3000);
  std::string parquet = Ask("SELECT * FROM events", ResultFormat::kParquet).body;
  ASSERT_GT(parquet.size(), 8u);
  EXPECT_EQ(parquet.substr(0, 4), "PAR1");
  EXPECT_EQ(parquet.substr(parquet.size() - 4), "PAR1");
  std::string arrow = Ask("SELECT * FROM events", ResultFormat::kArrow).body;
  ASSERT_GT(arrow.size(), 8u);
  EXPECT_EQ(arrow.substr(0, 4), "\xFF\xFF\xFF\xFF");
  EXPECT_EQ(arrow.substr(arrow.size() - 8), std::string("\xFF\xFF\xFF\xFF\0\0\0\0", 8));
  EXPECT_GT(arrow.size(), 3000 * sizeof(int64_t));
}

// Every type in every nesting is the same in an answer before its rows landed and after, and when
// it is compared, grouped and unnested there.
TEST_F(QueriesTest, EveryTypeIsReadAlikeFromTheLogAndFromTheLake) {
  auto samples = TypeSamples();
  // What the catalog cannot say of a type, a worker cannot know.
  std::erase_if(samples, [](auto& sample) {
    try {
      return ParseColumnType(sample.type.ToString()) != sample.type;
    } catch (const Error&) {
      return true;
    }
  });
  ASSERT_GT(samples.size(), 400u);
  constexpr size_t kColumns = 16;
  uint32_t id = 100;
  for (size_t begin = 0; begin < samples.size(); begin += kColumns, id++) {
    size_t end = std::min(samples.size(), begin + kColumns);
    auto stream = std::make_shared<Stream>();
    stream->id = {id};
    stream->name = "types" + std::to_string(id);
    size_t rows = 0;
    for (size_t i = begin; i < end; i++) {
      stream->columns.push_back({"c" + std::to_string(i), samples[i].type});
      rows = std::max(rows, samples[i].values.size());
    }
    SCOPED_TRACE(stream->columns[0].type.ToString());
    catalog_.Change([&](CatalogState& state) { state.streams[stream->name] = stream; });
    Columns columns;
    columns.rows = rows;
    columns.chunks.push_back(std::make_unique<duckdb::DataChunk>());
    auto& chunk = *columns.chunks.back();
    auto types = stream->Types();
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(),
                     duckdb::vector<LogicalType>(types.begin(), types.end()));
    for (size_t row = 0; row < rows; row++) {
      for (size_t i = begin; i < end; i++) {
        chunk.SetValue(i - begin, row, SampleAt(samples[i], row));
      }
    }
    chunk.SetCardinality(rows);
    AppendAndWait(
        *log_, Unit(MakeRecord(EncodeBlock(columns, types), static_cast<uint32_t>(rows), "", id)));
    std::vector<std::string> questions = {"SELECT * FROM " + stream->name + " ORDER BY _offset"};
    for (auto& column : stream->columns) {
      questions.push_back("SELECT count(" + column.name + "), count(DISTINCT " + column.name +
                          "::VARCHAR), min(typeof(" + column.name + ")) FROM " + stream->name);
    }
    std::vector<std::string> before;
    for (auto& question : questions) before.push_back(Body(question));
    lake_->LandNow();
    ASSERT_EQ(lake_->Landed(), log_->End());
    for (size_t i = 0; i < questions.size(); i++) {
      EXPECT_EQ(Body(questions[i]), before[i]) << questions[i];
    }
  }
}

TEST_F(QueriesTest, AParquetAnswerHoldsTheValuesThemselves) {
  std::string sql =
      "SELECT sum(x) AS s, sum(x) + 1 AS s, max(h) AS h, list(x::HUGEINT ORDER BY x) AS l, "
      "INTERVAL '1 day 00:00:00.000001' AS i FROM (VALUES (9007199254740992::BIGINT, 1::HUGEINT), "
      "(1, 170141183460469231731687303715884105727)) t(x, h)";
  for (auto format : {ResultFormat::kParquet, ResultFormat::kArrow}) {
    Answered answer = Ask(sql, format);
    ASSERT_FALSE(answer.error) << answer.error->message;
    ASSERT_FALSE(answer.body.empty());
  }
  auto path = folder_ / "answer.parquet";
  // Not through Ask, which takes carriage returns out of a body.
  QueryRequest request;
  request.sql = KernelSql(sql);
  request.format = ResultFormat::kParquet;
  struct RawSink : QuerySink {
    void Write(std::string bytes) override { body += bytes; }
    void Done(const std::optional<Error>&) override { done.set_value(); }
    std::string body;
    std::promise<void> done;
  };
  auto sink = std::make_shared<RawSink>();
  auto handle = Service().Run(std::move(request), sink);
  sink->done.get_future().wait();
  std::ofstream(path, std::ios::binary) << sink->body;
  duckdb::DuckDB database(nullptr);
  duckdb::Connection connection(database);
  auto read = connection.Query("SELECT *, typeof(s), typeof(h) FROM '" + path.string() + "'");
  ASSERT_FALSE(read->HasError()) << read->GetError();
  ASSERT_EQ(read->RowCount(), 1u);
  std::vector<std::string> row;
  for (size_t i = 0; i < read->names.size(); i++) row.push_back(read->GetValue(i, 0).ToString());
  EXPECT_EQ(row,
            (std::vector<std::string>{
                "9007199254740993", "9007199254740994", "170141183460469231731687303715884105727",
                "[1, 9007199254740992]", "1 day 00:00:00.000001", "DECIMAL(38,0)", "VARCHAR"}));
}

}  // namespace
}  // namespace weir
