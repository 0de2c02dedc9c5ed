#include "duck/functions/zone.h"

#include <gtest/gtest.h>

#include <random>

#include "duck/session.h"
#include "duck/test_connection.h"
#include "duckdb.hpp"

namespace weir {
namespace {

// Zones whose clocks were set forth and back within days, and some at random.
TEST(ZoneTest, KnowsWhatClocksShowOnEachDayOfTwoCenturies) {
  Kernel kernel;
  auto session = std::make_shared<Session>(kernel, "UTC");
  session->SetClock(0);
  duckdb::DuckDB database;
  duckdb::Connection connection(database);
  UseOneThreadUnderTsan(connection);
  std::vector<std::string> names = {"Africa/Freetown", "Africa/Tunis",      "Africa/Casablanca",
                                    "America/Noronha", "America/Boa_Vista", "Asia/Gaza",
                                    "Europe/Warsaw",   "Pacific/Apia"};
  auto all = connection.Query("SELECT name FROM pg_timezone_names() ORDER BY name");
  ASSERT_GT(all->RowCount(), 400u);
  std::mt19937 random(std::random_device{}());
  for (int i = 0; i < 8; i++) {
    names.push_back(all->GetValue(0, random() % all->RowCount()).ToString());
  }
  for (auto& name : names) {
    SCOPED_TRACE(name);
    auto zone = Zone::Named(session->context(), name);
    auto days = connection.Query(
        "SELECT epoch_us(t), epoch_us(timezone('" + name +
        "', t)) FROM (SELECT to_timestamp(-2208988800 + 86400 * d + 43200) AS t FROM range(73048) "
        "r(d))");
    ASSERT_FALSE(days->HasError()) << days->GetError();
    while (auto chunk = days->Fetch()) {
      for (duckdb::idx_t row = 0; row < chunk->size(); row++) {
        auto instant = chunk->GetValue(0, row).GetValue<int64_t>();
        ASSERT_EQ(zone->LocalAt(instant), chunk->GetValue(1, row).GetValue<int64_t>()) << instant;
      }
    }
  }
}

}  // namespace
}  // namespace weir
