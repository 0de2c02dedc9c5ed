#include "flow/aggregates/aggregate_state.h"

#include "duck/native_aggregate.h"

namespace weir {
namespace {

bool IsExtreme(const AggregateCall& call) {
  return (call.function == "min" || call.function == "max") && call.arguments.size() == 1;
}

bool IsCount(const AggregateCall& call) {
  return call.function == "count_star" || (call.function == "count" && call.arguments.size() <= 1);
}

class NativeState : public AggregateState {
 public:
  explicit NativeState(const AggregateCall& call) : aggregate_(call) {}
  void Grow(size_t slots) override { aggregate_.Grow(slots); }
  void Update(duckdb::DataChunk& arguments, const uint32_t* slots,
              const int64_t* weights) override {
    CHECK(!weights);
    aggregate_.Update(arguments, slots);
  }
  void Result(const uint32_t* slots, duckdb::idx_t count, duckdb::Vector& out) override {
    aggregate_.Result(slots, count, out);
  }
  void Clear(uint32_t) override { CHECK(!"groups of growing input are never cleared"); }
  size_t Bytes() const override { return aggregate_.Bytes(); }
  bool CanSave() const override { return false; }
  void Save(StateWriter&) const override { CHECK(!"not saved"); }
  void Load(StateReader&) override { CHECK(!"not saved"); }

 private:
  NativeAggregate aggregate_;
};

}  // namespace

std::unique_ptr<AggregateState> MakeNative(const AggregateCall& call) {
  return std::make_unique<NativeState>(call);
}

bool HasClosedForm(const AggregateCall& call) {
  if (call.ordered) return false;
  return IsCount(call) || IsExtreme(call) || MakeSum(call) != nullptr;
}

std::unique_ptr<AggregateState> MakeAggregateState(const AggregateCall& call, bool append_only) {
  if (call.function == kSumOfCounts) return MakeSumOfCounts();
  if (call.function == kAverageOfParts) return MakeAverageOfParts(call);
  std::unique_ptr<AggregateState> state;
  if (!call.ordered) {
    if (IsCount(call)) {
      state = MakeCount(call.function == "count_star" || call.arguments.empty());
    } else if (IsExtreme(call)) {
      // The same value twice does not change an extreme.
      return MakeExtreme(call, append_only);
    } else {
      state = MakeSum(call);
    }
  }
  if (!state) state = MakeNative(call);
  if (call.distinct) state = MakeDistinct(call, std::move(state));
  return state;
}

}  // namespace weir
