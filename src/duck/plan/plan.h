// SQL to an optimized, bound plan whose column references are positions in the child's rows: the
// form from which flow/ builds circuits.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "duck/plan/plan_node.h"
#include "duck/session.h"

namespace duckdb {
class LogicalGet;
class LogicalOperator;
}  // namespace duckdb

namespace weir {

// What a name in FROM means while a query is planned.
class Relations {
 public:
  struct Source {
    std::vector<std::string> names;
    std::vector<duckdb::LogicalType> types;
    bool is_stream = false;  // has the hidden columns _offset and _arrival_time
    std::optional<duckdb::LogicalType> watermark;  // has _watermark, of this type
  };
  virtual ~Relations() = default;
  virtual std::optional<Source> FindSource(const std::string& name) const = 0;
  virtual std::optional<std::string> FindPlainView(const std::string& name) const = 0;
  // What may have been meant by a name that is none of these; "" when nothing is near.
  virtual std::string NearestTo(const std::string& name) const = 0;
};

struct Plan {
  std::shared_ptr<PlanNode> root;
  std::vector<std::string> names;
  std::vector<duckdb::LogicalType> types;
  bool uses_clock = false;
  bool uses_zone = false;  // maybe: what it says depends on the session's time zone
  // ORDER BY at the top without LIMIT: how readers want the rows, not a part of the content.
  std::vector<SortKey> presentation;
};

// Throws Error(kInvalidSql) with line, column and caret for what does not parse or bind.
// `relations` is used during the call only; expressions of the plan belong to `session`.
Plan PlanQuery(Session& session, const std::string& sql, const Relations& relations);

// The parts of PlanQuery.
std::optional<SourceScan> AsSourceScan(const duckdb::LogicalGet& get);
// `says_is_distinct`: the query says IS DISTINCT FROM itself.
std::shared_ptr<PlanNode> Translate(Session& session, duckdb::LogicalOperator& root,
                                    bool says_is_distinct, std::vector<SortKey>& presentation);

// Registers the table function behind sources; called once by Kernel.
void InstallSources(duckdb::DuckDB& database);

}  // namespace weir
