#include "duck/plan/clock_order.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "duck/evaluator.h"
#include "duck/plan/plan.h"

namespace weir {
namespace {

constexpr Micros kOneMinute = 60'000'000;
constexpr Micros kOneHour = 60 * kOneMinute;
constexpr Micros kOneDay = 24 * kOneHour;

class NoRelations : public Relations {
 public:
  std::optional<Source> FindSource(const std::string&) const override { return std::nullopt; }
  std::optional<std::string> FindPlainView(const std::string&) const override {
    return std::nullopt;
  }
  std::string NearestTo(const std::string&) const override { return ""; }
};

struct Bounded {
  ExpressionPtr clock;
  std::optional<Micros> goes_back;
};

// The bound in SELECT ... WHERE x >= `expression`.
Bounded BoundOf(Session& session, const std::string& expression, const std::string& type) {
  NoRelations none;
  auto plan = PlanQuery(session,
                        "SELECT x FROM (SELECT CAST(CAST(i AS VARCHAR) AS " + type +
                            ") AS x FROM range(3) t(i)) WHERE x >= " + expression,
                        none);
  for (auto node = plan.root; node; node = node->inputs.empty() ? nullptr : node->inputs[0]) {
    if (node->kind == PlanNode::Kind::kClockFilter) {
      return {node->clock->clock, node->clock->goes_back};
    }
  }
  ADD_FAILURE() << "no filter on the clock for " << expression;
  return {};
}

Micros MicrosOf(const duckdb::Value& value) {
  if (value.type().id() == duckdb::LogicalTypeId::DATE) {
    return duckdb::DateValue::Get(value).days * kOneDay;
  }
  return value.GetValueUnsafe<int64_t>();
}

// The most that a bound goes back in a year is no more than what is said of it, and not much
// less.
void ExpectBound(const std::string& zone, const std::string& expression, const std::string& type,
                 Micros most) {
  SCOPED_TRACE(zone + ": " + expression);
  Kernel kernel;
  auto session = std::make_shared<Session>(kernel, zone);
  session->SetClock(0);
  auto bound = BoundOf(*session, expression, type);
  ASSERT_TRUE(bound.clock && bound.goes_back);
  EXPECT_LE(*bound.goes_back, most);
  Evaluator evaluator(session, {bound.clock});
  Micros start = 1'767'225'600'000'000;  // 2026-01-01
  Micros highest = INT64_MIN, back = 0;
  for (Micros clock = start; clock < start + 400 * kOneDay; clock += 30 * kOneMinute) {
    // Clocks are set, and a short month ends, from February to April and in autumn.
    if (clock == start + 110 * kOneDay) clock = start + 260 * kOneDay;
    if (clock == start + 320 * kOneDay) clock = start + 365 * kOneDay;
    session->SetClock(clock);
    Micros value = MicrosOf(evaluator.RunOnce());
    highest = std::max(highest, value);
    back = std::max(back, highest - value);
  }
  EXPECT_LE(back, *bound.goes_back);
}

TEST(ClockOrder, ABoundGoesBackByNoMoreThanIsSaidOfIt) {
  for (std::string zone : {"UTC", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca"}) {
    // Clocks of these zones have differed by two hours at the most since 1970.
    Micros clocks = zone == "UTC" ? 0 : 2 * kOneHour;
    ExpectBound(zone, "now() - INTERVAL 1 HOUR", "TIMESTAMPTZ", 0);
    ExpectBound(zone, "now() - INTERVAL 1 DAY", "TIMESTAMPTZ", 2 * clocks);
    ExpectBound(zone, "now() - INTERVAL 1 MONTH", "TIMESTAMPTZ",
                zone == "UTC" ? kOneDay : 4 * kOneDay + 2 * clocks);
    ExpectBound(zone, "now() - INTERVAL '1 month 1 day' + INTERVAL 1 YEAR", "TIMESTAMPTZ",
                9 * kOneDay + 4 * clocks);
    ExpectBound(zone, "localtimestamp - INTERVAL 1 MONTH", "TIMESTAMP",
                zone == "UTC" ? kOneDay : 4 * kOneDay + clocks);
    ExpectBound(zone, "current_date - 1", "DATE", zone == "UTC" ? 0 : kOneDay + clocks);
    ExpectBound(zone, "current_date - INTERVAL 1 MONTH", "TIMESTAMP",
                zone == "UTC" ? kOneDay : 5 * kOneDay + clocks);
    ExpectBound(zone, "date_trunc('hour', now() - INTERVAL 1 MONTH)", "TIMESTAMPTZ",
                5 * kOneDay + 3 * clocks);
    ExpectBound(zone, "date_trunc('day', now())", "TIMESTAMPTZ", 0);
    ExpectBound(zone, "date_trunc('month', now())", "TIMESTAMPTZ", 0);
  }
}

}  // namespace
}  // namespace weir
