#include "query/table_rows.h"

#include "lake/storage.h"

namespace weir {

std::string LatestRows(const Stream& table, const std::string& changes, bool with_hidden) {
  std::string keys, columns;
  for (size_t key : table.primary_key) {
    keys += QuotedName(table.columns[key].name) + ", ";
  }
  for (size_t i = 0; i < table.VisibleColumns(); i++) {
    columns += (i == 0 ? "" : ", ") + std::string(table.IsKey(i) ? "latest." : "change.") +
               QuotedName(table.columns[i].name);
  }
  if (with_hidden) columns += ", change._offset, change._arrival_time";
  std::string relation = QuotedName(changes);
  return "SELECT " + columns + " FROM " + relation + " AS change JOIN (SELECT " + keys +
         "max(_offset) AS newest FROM " + relation +
         " GROUP BY ALL) AS latest "
         "ON change._offset = latest.newest WHERE " +
         "change." + QuotedName(kDeletedColumn) + " IS DISTINCT FROM true";
}

}  // namespace weir
