// DuckDB as a kernel: a parser, binder, optimizer and expression evaluator without tables.
//
// Kernel holds one in-memory DuckDB for the process.  A Session is one planning or evaluation
// context with a time zone and a clock of its own: `now()` says what SetClock said.  A Session
// belongs to one thread at a time; a Kernel may be used from any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/ids.h"

namespace duckdb {
class ClientContext;
class Connection;
class DuckDB;
}  // namespace duckdb

namespace weir {

class Relations;

class Kernel {
 public:
  // `memory_bytes`: of sorts, windows and joins that DuckDB itself runs.
  explicit Kernel(uint64_t memory_bytes = uint64_t{1} << 30);
  ~Kernel();
  duckdb::DuckDB& database() { return *database_; }

 private:
  std::unique_ptr<duckdb::DuckDB> database_;
};

class Session {
 public:
  // Throws Error(kInvalidSql) when DuckDB does not know the time zone.
  Session(Kernel& kernel, const std::string& time_zone);
  ~Session();

  duckdb::ClientContext& context();
  void SetClock(Micros now);
  // Local time never goes back and has no gaps.
  bool IsUtc() const { return time_zone_ == "UTC" || time_zone_ == "Etc/UTC"; }

  // One with the same time zone.  May be called by any thread.
  std::unique_ptr<Session> Another() const;
  // Forgets that a query failed.
  void Reset();

 private:
  Kernel& kernel_;
  std::string time_zone_;
  std::unique_ptr<duckdb::Connection> connection_;
};

}  // namespace weir
