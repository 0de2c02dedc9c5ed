// A query's text after something it reads got another name.
#pragma once

#include <optional>
#include <string>

#include "base/kernel_sql.h"

namespace weir {

// The query with every reference to `from` in its FROM clauses replaced, so that it means what it
// meant: FROM a becomes FROM b AS a, as columns may be called a.x.  Nothing when that cannot be
// done exactly (a WITH of the same name, functions of windows in time): `why` then says so.
// `kernel_sql` is of the query.
std::optional<std::string> RenameIn(const std::string& query, const KernelSql& kernel_sql,
                                    const std::string& from, const std::string& to,
                                    std::string& why);

// A CREATE statement with the name of what it makes replaced.
std::string RenameCreated(const std::string& sql, const std::string& from, const std::string& to);

}  // namespace weir
