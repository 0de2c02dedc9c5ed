// Sets of words against a plain map, with what a row can be: of any group, asked for by some of the
// calls, NULL.
#include "flow/aggregates/distinct.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <map>
#include <random>
#include <set>

#include "flow/aggregates/seen_values.h"

namespace weir {
namespace {

using duckdb::LogicalType;

// Counts what it hears of; a value heard of twice fails.
class Heard : public AggregateState {
 public:
  void Grow(size_t) override {}
  void Update(duckdb::DataChunk& arguments, const uint32_t* slots, const int64_t*) override {
    for (duckdb::idx_t i = 0; i < arguments.size(); i++) {
      auto value = arguments.data[0].GetValue(i);
      EXPECT_TRUE(values.emplace(slots[i], value.ToString()).second) << value.ToString();
    }
  }
  void Result(const uint32_t*, duckdb::idx_t, duckdb::Vector&) override {}
  void Clear(uint32_t) override {}
  size_t Bytes() const override { return 0; }
  void SaveSlot(uint32_t, StateWriter&) const override {}
  void LoadSlot(uint32_t, StateReader&) override {}

  std::set<std::pair<uint32_t, std::string>> values;
};

class DistinctTest : public testing::Test {
 protected:
  static constexpr size_t kMembers = 4;  // the first without a filter

  std::unique_ptr<DistinctSet> Make() {
    auto set = DistinctSet::Make({LogicalType::BIGINT}, true);
    for (size_t m = 0; m < kMembers; m++) {
      set->Add({&heard_[m], m ? std::optional(m - 1) : std::nullopt});
    }
    return set;
  }

  // Values below `values`, groups from `first_group` on.
  void Feed(DistinctSet& set, uint64_t values, uint32_t first_group, size_t chunks) {
    duckdb::DataChunk arguments, filters;
    arguments.Initialize(duckdb::Allocator::DefaultAllocator(), {LogicalType::BIGINT});
    filters.Initialize(duckdb::Allocator::DefaultAllocator(),
                       {LogicalType::BOOLEAN, LogicalType::BOOLEAN, LogicalType::BOOLEAN});
    for (; chunks > 0; chunks--) {
      arguments.Reset();
      filters.Reset();
      uint32_t slots[STANDARD_VECTOR_SIZE];
      for (size_t row = 0; row < STANDARD_VECTOR_SIZE; row++) {
        slots[row] = first_group + static_cast<uint32_t>(random_() % 7);
        auto value = static_cast<int64_t>(random_() % values);
        duckdb::FlatVector::GetDataUnsafe<int64_t>(arguments.data[0])[row] = value;
        bool is_null = random_() % 100 == 0;
        if (is_null) duckdb::FlatVector::SetNull(arguments.data[0], row, true);
        std::pair key{slots[row], is_null ? "NULL" : std::to_string(value)};
        there_[0].insert(key);
        for (size_t m = 1; m < kMembers; m++) {
          auto draw = random_() % 4;
          duckdb::FlatVector::GetDataUnsafe<bool>(filters.data[m - 1])[row] = draw == 1;
          if (draw == 2) duckdb::FlatVector::SetNull(filters.data[m - 1], row, true);
          if (draw == 1) there_[m].insert(key);
        }
      }
      arguments.SetCardinality(STANDARD_VECTOR_SIZE);
      filters.SetCardinality(STANDARD_VECTOR_SIZE);
      set.Update(arguments, filters, slots, nullptr);
    }
    set.CheckInvariants();
  }
  void ExpectAllHeard() {
    for (size_t m = 0; m < kMembers; m++) EXPECT_EQ(heard_[m].values, there_[m]);
  }
  void ForgetGroup(DistinctSet& set, uint32_t group) {
    set.Forget(group);
    set.CheckInvariants();
    for (auto* sets : {&heard_[0].values, &heard_[1].values, &heard_[2].values, &heard_[3].values,
                       &there_[0], &there_[1], &there_[2], &there_[3]}) {
      std::erase_if(*sets, [&](auto& key) { return key.first == group; });
    }
  }
  std::unique_ptr<DistinctSet> SavedAndLoaded(DistinctSet& set, bool tracks) {
    StateWriter writer;
    set.BeginPieces(writer, 0);
    EXPECT_TRUE(set.SavePieces(writer, [] { return false; }));
    set.EndPieces();
    writer.Put(kEndOfParts);
    return Loaded(writer, tracks);
  }
  std::unique_ptr<DistinctSet> Loaded(StateWriter& writer, bool tracks) {
    auto loaded = Make();
    if (tracks) loaded->TrackGroups();
    StateReader reader(writer.bytes());
    LoadParts(reader, {loaded.get()});
    EXPECT_TRUE(reader.AtEnd());
    loaded->CheckInvariants();
    return loaded;
  }

