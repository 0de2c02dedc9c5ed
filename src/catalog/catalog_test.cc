// What exists, and the ids it has: given out once, known when they are gone.
#include "catalog/catalog.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "base/error.h"
#include "catalog/memory_store.h"

namespace weir {
namespace {

std::shared_ptr<Stream> StreamOf(CatalogState& state, const std::string& name) {
  auto stream = std::make_shared<Stream>();
  stream->id = StreamId{state.next_id++};
  stream->name = name;
  stream->columns.push_back({"n", duckdb::LogicalType::BIGINT});
  state.streams[name] = stream;
  return stream;
}

std::string MessageOf(const std::string& text) {
  MemoryStore store;
  store.Save(text);
  try {
    Catalog catalog(store);
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kCorruption);
    return error.message;
  }
  return "";
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(RetiredIds, AreRangesThatGrowTogether) {
  RetiredIds ids;
  ids.Add(5, 5);
  ids.Add(7, 8);
  EXPECT_EQ(ids.ranges().size(), 2u);
  ids.Add(6, 6);
  EXPECT_EQ(ids.ranges(), (std::map<uint32_t, uint32_t>{{5, 8}}));
  ids.Add(1, 2);
  ids.Add(2, 20);
  EXPECT_EQ(ids.ranges(), (std::map<uint32_t, uint32_t>{{1, 20}}));
  EXPECT_TRUE(ids.Contains(1) && ids.Contains(20));
  EXPECT_FALSE(ids.Contains(0) || ids.Contains(21));
}

TEST(Catalog, AnIdThatWasDroppedIsKnownAndNeverGivenOutAgain) {
  MemoryStore store;
  StreamId dropped;
  {
    Catalog catalog(store);
    catalog.Change([&](CatalogState& state) { dropped = StreamOf(state, "a")->id; });
    catalog.Change([&](CatalogState& state) { StreamOf(state, "b"); });
    catalog.Change([&](CatalogState& state) { state.streams.erase("a"); });
    EXPECT_TRUE(catalog.Current()->WasDropped(dropped));
  }
  Catalog catalog(store);
  auto state = catalog.Current();
  EXPECT_TRUE(state->WasDropped(dropped));
  EXPECT_FALSE(state->WasDropped(state->GetStream("b")->id));
  EXPECT_FALSE(state->WasDropped(StreamId{77})) << "unknown is not dropped";
  catalog.Change([&](CatalogState& next) { EXPECT_EQ(StreamOf(next, "a")->id.value, 3u); });
}

TEST(Catalog, AThousandThingsMadeAndDroppedLeaveOneRange) {
  MemoryStore store;
  Catalog catalog(store);
  for (int i = 0; i < 1000; i++) {
    catalog.Change([&](CatalogState& state) { StreamOf(state, "s"); });
    catalog.Change([&](CatalogState& state) { state.streams.clear(); });
  }
  EXPECT_EQ(catalog.Current()->retired.ranges(), (std::map<uint32_t, uint32_t>{{1, 1000}}));
}

TEST(Catalog, AChangeThatFailsToBeKeptIsNone) {
  struct Full : MemoryStore {
    void Save(const std::string& text) override {
      if (full) throw Error(ErrorCode::kUnavailable, "no space left");
      MemoryStore::Save(text);
    }
    bool full = false;
  } store;
  Catalog catalog(store);
  store.full = true;
  EXPECT_THROW(catalog.Change([](CatalogState& state) { StreamOf(state, "a"); }), Error);
  EXPECT_FALSE(catalog.Current()->FindStream("a"));
  store.full = false;
  catalog.Change([](CatalogState& state) { EXPECT_EQ(StreamOf(state, "b")->id.value, 1u); });
}

// As another thread would, while an edit that takes long runs: it would wait for ever otherwise.
TEST(Catalog, AnEditThatTakesLongRunsBesideOthersAndAgainAfterThem) {
  MemoryStore store;
  Catalog catalog(store);
  std::vector<uint64_t> seen;
  auto after = catalog.ChangeBeside([&](CatalogState& state) {
    seen.push_back(state.version);
    StreamOf(state, "slow");
    if (seen.size() > 2) return;
    auto name = "other " + std::to_string(seen.size());
    std::thread([&] {
      catalog.Change([&](CatalogState& state) { StreamOf(state, name); });
    }).join();
  });
  EXPECT_EQ(seen, (std::vector<uint64_t>{0, 1, 2}));
  EXPECT_EQ(after->version, 3u);
  for (auto* name : {"slow", "other 1", "other 2"}) EXPECT_TRUE(after->FindStream(name)) << name;
  EXPECT_EQ(catalog.Current(), after);
  Catalog again(store);
  EXPECT_EQ(again.Current()->streams.size(), 3u);
}

TEST(Catalog, AnEditThatIsOvertakenAgainAndAgainHoldsTheOthersUpAtLast) {
  MemoryStore store;
  Catalog catalog(store);
  int runs = 0, others = 0;
  std::vector<std::thread> threads;
  catalog.ChangeBeside([&](CatalogState& state) {
    runs++;
    StreamOf(state, "slow");
    std::promise<void> done;
    auto waits = done.get_future();
    threads.emplace_back([&catalog, &others, done = std::move(done)]() mutable {
      catalog.Change(
          [&](CatalogState& state) { StreamOf(state, "other " + std::to_string(others++)); });
      done.set_value();
    });
    // Under the lock the other one waits, and this one does not wait for it.
    if (runs < 4) waits.wait();
  });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(runs, 4);
  EXPECT_EQ(others, 4);
  EXPECT_EQ(catalog.Current()->streams.size(), 5u);
}

TEST(Catalog, AnEditBesideOthersThatFailsChangesNothing) {
  MemoryStore store;
  Catalog catalog(store);
  EXPECT_THROW(catalog.ChangeBeside([](CatalogState& state) {
    StreamOf(state, "a");
    throw Error(ErrorCode::kInvalidSql, "no");
  }),
               Error);
  EXPECT_EQ(catalog.Current()->version, 0u);
  EXPECT_TRUE(catalog.Current()->streams.empty());
}

TEST(Catalog, AFileThatMakesNoSenseIsRefusedWithItsReason) {
  MemoryStore store;
  {
    Catalog catalog(store);
    catalog.Change([](CatalogState& state) {
      StreamOf(state, "a");
      StreamOf(state, "b");
      StreamOf(state, "c");
    });
    catalog.Change([](CatalogState& state) { state.streams.erase("c"); });
  }
  std::string good = store.Load();
  EXPECT_EQ(MessageOf(good), "");
  EXPECT_EQ(MessageOf(Replaced(good, "\"id\": 2", "\"id\": 1")),
            "the catalog is damaged: two things have the id 1");
  EXPECT_EQ(MessageOf(Replaced(good, "\"id\": 2", "\"id\": 9")),
            "the catalog is damaged: \"b\" has the id 9, which was never given out");
  EXPECT_EQ(MessageOf(Replaced(good, "\"id\": 2", "\"id\": 3")),
            "the catalog is damaged: the id 3 is retired and in use");
  EXPECT_EQ(MessageOf(Replaced(good, "\"next_id\": 4", "\"next_id\": 5")),
            "the catalog is damaged: something that it had is missing");
  EXPECT_EQ(MessageOf(Replaced(good, "\"name\": \"b\"", "\"name\": \"a\"")),
            "the catalog is damaged: there are two streams \"a\"");
  EXPECT_EQ(MessageOf(good.substr(0, good.size() / 2)), "the catalog is damaged: it is no JSON");
}

TEST(Catalog, OfAFileWithoutRetiredIdsAllThatNothingHasIsRetired) {
  MemoryStore store;
  store.Save(
      R"({"format": 1, "version": 3, "next_id": 5, "time_zone": "UTC", "views": [], "streams": [
          {"id": 3, "name": "a", "sql": "", "comment": "", "from_project": false,
           "reject_unknown_fields": false, "dedup_key": "", "dedup_window": 0,
           "columns": [{"name": "n", "type": "BIGINT", "not_null": false, "epoch": 0}]}]})");
  Catalog catalog(store);
  EXPECT_EQ(catalog.Current()->retired.ranges(), (std::map<uint32_t, uint32_t>{{1, 2}, {4, 4}}));
  EXPECT_EQ(catalog.Current()->log, "");
}

}  // namespace
}  // namespace weir
