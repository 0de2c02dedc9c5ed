// What days and months are where clocks are set, in random zones around the times when they are:
// bounds of the clock, windows, sessions, joins by time.  Expected is what is worked out here from
// the zones' clocks (zone_clocks.h, from Python's zoneinfo) and a civil calendar of its own, not
// what DuckDB says.
//
//   WEIR_SEED=7 WEIR_STEPS=500 build/slt_test --gtest_filter='*Calendar*'
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "io/random.h"
#include "support.h"
#include "world.h"
#include "zone_clocks.h"

namespace weir {
namespace {

// All times here are in seconds.
constexpr int64_t kHourSeconds = 3600, kDaySeconds = 86400;

int64_t Floor(int64_t value, int64_t by) { return value / by - (value % by < 0 ? 1 : 0); }

// Days from 1970 of a month's first, months counted from 1970-01, by counting years and months.
int64_t DaysBeforeMonth(int64_t month) {
  int64_t days = 0;
  auto is_leap = [](int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); };
  int64_t year = 1970 + Floor(month, 12);
  for (int64_t y = 1970; y < year; y++) days += is_leap(y) ? 366 : 365;
  static const int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  for (int64_t m = 0; m < month - Floor(month, 12) * 12; m++) {
    days += kDays[m] + (m == 1 && is_leap(year) ? 1 : 0);
  }
  return days;
}
int64_t MonthOf(int64_t local) {
  int64_t month = 0;
  while (DaysBeforeMonth(month + 1) * kDaySeconds <= local) month++;
  return month;
}
int64_t MonthsBefore(int64_t local, int64_t months) {
  int64_t month = MonthOf(local), there = month - months;
  int64_t into = local - DaysBeforeMonth(month) * kDaySeconds;
  int64_t length = DaysBeforeMonth(there + 1) - DaysBeforeMonth(there);
  int64_t day = std::min(into / kDaySeconds, length - 1);
  return (DaysBeforeMonth(there) + day) * kDaySeconds + into % kDaySeconds;
}

class Place {
 public:
  explicit Place(const ZoneClocks& clocks) : clocks_(clocks) {}
  int64_t Ahead(int64_t instant) const {
    int64_t ahead = clocks_.set[0].ahead;
    for (auto& set : clocks_.set) {
      if (set.at <= instant) ahead = set.ahead;
    }
    return ahead;
  }
  int64_t Local(int64_t instant) const { return instant + Ahead(instant); }
  // The instants at which clocks show a local time: none, one or two.
  std::vector<int64_t> Showing(int64_t local) const {
    std::vector<int64_t> instants;
    for (auto& set : clocks_.set) {
      int64_t instant = local - set.ahead;
      bool is_known = std::find(instants.begin(), instants.end(), instant) != instants.end();
      if (!is_known && Local(instant) == local) instants.push_back(instant);
    }
    std::sort(instants.begin(), instants.end());
    return instants;
  }
  // When clocks first show it or, where they never do, are put forward over it.
  int64_t First(int64_t local) const {
    auto showing = Showing(local);
    if (!showing.empty()) return showing[0];
    for (size_t i = 1; i < clocks_.set.size(); i++) {
      auto& set = clocks_.set[i];
      if (set.at + set.ahead > local && set.at + clocks_.set[i - 1].ahead <= local) return set.at;
    }
    ADD_FAILURE() << "no clock is near " << local;
    return 0;
  }
  // Where the window of some days from a Thursday begins, and that of a month.
  int64_t DayStart(int64_t instant, int64_t days = 1) const {
    int64_t day = Floor(Local(instant), days * kDaySeconds) * days;
    // The first of two midnights may be before a time whose clock shows the day before again.
    if (First((day + days) * kDaySeconds) <= instant) day += days;
    return First(day * kDaySeconds);
  }
  int64_t DayAfter(int64_t start, int64_t days = 1) const {
    int64_t day = Floor(Local(start) + kDaySeconds / 2, kDaySeconds);
    while (First(day * kDaySeconds) > start) day--;
    while (First((day + 1) * kDaySeconds) <= start) day++;
    return First((day + days) * kDaySeconds);
  }
  int64_t MonthStart(int64_t instant) const {
    return First(DaysBeforeMonth(MonthOf(Local(instant))) * kDaySeconds);
  }
  int64_t MonthAfter(int64_t start) const {
    return First(DaysBeforeMonth(MonthOf(Local(start)) + 1) * kDaySeconds);
  }
  int64_t HourStart(int64_t instant) const {
    return Floor(Local(instant), kHourSeconds) * kHourSeconds - Ahead(instant);
  }
  // Some months and days before, at the same time of day; nothing where that comes twice.  A day
  // that never came is not among the days counted.
  std::optional<int64_t> Before(int64_t instant, int64_t months, int64_t days) const {
    int64_t local = MonthsBefore(Local(instant), months) - days * kDaySeconds;
    for (size_t i = clocks_.set.size() - 1; i > 0 && days > 0; i--) {
      auto &set = clocks_.set[i], &before = clocks_.set[i - 1];
      int64_t skipped = (set.ahead - before.ahead) / kDaySeconds * kDaySeconds;
      if (set.at <= instant && local < set.at + set.ahead) local -= std::max<int64_t>(skipped, 0);
    }
    auto showing = Showing(local);
    if (showing.size() == 2) return std::nullopt;
    if (showing.size() == 1) return showing[0];
    for (size_t i = 1; i < clocks_.set.size(); i++) {
      auto& set = clocks_.set[i];
      if (set.at + set.ahead <= local || set.at + clocks_.set[i - 1].ahead > local) continue;
      bool whole_days = (set.ahead - clocks_.set[i - 1].ahead) % kDaySeconds == 0;
      // DuckDB says something else of a day that never came.
      if (!whole_days) return local - clocks_.set[i - 1].ahead;
    }
    return std::nullopt;
  }
  const ZoneClocks& clocks() const { return clocks_; }

