// Where a query groups rows of a stream by windows of time it wrote itself: GROUP BY date_trunc or
// time_bucket of the watermark's column, or that column as a DATE.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "catalog/catalog.h"

namespace duckdb {
class Parser;
}

namespace weir {

// A stream with a watermark in FROM.
struct TimedUse {
  std::shared_ptr<const Stream> stream;
  std::string start, end;  // of a row's window, as SQL; empty when it is in none
  std::string from_where;  // what follows FROM to read the rows: with WHERE when nothing is joined
};

class GroupedWindows {
 public:
  // `only_windows`: uses without a window are left out.
  GroupedWindows(std::string query, const CatalogState& catalog, bool only_windows);
  ~GroupedWindows();
  GroupedWindows(GroupedWindows&&) noexcept;
  GroupedWindows& operator=(GroupedWindows&&) noexcept;

  const std::vector<TimedUse>& uses() const { return uses_; }
  // The query with `select` of each use in its place; as it was, to the byte, when there is none.
  std::string Replaced(const std::function<std::string(const TimedUse&)>& select);

 private:
  struct Places;
  std::string query_;
  std::unique_ptr<duckdb::Parser> parser_;
  std::unique_ptr<Places> places_;
  std::vector<TimedUse> uses_;
};

}  // namespace weir
