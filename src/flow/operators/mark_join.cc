// What `x IN (subquery)` and its negation say of each row: true, false, or NULL when a NULL stands
// in the way ("mark" joins without a condition).
//
// The left rows stand in an index of the join's own, by all values that are compared; of the right
// ones there is a count by key.  A comparison with a NULL is unknown when there is anything to
// compare with: the values where NULL is a value (those a correlated subquery is bound by) make
// groups, and of each group the right rows are counted, and those with a NULL.
//
// As with other joins (join.cc) a row that comes or goes is shown by what was there as the step
// began, and what that has become is settled when it ends.
//
// Cost: by changes; all left rows of a group that gets its first right row or NULL, or loses the
// last.  State: the rows once, a count by key and group, 8 bytes a left key.
#include <algorithm>
#include <unordered_map>

#include "flow/operators/join_traits.h"
#include "flow/operators/joins.h"
#include "flow/operators/partner_keys.h"
#include "flow/operators/row_display.h"
#include "flow/state/weights.h"

namespace weir {
namespace {

struct Group {
  int64_t rows = 0, rows_with_null = 0;
};

// Of each group that has right rows how many there are.  Those of left rows follow from these.
class RightGroups : public StatePart {
 public:
  explicit RightGroups(const RowTypes& key_types) {
    if (!key_types.empty()) table_ = KeyTable::Make(key_types);
    groups_.resize(1);
  }
  void Resolve(duckdb::DataChunk& keys, uint32_t* slots) {
    if (!table_) return void(std::fill_n(slots, keys.size(), 0));
    table_->Resolve(keys, slots);
    if (groups_.size() < table_->Slots()) groups_.resize(table_->Slots());
  }
  Group& operator[](uint32_t slot) { return groups_[slot]; }
  const Group& operator[](uint32_t slot) const { return groups_[slot]; }
  size_t Bytes() const {
    return (table_ ? table_->Bytes() : 0) + groups_.capacity() * sizeof(Group);
  }

  // In a snapshot, ahead of a change.
  void SaveBefore(const uint32_t* slots, size_t count, StateWriter& writer) {
    for (size_t i = 0; i < count; i++) {
      if (to_write_.Claim(slots[i])) SaveNow(writer, slots[i]);
    }
  }
  bool SavePieces(StateWriter& writer, const StopSnapshot& stop) override {
    auto write = [&](size_t slot) { SaveNow(writer, static_cast<uint32_t>(slot)); };
    return to_write_.Continue(write, stop);
  }
  void BeginLoad(StateReader& reader) override {
    groups_.resize(reader.Get<uint64_t>());
    if (table_) table_->BeginLoad(groups_.size());
  }
  void LoadPiece(StateReader& reader) override {
    auto slot = reader.Get<uint32_t>();
    if (slot >= groups_.size()) StateReader::Bad();
    if (table_) table_->LoadKey(slot, reader);
    groups_[slot] = reader.Get<Group>();
  }
  void EndLoad() override {
    if (table_) table_->EndLoad();
  }

 private:
  void Begin(StateWriter& writer) override {
    writer.Put<uint64_t>(groups_.size());
    to_write_.Begin(groups_.size());
  }
  void End() override { to_write_.End(); }
  void SaveNow(StateWriter& writer, uint32_t slot) const {
    if (groups_[slot].rows == 0 && groups_[slot].rows_with_null == 0) return;
    writer.Put(mark());
    writer.Put(slot);
    if (table_) table_->SaveKey(slot, writer);
    writer.Put(groups_[slot]);
  }

