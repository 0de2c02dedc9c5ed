#include "flow/aggregates/aggregate_state.h"

#include "base/error.h"
#include "duck/native_aggregate.h"

namespace weir {
namespace {

bool IsExtreme(const AggregateCall& call) {
  return (call.function == "min" || call.function == "max") && call.arguments.size() == 1;
}

bool IsCount(const AggregateCall& call) {
  return call.function == "count_star" || (call.function == "count" && call.arguments.size() <= 1);
}

// DuckDB's heaps of the n best are sorted in place by the first look at them.
bool FinishesOnce(const AggregateCall& call) {
  bool best = call.function.starts_with("min") || call.function.starts_with("max") ||
              call.function.starts_with("arg_");
  return best && call.type.id() == duckdb::LogicalTypeId::LIST;
}

class NativeState : public AggregateState {
 public:
  explicit NativeState(const AggregateCall& call) : function_(call.function), aggregate_(call) {}
  void Grow(size_t slots) override { aggregate_.Grow(slots); }
  void Update(duckdb::DataChunk& arguments, const uint32_t* slots,
              const int64_t* weights) override {
    if (!weights) return aggregate_.Update(arguments, slots);
    // Rows that came several times; rare.
    auto add = [&] {
      if (repeated_.ColumnCount() == 0) repeated_.InitializeEmpty(arguments.GetTypes());
      repeated_.Reference(arguments);
      repeated_.Slice(rows_, repeated_count_);
      aggregate_.Update(repeated_, repeated_slots_);
      repeated_count_ = 0;
    };
    for (duckdb::idx_t row = 0; row < arguments.size(); row++) {
      CHECK(weights[row] >= 0);
      for (int64_t copies = weights[row]; copies > 0; copies--) {
        rows_.set_index(repeated_count_, row);
        repeated_slots_[repeated_count_++] = slots[row];
        if (repeated_count_ == STANDARD_VECTOR_SIZE) add();
      }
    }
    if (repeated_count_ > 0) add();
    CHECK(repeated_count_ == 0);
  }
  void Result(const uint32_t* slots, duckdb::idx_t count, duckdb::Vector& out) override {
    aggregate_.Result(slots, count, out);
  }
  void Clear(uint32_t) override { CHECK(!"groups of growing input are never cleared"); }
  size_t Bytes() const override { return aggregate_.Bytes(); }
  Upkeep HowKept() const override {
    Upkeep upkeep;
    upkeep.Add(Upkeep::Rung::kClosedForm,
               function_ +
                   " is kept in a state of DuckDB's that no checkpoint holds: a start "
                   "reads its input from the beginning");
    return upkeep;
  }
  bool CanSave() const override { return false; }
  void SaveSlot(uint32_t, StateWriter&) const override { CHECK(!"not saved"); }
  void LoadSlot(uint32_t, StateReader&) override { CHECK(!"not saved"); }

 private:
  std::string function_;
  NativeAggregate aggregate_;
  duckdb::DataChunk repeated_;
  duckdb::SelectionVector rows_{STANDARD_VECTOR_SIZE};
  uint32_t repeated_slots_[STANDARD_VECTOR_SIZE];
  duckdb::idx_t repeated_count_ = 0;
};

}  // namespace

std::unique_ptr<AggregateState> MakeNative(const AggregateCall& call) {
  return std::make_unique<NativeState>(call);
}

bool HasClosedForm(const AggregateCall& call) {
  if (!call.order.empty()) return false;
  return IsCount(call) || IsExtreme(call) || MakeSum(call) != nullptr;
}

// The same value twice does not change an extreme.
bool NeedsDistinct(const AggregateCall& call) {
  return call.distinct && (!IsExtreme(call) || !call.order.empty());
}

bool IsNative(const AggregateCall& call, bool append_only) {
  return append_only && call.function != kSumOfCounts && call.function != kAverageOfParts &&
         !HasClosedForm(call) && call.order.empty() && !FinishesOnce(call);
}

std::unique_ptr<AggregateState> MakeAggregateState(const AggregateCall& call, bool append_only,
                                                   bool once) {
  if (call.function == kSumOfCounts) return MakeSumOfCounts();
  if (call.function == kAverageOfParts) return MakeAverageOfParts(call);
  std::unique_ptr<AggregateState> state;
  if (call.order.empty()) {
    if (IsCount(call)) {
      state = MakeCount(call.function == "count_star" || call.arguments.empty());
    } else if (IsExtreme(call)) {
      return MakeExtreme(call, append_only);
    } else {
      state = MakeSum(call);
    }
  }
  if (!state) {
    bool native = IsNative(call, append_only) && !once;
    state = native ? MakeNative(call) : MakeKeptRows(call, append_only, once);
  }
  return state;
}

}  // namespace weir
