// DISTINCT inside an aggregate: how often each group has each value.  The aggregate itself hears of
// a value when it is there for the first time and when it is gone.
#include "flow/aggregates/aggregate_state.h"
#include "flow/key_table.h"

namespace weir {
namespace {

class Distinct : public AggregateState {
 public:
  Distinct(const AggregateCall& call, std::unique_ptr<AggregateState> inner)
      : inner_(std::move(inner)) {
    RowTypes types{duckdb::LogicalType::UINTEGER};
    types.insert(types.end(), call.argument_types.begin(), call.argument_types.end());
    seen_ = KeyTable::Make(types);
    keys_.InitializeEmpty(DuckTypes(types));
    changed_.InitializeEmpty(DuckTypes(call.argument_types));
  }

  void Grow(size_t slots) override { inner_->Grow(slots); }

  void Update(duckdb::DataChunk& arguments, const uint32_t* slots,
              const int64_t* weights) override {
    duckdb::Vector groups(duckdb::LogicalType::UINTEGER,
                          reinterpret_cast<duckdb::data_ptr_t>(const_cast<uint32_t*>(slots)));
    keys_.data[0].Reference(groups);
    for (duckdb::idx_t i = 0; i < arguments.ColumnCount(); i++) {
      keys_.data[i + 1].Reference(arguments.data[i]);
    }
    keys_.SetCardinality(arguments.size());
    seen_slots_.resize(arguments.size());
    seen_->Resolve(keys_, seen_slots_.data());
    counts_.resize(seen_->Slots());

    duckdb::SelectionVector rows(arguments.size());
    std::vector<uint32_t> row_slots;
    std::vector<int64_t> row_weights;
    bool any_left = false;
    for (duckdb::idx_t i = 0; i < arguments.size(); i++) {
      int64_t& count = counts_[seen_slots_[i]];
      int64_t before = count;
      count += weights ? weights[i] : 1;
      int64_t change = (count > 0) - (before > 0);
      if (change == 0) continue;
      any_left |= change < 0;
      rows.set_index(row_slots.size(), i);
      row_slots.push_back(slots[i]);
      row_weights.push_back(change);
    }
    if (row_slots.empty()) return;
    changed_.Reference(arguments);
    changed_.Slice(rows, row_slots.size());
    inner_->Update(changed_, row_slots.data(), any_left ? row_weights.data() : nullptr);
    // Forget values that are gone for good, once the whole batch is in.
    if (weights) {
      for (duckdb::idx_t i = 0; i < arguments.size(); i++) {
        uint32_t slot = seen_slots_[i];
        if (counts_[slot] == 0) {
          counts_[slot] = kErased;
          seen_->Erase(slot);
        }
      }
      for (duckdb::idx_t i = 0; i < arguments.size(); i++) {
        if (counts_[seen_slots_[i]] == kErased) counts_[seen_slots_[i]] = 0;
      }
    }
  }

  void Result(const uint32_t* slots, duckdb::idx_t count, duckdb::Vector& out) override {
    inner_->Result(slots, count, out);
  }
  // A group is cleared when all its rows are gone, and then so are its values.
  void Clear(uint32_t slot) override { inner_->Clear(slot); }
  size_t Bytes() const override {
    return seen_->Bytes() + counts_.capacity() * sizeof(int64_t) + inner_->Bytes();
  }
  bool CanSave() const override { return inner_->CanSave(); }
  void Save(StateWriter& writer) const override {
    seen_->Save(writer);
    writer.PutVector(counts_);
    inner_->Save(writer);
  }
  void Load(StateReader& reader) override {
    seen_->Load(reader);
    counts_ = reader.GetVector<int64_t>();
    inner_->Load(reader);
  }

 private:
  static constexpr int64_t kErased = INT64_MIN;
  std::unique_ptr<AggregateState> inner_;
  std::unique_ptr<KeyTable> seen_;
  std::vector<int64_t> counts_;
  std::vector<uint32_t> seen_slots_;
  duckdb::DataChunk keys_, changed_;
};

}  // namespace

std::unique_ptr<AggregateState> MakeDistinct(const AggregateCall& call,
                                             std::unique_ptr<AggregateState> inner) {
  return std::make_unique<Distinct>(call, std::move(inner));
}

}  // namespace weir