  std::unique_ptr<KeyTable> table_;  // null: all rows are of group 0
  std::vector<Group> groups_;
  UnitsToWrite to_write_;  // slots
};

class MarkJoin : public Operator {
 public:
  MarkJoin(const SessionPtr& session, const JoinSpec& spec, RowTypes types)
      : Operator("join", std::move(types), false),
        null_is_value_(spec.null_is_value),
        out_(this->types(), spec.left.size(), 0),
        display_(out_, true) {
    RowTypes key_types, group_types;
    for (size_t i = 0; i < spec.left_keys.size(); i++) {
      key_types.push_back(TypeOf(spec.left_keys[i]));
      if (null_is_value_[i]) group_types.push_back(key_types.back());
    }
    partners_ = PartnerKeys(std::make_unique<KeyCounts>(key_types));
    if (!key_types.empty()) right_keys_ = std::make_unique<Evaluator>(session, spec.right_keys);
    groups_ = std::make_unique<RightGroups>(group_types);
    group_keys_.InitializeEmpty(DuckTypes(group_types));
    some_keys_.InitializeEmpty(DuckTypes(key_types));
    key_chunk_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(key_types));
    marked_.InitializeEmpty(DuckTypes(this->types()));
    marks_.Initialize(duckdb::Allocator::DefaultAllocator(), {duckdb::LogicalType::BOOLEAN});
    SayAllWithAll(*this, spec);
  }

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override {
    port == 0 ? ShowLeft(rows, weights) : CountRight(rows, weights);
  }

  void Flush() override {
    auto emit = [&](duckdb::DataChunk& rows, const int64_t* weights) { Emit(rows, weights); };
    auto slots = SlotsThatMayChange();
    auto& store = Left().rows();
    uint32_t partners[STANDARD_VECTOR_SIZE];
    for (size_t done = 0; done < slots.size(); done += STANDARD_VECTOR_SIZE) {
      size_t some = std::min<size_t>(STANDARD_VECTOR_SIZE, slots.size() - done);
      key_chunk_.Reset();
      Left().Keys(&slots[done], some, key_chunk_);
      FindPartners(key_chunk_, partners);
      for (size_t i = 0; i < some; i++) {
        uint32_t slot = slots[done + i], group = group_of_[slot] >> 1;
        Shown was = MarkOf(slot, partners_.AtStart(partners[i]), GroupAtStart(group));
        Shown is = MarkOf(slot, partners_.Now(partners[i]), (*groups_)[group]);
        if (was == is) continue;
        for (RowRef ref = Left().First(slot); ref != kNoRow; ref = Left().Next(ref)) {
          int64_t weight = store.WeightOf(ref);
          display_.Show(0, store.store(), ref, was, -weight, emit);
          display_.Show(0, store.store(), ref, is, weight, emit);
        }
      }
    }
    display_.Flush(emit);
    partners_.EndStep();
    changed_groups_.clear();
  }

  void CheckInvariants() const override {
    Operator::CheckInvariants();
    partners_.counts()->CheckInvariants();
  }
  bool HasState() const override { return true; }
  size_t StateBytes() const override {
    size_t listed = 0;
    for (auto& slots : slots_of_group_) listed += slots.capacity() * sizeof(uint32_t);
    return partners_.Bytes() + groups_->Bytes() +
           (group_of_.capacity() + listed_in_.capacity()) * sizeof(uint32_t) +
           slots_of_group_.capacity() * sizeof(slots_of_group_[0]) + listed;
  }
  void Load(StateReader& reader) override {
    LoadParts(reader, Parts());
    std::vector<uint32_t> slots;
    for (uint32_t slot = 0; slot < Left().Slots(); slot++) {
      if (Left().First(slot) != kNoRow) slots.push_back(slot);
    }
    for (size_t done = 0; done < slots.size(); done += STANDARD_VECTOR_SIZE) {
      size_t some = std::min<size_t>(STANDARD_VECTOR_SIZE, slots.size() - done);
      key_chunk_.Reset();
      Left().Keys(&slots[done], some, key_chunk_);
      PutInGroups(key_chunk_, &slots[done]);
    }
  }

 private:
  Arrangement& Left() const { return static_cast<Arrangement&>(*inputs[0]); }

  std::vector<StatePart*> Parts() const { return {partners_.counts(), groups_.get()}; }
  bool BeginPieces(StateWriter& writer) override {
    uint32_t mark = 0;
    for (auto* part : Parts()) part->BeginPieces(writer, mark++);
    return true;
  }
  bool SavePieces(StateWriter& writer, const Stop& stop) override {
    for (auto* part : Parts()) {
      if (!part->SavePieces(writer, stop)) return false;
    }
    writer.Put(kEndOfParts);
    return true;
  }
  void EndPieces() override {
    for (auto* part : Parts()) part->EndPieces();
  }

