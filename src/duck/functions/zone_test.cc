#include "duck/functions/zone.h"

#include <gtest/gtest.h>

#include <cstdlib>
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
  const char* every = std::getenv("WEIR_ALL_ZONES");  // a minute
  std::mt19937 random(std::random_device{}());
  for (duckdb::idx_t i = 0; i < (every ? all->RowCount() : 8); i++) {
    names.push_back(all->GetValue(0, every ? i : random() % all->RowCount()).ToString());
  }
  for (auto& name : names) {
    SCOPED_TRACE(name);
    auto zone = Zone::Named(session->context(), name);
    auto expect_all = [&](const std::string& seconds) {
      auto asked =
          connection.Query("SELECT epoch_us(t), epoch_us(timezone('" + name +
                           "', t)) FROM (SELECT to_timestamp(s) AS t FROM (" + seconds + "))");
      ASSERT_FALSE(asked->HasError()) << asked->GetError();
      while (auto chunk = asked->Fetch()) {
        for (duckdb::idx_t row = 0; row < chunk->size(); row++) {
          auto instant = chunk->GetValue(0, row).GetValue<int64_t>();
          ASSERT_EQ(zone->LocalAt(instant), chunk->GetValue(1, row).GetValue<int64_t>()) << instant;
        }
      }
    };
    std::string day = "-2208988800 + 86400 * d + 43200";
    expect_all("SELECT " + day + " AS s FROM range(73048) r(d)");
    // On days on which they are set, at every quarter of an hour and a second before.
    std::string offset = "epoch(timezone('" + name + "', to_timestamp(s))) - s";
    expect_all("SELECT s + 900 * q + j AS s FROM (SELECT s FROM (SELECT " + day +
               " AS s FROM range(73048) r(d)) QUALIFY " + offset + " <> lead(" + offset +
               ") OVER (ORDER BY s)), range(97) r(q), (VALUES (-1), (0)) v(j)");
  }
}

}  // namespace
}  // namespace weir
