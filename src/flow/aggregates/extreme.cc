// min and max.  While input only grows the best value so far is enough; otherwise each group keeps
// its values in order with their weights, so that the next best is known when the best one goes.
//
// Integers, and what is one inside (dates, times, decimals), are compared as they are, and so are
// texts; floats as integers in their order; other values by their sort keys.
#include <map>
#include <optional>
#include <string>
#include <type_traits>

#include "duck/functions/interval_forms.h"
#include "duck/row_codec.h"
#include "duckdb/common/radix.hpp"
#include "flow/aggregates/aggregate_state.h"
#include "flow/state/allocated.h"
#include "flow/state/large_array.h"
#include "flow/state/weights.h"

namespace weir {
namespace {

using duckdb::PhysicalType;

// In which form a number is kept: as it is.
template <class Value>
struct AsItIs {
  static Value Kept(Value value) { return value; }
  static Value Given(Value value) { return value; }
};
// As an integer: NaN is above all and -0 is 0, as SQL has it.
struct FloatInOrder {
  static uint32_t Kept(float value) { return duckdb::Radix::EncodeFloat(value); }
  static float Given(uint32_t kept) { return duckdb::Radix::DecodeFloat(kept); }
};
struct DoubleInOrder {
  static uint64_t Kept(double value) { return duckdb::Radix::EncodeDouble(value); }
  static double Given(uint64_t kept) { return duckdb::Radix::DecodeDouble(kept); }
};

// How values are read, kept and written.  Of(...) calls `row(i, value)` for each that is not NULL.
template <class Value, class Form = AsItIs<Value>>
struct Numbers {
  using Kept = decltype(Form::Kept(Value()));
  explicit Numbers(const AggregateCall&) {}

  template <class Row>
  void Of(duckdb::DataChunk& arguments, Row row) {
    duckdb::UnifiedVectorFormat format;
    arguments.data[0].ToUnifiedFormat(arguments.size(), format);
    auto* values = reinterpret_cast<const Value*>(format.data);
    bool all_valid = format.validity.AllValid();
    for (duckdb::idx_t i = 0; i < arguments.size(); i++) {
      auto index = format.sel->get_index(i);
      if (all_valid || format.validity.RowIsValid(index)) row(i, Form::Kept(values[index]));
    }
  }
  void Write(Kept value, duckdb::Vector& out, duckdb::idx_t i) {
    reinterpret_cast<Value*>(duckdb::FlatVector::GetData(out))[i] = Form::Given(value);
  }
  void WriteNull(duckdb::Vector& out, duckdb::idx_t i) {
    duckdb::FlatVector::SetNull(out, i, true);
  }
  void Finish(duckdb::Vector&) {}
  static size_t BytesOf(Kept) { return 0; }
  static void Put(StateWriter& writer, Kept value) { writer.Put(value); }
  static Kept Get(StateReader& reader) { return reader.Get<Kept>(); }
};

struct Texts {
  using Kept = std::string;
  explicit Texts(const AggregateCall&) {}

  template <class Row>
  void Of(duckdb::DataChunk& arguments, Row row) {
    duckdb::UnifiedVectorFormat format;
    arguments.data[0].ToUnifiedFormat(arguments.size(), format);
    auto* values = duckdb::UnifiedVectorFormat::GetDataUnsafe<duckdb::string_t>(format);
    for (duckdb::idx_t i = 0; i < arguments.size(); i++) {
      auto index = format.sel->get_index(i);
      if (!format.validity.RowIsValid(index)) continue;
      row(i, std::string_view(values[index].GetData(), values[index].GetSize()));
    }
  }
  void Write(const std::string& value, duckdb::Vector& out, duckdb::idx_t i) {
    duckdb::FlatVector::GetDataUnsafe<duckdb::string_t>(out)[i] =
        duckdb::StringVector::AddString(out, value.data(), value.size());
  }
  void WriteNull(duckdb::Vector& out, duckdb::idx_t i) {
    duckdb::FlatVector::SetNull(out, i, true);
  }
  void Finish(duckdb::Vector&) {}
  static size_t BytesOf(const std::string& value) { return TextBytes(value.size()); }
  static void Put(StateWriter& writer, const std::string& value) { writer.PutString(value); }
  static std::string Get(StateReader& reader) { return std::string(reader.GetString()); }
};

// Of intervals first in one form, then as they are: that is what is shown.
struct SortKeys {
  using Kept = std::string;
  explicit SortKeys(const AggregateCall& call)
      : codec(Forms(call.argument_types[0]), {{false, false, true}}) {
    if (codec.types().size() > 1) forms.InitializeEmpty(DuckTypes(codec.types()));
  }
  static RowTypes Forms(const duckdb::LogicalType& type) {
    return RowTypes(HasIntervals(type) ? 2 : 1, type);
  }

