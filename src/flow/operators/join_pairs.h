// The pairs that a chunk of changes of one side of a join makes with the rows of the other side: by
// key, and by a further condition if there is one.
//
// Pairs of which the condition fails are failed rows, and partners to nobody.
#pragma once

#include <functional>
#include <memory>

#include "duck/errors.h"
#include "flow/operators/arrange.h"
#include "flow/operators/operators.h"

namespace weir {

class JoinPairs {
 public:
  // Pairs that belong together, as chunks of the left columns and the right ones.
  using Take = std::function<void(duckdb::DataChunk& pairs, const int64_t* weights)>;
  // Row `row` of the chunk and one of the other side belong together; or not `known`: the condition
  // is NULL.
  using Match = std::function<void(duckdb::idx_t row, RowRef partner, bool known)>;
  using Fail = std::function<void(std::string pair, int64_t weight, const ExpressionFailed& why)>;

  JoinPairs(const SessionPtr& session, const JoinSpec& spec);

  // May be left out: what is taken of pairs, and what is noted of them.
  Take take;
  Match match;
  Fail fail;

  // `slots` has the key of each row of `side` among those of `other`, or kNoSlot.
  // `with_change`: the other side's rows with the change at hand (rows.h).
  void Make(int side, duckdb::DataChunk& rows, const int64_t* weights, const uint32_t* slots,
            const Arrangement& other, bool with_change);
  // All pairs of rows that have these keys, with the product of their weights times `sign`.
  void MakeAll(const Arrangement& left, uint32_t left_slot, const Arrangement& right,
               uint32_t right_slot, int64_t sign);

 private:
  struct Change {  // at hand
    int side;
    duckdb::DataChunk* rows;
    const int64_t* weights;
    const Arrangement* other;
  };
  void Settle(const Change& change);
  void Judge(duckdb::DataChunk& pairs, duckdb::idx_t first);
  void JudgeParts(duckdb::DataChunk& pairs, duckdb::idx_t first, const ExpressionFailed& why);
  void Choose(duckdb::idx_t pair);

  size_t widths_[2];
  std::unique_ptr<Evaluator> condition_;
  duckdb::DataChunk pairs_, fetched_[2];

  // Pairs that are collected.
  duckdb::idx_t count_ = 0, chosen_count_ = 0;
  duckdb::SelectionVector rows_{STANDARD_VECTOR_SIZE}, chosen_{STANDARD_VECTOR_SIZE};
  RowRef partners_[STANDARD_VECTOR_SIZE];
  int64_t weights_[STANDARD_VECTOR_SIZE], chosen_weights_[STANDARD_VECTOR_SIZE];
  bool only_additions_ = true;
};

}  // namespace weir
