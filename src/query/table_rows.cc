#include "query/table_rows.h"

#include "lake/storage.h"

namespace weir {

std::string LatestRows(const Stream& table, const std::string& changes, bool with_hidden) {
  std::string keys, columns;
  for (size_t key : table.primary_key) {
    keys += (keys.empty() ? "" : ", ") + QuotedName(table.columns[key].name);
  }
  for (size_t i = 0; i < table.VisibleColumns(); i++) {
    columns += (i == 0 ? "" : ", ") + QuotedName(table.columns[i].name);
  }
  if (with_hidden) columns += ", _offset, _arrival_time";
  return "SELECT " + columns + " FROM (SELECT * FROM " + QuotedName(changes) +
         " QUALIFY row_number() OVER (PARTITION BY " + keys +
         " ORDER BY _offset DESC) = 1) WHERE " + QuotedName(kDeletedColumn) +
         " IS DISTINCT FROM true";
}

}  // namespace weir
