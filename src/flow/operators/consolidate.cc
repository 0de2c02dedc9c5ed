// Equal rows of a step as one row with their weights added: where what follows makes many rows of
// each and only adds up weights (counts and sums over hopping windows), it then works on the few
// that differ.  Passes rows on as they are once they turn out to differ mostly.
//
// Cost: a look-up a row.  State: the distinct rows of the step at hand; between steps none,
// and the room of some.
#include "base/error.h"
#include "flow/operators/operators.h"
#include "flow/state/key_table.h"
#include "flow/state/weights.h"

namespace weir {
namespace {

class Consolidate : public Operator {
 public:
  explicit Consolidate(RowTypes types)
      : Operator("consolidate", std::move(types), false),
        table_(KeyTable::Make(this->types(), KeyTable::Forms::kApart)) {
    out_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(this->types()));
  }

  void Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) override {
    if (passes_on_) return Emit(rows, weights);
    table_->Resolve(rows, slots_);
    weights_.resize(table_->Slots());
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      AddWeight(weights_[slots_[i]], weights ? weights[i] : 1);
    }
    rows_in_ += rows.size();
    if (weights_.size() > kMostRows) Flush();
  }

  void Flush() override {
    CHECK(weights_.size() == table_->Slots());
    if (weights_.empty()) return;
    size_t count = 0;
    rows_out_ += weights_.size();
    for (uint32_t slot = 0; slot < weights_.size(); slot++) {
      if (weights_[slot] == 0) continue;
      slots_[count] = slot;
      chosen_weights_[count++] = weights_[slot];
      if (count == STANDARD_VECTOR_SIZE) EmitChosen(count);
    }
    if (count) EmitChosen(count);
    if (weights_.size() > kKeptRows) {
      table_ = KeyTable::Make(types(), KeyTable::Forms::kApart);
    } else {
      table_->Clear();
    }
    weights_.clear();
    passes_on_ = rows_in_ > kEnoughToTell && rows_out_ * 2 > rows_in_;
  }

  size_t StateBytes() const override {
    return table_->Bytes() + weights_.capacity() * sizeof(int64_t);
  }

 private:
  static constexpr size_t kMostRows = 1 << 18, kKeptRows = 1 << 15;
  static constexpr uint64_t kEnoughToTell = 100'000;

  void EmitChosen(size_t& count) {
    out_.Reset();
    table_->Keys(slots_, count, out_);
    out_.SetCardinality(count);
    Emit(out_, chosen_weights_);
    count = 0;
  }

  std::unique_ptr<KeyTable> table_;
  std::vector<int64_t> weights_;
  uint32_t slots_[STANDARD_VECTOR_SIZE];
  int64_t chosen_weights_[STANDARD_VECTOR_SIZE];
  duckdb::DataChunk out_;
  uint64_t rows_in_ = 0, rows_out_ = 0;
  bool passes_on_ = false;
};

}  // namespace

std::unique_ptr<Operator> MakeConsolidate(RowTypes types) {
  return std::make_unique<Consolidate>(std::move(types));
}

}  // namespace weir
