#include "base/error.h"
#include "flow/aggregates/aggregate_state.h"
#include "flow/state/large_array.h"
#include "flow/state/slot_runs.h"
#include "flow/state/weights.h"

namespace weir {
namespace {

// count(*) and count(x): a weight sum.
class Count : public AggregateState {
 public:
  explicit Count(bool count_rows) : count_rows_(count_rows) {}

  void Grow(size_t slots) override { counts_.Resize(slots); }
  void Prefetch(const uint32_t* slots, duckdb::idx_t count) const override {
    for (duckdb::idx_t i = 0; i < count; i++) __builtin_prefetch(&counts_[slots[i]]);
  }

  void Update(duckdb::DataChunk& arguments, const uint32_t* slots,
              const int64_t* weights) override {
    auto rows = arguments.size();
    if (count_rows_ && !weights && AllOne(slots, rows)) {
      if (rows) counts_[slots[0]] += static_cast<int64_t>(rows);
      return;
    }
    if (count_rows_) {
      for (duckdb::idx_t i = 0; i < rows; i++)
        AddWeight(counts_[slots[i]], weights ? weights[i] : 1);
      return;
    }
    duckdb::UnifiedVectorFormat format;
    arguments.data[0].ToUnifiedFormat(rows, format);
    for (duckdb::idx_t i = 0; i < rows; i++) {
      if (format.validity.RowIsValid(format.sel->get_index(i))) {
        AddWeight(counts_[slots[i]], weights ? weights[i] : 1);
      }
    }
  }

  void Result(const uint32_t* slots, duckdb::idx_t count, duckdb::Vector& out) override {
    auto* values = duckdb::FlatVector::GetDataUnsafe<int64_t>(out);
    for (duckdb::idx_t i = 0; i < count; i++) values[i] = counts_[slots[i]];
  }

  void Clear(uint32_t slot) override { counts_[slot] = 0; }
  size_t Bytes() const override { return counts_.Bytes(); }
  void SaveSlot(uint32_t slot, StateWriter& writer) const override { writer.Put(counts_[slot]); }
  void LoadSlot(uint32_t slot, StateReader& reader) override {
    counts_[slot] = reader.Get<int64_t>();
  }

 private:
  bool count_rows_;
  LargeArray<int64_t> counts_;
};

// The sum of partial counts: 0 for none.
class SumOfCounts : public AggregateState {
 public:
  void Grow(size_t slots) override { counts_.Resize(slots); }
  void Prefetch(const uint32_t* slots, duckdb::idx_t count) const override {
    for (duckdb::idx_t i = 0; i < count; i++) __builtin_prefetch(&counts_[slots[i]]);
  }
  void Update(duckdb::DataChunk& arguments, const uint32_t* slots,
              const int64_t* weights) override {
    duckdb::UnifiedVectorFormat format;
    arguments.data[0].ToUnifiedFormat(arguments.size(), format);
    auto* parts = duckdb::UnifiedVectorFormat::GetDataUnsafe<int64_t>(format);
    for (duckdb::idx_t i = 0; i < arguments.size(); i++) {
      DEBUG_ASSERT(format.validity.RowIsValid(format.sel->get_index(i)));  // of nothing it is 0
      AddWeight(counts_[slots[i]],
                WeightProduct(parts[format.sel->get_index(i)], weights ? weights[i] : 1));
    }
  }
  void Result(const uint32_t* slots, duckdb::idx_t count, duckdb::Vector& out) override {
    auto* values = duckdb::FlatVector::GetDataUnsafe<int64_t>(out);
    for (duckdb::idx_t i = 0; i < count; i++) values[i] = counts_[slots[i]];
  }
  void Clear(uint32_t slot) override { counts_[slot] = 0; }
  size_t Bytes() const override { return counts_.Bytes(); }
  void SaveSlot(uint32_t slot, StateWriter& writer) const override { writer.Put(counts_[slot]); }
  void LoadSlot(uint32_t slot, StateReader& reader) override {
    counts_[slot] = reader.Get<int64_t>();
  }

 private:
  LargeArray<int64_t> counts_;
};

}  // namespace

std::unique_ptr<AggregateState> MakeSumOfCounts() { return std::make_unique<SumOfCounts>(); }

std::unique_ptr<AggregateState> MakeCount(bool count_rows) {
  return std::make_unique<Count>(count_rows);
}

}  // namespace weir
