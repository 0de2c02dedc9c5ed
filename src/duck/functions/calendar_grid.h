// Where windows of one length begin, one after the other: at 1970-01-01 and so many lengths from
// there, by the calendar of a zone where days or months are counted.
#pragma once

#include "base/ids.h"
#include "duck/functions/zone.h"
#include "duckdb/common/types/interval.hpp"

namespace weir {

class CalendarGrid {
 public:
  // `zone`: null for local times, which have no clocks to be set.  It must outlive the grid. Throws
  // duckdb::InvalidInputException for a length that is none.
  CalendarGrid(const Zone* zone, duckdb::interval_t length, duckdb::interval_t offset);

  // The number of the last beginning that is not after `time`.
  int64_t NumberAt(Micros time) const;
  Micros BeginningOf(int64_t number) const;
  // What is one `more` after a beginning, by the calendar.
  Micros After(int64_t number, duckdb::interval_t more) const;
  // A day that no clock shows: its window has no time in it.
  bool IsEmpty(int64_t number) const { return BeginningOf(number) == BeginningOf(number + 1); }

  // Whether so many microseconds and no calendar say where all begin.
  bool is_fixed() const { return is_fixed_; }

 private:
  Micros LocalOf(int64_t number) const;

  const Zone* zone_;
  duckdb::interval_t length_;
  bool is_fixed_;
  int64_t months_ = 0, first_month_ = 0;  // in lengths of months
  Micros step_ = 0, origin_ = 0;
};

// Whether a length is so many steps, by the calendar.
bool IsWholeSteps(duckdb::interval_t length, duckdb::interval_t step);

}  // namespace weir