 private:
  const ZoneClocks& clocks_;
};

struct Row {
  int64_t id, k, ts;
};

struct Bound {
  std::string name, interval;
  int64_t months, days;
};
const std::vector<Bound> kBounds = {{"a_day", "1 DAY", 0, 1},
                                    {"a_week", "7 DAYS", 0, 7},
                                    {"a_month", "1 MONTH", 1, 0},
                                    {"a_quarter", "3 MONTHS", 3, 0},
                                    {"a_year", "1 YEAR", 12, 0}};

class RandomCalendar : public testing::TestWithParam<size_t> {
 protected:
  RandomCalendar() : place_(kZoneClocks[GetParam()]) {}

  void Create() {
    std::string sql = "SET TimeZone = '" + place_.clocks().name +
                      "'; CREATE STREAM r (id BIGINT, k BIGINT, ts TIMESTAMPTZ); CREATE STREAM p "
                      "(id BIGINT, k BIGINT, "
                      "ts TIMESTAMPTZ);";
    auto view = [&](const std::string& name, const std::string& query) {
      sql += "CREATE MATERIALIZED VIEW " + name + " AS " + query + ";";
    };
    for (auto& bound : kBounds) {
      std::string since = "now() - INTERVAL " + bound.interval;
      view(bound.name, "SELECT id FROM r WHERE ts > " + since);
      view(bound.name + "_older", "SELECT id FROM r WHERE ts <= " + since);
      view(bound.name + "_count", "SELECT count(*) FROM r WHERE ts > " + since);
      view(bound.name + "_by_hour",
           "SELECT count(*) FROM r WHERE ts >= date_trunc('hour', " + since + ")");
      view(bound.name + "_by_day",
           "SELECT count(*) FROM r WHERE ts >= date_trunc('day', " + since + ")");
      view(bound.name + "_pairs", "SELECT r.id, p.id FROM r JOIN p USING (k) WHERE r.ts > " +
                                      since + " AND p.ts BETWEEN r.ts AND r.ts + INTERVAL 1 HOUR");
    }
    view("today", "SELECT id FROM r WHERE ts >= date_trunc('day', now())");
    view("this_hour", "SELECT count(*) FROM r WHERE ts >= date_trunc('hour', now())");
    std::string ends =
        "SELECT epoch(window_start)::BIGINT AS a, epoch(window_end)::BIGINT AS b, count(*) FROM ";
    std::string by = " GROUP BY window_start, window_end";
    view("tumble_day", ends + "TUMBLE(TABLE r, DESCRIPTOR(ts), INTERVAL '1' DAY)" + by);
    view("tumble_week", ends + "TUMBLE(TABLE r, DESCRIPTOR(ts), INTERVAL '1' WEEK)" + by);
    view("tumble_month", ends + "TUMBLE(TABLE r, DESCRIPTOR(ts), INTERVAL '1' MONTH)" + by);
    view("hop", ends + "HOP(TABLE r, DESCRIPTOR(ts), INTERVAL '1' DAY, INTERVAL '3' DAY)" + by);
    view("cumulate",
         ends + "CUMULATE(TABLE r, DESCRIPTOR(ts), INTERVAL '1' DAY, INTERVAL '1' MONTH)" + by);
    view("by_hour",
         "SELECT epoch(date_trunc('hour', ts))::BIGINT, count(*) FROM r GROUP BY "
         "date_trunc('hour', ts)");
    view("by_day",
         "SELECT epoch(date_trunc('day', ts))::BIGINT, count(*) FROM r GROUP BY date_trunc('day', "
         "ts)");
    view("by_month",
         "SELECT epoch(date_trunc('month', ts))::BIGINT, count(*) FROM r GROUP BY "
         "date_trunc('month', ts)");
    view(
        "sessions",
        "SELECT k, epoch(window_start)::BIGINT AS a, epoch(window_end)::BIGINT AS b, count(*) FROM "
        "SESSION(TABLE r PARTITION BY k, DESCRIPTOR(ts), INTERVAL '1' DAY) GROUP BY k, "
        "window_start, "
        "window_end");
    world_->Execute(sql);
  }

