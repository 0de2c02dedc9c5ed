// Values of any types, by their slots in a table of (group, value).
#include <algorithm>

#include "base/error.h"
#include "flow/aggregates/distinct.h"
#include "flow/state/key_table.h"
#include "flow/state/weights.h"
#include "io/memory/large_pages.h"

namespace weir {
namespace {

constexpr size_t kLarge = 1 << 16;  // values: more than the caches keep

class DistinctKeys : public DistinctSet {
 public:
  DistinctKeys(const RowTypes& argument_types, bool append_only);

  void Update(duckdb::DataChunk& arguments, duckdb::DataChunk& values, const uint32_t* slots,
              const int64_t* weights) override;
  void TrackGroups() override { tracks_groups_ = true; }
  void Forget(uint32_t group) override;
  void SaveGroup(uint32_t group, StateWriter& writer) override;
  size_t Bytes() const override;
  void CheckInvariants() const override;
  bool SavePieces(StateWriter& writer, const StopSnapshot& stop) override;
  void BeginLoad(StateReader& reader) override;
  void LoadPiece(StateReader& reader) override;
  void EndLoad() override;

 private:
  void Begin(StateWriter& writer) override;
  void End() override { to_write_.End(); }
  void SaveNow(StateWriter& writer, uint32_t value) const;
  void Grow();
  bool Seen(size_t member, uint32_t value, int64_t weight, int64_t& change);
  void ForgetGone(duckdb::idx_t rows);
  bool IsHere(uint32_t value) const;
  void Note(uint32_t group, uint32_t value);

  bool append_only_;
  std::unique_ptr<KeyTable> values_;  // of (group, value)
  std::vector<int64_t> counts_;       // by value and member, when rows can go
  LargeVector<uint32_t> bits_;        // by value, a bit for each member, when none can

  bool tracks_groups_ = false;
  std::vector<std::vector<uint32_t>> of_group_;  // its values; some may be others' by now
  std::vector<uint32_t> group_of_;               // by value
  UnitsToWrite to_write_;                        // values

