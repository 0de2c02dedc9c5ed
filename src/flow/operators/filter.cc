#include "duck/evaluator.h"
#include "flow/operators/operators.h"

namespace weir {
namespace {

class Filter : public Operator {
 public:
  Filter(SessionPtr session, std::vector<ExpressionPtr> predicates, RowTypes types,
         bool append_only)
      : Operator("filter", std::move(types), append_only),
        passes_only_(AsColumnEquals(*predicates[0])),
        selector_(std::move(session), std::move(predicates)) {
    kept_.InitializeEmpty(DuckTypes(this->types()));
  }

  const ColumnEquals* passes_only() const override {
    return passes_only_ ? &*passes_only_ : nullptr;
  }

  void Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) override {
    auto count = selector_.Select(rows, selection_);
    if (count == 0) return;
    if (count == rows.size()) return Emit(rows, weights);
    kept_.Reference(rows);
    kept_.Slice(selection_, count);
    if (weights) {
      for (duckdb::idx_t i = 0; i < count; i++) weights_[i] = weights[selection_.get_index(i)];
    }
    Emit(kept_, weights ? weights_ : nullptr);
  }

  // Its rows are those of its input.
  std::string TextOf(duckdb::DataChunk& rows, duckdb::idx_t row) const override {
    return inputs.empty() ? ValuesOf(rows, row) : inputs[0]->TextOf(rows, row);
  }

 private:
  std::optional<ColumnEquals> passes_only_;
  Selector selector_;
  duckdb::SelectionVector selection_{STANDARD_VECTOR_SIZE};
  duckdb::DataChunk kept_;
  int64_t weights_[STANDARD_VECTOR_SIZE];
};

}  // namespace

std::unique_ptr<Operator> MakeFilter(SessionPtr session, std::vector<ExpressionPtr> predicates,
                                     RowTypes types, bool append_only) {
  return std::make_unique<Filter>(std::move(session), std::move(predicates), std::move(types),
                                  append_only);
}

}  // namespace weir
