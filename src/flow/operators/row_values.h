// Expressions over rows of which some may fail: those are named one by one, the others have their
// values.  For operators that cannot be called again with fewer rows (operator.h), since others
// have been told of the chunk as well.
#pragma once

#include <vector>

#include "duck/errors.h"
#include "duck/evaluator.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "flow/operator.h"
#include "flow/state/halves.h"

namespace weir {

class RowValues {
 public:
  RowValues(std::shared_ptr<Session> session, std::vector<ExpressionPtr> expressions)
      : evaluator_(std::move(session), std::move(expressions)) {}

  // The values of each row, NULLs where one has failed; valid until the next call.
  // `on_failure(row, why)` is called for each row that fails.
  template <class OnFailure>
  duckdb::DataChunk& Run(duckdb::DataChunk& rows, OnFailure on_failure) {
    any_failed_ = false;
    try {
      return evaluator_.Run(rows);
    } catch (const ExpressionFailed&) {
      any_failed_ = true;
    }
    failed_.assign(rows.size(), false);
    parts_.Destroy();
    parts_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(evaluator_.types()));
    RunParts(rows, 0, on_failure);
    return parts_;
  }
  // Of the last call.
  bool any_failed() const { return any_failed_; }
  const std::vector<uint8_t>& failed() const { return failed_; }  // by row, where any has

 private:
  // Halves what failed until the rows that do stand alone; they go from `first` on into parts_.
  template <class OnFailure>
  void RunParts(duckdb::DataChunk& rows, duckdb::idx_t first, OnFailure& on_failure) {
    auto count = rows.size();
    try {
      auto& values = evaluator_.Run(rows);
      for (size_t c = 0; c < values.ColumnCount(); c++) {
        duckdb::VectorOperations::Copy(values.data[c], parts_.data[c], count, 0, first);
      }
    } catch (const ExpressionFailed& why) {
      if (count == 1) {
        for (auto& column : parts_.data) duckdb::FlatVector::SetNull(column, first, true);
        failed_[first] = true;
        return on_failure(first, why);
      }
      EachHalf(rows, [&](duckdb::DataChunk& half, duckdb::idx_t start) {
        RunParts(half, first + start, on_failure);
      });
    }
  }

  Evaluator evaluator_;
  duckdb::DataChunk parts_;
  bool any_failed_ = false;
  std::vector<uint8_t> failed_;
};

}  // namespace weir
