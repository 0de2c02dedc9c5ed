// DuckDB's exceptions as ours.
#pragma once

#include <string_view>

#include "base/error.h"

namespace weir {

// Call inside a catch block: what is being thrown, as Error.  duckdb::Exception, Error, bad_alloc
// and std::exception all become one; the code follows the kind of the DuckDB exception.
Error CurrentError();

// An expression that fails on the values of a row (a bad cast, an overflow): about data, no bug of
// ours.  Operators send such rows to their error rows (flow/failed_rows.h).
class ExpressionFailed : public Error {
 public:
  ExpressionFailed(Error error, std::string expression)
      : Error(std::move(error)), expression(std::move(expression)) {}
  std::string expression;
};

// Call inside a catch block: throws what is being thrown as ExpressionFailed when values of rows
// are the cause, and otherwise as it is.
[[noreturn]] void RethrowExpressionFailure(const std::string& expression);

// As CurrentError for a query that failed to parse or bind: kInvalidSql, with "LINE:COLUMN: " in
// front and the line with a caret in the hint when DuckDB says where.
Error SqlErrorFromDuck(std::string_view sql);

// The line of `text` that holds byte `position`, a newline, and a caret below the place.
std::string CaretBelow(std::string_view text, size_t position);
// 1-based line and column of a byte.
std::pair<size_t, size_t> LineAndColumn(std::string_view text, size_t position);

}  // namespace weir