  std::mt19937_64 random_{11};
  Heard heard_[kMembers];
  std::set<std::pair<uint32_t, std::string>> there_[kMembers];
};

TEST_F(DistinctTest, EachCallHearsOfAValueOnce) {
  auto set = Make();
  Feed(*set, 5'000, 0, 20);
  ExpectAllHeard();
  EXPECT_LT(set->Bytes(), size_t{40} * there_[0].size());
}

TEST_F(DistinctTest, ValuesThatGrowLargeAreTheSameValues) {
  auto set = Make();
  Feed(*set, 3'000, 0, 5);
  Feed(*set, uint64_t{1} << 40, 0, 5);
  Feed(*set, 3'000, 0, 5);
  ExpectAllHeard();
  set = SavedAndLoaded(*set, false);
  Feed(*set, 3'000, 0, 5);
  ExpectAllHeard();
}

TEST_F(DistinctTest, GroupsMayBeManyMillions) {
  auto set = Make();
  Feed(*set, 1'000, (1 << 24) - 3, 5);
  Feed(*set, 1'000, 0, 5);
  ExpectAllHeard();
}

// They are saved in the order of their hashes, the worst there is for a table that grows as they
// come: the time goes with the square of their number.
TEST_F(DistinctTest, AMillionValuesAreLoadedInNoTime) {
  SeenValues<NarrowSeen> seen;
  constexpr uint32_t kValues = 1'000'000;
  for (uint32_t value = 0; value < kValues; value++) {
    seen.Add(seen.Hash(value, value % 5), value, value % 5, 1);
  }
  std::vector<NarrowSeen> cells;
  for (uint64_t from = 0, is_first = 1; from || is_first; is_first = 0) {
    from = seen.From(from, 100, [&](auto& cell) { cells.push_back(cell); });
  }
  ASSERT_EQ(cells.size(), kValues);
  SeenValues<NarrowSeen> loaded;
  auto started = std::chrono::steady_clock::now();
  loaded.Reserve(kValues);
  for (auto& cell : cells) loaded.Add(seen.HashOf(cell), cell.value, cell.group, cell.bits);
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(5));
  EXPECT_EQ(loaded.size(), kValues);
  for (uint32_t value = 0; value < kValues; value++) {
    ASSERT_EQ(loaded.Add(seen.Hash(value, value % 5), value, value % 5, 1), 1u) << value;
  }
}

TEST_F(DistinctTest, AForgottenGroupStartsAgain) {
  auto set = Make();
  set->TrackGroups();
  for (uint32_t round = 0; round < 30; round++) {
    Feed(*set, 500, 0, 2);
    ForgetGroup(*set, round % 7);
    if (round == 15) set = SavedAndLoaded(*set, true);
    if (round == 20) Feed(*set, uint64_t{1} << 40, 0, 1);
    ExpectAllHeard();
  }
}

// What is written in pieces, while values and groups come and go and the table grows and widens, is
// the set as it was when that began.
TEST_F(DistinctTest, PiecesAreOfOneMoment) {
  for (bool tracks : {false, true}) {
    for (auto& sets : there_) sets.clear();
    for (auto& heard : heard_) heard.values.clear();
    auto set = Make();
    if (tracks) set->TrackGroups();
    Feed(*set, 3'000, 0, 4);
    auto then = std::to_array({there_[0], there_[1], there_[2], there_[3]});
    StateWriter writer;
    set->BeginPieces(writer, 0);
    int steps = 0;
    while (!set->SavePieces(writer, [] { return true; })) {
      if (steps < 30) Feed(*set, steps < 10 ? 4'000 : uint64_t{1} << 40, 0, 1);
      set->HandOver(writer);
      if (tracks) {
        set->SaveGroup(steps % 7, writer);
        ForgetGroup(*set, steps % 7);
      }
      steps++;
    }
    set->EndPieces();
    writer.Put(kEndOfParts);
    EXPECT_GT(steps, 15);
    // What was there then is not heard of again; all else is.
    for (size_t m = 0; m < kMembers; m++) {
      there_[m] = then[m];
      heard_[m].values = then[m];
    }
    auto loaded = Loaded(writer, tracks);
    Feed(*loaded, 5'000, 0, 20);
    ExpectAllHeard();
  }
}

}  // namespace
}  // namespace weir
