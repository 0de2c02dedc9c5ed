// Rows to the filters that let them pass.  Where many filters above one operator each ask that a
// column be a constant (a thousand views, one for each customer), one look-up a row finds those of
// which it can be said, and nobody else is asked.
//
// Rows are collected until the step ends, so that each filter gets its few rows at once and not one
// of each vector.  A filter tests what it gets all the same: two constants with one hash do no
// harm. Owned by the operator whose rows it hands on; part of the circuit's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "flow/column_buffer.h"
#include "flow/operator.h"
#include "flow/state/slot_index.h"

namespace weir {

class FilterRouter {
 public:
  static constexpr size_t kFewest = 16;  // filters on one column, below which each is asked

  // For the edges of `from`; null when they are not worth it.
  static std::unique_ptr<FilterRouter> Make(const Operator& from);

  void Push(duckdb::DataChunk& rows, const int64_t* weights);
  void Flush();
  // Of what is collected.
  void CheckInvariants() const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Route {  // to one filter
    Operator::Edge edge;
    uint64_t hash;          // of its constant
    uint32_t next = kNone;  // the next one with that hash
    uint32_t count = 0;     // of collected rows
    uint32_t place = 0;     // of its next one among all, in order of routes
  };
  struct Lookup {
    size_t column;
    SlotIndex first;  // routes, by hash
  };
  struct Found {
    uint32_t route, row;  // a collected row, and one of the filters it goes to
  };

  FilterRouter(const RowTypes& types, std::vector<bool> reads);
  void Add(size_t column, const duckdb::Value& constant, const Operator::Edge& edge);
  void Find(const Lookup& lookup, duckdb::DataChunk& rows);
  void Keep(duckdb::DataChunk& rows, const int64_t* weights);

  std::vector<size_t> kept_columns_;  // those that somebody reads
  RowTypes kept_types_;
  std::vector<Operator::Edge> others_;
  std::vector<Route> routes_;
  std::vector<Lookup> lookups_;

  // Of the chunk at hand: the rows that go anywhere, and the place each is kept in.
  duckdb::SelectionVector chosen_{STANDARD_VECTOR_SIZE};
  duckdb::idx_t chosen_count_ = 0;
  uint32_t kept_in_[STANDARD_VECTOR_SIZE];

  ColumnBuffer rows_;             // collected
  std::vector<int64_t> weights_;  // of them; empty while all came once
  std::vector<Found> found_;
  std::vector<uint32_t> touched_;  // routes that have rows
  std::vector<uint32_t> sorted_;   // found rows, by route
  duckdb::DataChunk kept_, gathered_, out_;
};

}  // namespace weir
