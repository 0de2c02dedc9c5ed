// SQL that the kernel (DuckDB) parses: what Weir's own dialect adds is spelled out.
//
// Made once of what was written, where a text comes in (sql/kernel_sql.h).  Whoever plans or asks a
// query takes nothing else, so nobody translates twice or forgets to.
#pragma once

#include <string>
#include <utility>

namespace weir {

struct KernelSql {
  KernelSql() = default;
  explicit KernelSql(std::string sql) : text(std::move(sql)) {}
  bool empty() const { return text.empty(); }
  bool operator==(const KernelSql&) const = default;

  std::string text;
};

}  // namespace weir
