// date_trunc and time_bucket of a time column, fast: DuckDB asks ICU's calendar for each row, or
// takes each time apart, which costs more than all else a view does, and neighbouring events nearly
// always round alike.
//
// What rounds to one value is an interval of time, so two times that round alike vouch for all
// between them.  Such intervals are learnt from DuckDB's own answers and kept; nothing is computed
// here.  Belongs to one thread at a time.
#pragma once

#include <array>
#include <memory>

#include "duck/plan/plan_node.h"
#include "duck/session.h"
#include "duckdb/common/types/vector.hpp"

namespace weir {

class Rounding {
 public:
  // Null when the expression is not date_trunc of a TIMESTAMP or TIMESTAMPTZ column to a constant
  // unit, or its time_bucket of a constant width without days and months.
  static std::unique_ptr<Rounding> Make(std::shared_ptr<Session> session,
                                        const duckdb::Expression& expression);
  ~Rounding();

  size_t column() const { return column_; }
  // How many times DuckDB was asked about so far.
  uint64_t asked() const { return asked_; }
  void Run(duckdb::Vector& times, duckdb::idx_t count, duckdb::Vector& out);

 private:
  Rounding();
  struct Interval {
    int64_t from = INT64_MAX, to = INT64_MIN;  // both inclusive
    int64_t rounded = 0;
  };
  struct Executor;
  static constexpr size_t kIntervals = 1024;
  static constexpr size_t kLearnedAtOnce = 32;  // of one vector: learning costs microseconds

  Interval& Place(int64_t time) {
    return intervals_[static_cast<uint64_t>(time / shortest_) % kIntervals];
  }
  void Learn(int64_t time);
  const int64_t* Ask(size_t count);

  size_t column_ = 0;
  uint64_t asked_ = 0;
  int64_t shortest_ = 1, longest_ = 1;  // the unit can be, microseconds
  std::array<Interval, kIntervals> intervals_;
  std::unique_ptr<Executor> executor_;
};

}  // namespace weir
