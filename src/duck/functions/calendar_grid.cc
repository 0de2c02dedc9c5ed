#include "duck/functions/calendar_grid.h"

#include "duck/functions/civil_time.h"
#include "duckdb/common/exception.hpp"

namespace weir {
namespace {

// Sums of two such do not overflow.
constexpr Micros kFarthest = INT64_MAX / 4;

Micros WithoutMonths(duckdb::interval_t length) {
  Micros micros = 0;
  if (__builtin_mul_overflow(int64_t{length.days}, kCivilDay, &micros) ||
      __builtin_add_overflow(micros, length.micros, &micros) || micros > kFarthest ||
      micros < -kFarthest) {
    throw duckdb::OutOfRangeException("a window is too long");
  }
  return micros;
}

Micros Moved(Micros local, duckdb::interval_t by) {
  if (by.months != 0) local = AddMonths(local, by.months);
  return local + WithoutMonths(by);
}

}  // namespace

CalendarGrid::CalendarGrid(const Zone* zone, duckdb::interval_t length, duckdb::interval_t offset)
    : zone_(zone), length_(length) {
  bool mixed = length.months != 0 && (length.days != 0 || length.micros != 0);
  if (mixed) {
    throw duckdb::InvalidInputException(
        "a window is so many months long, or so many days and hours, not both");
  }
  step_ = WithoutMonths(length);
  if (length.months < 0 || (length.months == 0 && step_ <= 0)) {
    throw duckdb::InvalidInputException("a window is longer than nothing");
  }
  months_ = length.months;
  first_month_ = offset.months;
  origin_ = months_ ? WithoutMonths(offset) : Moved(0, offset);
  is_fixed_ = months_ == 0 && (!zone || length.days == 0);
}

Micros CalendarGrid::LocalOf(int64_t number) const {
  if (months_) return StartOfMonth(first_month_ + number * months_) + origin_;
  return origin_ + number * step_;
}

Micros CalendarGrid::BeginningOf(int64_t number) const {
  Micros local = LocalOf(number);
  return is_fixed_ || !zone_ ? local : zone_->InstantOf(local);
}

Micros CalendarGrid::After(int64_t number, duckdb::interval_t more) const {
  Micros beginning = BeginningOf(number);
  if (!zone_) return Moved(beginning, more);
  if (more.months == 0 && more.days == 0) return beginning + WithoutMonths(more);
  return zone_->InstantOf(Moved(is_fixed_ ? zone_->LocalAt(beginning) : LocalOf(number), more));
}

int64_t CalendarGrid::NumberAt(Micros time) const {
  // Far from 1970 even years are more than the calendar counts.
  if (time > kFarthest / 4 || time < -kFarthest / 4) {
    throw duckdb::OutOfRangeException("a time is too far from 1970 for windows");
  }
  Micros local = is_fixed_ || !zone_ ? time : zone_->LocalAt(time);
  int64_t number = months_ ? FloorDivide(CivilMonth(local - origin_) - first_month_, months_)
                           : FloorDivide(local - origin_, step_);
  if (is_fixed_ || !zone_) return number;
  while (BeginningOf(number + 1) <= time) number++;
  while (BeginningOf(number) > time) number--;
  return number;
}

bool IsWholeSteps(duckdb::interval_t length, duckdb::interval_t step) {
  if (length.months && step.months) {
    return length.months % step.months == 0 && WithoutMonths(length) == 0 &&
           WithoutMonths(step) == 0;
  }
  if (step.months) return false;
  Micros by = WithoutMonths(step);
  if (by <= 0) return false;
  // A month has a whole number of days.
  return length.months ? WithoutMonths(length) == 0 && kCivilDay % by == 0
                       : WithoutMonths(length) % by == 0;
}

}  // namespace weir