  // Fills group_slots_: the group of each row's key.
  void ResolveGroups(duckdb::DataChunk& keys) {
    size_t at = 0;
    for (size_t c = 0; c < null_is_value_.size(); c++) {
      if (null_is_value_[c]) group_keys_.data[at++].Reference(keys.data[c]);
    }
    group_keys_.SetCardinality(keys.size());
    groups_->Resolve(group_keys_, group_slots_);
  }

  // Remembers of left slots which group they belong to and whether their key has a NULL.
  void PutInGroups(duckdb::DataChunk& keys, const uint32_t* slots) {
    auto count = keys.size();
    without_.assign(count, false);
    FindWithoutKey(keys, count, null_is_value_, without_);
    ResolveGroups(keys);
    for (duckdb::idx_t i = 0; i < count; i++) {
      uint32_t slot = slots[i], group = group_slots_[i];
      if (slot == kNoSlot) continue;
      if (group_of_.size() <= slot) {
        size_t room = std::max<size_t>(slot + 1, group_of_.size() + group_of_.size() / 2);
        group_of_.resize(room);
        listed_in_.resize(room, kNoSlot);
      }
      group_of_[slot] = group << 1 | static_cast<uint32_t>(without_[i]);
      if (listed_in_[slot] == group) continue;
      if (slots_of_group_.size() <= group) slots_of_group_.resize(group + 1);
      listed_in_[slot] = group;
      slots_of_group_[group].push_back(slot);
    }
  }

  // Keys with a NULL that equals nothing have no partners.
  void FindPartners(duckdb::DataChunk& keys, uint32_t* slots) {
    auto count = keys.size();
    without_.assign(count, false);
    FindWithoutKey(keys, count, null_is_value_, without_);
    partners_.Find(keys, slots);
    for (duckdb::idx_t i = 0; i < count; i++) {
      if (without_[i]) slots[i] = kNoSlot;
    }
  }

  Shown MarkOf(uint32_t slot, Partners partners, const Group& group) const {
    bool has_null = group_of_[slot] & 1;
    if (!has_null && partners != Partners::kNone) return Shown::kTrue;
    bool unknown = has_null ? group.rows > 0 : group.rows_with_null > 0;
    return unknown ? Shown::kUnknown : Shown::kFalse;
  }
  const Group& GroupAtStart(uint32_t group) const {
    auto changed = changed_groups_.find(group);
    return changed == changed_groups_.end() ? (*groups_)[group] : changed->second;
  }

  void ShowLeft(duckdb::DataChunk& rows, const int64_t* weights) {
    auto count = rows.size();
    auto* slots = Left().slots();
    auto& keys = Left().keys();
    keys.SetCardinality(count);
    PutInGroups(keys, slots);
    uint32_t partners[STANDARD_VECTOR_SIZE];
    FindPartners(keys, partners);
    marks_.Reset();
    duckdb::SelectionVector shown(count);
    duckdb::idx_t shown_count = 0;
    int64_t shown_weights[STANDARD_VECTOR_SIZE];
    for (duckdb::idx_t i = 0; i < count; i++) {
      if (slots[i] == kNoSlot) continue;  // its key has failed
      auto& group = GroupAtStart(group_of_[slots[i]] >> 1);
      RowDisplay::SetMark(marks_.data[0], shown_count,
                          MarkOf(slots[i], partners_.AtStart(partners[i]), group));
      shown_weights[shown_count] = weights ? weights[i] : 1;
      shown.set_index(shown_count++, i);
    }
    if (shown_count == 0) return;
    size_t width = types().size() - 1;
    for (size_t c = 0; c < width; c++) marked_.data[c].Slice(rows.data[c], shown, shown_count);
    marked_.data[width].Reference(marks_.data[0]);
    marked_.SetCardinality(shown_count);
    Emit(marked_, shown_weights);
  }

