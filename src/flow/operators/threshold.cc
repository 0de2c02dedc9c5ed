// Rows that are above or below a threshold, which is the value of a row of another input with the
// same key and is not shown itself:
//
//   SELECT * FROM payments p WHERE amount > (SELECT 3 * avg(amount) FROM payments WHERE account =
//   p.account)
//
// As a join such a threshold makes a pair with every row of its key, and makes all of them again
// whenever it moves.  But a row is there, or not, whichever threshold it is above; so when one
// moves from a to b, the rows between a and b are all that change.  They stand in an index in that
// order (ordered_index.h).
//
// In general the rows A are there as often as there are thresholds B that they are above:
//
//   change of A.[B]  =  (change of A).[B as the step began]  +  A.[change of B]
//
// the first at once, the second when the step ends: with the thresholds that came (+1) and went
// (-1) in order, the rows between two of them change by the sum of those below.
//
// Cost: by the changes of rows, and by the rows between the old thresholds and the new.  State: the
// thresholds; rows and index stand in the inputs.
#include <algorithm>

#include "base/error.h"
#include "flow/operators/joins.h"
#include "flow/operators/ordered_index.h"
#include "flow/state/weights.h"

namespace weir {
namespace {

class Threshold : public Operator {
 public:
  Threshold(const SessionPtr& session, const ThresholdSpec& spec, RowTypes types, bool append_only)
      : Operator("threshold", std::move(types), append_only),
        or_equal_(spec.or_equal),
        null_is_value_(spec.by.null_is_value),
        evaluator_(session, spec.by.KeysThenValue()),
        reader_(TypeOf(spec.by.value), spec.by.descending) {
    RowTypes key_types;
    for (auto& key : spec.by.keys) key_types.push_back(TypeOf(key));
    if (!key_types.empty()) {
      table_ = KeyTable::Make(key_types);
      key_chunk_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(key_types));
      keys_.InitializeEmpty(DuckTypes(key_types));
      some_keys_.InitializeEmpty(DuckTypes(key_types));
    }
    thresholds_.resize(1);
    out_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(this->types()));
  }

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override {
    port == 0 ? PushRows(rows, weights) : PushThresholds(rows, weights);
  }

  void Flush() override {
    if (changes_.empty()) return;
    std::sort(changes_.begin(), changes_.end());
    std::vector<Range> ranges = FindRanges();
    for (auto& range : ranges) {
      if (range.slot != kNoSlot) Move(range);
    }
    EmitMoved();
    for (auto& range : ranges) Apply(range);
    changes_.clear();
  }

  void CheckInvariants() const override {
    Operator::CheckInvariants();
    if (table_) table_->CheckInvariants();
    CHECK(changes_.empty());
    size_t kept = 0, keys = 0;
    for (auto& thresholds : thresholds_) {
      for (size_t i = 0; i < thresholds.size(); i++) {
        CHECK(thresholds[i].weight != 0);
        CHECK(i == 0 || thresholds[i - 1].value < thresholds[i].value);
      }
      kept += thresholds.size();
      keys += !thresholds.empty();
    }
    CHECK(kept == kept_ && (!table_ || keys == table_->KeysThere()));
  }
  bool HasState() const override { return true; }
  size_t StateBytes() const override {
    return (table_ ? table_->Bytes() : 0) + thresholds_.capacity() * sizeof(std::vector<Kept>) +
           kept_ * AllocatedBytes(sizeof(Kept)) + changes_.capacity() * sizeof(Change);
  }
  void Load(StateReader& reader) override {
    thresholds_.resize(reader.Get<uint64_t>());
    if (table_) table_->BeginLoad(thresholds_.size());
    kept_ = 0;
    for (auto key = reader.Get<uint32_t>(); key != kNoSlot; key = reader.Get<uint32_t>()) {
      if (key >= thresholds_.size()) StateReader::Bad();
      if (table_) table_->LoadKey(key, reader);
      reader.GetVector(thresholds_[key]);
      kept_ += thresholds_[key].size();
    }
    if (table_) table_->EndLoad();
  }

