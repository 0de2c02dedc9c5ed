// Inner joins over one another as one operator: see delta_join.cc.
#pragma once

#include "flow/operators/arrange.h"
#include "flow/operators/operators.h"

namespace weir {

// Columns of all inputs are numbered through: those of the first, then those of the second, ...
struct DeltaJoinSpec {
  std::vector<RowTypes> inputs;
  // Columns that are equal, two at least in each; where null_is_value, NULL equals NULL.
  struct Equal {
    std::vector<size_t> columns;
    bool null_is_value = false;
  };
  std::vector<Equal> equal;
  std::vector<ExpressionPtr> tests;  // that must hold, too; they fail on no row
  // Of which input, and by which of its columns.  The first indexes are those of the inputs in
  // their order, one each; rows of an input are told through it.
  struct Index {
    size_t input;
    std::vector<size_t> columns;
  };
  std::vector<Index> indexes;
  std::vector<size_t> output;
  bool append_only = false;
};

// The inputs of the operator are the indexes.
std::unique_ptr<Operator> MakeDeltaJoin(const SessionPtr& session, const DeltaJoinSpec& spec);

}  // namespace weir
