// The calendar of local times, which are counted in microseconds as if they were UTC.  Plain
// arithmetic of the proleptic Gregorian calendar, within some ten thousand years of 1970.
#pragma once

#include <algorithm>
#include <chrono>

#include "base/ids.h"

namespace weir {

inline constexpr Micros kCivilDay = 86'400'000'000;

inline int64_t FloorDivide(int64_t value, int64_t by) {
  int64_t whole = value / by;
  return whole - (value % by < 0 ? 1 : 0);
}
inline Micros FloorTo(Micros value, Micros unit) { return FloorDivide(value, unit) * unit; }

// Months since January 1970.
inline int64_t CivilMonth(Micros local) {
  using namespace std::chrono;
  year_month_day day{sys_days{days{FloorDivide(local, kCivilDay)}}};
  return (static_cast<int>(day.year()) - 1970) * int64_t{12} + static_cast<unsigned>(day.month()) -
         1;
}

inline std::chrono::year_month YearMonth(int64_t month) {
  using namespace std::chrono;
  return year{1970 + static_cast<int>(FloorDivide(month, 12))} /
         std::chrono::month{static_cast<unsigned>(month - FloorDivide(month, 12) * 12 + 1)};
}

inline Micros StartOfMonth(int64_t month) {
  using namespace std::chrono;
  return sys_days{YearMonth(month) / 1}.time_since_epoch().count() * kCivilDay;
}

// The same day and time so many months on, or the last day of a shorter month.
inline Micros AddMonths(Micros local, int64_t months) {
  using namespace std::chrono;
  Micros day = FloorTo(local, kCivilDay);
  auto of_month =
      static_cast<unsigned>(year_month_day{sys_days{days{FloorDivide(local, kCivilDay)}}}.day());
  auto there = YearMonth(CivilMonth(local) + months);
  auto last = static_cast<unsigned>(year_month_day_last{there / std::chrono::last}.day());
  sys_days moved{there / std::chrono::day{std::min(of_month, last)}};
  return moved.time_since_epoch().count() * kCivilDay + (local - day);
}

}  // namespace weir
