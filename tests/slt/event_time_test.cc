// Random events that come out of order, over views with event time of every kind: each is its batch
// query again and again, over clock moves, quiet times, restarts and crashes; and what is closed
// stays.
//
//   WEIR_SEED=7 WEIR_STEPS=5000 build/slt_test --gtest_filter='EventTime*'
#include <gtest/gtest.h>

#include <algorithm>

#include "io/random.h"
#include "support.h"
#include "world.h"

namespace weir {
namespace {

constexpr const char* kStreams =
    "CREATE STREAM bid (n INTEGER, item VARCHAR, price INTEGER, ts TIMESTAMP, WATERMARK FOR ts AS "
    "ts - INTERVAL 20 SECONDS) WITH (idle_timeout = '30 seconds');"
    "CREATE STREAM click (n INTEGER, item VARCHAR, ts TIMESTAMPTZ, WATERMARK FOR ts AS ts) WITH "
    "(idle_timeout = 'never');"
    "CREATE STREAM ask (n INTEGER, item VARCHAR, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL "
    "1 MINUTE);";

// Names with "once" only ever grow.
const std::vector<std::pair<std::string, std::string>> kViews = {
    {"once_tumble",
     "SELECT window_start, window_end, count(*) AS n, sum(price) AS total, min(n) AS low, "
     "count(DISTINCT item) AS items FROM TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' MINUTE) "
     "GROUP BY window_start, window_end EMIT ON WINDOW CLOSE"},
    {"once_by_start",
     "SELECT item, window_start, median(price) AS middle, max(price) AS high FROM TABLE(TUMBLE("
     "TABLE bid, DESCRIPTOR(ts), INTERVAL '2' MINUTES)) WHERE price > 1 GROUP BY item, "
     "window_start HAVING count(*) > 1 EMIT ON WINDOW CLOSE"},
    {"once_late|WITH (allowed_lateness = '45 seconds')",
     "SELECT window_start, list(n ORDER BY n) AS ns FROM TUMBLE(TABLE bid, DESCRIPTOR(ts), "
     "INTERVAL '1' MINUTE) GROUP BY window_start EMIT ON WINDOW CLOSE"},
    {"once_hop",
     "SELECT window_start, window_end, item, count(*) AS n FROM HOP(TABLE bid, DESCRIPTOR(ts), "
     "INTERVAL '30' SECONDS, INTERVAL '2' MINUTES) GROUP BY ALL EMIT ON WINDOW CLOSE"},
    {"once_uneven",
     "SELECT window_start, sum(price) AS total FROM HOP(TABLE bid, DESCRIPTOR(ts), INTERVAL '25' "
     "SECONDS, INTERVAL '1' MINUTE) GROUP BY window_start EMIT ON WINDOW CLOSE"},
    {"once_cumulate",
     "SELECT window_start, window_end, count(*) AS n FROM CUMULATE(TABLE bid, DESCRIPTOR(ts), "
     "INTERVAL '1' MINUTE, INTERVAL '5' MINUTES) GROUP BY window_start, window_end EMIT ON WINDOW "
     "CLOSE"},
    {"once_session",
     "SELECT item, window_start, window_end, count(*) AS n, max(price) AS best FROM SESSION(TABLE "
     "bid PARTITION BY item, DESCRIPTOR(ts), INTERVAL '40' SECONDS) GROUP BY item, window_start, "
     "window_end EMIT ON WINDOW CLOSE"},
    {"once_whole_sessions|WITH (allowed_lateness = '1 minute')",
     "SELECT n, window_start, window_end FROM SESSION(TABLE bid, DESCRIPTOR(ts), INTERVAL '15' "
     "SECONDS) EMIT ON WINDOW CLOSE"},
    {"once_rows",
     "SELECT n, price, window_end FROM TUMBLE(TABLE (SELECT n, price, ts FROM bid WHERE item <> "
     "'c'), DESCRIPTOR(ts), INTERVAL '1' MINUTE) EMIT ON WINDOW CLOSE"},
    {"once_by_hand",
     "SELECT date_trunc('minute', ts) AS m, item, count(*) AS n FROM bid GROUP BY m, item EMIT ON "
     "WINDOW CLOSE"},
    {"once_bucket",
     "SELECT time_bucket(INTERVAL '90 seconds', b.ts) AS t, avg(price) AS mean FROM bid b WHERE "
     "price < 8 GROUP BY 1 EMIT ON WINDOW CLOSE"},
    {"once_zoned",
     "SELECT window_start, item, count(*) AS n FROM TUMBLE(TABLE click, DESCRIPTOR(ts), INTERVAL "
     "'1' MINUTE) GROUP BY ALL EMIT ON WINDOW CLOSE"},
    {"once_distinct",
     "SELECT DISTINCT window_end, item FROM TUMBLE(TABLE ask, DESCRIPTOR(ts), INTERVAL '3' "
     "MINUTES) EMIT ON WINDOW CLOSE"},
    {"once_both",
     "SELECT b.window_start, b.n AS bids, a.n AS asks FROM (SELECT window_start, window_end, "
     "count(*) AS n FROM TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '2' MINUTES) GROUP BY 1, 2) b "
     "JOIN (SELECT window_start, window_end, count(*) AS n FROM TUMBLE(TABLE ask, DESCRIPTOR(ts), "
     "INTERVAL '2' MINUTES) GROUP BY 1, 2) a ON b.window_start = a.window_start AND b.window_end "
     "= a.window_end EMIT ON WINDOW CLOSE"},
    {"by_item",
     "SELECT item, count(*) AS n FROM TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' MINUTE) "
     "GROUP BY item EMIT ON WINDOW CLOSE"},
    {"best",
     "SELECT window_start, item, total FROM (SELECT window_start, window_end, item, sum(price) AS "
     "total FROM TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '2' MINUTES) GROUP BY 1, 2, 3) "
     "QUALIFY row_number() OVER (PARTITION BY window_start ORDER BY total DESC, item) <= 2 EMIT ON "
     "WINDOW CLOSE"},
    {"changing|WITH (allowed_lateness = '0 seconds')",
     "SELECT window_start, count(*) AS n, count(DISTINCT item) AS items, max(price) AS best FROM "
     "TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' MINUTE) GROUP BY window_start EMIT CHANGES"},
    {"changing_lists|WITH (allowed_lateness = '10 seconds')",
     "SELECT window_start, list(DISTINCT item ORDER BY item) AS names, median(price) AS middle "
     "FROM TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' MINUTE) GROUP BY window_start"},
    {"changing_sessions|WITH (allowed_lateness = '20 seconds')",
     "SELECT item, window_start, window_end, count(*) AS n FROM SESSION(TABLE bid PARTITION BY "
     "item, DESCRIPTOR(ts), INTERVAL '30' SECONDS) GROUP BY 1, 2, 3"},
    {"changing_join|WITH (allowed_lateness = '1 minute')",
     "SELECT b.n, a.n AS ask FROM bid b JOIN ask a ON a.item = b.item AND a.ts BETWEEN b.ts - "
     "INTERVAL 10 SECONDS AND b.ts"},
    {"left_join|WITH (allowed_lateness = '20 seconds')",
     "SELECT b.n, a.n AS ask FROM bid b LEFT JOIN ask a ON a.item = b.item AND a.ts BETWEEN b.ts "
     "AND b.ts + INTERVAL 15 SECONDS"},
    {"full_join|WITH (allowed_lateness = '0 seconds')",
     "SELECT b.n, a.n AS ask FROM (SELECT * FROM bid WHERE price < 5) b FULL JOIN ask a ON a.item "
     "= b.item AND a.ts > b.ts - INTERVAL 5 SECONDS AND a.ts < b.ts + INTERVAL 5 SECONDS"},
    {"anti_join|WITH (allowed_lateness = '1 minute')",
     "SELECT b.n FROM bid b WHERE NOT EXISTS (SELECT 1 FROM ask a WHERE a.item = b.item AND a.ts "
     "BETWEEN b.ts AND b.ts + INTERVAL 30 SECONDS)"},
    {"semi_join|WITH (allowed_lateness = '1 minute')",
     "SELECT b.n FROM bid b SEMI JOIN ask a ON a.item = b.item AND a.ts BETWEEN b.ts AND b.ts + "
     "INTERVAL 30 SECONDS"},
    {"at_once|WITH (allowed_lateness = '5 seconds')",
     "SELECT b.n, a.n AS ask FROM bid b JOIN ask a ON a.ts = b.ts"},
    {"three_joined|WITH (allowed_lateness = '30 seconds')",
     "SELECT b.n, a.n AS ask, c.n AS bid FROM bid b JOIN ask a ON a.item = b.item AND a.ts "
     "BETWEEN b.ts AND b.ts + INTERVAL 5 SECONDS JOIN bid c ON c.item = a.item AND c.ts BETWEEN "
     "a.ts AND a.ts + INTERVAL 5 SECONDS"},
    {"days",
     "SELECT CAST(ts AS DATE) AS day, count(*) AS n FROM bid GROUP BY day EMIT ON WINDOW "
     "CLOSE"},
    {"every", "SELECT date_trunc('minute', ts) AS m, count(*) AS n FROM bid GROUP BY m"},
    {"marked", "SELECT n, _watermark FROM bid WHERE price = 3"},
};

void CreateViews(World& world, const std::string& only = "") {
  for (auto& [head, query] : kViews) {
    auto bar = head.find('|');
    std::string name = head.substr(0, bar);
    if (!only.empty() && name != only) continue;
    std::string with = bar == head.npos ? "" : head.substr(bar + 1);
    world.Execute("CREATE OR REPLACE MATERIALIZED VIEW " + name + " " + with + " AS " + query);
  }
}

// Rows whose time wanders on, some of them out of order, a few long ago, in the far future or none.
class OutOfOrder {
 public:
  explicit OutOfOrder(Random& random) : random_(random) {}

