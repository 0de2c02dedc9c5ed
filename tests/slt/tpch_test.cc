// TPC-H's 22 queries as views at once, over tables whose rows come, change and go in random
// batches: none is recomputed as a whole, and after each step each is its batch query.
//
//   WEIR_SEED=7 WEIR_TPCH_STEPS=200 build/slt_test --gtest_filter='Tpch*'
#include <gtest/gtest.h>

#include "support.h"
#include "tpch_rows.h"
#include "world.h"

namespace weir {
namespace {

struct Table {
  const char* name;
  const char* key;
  uint64_t rows;  // in one step
};
constexpr Table kTables[] = {
    {"region", "r_regionkey", 1}, {"nation", "n_nationkey", 2},
    {"supplier", "s_suppkey", 3}, {"customer", "c_custkey", 4},
    {"part", "p_partkey", 4},     {"partsupp", "ps_partkey, ps_suppkey", 8},
    {"orders", "o_orderkey", 12}, {"lineitem", "l_orderkey, l_linenumber", 40}};

// The benchmark's streams, as tables with their keys.
void MakeTables(World& world) {
  std::string text = ReadText(std::string(WEIR_SLT_FOLDER) + "/../../benchmarks/tpch/streams.sql");
  for (auto& table : kTables) {
    std::string create = std::string("CREATE STREAM ") + table.name + " (";
    auto begin = text.find(create);
    ASSERT_NE(begin, text.npos) << create;
    text.insert(text.find(");", begin), std::string(", PRIMARY KEY (") + table.key + ")");
    text.replace(begin, create.size(), std::string("CREATE TABLE ") + table.name + " (");
  }
  world.Execute(text);
}

// A change by SQL, of a few rows or of many.
std::string RandomStatement(Random& random) {
  std::string number = std::to_string(random.Below(120)), few = std::to_string(2 + random.Below(9));
  switch (random.Below(8)) {
    case 0: return "DELETE FROM lineitem WHERE l_orderkey % " + few + " = 0";
    case 1: return "DELETE FROM orders WHERE o_orderkey = " + number;
    case 2: return "UPDATE orders SET o_orderstatus = 'F' WHERE o_orderkey < " + number;
    case 3:
      return "UPDATE lineitem SET l_quantity = l_quantity + 1, l_shipdate = l_shipdate + 1 "
             "FROM orders WHERE l_orderkey = o_orderkey AND o_custkey % " +
             few + " = 1";
    case 4:
      return "UPDATE partsupp SET ps_supplycost = ps_supplycost / 2 WHERE ps_suppkey < " + few;
    case 5:
      return "INSERT INTO supplier SELECT s_suppkey + 1, s_name, s_address, s_nationkey, s_phone, "
             "s_acctbal + 1, s_comment FROM supplier WHERE s_suppkey < 11 ON CONFLICT DO UPDATE "
             "SET "
             "s_acctbal = s_acctbal - 1";
    case 6:
      return "UPDATE lineitem SET l_linenumber = l_linenumber + 6 WHERE l_orderkey = " + number;
    default:
      return "INSERT INTO customer SELECT * REPLACE (c_custkey + 1 AS c_custkey) FROM customer "
             "WHERE c_custkey % " +
             few + " = 0 ON CONFLICT DO NOTHING";
  }
}

TEST(Tpch, EveryViewIsItsBatchQueryAfterEveryStep) {
  uint64_t seed = FromEnvironment("WEIR_SEED", SystemRandom().Next() % 1'000'000);
  uint64_t steps = FromEnvironment("WEIR_TPCH_STEPS", 50);
  std::printf("WEIR_SEED=%llu WEIR_TPCH_STEPS=%llu\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(steps));
  SeededRandom random(seed);
  TpchRows rows(random);
  World world;
  MakeTables(world);
  world.Execute(ReadText(std::string(WEIR_SLT_FOLDER) + "/../../benchmarks/tpch/queries.sql"));
  world.Settle();
  std::map<std::string, uint64_t> answered;  // steps after which a view had rows
  for (uint64_t step = 1; step <= steps; step++) {
    for (auto& table : kTables) {
      if (random.OneIn(5)) continue;
      uint64_t batch = step == 1 ? table.rows * 8 : 1 + random.Below(table.rows * 2);
      world.Ingest(table.name, RowFormat::kNdjson, rows.Changes(table.name, batch));
    }
    if (random.OneIn(2)) {
      std::string statement = RandomStatement(random);
      SCOPED_TRACE(statement);
      world.Execute(statement);
    }
    if (random.OneIn(10)) world.Land();
    if (random.OneIn(12)) world.Restart();
    world.Settle();
    for (auto& verdict : world.VerifyViews().views) {
      EXPECT_EQ(world.Info(verdict.name).rung, Rung::kIncremental)
          << world.engine().ExplainView(verdict.name, false);
      ASSERT_TRUE(verdict.equal) << "WEIR_SEED=" << seed << " step " << step << " " << verdict.name
                                 << ": " << verdict.missing.size() << " missing, "
                                 << verdict.unexpected.size() << " unexpected"
                                 << (verdict.error ? verdict.error->message : "") << "\n"
                                 << world.engine().ExplainView(verdict.name, false);
      answered[verdict.name] += verdict.rows > 0;
    }
  }
  EXPECT_EQ(answered.size(), 22u);
  if (steps < 50) return;
  // A query that finds nothing proves nothing.
  for (auto& [view, times] : answered) EXPECT_GT(times, 0u) << view;
}

}  // namespace
}  // namespace weir
