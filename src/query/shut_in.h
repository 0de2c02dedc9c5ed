// What a one-off query may say.  Checked on the parsed tree, before anything is bound or run: only
// one SELECT, only streams and views by name, only table functions from a short list.
//
// One of several walls (io/sandbox.h, DuckDB's own settings): each is enough on its own for what
// it is for.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "query/messages.h"

namespace duckdb {
class Connection;
class SelectStatement;
}  // namespace duckdb

namespace weir {

struct ShutInQuery {
  std::unique_ptr<duckdb::SelectStatement> statement;
  // Lower-case names that FROM and DESCRIBE mention, and names that WITH gives.  Where a CTE
  // shadows a stream depends on the place; taking a name for both does no harm.
  std::set<std::string> relations, ctes;
  bool hidden_columns = false;  // mentions _offset or _arrival_time
  bool event_time = false;      // mentions _watermark, or asks which windows are closed
  bool limited = false;         // a LIMIT (or FETCH) may be in it, at any depth
  // What it can see of what it reads: columns whose lower-case name is none of `names` are not
  // looked at, unless it is `whole` (a `*`, a row as a value, names that come from elsewhere).
  std::set<std::string> names;
  bool whole = false;
  // When it is SELECT ... FROM one relation, and reads nothing else: the conditions `column =
  // literal` that all its rows are to meet.
  std::vector<EqualColumn> equals;
};

// Throws Error(kInvalidSql) for what does not parse and for more than one statement,
// Error(kForbidden) for what a query may not do.
ShutInQuery ParseShutIn(duckdb::Connection& connection, const KernelSql& sql);

// The same, for the query of a view, a pump or a subscription, which is kept inside the process of
// the log.
void CheckShutIn(const KernelSql& sql);

// Lower-case names that are the batch engine's own where no stream or view has them: a CTE with
// such a name may shadow it in one place of a query and not in another.
bool IsBuiltIn(const std::string& relation);

}  // namespace weir