 private:
  struct Kept {
    OrderedValue value;
    int64_t weight;
  };
  struct Change {
    uint32_t key;  // slot in table_
    OrderedValue value;
    int64_t weight;
    bool operator<(const Change& other) const {
      return key != other.key ? key < other.key : value < other.value;
    }
  };
  // The changes of a key, [first, last) of changes_, and the key's slot in the index.
  struct Range {
    size_t first, last;
    uint32_t slot = kNoSlot;
  };

  void SaveNow(StateWriter& writer, uint32_t key) const {
    if (thresholds_[key].empty()) return;
    writer.Put(key);
    if (table_) table_->SaveKey(key, writer);
    writer.PutVector(thresholds_[key]);
  }
  bool BeginPieces(StateWriter& writer) override {
    writer.Put<uint64_t>(thresholds_.size());
    to_write_.Begin(thresholds_.size());
    return true;
  }
  bool SavePieces(StateWriter& writer, const Stop& stop) override {
    auto write = [&](size_t key) { SaveNow(writer, static_cast<uint32_t>(key)); };
    if (!to_write_.Continue(write, stop)) return false;
    writer.Put(kNoSlot);
    return true;
  }
  void EndPieces() override { to_write_.End(); }

  OrderedIndex& index() const { return static_cast<OrderedIndex&>(*inputs[0]); }

  // A row is above a threshold: also when it is as high, if that is enough.
  bool IsAbove(const OrderedValue& row, const OrderedValue& threshold) const {
    return or_equal_ ? threshold <= row : threshold < row;
  }

  void PushRows(duckdb::DataChunk& rows, const int64_t* weights) {
    if (kept_ == 0) return;
    auto count = rows.size();
    CHECK(index().keys().size() == count);  // it has this chunk at hand
    auto* slots = index().slots();
    uint32_t keys[STANDARD_VECTOR_SIZE];
    if (table_) {
      without_.assign(count, false);
      for (duckdb::idx_t i = 0; i < count; i++) without_[i] = slots[i] == kNoSlot;
      SlotsOf(index().keys(), count, without_, some_keys_, keys,
              [&](duckdb::DataChunk& some, uint32_t* found) { table_->Find(some, found); });
    } else {
      std::copy_n(slots, count, keys);
    }
    duckdb::SelectionVector chosen(count);
    duckdb::idx_t shown = 0;
    for (duckdb::idx_t i = 0; i < count; i++) {
      if (keys[i] == kNoSlot) continue;
      int64_t times = 0;
      for (auto& kept : thresholds_[keys[i]]) {
        if (!IsAbove(index().values()[i], kept.value)) break;
        AddWeight(times, kept.weight);
      }
      if (times == 0) continue;
      weights_[shown] = WeightProduct(times, weights ? weights[i] : 1);
      chosen.set_index(shown++, i);
    }
    if (shown == 0) return;
    duckdb::DataChunk some;
    some.InitializeEmpty(rows.GetTypes());
    some.Reference(rows);
    some.Slice(chosen, shown);
    Emit(some, weights_);
  }

  // Both may fail, so nothing changes before.
  void PushThresholds(duckdb::DataChunk& rows, const int64_t* weights) {
    auto count = rows.size();
    auto& given = evaluator_.Run(rows);
    without_.assign(count, false);
    keys_.SetCardinality(count);
    for (size_t c = 0; c < keys_.ColumnCount(); c++) keys_.data[c].Reference(given.data[c]);
    FindWithoutKey(keys_, count, null_is_value_, without_);
    auto& value = given.data[keys_.ColumnCount()];
    OrderedValue values[STANDARD_VECTOR_SIZE];
    reader_.Read(value, count, values);
    duckdb::UnifiedVectorFormat format;
    value.ToUnifiedFormat(count, format);
    for (duckdb::idx_t i = 0; i < count; i++) {
      if (!format.validity.RowIsValid(format.sel->get_index(i))) without_[i] = true;
    }
    uint32_t keys[STANDARD_VECTOR_SIZE] = {};
    if (table_) {
      SlotsOf(keys_, count, without_, some_keys_, keys,
              [&](duckdb::DataChunk& some, uint32_t* slots) { table_->Resolve(some, slots); });
      if (thresholds_.size() < table_->Slots()) thresholds_.resize(table_->Slots());
    }
    for (duckdb::idx_t i = 0; i < count; i++) {
      if (!without_[i]) changes_.push_back({keys[i], values[i], weights ? weights[i] : 1});
    }
  }

