// How many rows a step takes, so that views move often while much waits, and no step is so small
// that its fixed costs (each view's, each touched group's) are most of it.
//
// What a step takes is assumed to be `fixed + each * rows`, fitted by least squares to the last
// steps, old ones counting less and less.  Engine thread only.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/error.h"
#include "base/ids.h"

namespace weir {

class StepSize {
 public:
  // A step should take `target`.
  explicit StepSize(Micros target) : target_(static_cast<double>(target)) {}

  uint64_t Rows() const { return rows_; }

  void Note(uint64_t rows, Micros took) {
    if (rows == 0) return;
    auto x = static_cast<double>(rows), y = static_cast<double>(std::max<Micros>(took, 1));
    for (double* sum : {&count_, &x_, &y_, &xx_, &xy_}) *sum *= kMemory;
    count_ += 1;
    x_ += x;
    y_ += y;
    xx_ += x * x;
    xy_ += x * y;
    largest_ = std::max(x, largest_ * kMemory);
    Decide();
  }

 private:
  static constexpr double kMemory = 0.9;
  // Fixed costs are at most a tenth of a step, whatever it takes then.
  static constexpr double kOverFixed = 9;
  static constexpr double kRowsMin = 2'048, kRowsFirst = 8'192;
  static constexpr double kGrowth = 4;  // further than this nothing is foretold

  void Decide() {
    // Steps of one size do not tell the two apart: then the fixed part is what it was.
    double spread = xx_ - x_ * x_ / count_;
    if (spread > 1e-3 * xx_) {
      double slope = (xy_ - x_ * y_ / count_) / spread;
      fixed_ = std::max((y_ - slope * x_) / count_, 0.0);
    }
    double mean = y_ / x_;
    double each = std::max((y_ - fixed_ * count_) / x_, mean / 20);
    double rows = std::max((target_ - fixed_) / each, kOverFixed * fixed_ / each);
    DEBUG_ASSERT(each > 0 && std::isfinite(rows));
    rows = std::min(rows, std::max(kRowsFirst, kGrowth * largest_));
    rows_ = static_cast<uint64_t>(std::max(rows, kRowsMin));
  }

  const double target_;
  double count_ = 0, x_ = 0, y_ = 0, xx_ = 0, xy_ = 0, largest_ = 0, fixed_ = 0;
  uint64_t rows_ = static_cast<uint64_t>(kRowsFirst);
};

}  // namespace weir
