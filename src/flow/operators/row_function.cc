// The rows a table function makes of each row, with the row's weight.
#include "duck/row_function.h"

#include <algorithm>

#include "base/error.h"
#include "duck/errors.h"
#include "flow/operators/operators.h"

namespace weir {
namespace {

class RowFunctionOperator : public Operator {
 public:
  RowFunctionOperator(SessionPtr session, RowFunctionPtr function, RowTypes types, bool append_only)
      : Operator(function->name, std::move(types), append_only),
        runner_(std::move(session), std::move(function)) {
    out_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(this->types()));
  }

  void Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) override {
    for (duckdb::idx_t row = 0; row < rows.size(); row++) {
      int64_t weight = weights ? weights[row] : 1;
      duckdb::idx_t begin = out_.size();
      bool went = false;  // some of what the row becomes
      try {
        runner_.Run(rows, row, [&](duckdb::DataChunk& made) {
          CHECK(made.size() <= STANDARD_VECTOR_SIZE && made.ColumnCount() == out_.ColumnCount());
          if (out_.size() + made.size() > STANDARD_VECTOR_SIZE) {
            went = out_.size() > begin || went;
            Send(weights);
            begin = 0;
          }
          std::fill_n(weights_ + out_.size(), made.size(), weight);
          out_.Append(made);
        });
      } catch (const ExpressionFailed& why) {
        if (went) throw Error(why);
        out_.SetCardinality(begin);
        Reject(inputs[0]->TextOf(rows, row), weight, why);
      }
    }
    Send(weights);
  }

 private:
  void Send(const int64_t* weights) {
    if (out_.size() == 0) return;
    Emit(out_, weights ? weights_ : nullptr);
    out_.Reset();
  }

  RowFunctionRunner runner_;
  duckdb::DataChunk out_;
  int64_t weights_[STANDARD_VECTOR_SIZE];
};

}  // namespace

std::unique_ptr<Operator> MakeRowFunction(SessionPtr session,
                                          std::shared_ptr<const RowFunction> function,
                                          RowTypes types, bool append_only) {
  return std::make_unique<RowFunctionOperator>(std::move(session), std::move(function),
                                               std::move(types), append_only);
}

}  // namespace weir
