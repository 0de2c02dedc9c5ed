#include "session/plain_read.h"

#include <regex>

#include "duckdb/common/string_util.hpp"
#include "query/view_rows.h"

namespace weir {

std::optional<PlainRead> AsPlainRead(const std::string& sql, const CatalogState& catalog) {
  static const std::regex kShape(
      R"(^\s*(?:select\s+\*\s+)?from\s+([A-Za-z_]\w*)(?:\s+where\s+([A-Za-z_]\w*)\s*=\s*(?:'([^']*)'|(-?\d{1,18})))?(?:\s+limit\s+(\d{1,9}))?\s*;?\s*$)",
      std::regex::icase);
  constexpr size_t kLongest = 500;  // what the shape is worth looking for in
  if (sql.size() > kLongest) return std::nullopt;
  std::smatch match;
  if (!std::regex_match(sql, match, kShape)) return std::nullopt;
  auto view = catalog.FindView(match[1].str());
  if (!view || !view->materialized) return std::nullopt;
  PlainRead read{view->name, {}};
  read.options.rows_max = kViewRowsMax;
  if (match[2].matched) {
    read.is_text = match[3].matched;
    read.options.equals.emplace_back(match[2].str(),
                                     read.is_text ? match[3].str() : match[4].str());
  }
  if (match[5].matched) read.options.limit = std::stoull(match[5].str());
  return read;
}

bool IsServedFromContent(Views& views, const PlainRead& read) {
  for (auto& info : views.ViewInfos()) {
    if (!duckdb::StringUtil::CIEquals(info.name, read.view)) continue;
    if (info.rung == Rung::kRecompute) return false;
    if (read.options.equals.empty()) return true;
    for (auto& column : info.columns) {
      if (!duckdb::StringUtil::CIEquals(column.name, read.options.equals[0].first)) continue;
      return IsEqualityExact(column.type, read.options.equals[0].second, read.is_text);
    }
  }
  return false;
}

}  // namespace weir