  template <class Row>
  void Of(duckdb::DataChunk& arguments, Row row) {
    duckdb::UnifiedVectorFormat format;
    arguments.data[0].ToUnifiedFormat(arguments.size(), format);
    for (auto& form : forms.data) form.Reference(arguments.data[0]);
    forms.SetCardinality(arguments.size());
    auto& keys = codec.Encode(forms.ColumnCount() == 0 ? arguments : forms);
    for (duckdb::idx_t i = 0; i < arguments.size(); i++) {
      if (format.validity.RowIsValid(format.sel->get_index(i))) row(i, keys[i]);
    }
  }
  void Write(const std::string& value, duckdb::Vector& out, duckdb::idx_t i) {
    codec.Decode(value, Decoded(), i);
  }
  void WriteNull(duckdb::Vector&, duckdb::idx_t i) {
    duckdb::FlatVector::SetNull(Decoded().data.back(), i, true);
  }
  void Finish(duckdb::Vector& out) {
    out.Reference(Decoded().data.back());
    decoded.Destroy();
  }
  static size_t BytesOf(const std::string& value) { return TextBytes(value.size()); }
  static void Put(StateWriter& writer, const std::string& value) { writer.PutString(value); }
  static std::string Get(StateReader& reader) { return std::string(reader.GetString()); }

  duckdb::DataChunk& Decoded() {
    if (decoded.ColumnCount() == 0) {
      decoded.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(codec.types()));
    }
    return decoded;
  }
  RowCodec codec;
  duckdb::DataChunk forms;    // of intervals
  duckdb::DataChunk decoded;  // of the result at hand
};

template <class Values>
class GrowingExtreme : public AggregateState {
 public:
  explicit GrowingExtreme(const AggregateCall& call)
      : maximum_(call.function == "max"), values_(call) {}

  void Grow(size_t slots) override { best_.Resize(slots); }
  void Prefetch(const uint32_t* slots, duckdb::idx_t count) const override {
    for (duckdb::idx_t i = 0; i < count; i++) __builtin_prefetch(&best_[slots[i]]);
  }

  void Update(duckdb::DataChunk& arguments, const uint32_t* slots, const int64_t*) override {
    values_.Of(arguments, [&](duckdb::idx_t i, const auto& value) {
      Best& best = best_[slots[i]];
      if (best.is_there && (maximum_ ? value <= best.value : value >= best.value)) return;
      text_bytes_ -= Values::BytesOf(best.value);
      best.value = value;
      best.is_there = true;
      text_bytes_ += Values::BytesOf(best.value);
    });
  }

  void Result(const uint32_t* slots, duckdb::idx_t count, duckdb::Vector& out) override {
    for (duckdb::idx_t i = 0; i < count; i++) {
      const Best& best = best_[slots[i]];
      if (best.is_there) {
        values_.Write(best.value, out, i);
      } else {
        values_.WriteNull(out, i);
      }
    }
    values_.Finish(out);
  }

