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
#include <string>
#include <unordered_map>
#include <vector>

#include "flow/operator.h"
#include "flow/row_layout.h"

namespace weir {

class Router {
 public:
  static constexpr size_t kFewest = 16;  // filters on one column, below which each is asked

  // For the edges of `from`; null when they are not worth it.
  static std::unique_ptr<Router> Make(const Operator& from);

  void Push(duckdb::DataChunk& rows, const int64_t* weights);
  void Flush();

 private:
  struct Found {  // a row and one of the filters it goes to
    size_t route;
    size_t offset;  // in bytes_
    int64_t weight;
  };
  struct Lookup {
    size_t column;
    std::unordered_map<uint64_t, std::vector<size_t>> routes;  // by hash of the constant
  };

  Router(const RowTypes& types, std::vector<bool> reads);
  void Find(const Lookup& lookup, duckdb::DataChunk& rows);

  RowTypes types_;
  std::vector<size_t> kept_columns_;  // those that somebody reads
  RowLayout layout_;
  std::vector<Operator::Edge> others_, routes_;
  std::vector<Lookup> lookups_;

  std::vector<std::pair<duckdb::sel_t, size_t>> matches_;  // row and route, of the rows at hand
  std::vector<Found> found_;
  std::string bytes_;  // encoded rows
  duckdb::DataChunk kept_, gathered_, out_;
};

}  // namespace weir
