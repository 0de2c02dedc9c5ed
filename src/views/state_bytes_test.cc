// Bytes of state are those of the allocator: for each kind of operator, what a circuit says it has
// is compared with what the process has more than before.
#include <gtest/gtest.h>
#include <malloc.h>

#include "sql/statement.h"
#include "views/live_view.h"
#include "views/relations.h"

namespace weir {
namespace {

constexpr size_t kRows = 60'000;

size_t InUse() {
  malloc_trim(0);
  auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

class StateBytes : public testing::Test {
 protected:
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  void SetUp() override { GTEST_SKIP() << "a sanitizer's allocator tells no sizes"; }
#endif

  StateBytes() {
    for (auto& statement :
         ParseStatements("CREATE STREAM a (k BIGINT, t TEXT, n BIGINT, x DOUBLE);"
                         "CREATE STREAM b (k BIGINT, t TEXT, n BIGINT, x DOUBLE);")) {
      auto stream = std::get<CreateStream>(statement.body).stream;
      stream.id = StreamId{static_cast<uint32_t>(catalog_.streams.size() + 1)};
      catalog_.streams[stream.name] = std::make_shared<Stream>(stream);
    }
  }

  // Rows with texts of `text_size` bytes and `keys` different keys.
  static void Fill(duckdb::DataChunk& chunk, size_t first, size_t keys, size_t text_size) {
    chunk.Reset();
    for (size_t i = 0; i < STANDARD_VECTOR_SIZE; i++) {
      size_t row = first + i;
      duckdb::FlatVector::GetDataUnsafe<int64_t>(chunk.data[0])[i] =
          static_cast<int64_t>(row * 7919 % keys);
      std::string text = std::to_string(row) + std::string(text_size, 'x');
      duckdb::FlatVector::GetDataUnsafe<duckdb::string_t>(chunk.data[1])[i] =
          duckdb::StringVector::AddString(chunk.data[1], text);
      duckdb::FlatVector::GetDataUnsafe<int64_t>(chunk.data[2])[i] =
          static_cast<int64_t>(row * 31 % 1'000'003);
      duckdb::FlatVector::GetDataUnsafe<double>(chunk.data[3])[i] = static_cast<double>(row) / 3;
    }
    chunk.SetCardinality(STANDARD_VECTOR_SIZE);
  }

  // What is said and what is there, for a view over `keys` keys.
  void Compare(const std::string& query, size_t keys, size_t text_size) {
    SCOPED_TRACE(query);
    auto session = std::make_shared<Session>(kernel_, "UTC");
    session->SetClock(1'700'000'000'000'000);
    Circuit circuit;
    auto built = BuildView(circuit, catalog_, session, "v", KernelSql(query));
    ASSERT_TRUE(built.output) << built.unsupported;
    circuit.KeepOnly({built.output});
    circuit.SetClock(1'700'000'000'000'000);
    ViewContent content;
    duckdb::DataChunk chunk;
    auto& stream = *catalog_.streams.at("a");
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(stream.Types()));
    auto feed = [&](size_t first) {
      Fill(chunk, first, keys, text_size);
      for (auto* source : circuit.Sources()) source->Feed(chunk, first + 1, 0);
      circuit.Flush();
      built.output->Take(
          [&](std::string_view row, int64_t weight) { content.Change(row, weight, first + 1); });
      content.Reclaim(first + 1);
    };
    auto said = [&] {
      size_t bytes = content.Bytes();
      for (auto& op : circuit.operators()) {
        bytes += op->StateBytes();
        if (!op->failed_rows()) continue;
        op->failed_rows()->TakeChanges(Offset{}, [](const FailedRow&, Offset, int64_t) {});
        bytes += op->failed_rows()->Bytes();
      }
      return bytes;
    };
    feed(0);  // whatever is made once: buffers of chunks
    size_t said_before = said(), there_before = InUse();
    for (size_t first = STANDARD_VECTOR_SIZE; first < kRows; first += STANDARD_VECTOR_SIZE) {
      feed(first);
    }
    auto grew = static_cast<double>(InUse() - there_before);
    auto told = static_cast<double>(said() - said_before);
    std::printf("%-90.90s said %6.2f MB, there %6.2f MB\n", query.c_str(), told / 1e6, grew / 1e6);
    if (told > 1.25 * grew || told < 0.75 * grew) {
      std::printf("  content %.2f MB\n", static_cast<double>(content.Bytes()) / 1e6);
      for (auto& op : circuit.operators()) {
        std::printf("  %s %.2f MB\n", op->name().c_str(),
                    static_cast<double>(op->StateBytes()) / 1e6);
      }
    }
    for (auto& op : circuit.operators()) EXPECT_EQ(op->failure(), "");
    EXPECT_GT(grew, 1e6);
    EXPECT_NEAR(told / grew, 1, 0.25);
  }

  Kernel kernel_;
  CatalogState catalog_;
};

TEST_F(StateBytes, OfJoinsAreThoseOfTheAllocator) {
  Compare("SELECT count(*) AS c FROM a JOIN b USING (k)", kRows, 40);
  Compare("SELECT a.t, b.t AS u FROM a JOIN b ON a.k = b.k AND a.n = b.n", kRows, 40);
  Compare("SELECT count(*) AS c FROM a LEFT JOIN b ON a.t = b.t AND a.x < b.x", kRows, 20);
  Compare("SELECT count(*) AS c FROM a WHERE k NOT IN (SELECT n FROM b)", kRows, 0);
  Compare("SELECT count(*) AS c FROM a WHERE x > (SELECT avg(x) FROM b)", kRows, 0);
  Compare("SELECT count(*) AS c FROM a WHERE n < (SELECT avg(n) FROM b WHERE b.k = a.k)", kRows, 0);
}

TEST_F(StateBytes, OfAggregatesAreThoseOfTheAllocator) {
  Compare("SELECT k, count(*) AS c, sum(n) AS s, avg(x) AS m FROM a GROUP BY k", kRows, 0);
  Compare("SELECT t, count(*) AS c FROM a GROUP BY t", kRows, 100);
  Compare("SELECT k, max(t) AS m, min(n) AS l FROM a GROUP BY k", kRows, 200);
  Compare("SELECT k % 100 AS g, count(DISTINCT t) AS c FROM a GROUP BY g", kRows, 60);
  Compare("SELECT k, string_agg(t, ',' ORDER BY n) AS s FROM a GROUP BY k", kRows, 300);
  Compare("SELECT k % 10 AS g, list(t) AS l FROM a GROUP BY g", kRows, 50);
  Compare("SELECT max(m) AS m FROM (SELECT k, min(t) AS m FROM a GROUP BY k)", kRows, 100);
}

TEST_F(StateBytes, OfTheFirstRowsAreThoseOfTheAllocator) {
  Compare("SELECT * FROM (SELECT k, max(t) AS m FROM a GROUP BY k) ORDER BY m LIMIT 10", kRows, 50);
  Compare("SELECT k, t FROM a QUALIFY row_number() OVER (PARTITION BY k ORDER BY n) <= 2", kRows,
          50);
  Compare(
      "SELECT k, m FROM (SELECT k, t, max(n) AS m FROM a GROUP BY k, t) "
      "QUALIFY row_number() OVER (PARTITION BY k ORDER BY m) <= 2",
      kRows, 50);
}

TEST_F(StateBytes, OfWindowsAndSetsAreThoseOfTheAllocator) {
  Compare("SELECT k, t, sum(n) OVER (PARTITION BY k ORDER BY n) AS s FROM a", 20'000, 50);
  Compare("SELECT k, count(*) OVER (ORDER BY t) AS c FROM a", kRows, 50);
  Compare("SELECT k, t, lag(n) OVER (PARTITION BY k ORDER BY n) AS s FROM a", 20'000, 50);
  Compare("SELECT k, avg(n) OVER (PARTITION BY k % 50 ORDER BY n RANGE 9 PRECEDING) AS s FROM a",
          kRows, 50);
  Compare("SELECT k, t, ntile(3) OVER (PARTITION BY k ORDER BY n) AS s FROM a", 20'000, 50);
  Compare("SELECT t FROM a INTERSECT SELECT t FROM b", kRows, 80);
  Compare("SELECT DISTINCT k, t FROM a", kRows, 80);
}

TEST_F(StateBytes, OfRecursionsAreThoseOfTheAllocator) {
  Compare(
      "WITH RECURSIVE r(k, t) AS (SELECT k, t FROM a UNION SELECT b.k, r.t FROM r JOIN b ON r.k = "
      "b.n) SELECT count(*) AS c FROM r",
      kRows, 50);
  Compare(
      "WITH RECURSIVE r(k, m) AS (SELECT k, max(t) FROM a GROUP BY k UNION SELECT b.k, r.m FROM r "
      "JOIN b ON r.k = b.n) SELECT count(*) AS c FROM r",
      kRows, 50);
}

TEST_F(StateBytes, OfFailedRowsAreThoseOfTheAllocator) {
  Compare("SELECT CAST(t AS INTEGER) AS i FROM a", kRows, 20);
}

TEST_F(StateBytes, OfClockFiltersAreThoseOfTheAllocator) {
  Compare("SELECT count(t) AS c FROM a WHERE to_timestamp(1700000000 + n) > now()", kRows, 60);
}

TEST_F(StateBytes, OfContentWhoseRowsGrowAreBounded) {
  ViewContent content;
  std::string row(100, 'z');
  content.Change(row, 1, 1);
  for (uint64_t step = 2; step < 20'000; step++) {  // to 160 KB, a little each step
    content.Change(row, -1, step);
    row += "8 bytes.";
    content.Change(row, 1, step);
    content.Reclaim(step);
  }
  EXPECT_EQ(content.rows(), 1u);
  // Two places in each of eight sizes an octave: 2 / (1 - 2^(-1/8)) = 24 times the last, and page
  // ends.
  EXPECT_LT(content.Bytes(), 32 * row.size());
}

TEST_F(StateBytes, OfRecentChangesAreThoseOfTheAllocator) {
  LiveView view;
  view.columns = {{"k", duckdb::LogicalType::BIGINT}, {"t", duckdb::LogicalType::VARCHAR}};
  view.changes.SetRoom(ChangeRing::kBytesMax);
  RowCodec codec(view.types());
  duckdb::DataChunk one;
  one.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(view.types()));
  auto change = [&](uint64_t step) {
    one.Reset();
    one.SetValue(0, 0, duckdb::Value::BIGINT(static_cast<int64_t>(step)));
    one.SetValue(1, 0, duckdb::Value(std::string(100, 'y')));
    one.SetCardinality(1);
    std::string row(codec.Encode(one)[0]);
    view.Apply({step, Offset{step}, 0}, true, [&](auto apply) { apply(row, 1); });
  };
  change(1);
  size_t said = view.changes.Bytes() + view.content.Bytes(), there = InUse();
  for (uint64_t step = 2; step < 3'000; step++) change(step);
  auto grew = static_cast<double>(InUse() - there);
  auto told = static_cast<double>(view.changes.Bytes() + view.content.Bytes() - said);
  std::printf("recent changes: said %.2f MB, there %.2f MB\n", told / 1e6, grew / 1e6);
  EXPECT_LT(grew, 6e6);  // 2 KB for a change of one row
  EXPECT_NEAR(told / grew, 1, 0.25);
}

}  // namespace
}  // namespace weir
