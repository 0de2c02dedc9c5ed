// Random queries as views over random histories, each compared with its batch query at every step.
//
// WEIR_PRINT=1 prints the queries before they run.
//
//   WEIR_SEED=7 WEIR_QUERIES=20000 build/slt_test --gtest_filter='RandomQueries*'
//
// The same with a rule of DuckDB's optimizer left out of views or of batch queries, another one in
// each round: where the two differ, it is with the rule or without it that one of them is wrong.
//
//   WEIR_RULE_ROUNDS=330 build/slt_test --gtest_filter='*RulesOff*'
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "base/error.h"
#include "duckdb/common/enums/optimizer_type.hpp"
#include "query_generator.h"
#include "random_events.h"
#include "support.h"
#include "views/test_engine.h"
#include "world.h"

namespace weir {
namespace {

constexpr uint64_t kQueriesAtOnce = 10;
constexpr uint64_t kSteps = 6;

struct Tally {
  uint64_t queries = 0, refused = 0, recomputed = 0, different = 0, rows = 0;
  uint64_t failing = 0, error_rows = 0;
};

std::vector<std::string> Sorted(std::vector<std::string> rows) {
  std::sort(rows.begin(), rows.end());
  return rows;
}

void Move(World& world, Random& random, RandomEvents& events) {
  switch (random.Below(8)) {
    case 0: world.Advance(static_cast<Micros>(random.Below(60)) * kMinute); break;
    case 1: world.Land(); break;
    case 2: world.Restart(); break;
    default: break;
  }
  for (const char* stream : {"s", "r"}) {
    if (random.OneIn(4)) continue;
    world.Ingest(stream, RowFormat::kNdjson,
                 events.Body(world.clock().Now(), 1 + random.Below(25)));
  }
  world.Settle();
  if (ChecksInvariants()) EngineForTests::CheckInvariants(world.engine());
}

// One world, some queries; a seed of its own, so that it can be run again by itself.
void RunRound(uint64_t seed, uint64_t count, Tally& tally, const RulesOff& rules = {}) {
  SeededRandom random(seed);
  World world(rules);
  RandomEvents events(random);
  QueryGenerator generator(random);
  world.Execute(ReadText(std::string(WEIR_SLT_FOLDER) + "/random/streams.sql"));
  Move(world, random, events);
  std::map<std::string, std::string> queries, expected;
  for (uint64_t i = 0; i < count; i++) {
    std::string name = "q" + std::to_string(i);
    auto generated = generator.Query();
    // Which expressions a row is asked, and may fail on, is a rule's choice.
    if (!rules.of_views.empty() || !rules.of_batch.empty()) generated.query = generated.expected;
    auto& query = generated.query;
    tally.queries++;
    if (std::getenv("WEIR_PRINT")) std::fprintf(stderr, "%s;\n", query.c_str());
    try {
      world.Execute("CREATE MATERIALIZED VIEW " + name + " AS " + query);
      queries[name] = query;
      if (generated.expected != query) {
        expected[name] = generated.expected;
        tally.failing++;
      }
    } catch (const Error& error) {
      tally.refused++;
      std::printf("refused: %s\n  %s\n", error.message.c_str(), query.c_str());
    }
  }
  world.Settle();
  for (auto& [name, query] : queries) {
    if (world.Info(name).rung != Rung::kRecompute || !rules.of_views.empty()) continue;
    tally.recomputed++;
    std::printf("recomputed: %s%s\n", world.engine().ExplainView(name, false).c_str(),
                query.c_str());
  }
  for (uint64_t step = 0; step < kSteps; step++) {
    if (step > 0) Move(world, random, events);
    for (auto& verdict : world.VerifyViews().views) {
      tally.rows += verdict.rows;
      tally.error_rows += verdict.error_rows;
      auto found = expected.find(verdict.name);
      if (found != expected.end() && !verdict.comparable) {
        // The batch query fails; the one that leaves out what fails does not.
        verdict.equal = Sorted(RowsAsText(world.Read(verdict.name).rows)) ==
                        Sorted(RowsAsText(world.Batch(found->second)));
      }
      if (verdict.equal) continue;
      tally.different++;
      ADD_FAILURE() << "WEIR_SEED=" << seed << " WEIR_QUERIES=" << count << " step " << step << ": "
                    << DescribeVerdict(verdict) << "\nrules off: " << rules.of_views << " "
                    << rules.of_batch << "\n"
                    << queries[verdict.name] << "\n"
                    << world.engine().ExplainView(verdict.name, false);
      world.Execute("DROP VIEW " + verdict.name);
    }
  }
}

TEST(RandomQueries, AreTheirBatchQueriesAtEveryStep) {
  uint64_t seed = FromEnvironment("WEIR_SEED", SystemRandom().Next() % 1'000'000'000);
  uint64_t count = FromEnvironment("WEIR_QUERIES", 500);
  std::printf("WEIR_SEED=%llu WEIR_QUERIES=%llu\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(count));
  std::fflush(stdout);
  Tally tally;
  while (tally.queries < count && tally.different < 20) {
    uint64_t some = std::min(kQueriesAtOnce, count - tally.queries);
    RunRound(seed++, some, tally);
  }
  std::printf(
      "%llu random queries, %llu refused, %llu recomputed as a whole, %llu different; %llu "
      "rows compared; %llu queries with expressions that may fail, %llu error rows; last "
      "WEIR_SEED=%llu\n",
      static_cast<unsigned long long>(tally.queries),
      static_cast<unsigned long long>(tally.refused),
      static_cast<unsigned long long>(tally.recomputed),
      static_cast<unsigned long long>(tally.different), static_cast<unsigned long long>(tally.rows),
      static_cast<unsigned long long>(tally.failing),
      static_cast<unsigned long long>(tally.error_rows), static_cast<unsigned long long>(seed - 1));
}

TEST(RandomQueries, SayTheSameWithRulesOff) {
  // Without these there are no plans, or only such as views are not kept by.
  const std::vector<std::string> needed = {"extension", "unused_columns", "filter_pushdown"};
  std::vector<std::string> rules;
  for (auto& rule : duckdb::ListAllOptimizers()) {
    if (std::find(needed.begin(), needed.end(), rule) == needed.end()) rules.push_back(rule);
  }
  uint64_t seed = FromEnvironment("WEIR_SEED", SystemRandom().Next() % 1'000'000'000);
  uint64_t rounds = FromEnvironment("WEIR_RULE_ROUNDS", 12);
  std::printf("WEIR_SEED=%llu WEIR_RULE_ROUNDS=%llu\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(rounds));
  std::fflush(stdout);
  Tally tally;
  for (uint64_t round = 0; round < rounds && tally.different < 20; round++, seed++) {
    auto& rule = rules[seed / 2 % rules.size()];
    RulesOff off;
    (seed % 2 ? off.of_views : off.of_batch) = rule;
    SCOPED_TRACE("without " + rule + (seed % 2 ? " in views" : " in batch queries"));
    RunRound(seed, kQueriesAtOnce, tally, off);
  }
  std::printf("%llu random queries, %llu refused, %llu different; %llu rows compared\n",
              static_cast<unsigned long long>(tally.queries),
              static_cast<unsigned long long>(tally.refused),
              static_cast<unsigned long long>(tally.different),
              static_cast<unsigned long long>(tally.rows));
}

}  // namespace
}  // namespace weir