  // Keys can fail, so nothing changes before.
  void CountRight(duckdb::DataChunk& rows, const int64_t* weights) {
    auto count = rows.size();
    if (right_keys_) {
      auto& values = right_keys_->Run(rows);
      for (size_t c = 0; c < null_is_value_.size(); c++) {
        some_keys_.data[c].Reference(values.data[c]);
      }
    }
    some_keys_.SetCardinality(count);
    without_.assign(count, false);
    FindWithoutKey(some_keys_, count, null_is_value_, without_);
    ResolveGroups(some_keys_);
    BeforeChange([&](StateWriter& writer) { groups_->SaveBefore(group_slots_, count, writer); });
    duckdb::SelectionVector with(count);
    duckdb::idx_t some = 0;
    for (duckdb::idx_t i = 0; i < count; i++) {
      int64_t weight = weights ? weights[i] : 1;
      auto& group = (*groups_)[group_slots_[i]];
      changed_groups_.try_emplace(group_slots_[i], group);
      AddWeight(group.rows, weight);
      if (without_[i]) {
        AddWeight(group.rows_with_null, weight);
      } else {
        with.set_index(some++, i);
      }
    }
    if (some == 0) return;
    for (auto& column : some_keys_.data) column.Slice(with, some);
    some_keys_.SetCardinality(some);
    uint32_t slots[STANDARD_VECTOR_SIZE];
    partners_.counts()->Resolve(some_keys_, slots);
    BeforeChange([&](StateWriter& writer) { partners_.counts()->SaveBefore(slots, some, writer); });
    for (duckdb::idx_t i = 0; i < some; i++) {
      partners_.Touch(slots[i]);
      partners_.counts()->Add(slots[i], weights ? weights[with.get_index(i)] : 1);
    }
  }

  // Left keys whose partners, or whose group, are others than as the step began; each once.
  std::vector<uint32_t> SlotsThatMayChange() {
    std::vector<uint32_t> slots, changed;
    for (auto& [group, before] : changed_groups_) {
      bool same = (before.rows > 0) == ((*groups_)[group].rows > 0) &&
                  (before.rows_with_null > 0) == ((*groups_)[group].rows_with_null > 0);
      if (same || group >= slots_of_group_.size()) continue;
      auto& listed = slots_of_group_[group];
      std::erase_if(listed, [&, group = group](uint32_t slot) {
        bool gone = group_of_[slot] >> 1 != group || Left().First(slot) == kNoRow;
        if (gone && listed_in_[slot] == group) listed_in_[slot] = kNoSlot;
        return gone;
      });
      slots.insert(slots.end(), listed.begin(), listed.end());
    }
    for (auto& change : partners_.Changes()) {
      if ((change.before == Partners::kNone) != (change.now == Partners::kNone)) {
        changed.push_back(change.slot);
      }
    }
    uint32_t found[STANDARD_VECTOR_SIZE];
    for (size_t done = 0; done < changed.size(); done += STANDARD_VECTOR_SIZE) {
      size_t some = std::min<size_t>(STANDARD_VECTOR_SIZE, changed.size() - done);
      key_chunk_.Reset();
      partners_.Keys(&changed[done], some, key_chunk_);
      Left().Find(key_chunk_, found);
      std::copy_if(found, found + some, std::back_inserter(slots),
                   [&](uint32_t slot) { return slot != kNoSlot && Left().First(slot) != kNoRow; });
    }
    std::sort(slots.begin(), slots.end());
    slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
    return slots;
  }

  std::vector<bool> null_is_value_;
  JoinOutput out_;
  RowDisplay display_;
  PartnerKeys partners_;
  std::unique_ptr<Evaluator> right_keys_;
  std::unique_ptr<RightGroups> groups_;
  std::unordered_map<uint32_t, Group> changed_groups_;  // as the step began

  // By slot of the left index: group << 1 | the key has a NULL; and in which group's list it
  // stands.
  std::vector<uint32_t> group_of_, listed_in_;
  std::vector<std::vector<uint32_t>> slots_of_group_;

  duckdb::DataChunk some_keys_, key_chunk_, group_keys_, marks_, marked_;
  uint32_t group_slots_[STANDARD_VECTOR_SIZE];
  std::vector<uint8_t> without_;
};

}  // namespace

std::unique_ptr<Operator> MakeMarkJoin(const SessionPtr& session, const JoinSpec& spec,
                                       RowTypes types, bool) {
  return std::make_unique<MarkJoin>(session, spec, std::move(types));
}

}  // namespace weir