  void Clear(uint32_t slot) override {
    text_bytes_ -= Values::BytesOf(best_[slot].value);
    best_[slot] = Best();
  }
  size_t Bytes() const override { return best_.Bytes() + text_bytes_; }
  void SaveSlot(uint32_t slot, StateWriter& writer) const override {
    auto& best = best_[slot];
    writer.Put(best.is_there);
    if (best.is_there) Values::Put(writer, best.value);
  }
  void LoadSlot(uint32_t slot, StateReader& reader) override {
    auto& best = best_[slot];
    best.is_there = reader.Get<bool>();
    if (best.is_there) best.value = Values::Get(reader);
    text_bytes_ += Values::BytesOf(best.value);
  }

 private:
  struct Best {
    typename Values::Kept value{};
    bool is_there = false;
  };
  bool maximum_;
  Values values_;
  LargeArray<Best> best_;
  size_t text_bytes_ = 0;
};

template <class Values>
class Extreme : public AggregateState {
 public:
  explicit Extreme(const AggregateCall& call) : maximum_(call.function == "max"), values_(call) {}

  void Grow(size_t slots) override { of_slot_.resize(slots); }
  void Prefetch(const uint32_t* slots, duckdb::idx_t count) const override {
    for (duckdb::idx_t i = 0; i < count; i++) __builtin_prefetch(&of_slot_[slots[i]]);
  }

  void Update(duckdb::DataChunk& arguments, const uint32_t* slots,
              const int64_t* weights) override {
    values_.Of(arguments, [&](duckdb::idx_t i, const auto& value) {
      auto& kept = of_slot_[slots[i]];
      auto emplaced = kept.try_emplace(typename Values::Kept(value), 0);
      auto entry = emplaced.first;
      if (emplaced.second) bytes_ += BytesOf(entry->first);
      BeforeChange([&](StateWriter& writer) {
        if (IsAhead(slots[i], entry->first)) Save(writer, slots[i], *entry);
      });
      AddWeight(entry->second, weights ? weights[i] : 1);
      if (entry->second == 0) {
        bytes_ -= BytesOf(entry->first);
        kept.erase(entry);
      }
    });
  }

  void Result(const uint32_t* slots, duckdb::idx_t count, duckdb::Vector& out) override {
    for (duckdb::idx_t i = 0; i < count; i++) {
      auto& kept = of_slot_[slots[i]];
      if (kept.empty()) {
        values_.WriteNull(out, i);
      } else {
        values_.Write(maximum_ ? kept.rbegin()->first : kept.begin()->first, out, i);
      }
    }
    values_.Finish(out);
  }

  void Clear(uint32_t slot) override {
    for (auto& [value, weight] : of_slot_[slot]) bytes_ -= BytesOf(value);
    of_slot_[slot].clear();
  }
  Upkeep HowKept() const override {
    Upkeep upkeep;
    upkeep.Add(Upkeep::Rung::kClosedForm, std::string("its input has rows that go, so ") +
                                              (maximum_ ? "max" : "min") +
                                              " keeps an ordered multiset of each group's values");
    return upkeep;
  }
  size_t Bytes() const override { return of_slot_.capacity() * sizeof(of_slot_[0]) + bytes_; }
  void SaveSlot(uint32_t, StateWriter&) const override {}
  void LoadSlot(uint32_t, StateReader&) override {}
  void SaveBeforeClear(uint32_t slot, StateWriter& writer) override {
    for (auto& entry : of_slot_[slot]) {
      if (IsAhead(slot, entry.first)) Save(writer, slot, entry);
    }
  }
  bool SavePieces(StateWriter& writer, const StopSnapshot& stop) override {
    constexpr size_t kAtOnce = 64;
    for (size_t looked = 0; written_to_ < slots_;) {
      auto& kept = of_slot_[written_to_];
      auto entry = last_written_ ? kept.upper_bound(*last_written_) : kept.begin();
      bool is_end = entry == kept.end();
      for (; entry != kept.end(); ++entry) {
        Save(writer, written_to_, *entry);
        if (++looked % kAtOnce != 0 || !stop()) continue;
        last_written_ = entry->first;
        return false;
      }
      last_written_.reset();
      written_to_++;
      if (is_end && ++looked % kAtOnce == 0 && stop()) return false;
    }
    return true;
  }
  void LoadPiece(StateReader& reader) override {
    auto slot = reader.Get<uint32_t>();
    auto value = Values::Get(reader);
    auto weight = reader.Get<int64_t>();
    if (slot >= of_slot_.size()) return;  // of a group that came when there was room for it
    auto& kept = of_slot_[slot];
    size_t before = kept.size();
    auto entry = kept.try_emplace(kept.end(), std::move(value), weight);
    if (kept.size() == before) return;  // the first record counts
    bytes_ += BytesOf(entry->first);
    if (weight == 0) absent_.emplace_back(slot, entry->first);
  }
  void EndLoad() override {
    for (auto& [slot, value] : absent_) {
      bytes_ -= BytesOf(value);
      of_slot_[slot].erase(value);
    }
    absent_.clear();
  }

