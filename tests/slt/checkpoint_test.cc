// Every operator that keeps something writes it piece by piece while steps change it, and goes on
// from there as if nothing had been.
//
// One table of queries, and one harness: a checkpoint is written in the smallest pieces, each
// between two steps that change rows of every kind; the power goes; what is read back goes on, and
// every view is what its query says of all rows.  An operator that no query here makes is named by
// EveryOperatorIsInTheTable.
#include <cxxabi.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>

#include "support.h"
#include "views/test_engine.h"
#include "world.h"

namespace weir {
namespace {

constexpr const char* kCheckpointStreams =
    "CREATE STREAM a (id INTEGER, k INTEGER, v DOUBLE, t VARCHAR, ts TIMESTAMP, WATERMARK FOR ts "
    "AS "
    "ts - INTERVAL 5 SECONDS);"
    "CREATE STREAM b (k INTEGER, w INTEGER);"
    "CREATE TABLE p (id INTEGER PRIMARY KEY, k INTEGER, x INTEGER, t VARCHAR);";

struct KeptQuery {
  const char* what;
  const char* query;
  const char* with = "";
};

// `a` and `b` only grow; rows of `p` go.
const std::vector<KeptQuery> kKeptQueries = {
    // Tables, kept rows, joins.
    {"rows_by_key", "SELECT * FROM p"},
    {"inner_join", "SELECT b.w, count(*) AS c, sum(a.v) AS s FROM a JOIN b USING (k) GROUP BY b.w"},
    {"left_join",
     "SELECT p.id, m.w FROM p LEFT JOIN (SELECT k, max(w) AS w FROM b GROUP BY k) m ON m.k = p.x"},
    {"semi_join", "SELECT id FROM p WHERE EXISTS (SELECT 1 FROM b WHERE b.k = p.x)"},
    {"semi_join_of_going_rows",
     "SELECT k, w FROM b WHERE EXISTS (SELECT 1 FROM p WHERE p.x = b.k)"},
    {"anti_join", "SELECT id FROM p WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.k = p.x)"},
    {"match_counts",
     "SELECT id FROM p WHERE EXISTS (SELECT 1 FROM b WHERE b.k = p.k AND b.w > p.x % 12)"},
    {"full_join",
     "SELECT x.k, x.c, y.k AS other, y.w FROM (SELECT k, count(*) AS c FROM p GROUP BY k) x FULL "
     "JOIN "
     "b y ON x.k = y.k AND x.c > y.w"},
    {"mark_join", "SELECT id, x IN (SELECT k FROM b WHERE w > 3) AS m FROM p"},
    {"mark_join_by_group", "SELECT id, x % 12 IN (SELECT w FROM b WHERE b.k = p.k) AS m FROM p"},
    {"mark_join_of_going_rows", "SELECT k, w, k IN (SELECT x FROM p) AS m FROM b"},
    {"delta_join",
     "SELECT count(*) AS n, sum(p.x) AS s FROM a JOIN b ON a.k = b.k JOIN p ON p.id = b.w"},
    {"above_average", "SELECT id, x FROM p WHERE x > (SELECT avg(x) FROM p)"},
    {"threshold_by_key", "SELECT id FROM p WHERE x >= (SELECT avg(x) FROM p o WHERE o.k = p.k)"},
    // Groups.
    {"groups",
     "SELECT k, count(*) AS c, sum(v) AS s, avg(v) AS m, min(t) AS lo, max(t) AS hi FROM a GROUP "
     "BY k"},
    {"groups_of_texts", "SELECT t, count(*) AS c, max(x) AS x FROM p GROUP BY t"},
    {"no_groups", "SELECT count(*) AS c, sum(x) AS s FROM p"},
    {"distinct_rows", "SELECT DISTINCT k, t FROM a"},
    {"distinct_words",
     "SELECT k % 7 AS g, count(DISTINCT id) AS d, count(DISTINCT id) FILTER (WHERE v > 100) AS f, "
     "sum(DISTINCT id) AS s FROM a GROUP BY g"},
    {"distinct_texts", "SELECT k % 5 AS g, count(DISTINCT t) AS d FROM a GROUP BY g"},
    {"distinct_of_going_rows",
     "SELECT k % 5 AS g, count(DISTINCT x) AS d, count(DISTINCT t) AS e, sum(DISTINCT x) AS s FROM "
     "p "
     "GROUP BY g"},
    {"extremes_of_all", "SELECT min(x) AS lo, max(x) AS hi, max(t) AS t FROM p"},
    {"extremes_by_key", "SELECT k, min(x) AS lo, max(t) AS t FROM p GROUP BY k"},
    {"rows_of_groups", "SELECT k % 3 AS g, bit_xor(x) AS x FROM p GROUP BY g"},
    {"rows_of_all", "SELECT bit_xor(x * 7 + id) AS x FROM p"},
    // Functions with hidden parameters, which are another's in the next line.
    {"in_order", "SELECT k % 3 AS g, string_agg(t, ',' ORDER BY id) AS s FROM p GROUP BY g"},
    {"in_order_otherwise",
     "SELECT k % 3 AS g, string_agg(t, ';' ORDER BY id) AS s FROM p GROUP BY g"},
    {"in_order_back",
     "SELECT k % 3 AS g, string_agg(t, ';' ORDER BY id DESC) AS s FROM p GROUP BY g"},
    {"in_order_once",
     "SELECT k % 3 AS g, string_agg(DISTINCT t, ',' ORDER BY t) AS s FROM p GROUP BY g"},
    {"quartiles", "SELECT k % 3 AS g, quantile_cont(x, 0.25) AS q FROM p GROUP BY g"},
    {"deciles", "SELECT k % 3 AS g, quantile_cont(x, 0.1) AS q FROM p GROUP BY g"},
    {"medians", "SELECT k % 3 AS g, median(x) AS m FROM p GROUP BY g"},
    {"lists", "SELECT k % 5 AS g, list(x ORDER BY id) AS l FROM p GROUP BY g"},
    // The first of an order.
    {"tops", "SELECT id, k FROM p QUALIFY row_number() OVER (PARTITION BY k ORDER BY x, id) <= 2"},
    {"top_of_all", "SELECT id, x FROM p QUALIFY rank() OVER (ORDER BY x, id) <= 3"},
    {"growing_tops",
     "SELECT k, id FROM a QUALIFY row_number() OVER (PARTITION BY k ORDER BY v DESC, id) <= 3"},
    {"first_of_all", "SELECT id, x FROM p ORDER BY x, id LIMIT 5 OFFSET 3"},
    {"growing_limit", "SELECT id, v FROM a ORDER BY v, id LIMIT 4"},
    // Window functions.
    {"running",
     "SELECT id, sum(x) OVER (PARTITION BY k ORDER BY x, id) AS s, row_number() OVER (PARTITION BY "
     "k "
     "ORDER BY x, id) AS n FROM p"},
    {"running_of_all", "SELECT id, sum(k) OVER (ORDER BY id) AS s FROM a"},
    {"running_peers", "SELECT id, rank() OVER (PARTITION BY k ORDER BY x) AS r FROM p"},
    {"framed",
     "SELECT id, sum(x) OVER (PARTITION BY k ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) "
     "AS "
     "s, lag(x) OVER (PARTITION BY k ORDER BY id) AS l FROM p"},
    {"framed_of_all", "SELECT id, lag(x) OVER (ORDER BY id) AS l FROM p"},
    {"framed_by_values",
     "SELECT id, count(*) OVER (PARTITION BY k ORDER BY x RANGE BETWEEN 5 PRECEDING AND 5 "
     "FOLLOWING) "
     "AS n FROM p"},
    {"in_thirds", "SELECT id, ntile(3) OVER (PARTITION BY k ORDER BY x, id) AS n FROM p"},
    {"batch_of_all", "SELECT id, ntile(4) OVER (ORDER BY x, id) AS n FROM p"},
    {"latest_before",
     "SELECT p.id, m.k FROM p ASOF LEFT JOIN (SELECT DISTINCT k, w FROM b) m ON p.k % 12 = m.w "
     "AND p.x >= m.k"},
    // Sets, sessions, time.
    {"but_those", "SELECT k FROM a EXCEPT ALL SELECT k FROM b"},
    {"on_both_sides", "SELECT x FROM p INTERSECT SELECT k FROM b"},
    {"union_all",
     "SELECT x, count(*) AS n FROM (SELECT k AS x FROM a UNION ALL SELECT x FROM p UNION ALL "
     "SELECT 7) "
     "GROUP BY x"},
    {"sessions",
     "SELECT k, window_start, window_end, count(*) AS n FROM SESSION(TABLE a PARTITION BY k, "
     "DESCRIPTOR(ts), INTERVAL '2' SECONDS) GROUP BY k, window_start, window_end"},
    {"sessions_of_all",
     "SELECT window_start, window_end, count(*) AS n FROM SESSION(TABLE a, DESCRIPTOR(ts), "
     "INTERVAL "
     "'1' SECONDS) GROUP BY window_start, window_end"},
    {"sessions_that_close",
     "SELECT k, window_start, window_end, count(*) AS n FROM SESSION(TABLE a PARTITION BY k, "
     "DESCRIPTOR(ts), INTERVAL '2' SECONDS) GROUP BY k, window_start, window_end EMIT ON WINDOW "
     "CLOSE"},
    {"closed_rows",
     "SELECT id, window_end FROM TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '10' SECONDS) EMIT ON "
     "WINDOW "
     "CLOSE"},
    {"closed_groups",
     "SELECT window_start, count(*) AS n, count(DISTINCT t) AS d, count(DISTINCT id) AS e, "
     "bit_xor(id) "
     "AS x FROM TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '10' SECONDS) GROUP BY window_start EMIT "
     "ON "
     "WINDOW CLOSE"},
    {"freed_groups",
     "SELECT window_start, count(*) AS n, count(DISTINCT t) AS d, count(DISTINCT id) AS e FROM "
     "TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '10' SECONDS) GROUP BY window_start EMIT CHANGES",
     " WITH (allowed_lateness = '3 seconds')"},
    {"recent_rows", "SELECT id FROM a WHERE ts > now()::TIMESTAMP - INTERVAL 20 SECONDS"},
    {"recent_keys",
     "SELECT k, last FROM (SELECT k, max(ts) AS last FROM a GROUP BY k) WHERE last > "
     "now()::TIMESTAMP - "
     "INTERVAL 20 SECONDS"},
    // Recursion.
    {"reached",
     "WITH RECURSIVE t(n) AS (SELECT 1 UNION SELECT b.w FROM b, t WHERE b.k = t.n) SELECT n FROM "
     "t"},
    {"reached_by_going_rows",
     "WITH RECURSIVE t(a, b) AS (SELECT id, x FROM p WHERE id < 20 UNION SELECT t.a, p.x FROM t "
     "JOIN p "
     "ON t.b = p.id) SELECT a, count(*) AS n FROM t GROUP BY a"},
    {"paths",
     "WITH RECURSIVE t(a, b, h) AS (SELECT id, x, 1 FROM p UNION ALL SELECT t.a, p.x, h + 1 FROM t "
     "JOIN "
     "p ON t.b = p.id WHERE h < 3) SELECT h, count(*) AS n, sum(a * 8 + b) AS s FROM t GROUP BY h"},
};

class CheckpointOfEveryOperator : public testing::Test {
 protected:
  void MakeAll() {
    world_.Execute(kCheckpointStreams);
    for (auto& [what, query, with] : kKeptQueries) {
      world_.Execute("CREATE MATERIALIZED VIEW " + std::string(what) + with + " AS " + query);
    }
  }

