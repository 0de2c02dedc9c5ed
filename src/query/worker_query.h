// The batch engine inside a query worker, and one query's way through it.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "duck/row_source.h"
#include "io/disk/disk.h"
#include "lake/disk_file_system.h"
#include "lake/known_files.h"
#include "query/answer.h"
#include "query/messages.h"
#include "query/shut_in.h"

namespace duckdb {
class Connection;
class DuckDB;
class FileSystem;
class QueryResult;
}  // namespace duckdb

namespace weir {

class AnswerFile;

// One DuckDB for the worker's life.
class WorkerEngine {
 public:
  // Looks at the machine (memory, cgroups) and starts no threads: the process can still be shut in.
  explicit WorkerEngine(const HelloMessage& hello);
  // From here on without rights: no files but those below `readable`, no settings, no extensions.
  void ShutIn(const HelloMessage& hello);
  ~WorkerEngine();

  duckdb::DuckDB& database() { return *database_; }
  RowSources& sources() { return sources_; }
  AnswerFile& answer_file() { return *answer_file_; }
  DiskFiles& lake_files() { return lake_files_; }
  KnownFiles& known_files() { return known_files_; }

 private:
  RowSources sources_;
  std::unique_ptr<Disk> disk_;
  DiskFiles lake_files_;
  KnownFiles known_files_;
  std::unique_ptr<AnswerFile> answer_file_;
  std::unique_ptr<duckdb::DuckDB> database_;
};

class WorkerQuery {
 public:
  // Parses and finds out what must be there to run it.  Throws Error.
  WorkerQuery(WorkerEngine& engine, QueryMessage query);
  ~WorkerQuery();

  const NeedMessage& need() const { return need_; }
  // Runs on the data, whose views it takes; the answer goes to `out` in pieces.  True when there
  // were more rows than the query's limit.  Throws Error.
  bool Run(DataMessage& data, const AnswerOut& out);

 private:
  void Resolve(const ShutInQuery& query, int depth);
  bool RunOn(DataMessage& data, const AnswerOut& out);
  void DefineStream(const weir::Stream& stream, const DataMessage& data);
  std::vector<std::string> ReadFiles(const weir::Stream& stream, const std::vector<size_t>& columns,
                                     const std::vector<FileData>& files, Offset at);
  void DefineEventTime(const DataMessage& data);
  void DefineFile(const FileRelation& file);
  bool IsFile(const std::string& name) const;
  void DefineView(const View& view, DataMessage& data);
  void LeaveOutHidden(duckdb::SelectStatement& select) const;
  bool CompareRows(duckdb::SelectStatement& select) const;
  bool DefineKept(const std::string& name, DataMessage& data);
  std::shared_ptr<const View> ViewOfErrors(const std::string& name) const;
  void Define(const std::string& name, const std::string& select);
  std::unique_ptr<duckdb::QueryResult> Start();
  std::unique_ptr<duckdb::QueryResult> StartFitted(
      const std::function<std::unique_ptr<duckdb::QueryResult>()>& ask);
  bool Stream(duckdb::QueryResult& result, const DataMessage& data, const AnswerOut& out);
  void CheckRows(uint64_t rows) const;

  WorkerEngine& engine_;
  QueryMessage query_;
  CatalogState catalog_;
  std::unique_ptr<duckdb::Connection> connection_, fitted_;
  ShutInQuery parsed_;
  NeedMessage need_;
  bool whole_ = false;  // of ShutInQuery, of all the queries there are
  std::set<std::string> names_;
  std::vector<std::string> views_;   // to define, those that others read first
  std::vector<std::string> errors_;  // error rows of views
  bool hidden_columns_ = false, event_time_ = false, limited_ = false;
};

}  // namespace weir
