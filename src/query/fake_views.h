// Views without an engine, for tests: contents are set, everything else stands still.
#pragma once

#include <map>

#include "query/view_rows.h"
#include "views/views.h"

namespace weir {

class FakeViews : public Views {
 public:
  Snapshot& Set(const std::string& name) {
    contents_[name].view = name;
    return contents_[name];
  }

  std::vector<Snapshot> Read(const std::vector<std::string>& names,
                             const ReadOptions& options) override {
    std::vector<Snapshot> result;
    asked = options;
    for (auto& name : names) {
      auto found = contents_.find(name);
      if (found == contents_.end()) {
        throw Error(ErrorCode::kUnknownView, "there is no view \"" + name + "\"");
      }
      result.push_back(Copy(found->second));
    }
    return result;
  }
  void WaitFor(Offset offset, Micros, Executor& executor, std::function<void(bool)> done) override {
    waited_for = offset;
    executor.Post([done] { done(true); });
  }
  EngineInfo Info() const override { return {}; }

  std::optional<std::vector<ViewChangePtr>> ChangesSince(const std::string&, uint64_t) override {
    return std::nullopt;
  }
  std::optional<uint64_t> SequenceAt(const std::string&, Offset) override { return std::nullopt; }
  void OnStep(StepCallback) override {}
  std::vector<Column> Bind(const CatalogState&, const KernelSql&) override { return {}; }
  void Reconcile() override {}
  std::vector<ViewInfo> ViewInfos() const override { return infos; }
  std::string ExplainView(const std::string&, bool) override { return ""; }
  std::string ExplainQuery(const KernelSql&) override { return ""; }
  void CheckPump(const CatalogState&, const Pump&) override {}
  bool GoesByZone(const CatalogState&, const Pump&) override { return true; }
  std::vector<PumpInfo> PumpInfos() const override { return {}; }
  EmittedMarks Emitted() override { return {}; }
  Subscription Subscribe(const KernelSql&) override { return {}; }
  InputMark Now() const override { return {}; }
  std::string ExplainPump(const Pump&, bool) override { return ""; }
  void OnCommit(const CommittedRecords&) override {}

  Offset waited_for;
  ReadOptions asked;  // by the last Read
  std::vector<ViewInfo> infos;

 private:
  static Snapshot Copy(const Snapshot& from) {
    Snapshot copy;
    copy.view = from.view;
    copy.offset = from.offset;
    copy.as_of = from.as_of;
    copy.version = from.version;
    copy.replaced_by = from.replaced_by;
    copy.copies = from.copies;
    copy.columns = from.columns;
    for (auto& chunk : from.rows.chunks) {
      auto part = std::make_unique<duckdb::DataChunk>();
      part->InitializeEmpty(chunk->GetTypes());
      part->Reference(*chunk);
      copy.rows.chunks.push_back(std::move(part));
    }
    copy.rows.rows = from.rows.rows;
    copy.error_rows = from.error_rows;
    return copy;
  }

  std::map<std::string, Snapshot> contents_;
};

// Rows given as text, cast to the columns' types; "NULL" is NULL.
inline Columns RowsOf(const std::vector<Column>& columns,
                      const std::vector<std::vector<std::string>>& rows) {
  Columns result;
  duckdb::vector<duckdb::LogicalType> types;
  for (auto& column : columns) types.push_back(column.type);
  auto chunk = std::make_unique<duckdb::DataChunk>();
  chunk->Initialize(duckdb::Allocator::DefaultAllocator(), types);
  for (auto& row : rows) {
    for (size_t i = 0; i < row.size(); i++) {
      duckdb::Value value;
      if (row[i] != "NULL") value = duckdb::Value(row[i]).DefaultCastAs(types[i]);
      chunk->SetValue(i, result.rows, value);
    }
    result.rows++;
  }
  chunk->SetCardinality(result.rows);
  if (result.rows > 0) result.chunks.push_back(std::move(chunk));
  return result;
}

}  // namespace weir