  std::vector<Range> FindRanges() {
    std::vector<Range> ranges;
    for (size_t i = 0; i < changes_.size(); i++) {
      bool same = i > 0 && changes_[i].key == changes_[i - 1].key;
      if (!same) ranges.push_back({i, i});
      ranges.back().last = i + 1;
    }
    if (!table_) {
      ranges[0].slot = 0;
      return ranges;
    }
    uint32_t slots[STANDARD_VECTOR_SIZE], found[STANDARD_VECTOR_SIZE];
    for (size_t done = 0; done < ranges.size(); done += STANDARD_VECTOR_SIZE) {
      size_t some = std::min<size_t>(STANDARD_VECTOR_SIZE, ranges.size() - done);
      for (size_t i = 0; i < some; i++) slots[i] = changes_[ranges[done + i].first].key;
      key_chunk_.Reset();
      table_->Keys(slots, some, key_chunk_);
      key_chunk_.SetCardinality(some);
      index().Find(key_chunk_, found);
      for (size_t i = 0; i < some; i++) ranges[done + i].slot = found[i];
    }
    return ranges;
  }

  // The rows above some of a key's changes come or go as often as these do.
  void Move(const Range& range) {
    int64_t times = 0;
    for (size_t i = range.first; i < range.last; i++) {
      AddWeight(times, changes_[i].weight);
      if (times == 0) continue;
      bool last = i + 1 == range.last;
      index().From(range.slot, changes_[i].value, [&](const OrderedValue& value, RowRef row) {
        if (!IsAbove(value, changes_[i].value)) return true;
        if (!last && IsAbove(value, changes_[i + 1].value)) return false;
        if (int64_t weight = index().rows().WeightOf(row)) Moved(row, WeightProduct(times, weight));
        return true;
      });
    }
  }
  void Moved(RowRef row, int64_t weight) {
    moved_[moved_count_] = row;
    weights_[moved_count_++] = weight;
    if (moved_count_ == STANDARD_VECTOR_SIZE) EmitMoved();
  }
  void EmitMoved() {
    if (moved_count_ == 0) return;
    out_.Reset();
    index().rows().store().Gather(moved_, moved_count_, out_, 0);
    out_.SetCardinality(moved_count_);
    moved_count_ = 0;
    Emit(out_, weights_);
  }

  void Apply(const Range& range) {
    uint32_t key = changes_[range.first].key;
    BeforeChange([&](StateWriter& writer) {
      if (to_write_.Claim(key)) SaveNow(writer, key);
    });
    auto& kept = thresholds_[key];
    kept_ -= kept.size();
    for (size_t i = range.first; i < range.last; i++) {
      auto& change = changes_[i];
      auto place = std::lower_bound(
          kept.begin(), kept.end(), change.value,
          [](const Kept& one, const OrderedValue& value) { return one.value < value; });
      if (place == kept.end() || place->value != change.value) {
        place = kept.insert(place, {change.value, 0});
      }
      AddWeight(place->weight, change.weight);
      if (place->weight == 0) kept.erase(place);
    }
    kept_ += kept.size();
    if (!kept.empty()) return;
    kept.shrink_to_fit();
    if (table_) table_->Erase(key);
  }

  bool or_equal_;
  std::vector<bool> null_is_value_;
  Evaluator evaluator_;  // of thresholds: their keys, then the value
  OrderedValues reader_;
  std::unique_ptr<KeyTable> table_;            // keys of thresholds; null: no keys, all in slot 0
  std::vector<std::vector<Kept>> thresholds_;  // by slot, in order
  size_t kept_ = 0;
  std::vector<Change> changes_;  // of thresholds, in this step
  UnitsToWrite to_write_;        // keys

  duckdb::DataChunk keys_, some_keys_, key_chunk_, out_;
  std::vector<uint8_t> without_;
  RowRef moved_[STANDARD_VECTOR_SIZE];
  duckdb::idx_t moved_count_ = 0;
  int64_t weights_[STANDARD_VECTOR_SIZE];
};

}  // namespace

std::unique_ptr<Operator> MakeThreshold(const SessionPtr& session, const ThresholdSpec& spec,
                                        RowTypes types, bool append_only) {
  return std::make_unique<Threshold>(session, spec, std::move(types), append_only);
}

}  // namespace weir
