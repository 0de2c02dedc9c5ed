// SQL to an optimized, bound plan whose column references are positions in the child's rows: the
// form from which flow/ builds circuits.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "duck/session.h"
#include "duckdb/common/types.hpp"
#include "duckdb/planner/logical_operator.hpp"

namespace duckdb {
class LogicalGet;
}

namespace weir {

// What a name in FROM means while a query is planned.
class Relations {
 public:
  struct Source {
    std::vector<std::string> names;
    std::vector<duckdb::LogicalType> types;
    bool is_stream = false;  // has the hidden columns _offset and _arrival_time
  };
  virtual ~Relations() = default;
  virtual std::optional<Source> FindSource(const std::string& name) const = 0;
  virtual std::optional<std::string> FindPlainView(const std::string& name) const = 0;
  virtual std::string NearestTo(const std::string& name) const { return ""; }
};

struct Plan {
  std::unique_ptr<duckdb::LogicalOperator> root;
  std::vector<std::string> names;
  std::vector<duckdb::LogicalType> types;
};

// Throws Error(kInvalidSql) with line, column and caret for what does not parse or bind.
// `relations` is used during the call only.
Plan PlanQuery(Session& session, const std::string& sql, const Relations& relations);

// The source a scan in a plan reads; `columns` are indexes into Source::names, or one of the
// constants below, in the order of the scan's output.
struct SourceScan {
  std::string name;
  std::vector<size_t> columns;
};
inline constexpr size_t kScanOffset = static_cast<size_t>(-1);
inline constexpr size_t kScanArrivalTime = static_cast<size_t>(-2);
inline constexpr size_t kScanNothing = static_cast<size_t>(-3);  // only the rows count
std::optional<SourceScan> AsSourceScan(const duckdb::LogicalGet& get);

// Registers the table function behind sources; called once by Kernel.
void InstallSources(duckdb::DuckDB& database);

}  // namespace weir
