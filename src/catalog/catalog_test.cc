// What exists, and the ids it has: given out once, known when they are gone.
#include "catalog/catalog.h"

#include <gtest/gtest.h>

#include <functional>
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
  ids.CheckInvariants();
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

// A text that no JSON can have: the file would be empty, and the next start find no catalog.
TEST(Catalog, ATextThatIsNoUtf8ChangesNothing) {
  MemoryStore store;
  Catalog catalog(store);
  catalog.Change([](CatalogState& state) { StreamOf(state, "a"); });
  std::string before = store.Load();
  EXPECT_THROW(catalog.Change([](CatalogState& state) {
    auto stream = std::make_shared<Stream>(*state.GetStream("a"));
    stream->comment = "\xff";
    state.streams["a"] = stream;
  }),
               Error);
  EXPECT_EQ(store.Load(), before);
  EXPECT_EQ(catalog.Current()->GetStream("a")->comment, "");
  Catalog again(store);
  EXPECT_TRUE(again.Current()->FindStream("a"));
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

TEST(Catalog, EverythingThatIsSaidOfAThingComesBackFromItsFile) {
  Stream stream;
  stream.id = {1};
  stream.name = "Clicks";
  stream.columns = {{"at", duckdb::LogicalType::TIMESTAMP, true, EpochUnit::kMillis},
                    {"k", duckdb::LogicalType::LIST(duckdb::LogicalType::INTEGER)}};
  stream.watermark = Watermark{"at", 5, 7};
  stream.unknown_fields = UnknownFields::kReject;
  stream.dedup_key = "k";
  stream.dedup_window = 11;
  stream.comment = "what \"they\" do\n";
  stream.sql = "CREATE STREAM Clicks";
  stream.from_project = stream.derived = true;
  Stream table;
  table.id = {2};
  table.name = "Rows";
  table.columns = {{"v", duckdb::LogicalType::VARCHAR},
                   {"k", duckdb::LogicalType::BIGINT},
                   {kDeletedColumn, duckdb::LogicalType::BOOLEAN}};
  table.watermark = Watermark{"k", 6, std::nullopt};
  table.primary_key = {1, 0};
  table.reference = ReferenceFile{"rows.csv", 60};
  View view;
  view.id = 3;
  view.name = "Late";
  view.query = "SELECT 1";
  view.kernel_sql = KernelSql("SELECT 4");
  view.spelled_out = KernelSql("SELECT 2");
  view.on_window_close = true;
  view.allowed_lateness = 13;
  view.late_of = "Clicks_by_hour";
  view.materialized = false;
  view.comment = "c";
  view.sql = "CREATE VIEW";
  view.from_project = true;
  Pump pump;
  pump.id = 4;
  pump.name = "Pump";
  pump.stream = {1};
  pump.columns = {"k", "at"};
  pump.query = "SELECT 3";
  pump.kernel_sql = KernelSql(pump.query);
  pump.start = Pump::Start{Offset{17}, 18, 19};
  pump.comment = "p";
  pump.sql = "INSERT";
  pump.from_project = true;
  CatalogState state;
  state.version = 20;
  state.next_id = 6;
  state.log = "0123";
  state.time_zone = "Europe/Paris";
  state.streams = {{"clicks", std::make_shared<Stream>(stream)},
                   {"rows", std::make_shared<Stream>(table)}};
  state.views["late"] = std::make_shared<View>(view);
  state.pumps["pump"] = std::make_shared<Pump>(pump);
  stream.id = {5};
  state.dropped[5] = std::make_shared<Stream>(stream);
  state.retired.Add(5, 5);

  CatalogState read = LoadCatalog(SaveCatalog(state));
  EXPECT_EQ(SaveCatalog(read), SaveCatalog(state));
  EXPECT_EQ(read.version, 20u);
  EXPECT_EQ(read.next_id, 6u);
  EXPECT_EQ(read.log, "0123");
  EXPECT_EQ(read.time_zone, "Europe/Paris");
  EXPECT_TRUE(read.WasDropped(StreamId{5}));
  for (const Stream& got : {*read.streams.at("clicks"), *read.dropped.at(5)}) {
    EXPECT_EQ(got.name, "Clicks");
    EXPECT_EQ(got.Types(), stream.Types());
    EXPECT_EQ(got.columns[0].name, "at");
    EXPECT_TRUE(got.columns[0].not_null && !got.columns[1].not_null);
    EXPECT_EQ(got.columns[0].epoch, EpochUnit::kMillis);
    EXPECT_EQ(got.columns[1].epoch, EpochUnit::kNone);
    EXPECT_EQ(got.watermark, (Watermark{"at", 5, 7}));
    EXPECT_EQ(got.unknown_fields, UnknownFields::kReject);
    EXPECT_EQ(got.dedup_key, "k");
    EXPECT_EQ(got.dedup_window, 11);
    EXPECT_EQ(got.comment, "what \"they\" do\n");
    EXPECT_EQ(got.sql, "CREATE STREAM Clicks");
    EXPECT_TRUE(got.from_project && got.derived && !got.IsTable() && !got.reference);
  }
  const Stream& rows = *read.streams.at("rows");
  EXPECT_EQ(rows.watermark, (Watermark{"k", 6, std::nullopt}));
  EXPECT_EQ(rows.primary_key, (std::vector<size_t>{1, 0}));
  EXPECT_EQ(rows.reference.value().path, "rows.csv");
  EXPECT_EQ(rows.reference->refresh, 60);
  EXPECT_EQ(rows.unknown_fields, UnknownFields::kIgnore);
  EXPECT_FALSE(rows.from_project || rows.derived);
  const View& late = *read.views.at("late");
  EXPECT_EQ(late.id, 3u);
  EXPECT_EQ(late.name + late.query + late.kernel_sql.text + late.spelled_out.text + late.late_of,
            "LateSELECT 1SELECT 4SELECT 2Clicks_by_hour");
  EXPECT_EQ(late.allowed_lateness, 13);
  EXPECT_EQ(late.comment + late.sql, "cCREATE VIEW");
  EXPECT_TRUE(late.on_window_close && !late.materialized && late.from_project);
  const Pump& fed = *read.pumps.at("pump");
  EXPECT_EQ(fed.id, 4u);
  EXPECT_EQ(fed.stream, StreamId{1});
  EXPECT_EQ(fed.columns, (std::vector<std::string>{"k", "at"}));
  EXPECT_EQ(fed.name + fed.query + fed.comment + fed.sql, "PumpSELECT 3pINSERT");
  EXPECT_EQ(fed.start.value().offset, Offset{17});
  EXPECT_EQ(fed.start->clock, 18);
  EXPECT_EQ(fed.start->log_time, 19);
  EXPECT_TRUE(fed.from_project);
}

TEST(Catalog, AValueOfAnyOtherKindIsRefusedWithItsName) {
  MemoryStore store;
  {
    Catalog catalog(store);
    catalog.Change([](CatalogState& state) {
      auto table = std::make_shared<Stream>(*StreamOf(state, "a"));
      table->primary_key = {0};
      state.streams["a"] = table;
      auto pump = std::make_shared<Pump>();
      pump->id = state.next_id++;
      pump->name = "p";
      pump->stream = {1};
      pump->columns = {"n"};
      state.pumps["p"] = pump;
      StreamOf(state, "gone");
    });
    catalog.Change([](CatalogState& state) { state.DropStream("gone"); });
  }
  std::string good = store.Load();
  EXPECT_EQ(MessageOf(good), "");
  std::vector<std::vector<std::string>> wrong = {
      {"\"format\": 1", "\"format\": 2", "it is of another version of Weir"},
      {"\"time_zone\"", "\"zone\"", "\"time_zone\" is missing"},
      {"\"time_zone\": \"UTC\"", "\"time_zone\": 7", "\"time_zone\" is no text"},
      {"\"id\": 1", "\"id\": -1", "\"id\" is no number"},
      {"\"id\": 1", "\"id\": 4294967297", "\"id\" is out of range"},
      {"\"id\": 1", "\"id\": 0", "\"a\" has the id 0, which was never given out"},
      {"\"primary_key\": [\n                0", "\"primary_key\": [\n                1",
       "a primary key of no column"},
      {"\"BIGINT\"", "\"BIGINTS\"", "there is no type \"BIGINTS\""},
      {"\"columns\": [\n                \"n\"", "\"columns\": [\n                5",
       "a column of a pump is no text"},
      {"\"retired_ids\": [\n        [\n            3",
       "\"retired_ids\": [\n        [\n            0", "a range of retired ids makes no sense"},
      {"            3,\n            3", "            3,\n            4",
       "a range of retired ids makes no sense"},
      {"            3,\n            3", "            3,\n            2",
       "a range of retired ids makes no sense"},
      {"\"id\": 3", "\"id\": 1", "what was dropped is still there"},
      {"\"stream\": 1", "\"stream\": 2", "a pump feeds no stream"},
      {"\"dedup_key\": \"\"", "\"dedup_key\": \"m\"", "a dedup key of no column"},
      {"\"dedup_key\": \"\"",
       "\"watermark_column\": \"m\", \"watermark_delay\": 0, \"dedup_key\": \"\"",
       "a watermark of no column"},
  };
  for (auto& one : wrong) {
    EXPECT_EQ(MessageOf(Replaced(good, one[0], one[1])), "the catalog is damaged: " + one[2]);
  }
}

TEST(Catalog, WhatIsNotThereIsSaidWithTheNearestName) {
  CatalogState state;
  StreamOf(state, "clicks");
  auto table = std::make_shared<Stream>(*StreamOf(state, "rows"));
  table->primary_key = {0};
  state.streams["rows"] = table;
  state.views["by_hour"] = std::make_shared<View>();
  state.pumps["copy"] = std::make_shared<Pump>();
  auto hint = [](const std::function<void()>& get) {
    try {
      get();
    } catch (const Error& error) {
      return error.message + ": " + error.hint;
    }
    return std::string("it is there");
  };
  EXPECT_EQ(hint([&] { (void)state.GetTable("Rows"); }), "it is there");
  EXPECT_EQ(
      hint([&] { (void)state.GetTable("clicks"); }),
      "there is no table \"clicks\": \"clicks\" is a stream: its events come and never change.");
  EXPECT_EQ(hint([&] { (void)state.GetTable("by_hour"); }),
            "there is no table \"by_hour\": \"by_hour\" is a view: it changes with what it reads.");
  EXPECT_EQ(hint([&] { (void)state.GetTable("row"); }),
            "there is no table \"row\": Did you mean \"rows\"?");
  EXPECT_EQ(hint([&] { (void)state.GetTable("something else"); }),
            "there is no table \"something else\": SHOW TABLES lists those there are.");
  EXPECT_EQ(hint([&] { (void)state.GetStream("click"); }),
            "there is no stream \"click\": Did you mean \"clicks\"?");
  EXPECT_EQ(hint([&] { (void)state.GetView("something else"); }),
            "there is no view \"something else\": SHOW VIEWS lists those there are.");
  EXPECT_EQ(hint([&] { (void)state.GetPump("something else"); }),
            "there is no pump \"something else\": SHOW PUMPS lists those there are.");
  EXPECT_EQ(hint([&] { (void)state.GetPump("COPY"); }), "it is there");
  EXPECT_EQ(state.NearestRelation("clickz"), "clicks");
}

TEST(Catalog, APumpsQueryHasTheColumnsOfItsStream) {
  Stream stream;
  stream.name = "s";
  stream.columns = {{"a", duckdb::LogicalType::INTEGER}, {"b \"c\"", duckdb::LogicalType::VARCHAR}};
  Pump pump;
  pump.stream = {7};
  pump.query = "TUMBLE";
  pump.kernel_sql = KernelSql("SELECT 1, 2");
  EXPECT_EQ(PumpQuery(pump, stream).text,
            "SELECT CAST(c0 AS INTEGER) AS \"a\", CAST(c1 AS VARCHAR) AS \"b \"\"c\"\"\" FROM "
            "(SELECT 1, 2\n) AS inserted(c0, c1)");
  pump.columns = {"B \"C\""};
  EXPECT_EQ(PumpQuery(pump, stream).text,
            "SELECT CAST(NULL AS INTEGER) AS \"a\", CAST(c0 AS VARCHAR) AS \"b \"\"c\"\"\" FROM "
            "(SELECT 1, 2\n) AS inserted(c0)");
  CatalogState state;
  state.pumps["p"] = std::make_shared<Pump>(pump);
  pump.stream = {8};
  state.pumps["q"] = std::make_shared<Pump>(pump);
  EXPECT_EQ(state.PumpsInto(StreamId{7}).size(), 1u);
  EXPECT_EQ(state.PumpsInto(StreamId{9}).size(), 0u);
}

TEST(Catalog, TypesOfColumnsAreThoseThatGoAllTheWay) {
  for (const char* type :
       {"INTEGER", "DECIMAL(10,2)", "JSON", "STRUCT(a JSON, b INTEGER[2])[]", "ENUM('a', 'b')",
        "MAP(VARCHAR, DATE)", "UNION(a INTEGER, b VARCHAR)", "INTEGER[100000]"}) {
    EXPECT_EQ(ParseColumnType(ParseColumnType(type).ToString()), ParseColumnType(type)) << type;
  }
  for (const char* type :
       {"NUMBERS", "", "INTEGER)", "ENUM('a', 'a')", "ENUM()", "STRUCT(a INTEGER, A INTEGER)",
        "UNION(a INTEGER, a DATE)", "INTEGER[0]", "INTEGER[100001]", "VARIANT", "VARIANT[]",
        "UNION(a JSON, b INTEGER)", "MAP(INTEGER)"}) {
    EXPECT_THROW(ParseColumnType(type), Error) << type;
  }
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