  std::string Body(uint64_t rows) {
    std::string body;
    for (uint64_t i = 0; i < rows; i++) {
      second_ += static_cast<int64_t>(random_.Below(4));
      int64_t at = second_;
      if (random_.OneIn(4)) at -= static_cast<int64_t>(random_.Below(60));
      if (random_.OneIn(40)) at -= static_cast<int64_t>(random_.Below(2000));
      if (random_.OneIn(400)) second_ += 7200;
      body += "{\"n\":" + std::to_string(n_++) + ",\"item\":\"" +
              std::string(1, static_cast<char>('a' + random_.Below(4))) +
              "\",\"price\":" + std::to_string(random_.Below(10));
      if (!random_.OneIn(50)) body += ",\"ts\":\"" + Time(at) + "\"";
      body += "}\n";
    }
    return body;
  }

 private:
  static std::string Time(int64_t second) {
    return duckdb::Timestamp::ToString(duckdb::timestamp_t((1'790'000'000 + second) * 1'000'000));
  }
  Random& random_;
  int64_t second_ = 0, n_ = 0;
};

// Rows of views that only grow, as text.
std::map<std::string, std::vector<std::string>> Closed(World& world) {
  std::map<std::string, std::vector<std::string>> rows;
  for (auto& [head, query] : kViews) {
    std::string name = head.substr(0, head.find('|'));
    if (!name.starts_with("once")) continue;
    auto& list = rows[name] = RowsAsText(world.Read(name).rows);
    std::sort(list.begin(), list.end());
  }
  return rows;
}

TEST(EventTime, EveryViewIsItsBatchQueryAndWhatIsClosedStays) {
  uint64_t seed = FromEnvironment("WEIR_SEED", SystemRandom().Next() % 1'000'000);
  uint64_t steps = FromEnvironment("WEIR_STEPS", 100);
  std::printf("WEIR_SEED=%llu WEIR_STEPS=%llu\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(steps));
  SeededRandom random(seed);
  World world;
  OutOfOrder events(random);
  world.Execute(kStreams);
  CreateViews(world);
  world.Execute("CREATE STREAM minutes AS SELECT m, item, n FROM once_by_hand");
  for (auto& info : world.engine().ViewInfos()) {
    EXPECT_EQ(info.rung, Rung::kIncremental)
        << info.name << ": " << world.engine().ExplainView(info.name, false);
  }
  world.Settle();
  auto closed = Closed(world);
  for (uint64_t step = 1; step <= steps; step++) {
    switch (random.Below(30)) {
      case 0: world.Advance(static_cast<Micros>(random.Below(40)) * kMinute); break;
      case 1:
      case 2:
      case 3: world.Advance(static_cast<Micros>(random.Below(90'000'000))); break;
      case 4:
      case 5: world.Advance(static_cast<Micros>(random.Below(20'000'000))); break;
      case 6:
        if (random.OneIn(4)) world.Restart();
        break;
      case 7:
        if (random.OneIn(4)) world.Crash(random);
        break;
      case 8:
        if (random.OneIn(4)) world.Land();
        break;
      case 9: {  // filled anew, it says the same
        auto& head = kViews[random.Below(kViews.size())].first;
        std::string name = head.substr(0, head.find('|'));
        if (name != "once_by_hand") CreateViews(world, name);
        break;
      }
      default: {
        const char* streams[] = {"bid", "bid", "bid", "ask", "click"};
        auto body = events.Body(1 + random.Below(random.OneIn(20) ? 1000 : 30));
        auto answer = world.Ingest(streams[random.Below(5)], RowFormat::kNdjson, body);
        ASSERT_TRUE(answer.rejected.empty()) << answer.rejected.at(0).reason;
      }
    }
    if (step % 10 != 0 && step != steps) continue;
    world.Settle();
    for (auto& verdict : world.VerifyViews().views) {
      ASSERT_TRUE(verdict.equal) << "WEIR_SEED=" << seed << " step " << step << ": "
                                 << DescribeVerdict(verdict);
    }
    auto now = Closed(world);
    for (auto& [name, rows] : closed) {
      ASSERT_TRUE(std::includes(now[name].begin(), now[name].end(), rows.begin(), rows.end()))
          << "WEIR_SEED=" << seed << " step " << step << ": a closed window of " << name
          << " has changed";
    }
    closed = std::move(now);
  }
  // What was fed to these was either late or is in a window.
  EXPECT_FALSE(closed["once_tumble"].empty());
  EXPECT_GT(world.Read("once_tumble_late").rows.rows, 0u);
}

TEST(EventTime, StateOfWindowsThatAreOverIsFreed) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's allocator tells no sizes";
#endif
  World world;
  world.Execute(kStreams);
  CreateViews(world);
  SeededRandom random(3);
  OutOfOrder events(random);
  auto ingest = [&](int times) {
    for (int i = 0; i < times; i++) {
      world.Ingest("bid", RowFormat::kNdjson, events.Body(1'000));
      world.Settle();  // a step has all its windows open at once
    }
  };
  ingest(10);
  auto before = world.StateBytes();
  ingest(150);
  auto after = world.StateBytes();
  for (auto* name : {"once_tumble", "once_by_start", "once_late", "once_hop", "once_uneven",
                     "once_cumulate", "once_session", "once_whole_sessions", "once_rows",
                     "once_by_hand", "once_bucket", "changing"}) {
    EXPECT_LT(after[name], 2 * before[name] + 65'536) << name;
  }
}

TEST(EventTime, StateOfJoinsByTimeIsFreedOfRowsWithoutPartnersToCome) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's allocator tells no sizes";
#endif
  World world;
  world.Execute(kStreams);
  const std::vector<std::string> kJoins = {"changing_join", "left_join", "full_join", "semi_join",
                                           "at_once"};
  for (auto& name : kJoins) CreateViews(world, name);
  SeededRandom random(3);
  OutOfOrder events(random);
  auto ingest = [&](int times) {
    for (int i = 0; i < times; i++) {
      world.Ingest("bid", RowFormat::kNdjson, events.Body(300));
      world.Ingest("ask", RowFormat::kNdjson, events.Body(300));
      world.Settle();
    }
  };
  ingest(10);
  auto before = world.StateBytes();
  ingest(90);
  auto after = world.StateBytes();
  for (auto& name : kJoins) EXPECT_LT(after[name], 2 * before[name] + 65'536) << name;
  for (auto& verdict : world.VerifyViews().views) {
    EXPECT_TRUE(verdict.equal) << DescribeVerdict(verdict);
  }
}

}  // namespace
}  // namespace weir