  void Ingest(const std::string& stream, const std::string& body) {
    auto answer = world_.Ingest(stream, RowFormat::kNdjson, body);
    ASSERT_TRUE(answer.rejected.empty()) << answer.rejected[0].reason;
  }
  static std::string Number(const char* name, uint64_t number) {
    return std::string(R"(,")") + name + R"(":)" + std::to_string(number);
  }

  // Rows come to all, go from the table, and time goes on.
  void ChangeSome(size_t rows) {
    constexpr int64_t kSecond = 1'000'000;
    std::string a, b, p;
    for (size_t i = 0; i < rows; i++) {
      Micros at = world_.clock().Now() - static_cast<Micros>(random_.Below(10)) * kSecond;
      auto text = duckdb::Timestamp::ToString(duckdb::timestamp_t(at));
      a += R"({"id":)" + std::to_string(next_++) + Number("k", random_.Below(300)) +
           // Halves and quarters: sums of them have one value in whatever order they are made.
           R"(,"v":)" + std::to_string(random_.Below(400)) + R"(.25,"t":"t)" +
           std::to_string(random_.Below(90)) + R"(","ts":")" + text + "\"}\n";
      p += R"({"id":)" + std::to_string(random_.Below(400)) + Number("k", random_.Below(60)) +
           Number("x", random_.Below(400)) + R"(,"t":"t)" + std::to_string(random_.Below(90)) +
           "\"}\n";
      if (i % 4 > 0) continue;
      b += R"({"k":)" + std::to_string(random_.Below(300)) + Number("w", random_.Below(12)) + "}\n";
    }
    Ingest("a", a);
    Ingest("b", b);
    Ingest("p", p);
    if (random_.Below(4) == 0) {
      world_.Execute("DELETE FROM p WHERE id = " + std::to_string(random_.Below(400)));
    }
    world_.Advance(static_cast<Micros>(random_.Below(3)) * kSecond);
    world_.Settle();
  }

