// One of DuckDB's own aggregate functions, kept one state for each group: for everything that has
// no closed form of ours, on input that only grows.  Not thread-safe.
#pragma once

#include <memory>
#include <vector>

#include "duck/plan/plan_node.h"
#include "duckdb/common/types/data_chunk.hpp"

namespace weir {

class NativeAggregate {
 public:
  explicit NativeAggregate(const AggregateCall& call);
  ~NativeAggregate();

  void Grow(size_t groups);
  // Row i of `arguments` goes to the state of group slots[i].
  void Update(duckdb::DataChunk& arguments, const uint32_t* slots);
  // Results of the groups, from `out`'s row 0.
  void Result(const uint32_t* slots, duckdb::idx_t count, duckdb::Vector& out);
  size_t Bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir
