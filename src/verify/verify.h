// Is each view what its query says?  A view's content at one step against the same SQL run from
// scratch over every event up to that step's position, with `now()` standing at that step's clock.
// And is each derived stream what the queries of its pumps say, up to where each has come?
// A view with error rows leaves out what its batch query fails on as a whole: when that happens the
// view is neither equal nor different, but cannot be compared.
// Thread-safe; a run blocks its thread until the batch query is done.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "views/views.h"

namespace weir {

struct ViewVerdict {
  std::string name;
  bool equal = false;
  bool comparable = true;  // false: the batch query fails on rows that are the view's error rows
  uint64_t error_rows = 0;
  Offset offset;
  Micros as_of = 0;
  uint64_t rows = 0;  // of the view
  std::vector<Column> columns;
  // Rows as text, NULL as nothing; the first of each kind.  Missing: the query says so, the view
  // has no such row.
  using Row = std::vector<std::optional<std::string>>;
  std::vector<Row> missing, unexpected;
  uint64_t missing_rows = 0, unexpected_rows = 0;
  std::string left_open;       // why both may be right though they differ: sql/left_open
  std::optional<Error> error;  // it could not be checked
};

struct VerifyReport {
  std::vector<ViewVerdict> views;
  bool equal = true;       // of those that can be compared
  bool comparable = true;  // all of them
};

class Verify {
 public:
  Verify(Catalog& catalog, Views& views, BatchEngine& batch)
      : catalog_(catalog), views_(views), batch_(batch) {}

  // One view or stream, or all materialized views and all streams that pumps feed when `name` is
  // empty.  Throws kUnknownView.
  VerifyReport Run(const std::string& name = "");

 private:
  ViewVerdict Check(const View& view);
  ViewVerdict Check(const CatalogState& catalog, const Stream& stream);
  BatchResult Ask(KernelSql sql, const InputMark& at);

  Catalog& catalog_;
  Views& views_;
  BatchEngine& batch_;
};

// {"equal": true, "views": [{"name", "equal", "rows", "offset", "as_of", "columns", "missing",
// ...}]}
std::string ToJson(const VerifyReport& report);

}  // namespace weir
