// weir_on_time and weir_closed (sql/event_time.h) in bound plans.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "duck/plan/plan_node.h"

namespace duckdb {
class DuckDB;
}

namespace weir {

// Registers both; called once by Kernel.  weir_closed has no value of its own: the circuit has an
// operator for it.
void InstallEventTimeFunctions(duckdb::DuckDB& database);

// weir_on_time(end, lateness, _watermark, stream): a row with a lower end comes no more once the
// stream's watermark is past it.
struct OnTime {
  ExpressionPtr end;
  Micros lateness;
  std::string stream;
};
std::optional<OnTime> AsOnTime(const ExpressionPtr& predicate);

// weir_closed(end, lateness, stream).
std::optional<OnTime> AsClosed(const duckdb::Expression& predicate);

// A time and the constant that is added to it: itself and nothing when none is.  Days of local
// time and months are no constant.
struct ShiftedTime {
  ExpressionPtr time;
  Micros shift = 0;
};
ShiftedTime AsShiftedTime(const ExpressionPtr& expression);

// A time, over the columns of some rows, in terms of `projected`, expressions of the same rows: all
// the ways there are.  Of c both c and c + 1 hour tell, the latter with a shift of -1 hour.
std::vector<ShiftedTime> InTermsOf(const ExpressionPtr& time,
                                   const std::vector<ExpressionPtr>& projected);
// The other way round: an expression over `projected` as one over those rows.
ExpressionPtr BelowProjection(const ExpressionPtr& expression,
                              const std::vector<ExpressionPtr>& projected);

}  // namespace weir