 private:
  using Kept = std::map<typename Values::Kept, int64_t>;
  static size_t BytesOf(const typename Values::Kept& value) {
    return TreeNodeBytes<typename Kept::value_type>() + Values::BytesOf(value);
  }

  // ---- saved: values by slot and in order, and before that those that change

  void Begin(StateWriter&) override {
    slots_ = static_cast<uint32_t>(of_slot_.size());
    written_to_ = 0;
    last_written_.reset();
  }
  bool IsAhead(uint32_t slot, const typename Values::Kept& value) const {
    if (slot != written_to_) return slot > written_to_ && slot < slots_;
    return slot < slots_ && (!last_written_ || *last_written_ < value);
  }
  void Save(StateWriter& writer, uint32_t slot, const typename Kept::value_type& entry) const {
    writer.Put(mark());
    writer.Put(slot);
    Values::Put(writer, entry.first);
    writer.Put(entry.second);
  }

  bool maximum_;
  Values values_;
  std::vector<Kept> of_slot_;
  size_t bytes_ = 0;

  uint32_t slots_ = 0, written_to_ = 0;                             // of the snapshot
  std::optional<typename Values::Kept> last_written_;               // of slot written_to_
  std::vector<std::pair<uint32_t, typename Values::Kept>> absent_;  // while it is loaded
};

template <class Values>
std::unique_ptr<AggregateState> Make(const AggregateCall& call, bool append_only) {
  if (append_only) return std::make_unique<GrowingExtreme<Values>>(call);
  return std::make_unique<Extreme<Values>>(call);
}

}  // namespace

std::unique_ptr<AggregateState> MakeExtreme(const AggregateCall& call, bool append_only) {
  auto& type = call.argument_types[0];
  if (type == duckdb::LogicalType::VARCHAR) return Make<Texts>(call, append_only);
  switch (type.InternalType()) {
    case PhysicalType::BOOL:
    case PhysicalType::UINT8: return Make<Numbers<uint8_t>>(call, append_only);
    case PhysicalType::UINT16: return Make<Numbers<uint16_t>>(call, append_only);
    case PhysicalType::UINT32: return Make<Numbers<uint32_t>>(call, append_only);
    case PhysicalType::UINT64: return Make<Numbers<uint64_t>>(call, append_only);
    case PhysicalType::INT8: return Make<Numbers<int8_t>>(call, append_only);
    case PhysicalType::INT16: return Make<Numbers<int16_t>>(call, append_only);
    case PhysicalType::INT32: return Make<Numbers<int32_t>>(call, append_only);
    case PhysicalType::INT64: return Make<Numbers<int64_t>>(call, append_only);
    case PhysicalType::FLOAT: return Make<Numbers<float, FloatInOrder>>(call, append_only);
    case PhysicalType::DOUBLE: return Make<Numbers<double, DoubleInOrder>>(call, append_only);
    default: return Make<SortKeys>(call, append_only);
  }
}

}  // namespace weir