  void Ingest(const std::string& stream, std::vector<Row>& rows, int64_t ts, int64_t k) {
    rows.push_back({static_cast<int64_t>(rows.size()), k, ts});
    std::string body = R"({"id":)" + std::to_string(rows.back().id) + R"(,"k":)" +
                       std::to_string(k) + R"(,"ts":")" + TextOf(ts) + "\"}\n";
    ASSERT_TRUE(world_->Ingest(stream, RowFormat::kNdjson, body).rejected.empty());
  }

  static std::string TextOf(int64_t ts) {
    int64_t month = MonthOf(ts), in_month = ts - DaysBeforeMonth(month) * kDaySeconds;
    char text[64];
    std::snprintf(text, sizeof text, "%d-%02d-%02dT%02d:%02d:%02dZ",
                  static_cast<int>(1970 + month / 12), static_cast<int>(month % 12 + 1),
                  static_cast<int>(in_month / kDaySeconds + 1),
                  static_cast<int>(in_month / 3600 % 24), static_cast<int>(in_month / 60 % 60),
                  static_cast<int>(in_month % 60));
    return text;
  }

  using Lines = std::vector<std::string>;
  template <typename... T>
  static std::string Line(T... values) {
    std::string line;
    ((line += (line.empty() ? "" : "|") + std::to_string(values)), ...);
    return line;
  }
  void Expect(const std::string& view, Lines expected) {
    auto lines = RowsAsText(world_->Read(view).rows);
    std::sort(lines.begin(), lines.end());
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(lines, expected) << view << " in " << place_.clocks().name << " at " << TextOf(Now());
  }
  int64_t Now() { return world_->clock().Now() / 1'000'000; }

  void ExpectBounds() {
    auto count_since = [&](int64_t since) {
      return Lines{
          Line(std::count_if(r_.begin(), r_.end(), [&](auto& row) { return row.ts >= since; }))};
    };
    for (auto& bound : kBounds) {
      auto since = place_.Before(Now(), bound.months, bound.days);
      if (!since) continue;
      Lines in, out, pairs;
      for (auto& row : r_) {
        (row.ts > *since ? in : out).push_back(Line(row.id));
        for (auto& other : p_) {
          bool meets = row.ts > *since && other.k == row.k && other.ts >= row.ts &&
                       other.ts <= row.ts + kHourSeconds;
          if (meets) pairs.push_back(Line(row.id, other.id));
        }
      }
      Expect(bound.name, in);
      Expect(bound.name + "_older", out);
      Expect(bound.name + "_count", {Line(in.size())});
      Expect(bound.name + "_pairs", pairs);
      Expect(bound.name + "_by_hour", count_since(place_.HourStart(*since)));
      Expect(bound.name + "_by_day", count_since(place_.DayStart(*since)));
    }
    Lines today;
    for (auto& row : r_) {
      if (row.ts >= place_.DayStart(Now())) today.push_back(Line(row.id));
    }
    Expect("today", today);
    Expect("this_hour", count_since(place_.HourStart(Now())));
  }

  void ExpectWindows() {
    std::map<std::pair<int64_t, int64_t>, int64_t> day, week, month, hop, cumulate;
    std::map<int64_t, int64_t> by_hour, by_day, by_month;
    for (auto& row : r_) {
      int64_t start = place_.DayStart(row.ts);
      ASSERT_LE(start, row.ts);
      ASSERT_GT(place_.DayAfter(start), row.ts);
      day[{start, place_.DayAfter(start)}]++;
      int64_t week_start = place_.DayStart(row.ts, 7);
      week[{week_start, place_.DayAfter(week_start, 7)}]++;
      int64_t first = place_.MonthStart(row.ts), next = place_.MonthAfter(first);
      month[{first, next}]++;
      for (int64_t at = start; place_.DayAfter(at, 3) > row.ts; at = place_.DayStart(at - 1)) {
        hop[{at, place_.DayAfter(at, 3)}]++;
      }
      for (int64_t at = start; at < next;) {
        at = place_.DayAfter(at);
        cumulate[{first, at}]++;
      }
      by_hour[place_.HourStart(row.ts)]++;
      by_day[start]++;
      by_month[first]++;
    }
    auto lines = [](auto& windows) {
      Lines lines;
      for (auto& [ends, n] : windows) lines.push_back(Line(ends.first, ends.second, n));
      return lines;
    };
    auto starts = [](auto& counts) {
      Lines lines;
      for (auto& [start, n] : counts) lines.push_back(Line(start, n));
      return lines;
    };
    Expect("tumble_day", lines(day));
    Expect("tumble_week", lines(week));
    Expect("tumble_month", lines(month));
    Expect("hop", lines(hop));
    Expect("cumulate", lines(cumulate));
    Expect("by_hour", starts(by_hour));
    Expect("by_day", starts(by_day));
    Expect("by_month", starts(by_month));
  }