  // Of the chunk at hand.
  std::vector<uint32_t> at_;
  duckdb::DataChunk keys_, changed_;
  duckdb::SelectionVector rows_{STANDARD_VECTOR_SIZE};
  uint32_t row_slots_[STANDARD_VECTOR_SIZE];
  int64_t row_weights_[STANDARD_VECTOR_SIZE];
};

DistinctKeys::DistinctKeys(const RowTypes& argument_types, bool append_only)
    : append_only_(append_only) {
  RowTypes types{duckdb::LogicalType::UINTEGER};
  types.insert(types.end(), argument_types.begin(), argument_types.end());
  values_ = KeyTable::Make(types);
  keys_.InitializeEmpty(DuckTypes(types));
  changed_.InitializeEmpty(DuckTypes(argument_types));
}

void DistinctKeys::Update(duckdb::DataChunk& arguments, duckdb::DataChunk& values,
                          const uint32_t* slots, const int64_t* weights) {
  auto count = arguments.size();
  duckdb::Vector groups(duckdb::LogicalType::UINTEGER,
                        reinterpret_cast<duckdb::data_ptr_t>(const_cast<uint32_t*>(slots)));
  keys_.data[0].Reference(groups);
  for (duckdb::idx_t i = 0; i < arguments.ColumnCount(); i++) {
    keys_.data[i + 1].Reference(arguments.data[i]);
  }
  keys_.SetCardinality(count);
  at_.resize(count);
  values_->Resolve(keys_, at_.data());
  Grow();
  if (bits_.size() > kLarge) {
    for (uint32_t value : at_) __builtin_prefetch(&bits_[value]);
  }
  BeforeChange([&](StateWriter& writer) {
    for (uint32_t value : at_) {
      if (to_write_.Claim(value)) SaveNow(writer, value);
    }
  });

  if (tracks_groups_) {
    for (duckdb::idx_t row = 0; row < count; row++) Note(slots[row], at_[row]);
  }
  for (size_t m = 0; m < members_.size(); m++) {
    auto& member = members_[m];
    duckdb::UnifiedVectorFormat filter;
    const bool* holds = nullptr;
    if (member.filter) {
      values.data[*member.filter].ToUnifiedFormat(count, filter);
      holds = duckdb::UnifiedVectorFormat::GetDataUnsafe<bool>(filter);
    }
    duckdb::idx_t changed = 0;
    bool any_left = false;
    for (duckdb::idx_t row = 0; row < count; row++) {
      if (holds) {
        auto index = filter.sel->get_index(row);
        if (!filter.validity.RowIsValid(index) || !holds[index]) continue;
      }
      int64_t change;
      if (!Seen(m, at_[row], weights ? weights[row] : 1, change)) continue;
      any_left |= change < 0;
      rows_.set_index(changed, row);
      row_slots_[changed] = slots[row];
      row_weights_[changed++] = change;
    }
    if (changed == 0) continue;
    changed_.Reference(arguments);
    changed_.Slice(rows_, changed);
    member.state->Update(changed_, row_slots_, any_left ? row_weights_ : nullptr);
  }
  if (!append_only_) ForgetGone(count);
}

// Counts a value; true when it is the first of its kind or the last one left.
inline bool DistinctKeys::Seen(size_t member, uint32_t value, int64_t weight, int64_t& change) {
  if (append_only_) {
    uint32_t bit = uint32_t{1} << member;
    change = 1;
    if (bits_[value] & bit) return false;
    bits_[value] |= bit;
    return true;
  }
  int64_t& seen = counts_[value * members_.size() + member];
  int64_t before = seen;
  AddWeight(seen, weight);
  change = (seen > 0) - (before > 0);
  return change != 0;
}

// Drops the values of this chunk that no member has any more.
void DistinctKeys::ForgetGone(duckdb::idx_t rows) {
  size_t width = members_.size();
  auto first_of = [&](uint32_t value) {
    return counts_.begin() + static_cast<int64_t>(value * width);
  };
  std::sort(at_.begin(), at_.begin() + static_cast<int64_t>(rows));
  auto end = std::unique(at_.begin(), at_.begin() + static_cast<int64_t>(rows));
  for (auto value = at_.begin(); value != end; ++value) {
    auto first = first_of(*value);
    if (std::all_of(first, first + static_cast<int64_t>(width), [](int64_t n) { return n == 0; })) {
      values_->Erase(*value);
      if (tracks_groups_) group_of_[*value] = UINT32_MAX;
    }
  }
}

void DistinctKeys::Note(uint32_t group, uint32_t value) {
  if (group_of_.size() <= value) group_of_.resize(values_->Slots(), UINT32_MAX);
  if (group_of_[value] == group) return;
  group_of_[value] = group;
  if (of_group_.size() <= group) of_group_.resize(group + 1);
  of_group_[group].push_back(value);
}

void DistinctKeys::Forget(uint32_t group) {
  if (group >= of_group_.size()) return;
  auto width = members_.size();
  for (uint32_t value : of_group_[group]) {
    if (group_of_[value] != group) continue;
    group_of_[value] = UINT32_MAX;
    values_->Erase(value);
    if (append_only_) {
      bits_[value] = 0;
    } else {
      std::fill_n(counts_.begin() + static_cast<int64_t>(value * width), width, 0);
    }
  }
  std::vector<uint32_t>().swap(of_group_[group]);
}

bool DistinctKeys::IsHere(uint32_t value) const {
  if (append_only_) return bits_[value] != 0;
  auto first = counts_.begin() + static_cast<int64_t>(value * members_.size());
  return std::any_of(first, first + static_cast<int64_t>(members_.size()),
                     [](int64_t n) { return n != 0; });
}

void DistinctKeys::CheckInvariants() const {
  values_->CheckInvariants();
  size_t slots = values_->Slots();
  CHECK(append_only_ ? bits_.size() >= slots : counts_.size() >= slots * members_.size());
  if (append_only_) return;
  // A value that no member has is none.
  size_t here = 0;
  for (uint32_t value = 0; value < slots; value++) here += IsHere(value);
  CHECK(here == values_->KeysThere());
}

size_t DistinctKeys::Bytes() const {
  return values_->Bytes() + group_of_.capacity() * 2 * sizeof(uint32_t) +
         counts_.capacity() * sizeof(int64_t) + bits_.capacity() * sizeof(uint32_t);
}

void DistinctKeys::Grow() {
  if (append_only_) {
    bits_.resize(values_->Slots());
  } else {
    counts_.resize(values_->Slots() * members_.size());
  }
}

// ---- saved: values in any order, each with its slot, key and counts or bits

void DistinctKeys::Begin(StateWriter& writer) {
  writer.Put<uint64_t>(values_->Slots());
  to_write_.Begin(values_->Slots());
}

void DistinctKeys::SaveNow(StateWriter& writer, uint32_t value) const {
  if (!IsHere(value)) return;
  writer.Put(mark());
  writer.Put(value);
  values_->SaveKey(value, writer);
  if (append_only_) return writer.Put(bits_[value]);
  for (size_t m = 0; m < members_.size(); m++) writer.Put(counts_[value * members_.size() + m]);
}

bool DistinctKeys::SavePieces(StateWriter& writer, const StopSnapshot& stop) {
  auto write = [&](size_t value) { SaveNow(writer, static_cast<uint32_t>(value)); };
  return to_write_.Continue(write, stop);
}

void DistinctKeys::SaveGroup(uint32_t group, StateWriter& writer) {
  if (group >= of_group_.size()) return;
  for (uint32_t value : of_group_[group]) {
    if (group_of_[value] == group && to_write_.Claim(value)) SaveNow(writer, value);
  }
}

void DistinctKeys::BeginLoad(StateReader& reader) {
  values_->BeginLoad(reader.Get<uint64_t>());
  Grow();
}

void DistinctKeys::LoadPiece(StateReader& reader) {
  auto value = reader.Get<uint32_t>();
  values_->LoadKey(value, reader);
  if (append_only_) {
    bits_[value] = reader.Get<uint32_t>();
  } else {
    size_t first = value * members_.size();
    for (size_t m = 0; m < members_.size(); m++) counts_[first + m] = reader.Get<int64_t>();
  }
}

void DistinctKeys::EndLoad() {
  values_->EndLoad();
  if (!tracks_groups_) return;
  RowTypes types{duckdb::LogicalType::UINTEGER};
  for (auto& type : changed_.GetTypes()) types.push_back(type);
  duckdb::DataChunk key;
  key.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types), 1);
  for (uint32_t value = 0; value < values_->Slots(); value++) {
    if (!IsHere(value)) continue;
    key.Reset();
    values_->Key(value, key, 0);
    Note(duckdb::FlatVector::GetDataUnsafe<uint32_t>(key.data[0])[0], value);
  }
}

}  // namespace

std::unique_ptr<DistinctSet> MakeDistinctKeys(const RowTypes& argument_types, bool append_only) {
  return std::make_unique<DistinctKeys>(argument_types, append_only);
}

}  // namespace weir