  // By fingerprint, which operators keep something.
  std::map<std::string, std::string> Keeping() {
    std::map<std::string, std::string> keeping;
    EngineForTests::EachOperator(world_.engine(), [&](Operator& op) {
      if (op.HasState()) keeping[op.fingerprint] = op.name() + " " + op.detail;
    });
    return keeping;
  }

  void ExpectAllRight(const std::string& when) {
    world_.Settle();
    EngineForTests::CheckInvariants(world_.engine());
    auto report = world_.VerifyViews();
    EXPECT_GE(report.views.size(), kKeptQueries.size());
    for (auto& verdict : report.views)
      EXPECT_TRUE(verdict.equal) << when << DescribeVerdict(verdict);
  }

  SeededRandom random_{20261130};
  World world_;
  uint64_t next_ = 0;
};

TEST_F(CheckpointOfEveryOperator, GoesOnFromTheStateOfOneStep) {
  MakeAll();
  for (int i = 0; i < 3; i++) ChangeSome(300);
  for (int life = 0; life < 2; life++) {
    uint64_t written = world_.engine().Info().checkpoint.written;
    int steps = 0;
    while (world_.engine().Info().checkpoint.written < written + 2 && steps++ < 5000) {
      ChangeSome(1 + random_.Below(5));
    }
    auto checkpoint = world_.engine().Info().checkpoint;
    ASSERT_GE(checkpoint.written, written + 2) << checkpoint.failure;
    ASSERT_EQ(checkpoint.failed, 0u);
    uint64_t saved = checkpoint.offset->value;
    auto before = Keeping();
    world_.Crash(random_);
    ExpectAllRight("restored in life " + std::to_string(life) + ": ");
    auto after = Keeping();
    for (auto& [fingerprint, what] : before) {
      EXPECT_TRUE(after.contains(fingerprint)) << what << " is not known again by its fingerprint";
    }
    EXPECT_GE(world_.scanned_after(), saved) << "history was read though a checkpoint is there";
    // What stands in the operators is seen by what they make of more.
    for (int i = 0; i < 10; i++) ChangeSome(1 + random_.Below(40));
    ExpectAllRight("later in life " + std::to_string(life) + ": ");
  }
}

// Which of two equal rows stands first is for nobody to say, but it stays so: in what lag() shows
// each row but the first of a partition follows another one.
TEST_F(CheckpointOfEveryOperator, LeavesTiesInTheirOrder) {
  world_.Execute(
      "CREATE STREAM e (id INTEGER, g INTEGER, o INTEGER);"
      "CREATE MATERIALIZED VIEW chain AS SELECT g, id, lag(id) OVER (PARTITION BY g ORDER BY o) AS "
      "l "
      "FROM e;");
  auto add = [&](int rows) {
    std::string body;
    for (int i = 0; i < rows; i++) {
      body += R"({"id":)" + std::to_string(next_++) + Number("g", random_.Below(4)) +
              Number("o", random_.Below(3)) + "}\n";
    }
    Ingest("e", body);
    world_.Settle();
  };
  add(2000);
  for (int life = 0; life < 4; life++) {
    uint64_t written = world_.engine().Info().checkpoint.written;
    while (world_.engine().Info().checkpoint.written < written + 2) add(5);
    world_.Crash(random_);
    for (int i = 0; i < 20; i++) add(1);
    std::map<std::string, std::set<std::string>> followed;
    std::map<std::string, size_t> rows;
    for (auto& line : RowsAsText(world_.Read("chain").rows)) {
      auto first = line.find('|'), second = line.rfind('|');
      rows[line.substr(0, first)]++;
      followed[line.substr(0, first)].insert(line.substr(second + 1));
    }
    for (auto& [group, ids] : followed) {
      EXPECT_TRUE(ids.contains("NULL"));
      EXPECT_EQ(ids.size(), rows[group]) << "of group " << group << " in life " << life;
    }
  }
}

std::string ClassOf(const Operator& op) {
  int status = 0;
  auto& type = typeid(op);
  std::unique_ptr<char, void (*)(void*)> name(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), std::free);
  std::string text = name ? name.get() : type.name();
  return text.substr(text.rfind(':') + 1);
}