  void ExpectSessions() {
    std::map<int64_t, std::vector<int64_t>> by_key;
    for (auto& row : r_) by_key[row.k].push_back(row.ts);
    Lines lines;
    for (auto& [k, times] : by_key) {
      std::sort(times.begin(), times.end());
      for (size_t first = 0; first < times.size();) {
        size_t end = first + 1;
        while (end < times.size() && times[end] - times[end - 1] <= kDaySeconds) end++;
        lines.push_back(Line(k, times[first], times[end - 1] + kDaySeconds, end - first));
        first = end;
      }
    }
    Expect("sessions", lines);
  }

  Place place_;
  std::unique_ptr<World> world_;
  std::vector<Row> r_, p_;
};

TEST_P(RandomCalendar, ViewsGoByTheZonesClocks) {
  uint64_t seed = FromEnvironment("WEIR_SEED", SystemRandom().Next() % 1'000'000);
  uint64_t steps = FromEnvironment("WEIR_STEPS", 40);
  std::printf("WEIR_SEED=%llu WEIR_STEPS=%llu\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(steps));
  SeededRandom random(seed * 31 + GetParam());
  auto below = [&](int64_t bound) {
    return static_cast<int64_t>(random.Below(static_cast<uint64_t>(bound)));
  };
  // Near a time when clocks were set, or the end of a month; or a bound's length after it.
  auto& set = place_.clocks().set;
  int64_t center = DaysBeforeMonth(12 * 37 + below(12 * 20)) * kDaySeconds;
  if (set.size() > 1 && !random.OneIn(4))
    center = set[1 + static_cast<size_t>(below(static_cast<int64_t>(set.size()) - 1))].at;
  static const int64_t kAfter[] = {0, 0, 1, 7, 28, 30, 31, 90, 365};
  center += kAfter[below(9)] * kDaySeconds;
  center = std::clamp<int64_t>(center, 1'200'000'000, 1'830'000'000);  // within the table
  world_ =
      std::make_unique<World>(RulesOff{}, (center - kDaySeconds - below(kDaySeconds)) * 1'000'000);
  Create();
  for (uint64_t step = 1; step <= steps; step++) {
    for (int64_t rows = 1 + below(4); rows; rows--) {
      auto& bound = kBounds[static_cast<size_t>(below(static_cast<int64_t>(kBounds.size())))];
      auto near = place_.Before(Now(), bound.months, bound.days);
      int64_t ts = near && !random.OneIn(3) ? *near + below(5 * kHourSeconds) - kHourSeconds
                                            : Now() - below(40 * kDaySeconds) + kDaySeconds;
      if (random.OneIn(4)) ts = center + below(8 * kHourSeconds) - 4 * kHourSeconds;
      int64_t k = below(3);
      Ingest("r", r_, ts, k);
      if (random.OneIn(2)) Ingest("p", p_, ts + below(2 * kHourSeconds), k);
    }
    world_->Settle();
    ExpectBounds();
    ExpectWindows();
    ExpectSessions();
    if (HasFatalFailure()) return;
    if (random.OneIn(12)) world_->Restart();
    world_->Advance((1 + below(random.OneIn(3) ? 4 * kHourSeconds : 1800)) * 1'000'000);
  }
  world_->Settle();  // the last step may have been a restart
  for (auto& verdict : world_->VerifyViews().views)
    EXPECT_TRUE(verdict.equal) << DescribeVerdict(verdict);
}

INSTANTIATE_TEST_SUITE_P(In, RandomCalendar, testing::Range<size_t>(0, kZoneClocks.size()),
                         [](auto& info) {
                           std::string name = kZoneClocks[info.param].name;
                           name.erase(std::remove_if(name.begin(), name.end(),
                                                     [](char c) { return !std::isalpha(c); }),
                                      name.end());
                           return name;
                         });

}  // namespace
}  // namespace weir
