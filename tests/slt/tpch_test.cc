// TPC-H's 22 queries as views at once, over tables whose rows come, change and go in random
// batches: none is recomputed as a whole, and after each step each is its batch query.
//
//   WEIR_SEED=7 WEIR_STEPS=200 build/slt_test --gtest_filter='Tpch*'
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tpch_rows.h"
#include "world.h"

namespace weir {
namespace {

struct Table {
  const char* name;
  const char* key;
  uint64_t rows;  // in one step
};
constexpr Table kTables[] = {{"region", "r_regionkey", 1},
                             {"nation", "n_nationkey", 2},
                             {"supplier", "s_suppkey", 3},
                             {"customer", "c_custkey", 4},
                             {"part", "p_partkey", 4},
                             {"partsupp", "ps_partkey, ps_suppkey", 8},
                             {"orders", "o_orderkey", 12},
                             {"lineitem", "l_orderkey, l_linenumber", 40}};

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << path;
  return text.str();
}

void ReplaceAll(std::string& text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// A stream of changes for each table, and over it the rows there are: the last of each key.
void MakeTables(World& world) {
  std::string streams = ReadText(std::string(WEIR_SLT_FOLDER) + "/../../benchmarks/tpch/streams.sql");
  for (auto& table : kTables) {
    ReplaceAll(streams, std::string("CREATE STREAM ") + table.name + " (",
               std::string("CREATE STREAM ") + table.name + "_changes (gone BOOLEAN, ");
  }
  world.Execute(streams);
  for (auto& table : kTables) {
    std::string name = table.name;
    world.Execute("CREATE VIEW " + name + " AS SELECT * EXCLUDE (gone) FROM (SELECT * FROM " + name +
                  "_changes QUALIFY row_number() OVER (PARTITION BY " + table.key +
                  " ORDER BY _offset DESC) = 1) WHERE NOT gone");
  }
}

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::stoull(text) : otherwise;
}

TEST(Tpch, EveryViewIsItsBatchQueryAfterEveryStep) {
  uint64_t seed = FromEnvironment("WEIR_SEED", SystemRandom().Next() % 1'000'000);
  uint64_t steps = FromEnvironment("WEIR_STEPS", 50);
  std::printf("WEIR_SEED=%llu WEIR_STEPS=%llu\n", static_cast<unsigned long long>(seed),
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
      world.Ingest(std::string(table.name) + "_changes", RowFormat::kNdjson,
                   rows.Changes(table.name, batch));
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
  // A query that finds nothing proves nothing.
  EXPECT_EQ(answered.size(), 22u);
  for (auto& [view, times] : answered) EXPECT_GT(times, 0u) << view;
}

}  // namespace
}  // namespace weir