TEST_F(CheckpointOfEveryOperator, EveryOperatorIsInTheTable) {
  MakeAll();
  ChangeSome(300);
  world_.Settle();
  uint64_t written = world_.engine().Info().checkpoint.written;
  // The one under way may have begun before.
  while (world_.engine().Info().checkpoint.written < written + 2) ChangeSome(1);
  std::set<std::string> keeping, in_pieces;
  EngineForTests::EachOperator(world_.engine(), [&](Operator& op) {
    if (!op.HasState()) return;
    keeping.insert(ClassOf(op));
    EXPECT_TRUE(op.CanSave()) << op.name() << " " << op.detail;
    if (op.WritesPieces()) in_pieces.insert(ClassOf(op));
  });
  std::set<std::string> at_once;
  std::set_difference(keeping.begin(), keeping.end(), in_pieces.begin(), in_pieces.end(),
                      std::inserter(at_once, at_once.end()));
  // A few numbers, or nothing that does not stand in the rows below.
  EXPECT_EQ(at_once, (std::set<std::string>{"Arrangement", "Constant", "DeltaJoin", "OrderedIndex",
                                            "SourceOperator"}));
  // All there are, but those that keep nothing from step to step and those that others are made of.
  std::set<std::string> expected;
  std::regex of_operators(
      R"(class (\w+) (?:final )?: public (?:Operator|RowIndex|OrderedWindow)\b)");
  for (auto& entry : std::filesystem::directory_iterator(WEIR_OPERATORS_FOLDER)) {
    std::string text = ReadText(entry.path().string());
    for (std::sregex_iterator at(text.begin(), text.end(), of_operators), end; at != end; ++at) {
      expected.insert((*at)[1]);
    }
  }
  ASSERT_GT(expected.size(), 25u);
  for (auto* stateless : {"Bucket", "Consolidate", "EmitOperator", "Filter", "OutputOperator",
                          "Project", "RowFunctionOperator", "UnionAll", "Unnest",
                          "WatermarkOperator", "OrderedWindow", "RowIndex"}) {
    EXPECT_EQ(expected.erase(stateless), 1u) << stateless;
  }
  EXPECT_EQ(keeping, expected);
}

}  // namespace
}  // namespace weir
