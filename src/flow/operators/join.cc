// Joins of any kind, kept by the change.
//
// Both sides' rows are indexed by the values that must be equal (one KeyTable for both, so a key's
// rows and counts stand side by side); a row that comes or goes meets the rows of the other side
// with its key.  The pairs are an inner join's change, at once (the product rule of the changes:
// one side's change with what the other side has by then).  Whether a row has a partner at all
// decides the rest (outer, semi, anti, mark, single): it is looked at when the step ends, for the
// keys or rows that changed, so that what is replaced within a step is not seen as gone.
//
//  - No further condition: a row has a partner when its key has a count on the other side.  A side
//    whose rows are never shown keeps its counts only.
//  - With one: each row counts its partners (Note::matches), and for a mark the pairs of which
//    the condition is NULL.
//
// Pairs of which the condition fails are failed rows, and partners to nobody.  So are, of a scalar
// subquery (single), the left rows with more than one partner, as long as they have them.
//
// Cost: by changes and the pairs they make.  State: the rows of each side, once.
// After: DBSP (Budiu et al., VLDB 2023), section 4, bilinear operators.
#include <algorithm>

#include "duck/errors.h"
#include "duck/evaluator.h"
#include "flow/key_table.h"
#include "flow/operators/join_output.h"
#include "flow/operators/operators.h"
#include "flow/row_store.h"

namespace weir {
namespace {

constexpr uint32_t kNoSlot = UINT32_MAX;
using Kind = JoinSpec::Kind;

struct Traits {
  bool pairs = false;      // matching pairs are shown
  bool alone[2] = {};      // a row without partner is shown, with NULLs
  bool partnered[2] = {};  // a row with a partner is shown, once
  bool mark = false;       // each left row is shown, with whether it has a partner
  bool single = false;     // more than one partner is an error
  bool tracked(int side) const { return alone[side] || partnered[side] || (mark && side == 0); }
};

Traits TraitsOf(Kind kind) {
  Traits traits;
  switch (kind) {
    case Kind::kInner: traits.pairs = true; break;
    case Kind::kLeft: traits.pairs = traits.alone[0] = true; break;
    case Kind::kRight: traits.pairs = traits.alone[1] = true; break;
    case Kind::kFull: traits.pairs = traits.alone[0] = traits.alone[1] = true; break;
    case Kind::kSemi: traits.partnered[0] = true; break;
    case Kind::kAnti: traits.alone[0] = true; break;
    case Kind::kMark: traits.mark = true; break;
    case Kind::kSingle: traits.pairs = traits.alone[0] = traits.single = true; break;
  }
  return traits;
}

// How a row is shown, if at all.
enum class Shown : uint8_t { kNot, kPlain, kFalse, kTrue, kUnknown };

// What `= NULL` within a group (the keys where NULL is a value) says of rows without a partner.
struct Group {
  int64_t rows = 0, rows_with_null = 0;
  bool operator==(const Group&) const = default;
};

class Join : public Operator {
 public:
  Join(const SessionPtr& session, JoinSpec spec, RowTypes types, bool append_only)
      : Operator("join", std::move(types), append_only),
        traits_(TraitsOf(spec.kind)),
        has_condition_(!spec.condition.empty()),
        pair_types_(spec.left),
        null_is_value_(spec.null_is_value),
        out_(this->types(), spec.left.size(), traits_.pairs ? spec.right.size() : 0) {
    pair_types_.insert(pair_types_.end(), spec.right.begin(), spec.right.end());
    RowTypes key_types, group_types;
    for (size_t i = 0; i < spec.left_keys.size(); i++) {
      key_types.push_back(TypeOf(spec.left_keys[i]));
      if (null_is_value_[i]) group_types.push_back(key_types.back());
    }
    key_count_ = key_types.size();
    group_count_ = group_types.size();
    if (key_count_) {
      table_ = KeyTable::Make(key_types);
      sides_[0].keys = std::make_unique<Evaluator>(session, spec.left_keys);
      sides_[1].keys = std::make_unique<Evaluator>(session, spec.right_keys);
      keys_.InitializeEmpty(DuckTypes(key_types));
      if (traits_.mark && group_count_) {
        group_table_ = KeyTable::Make(group_types);
        group_keys_.InitializeEmpty(DuckTypes(group_types));
      }
    } else {
      GrowSlots(1);
    }
    if (traits_.mark && !group_count_) groups_.resize(1);
    if (has_condition_) {
      condition_ = std::make_unique<Evaluator>(session, spec.condition);
    }
    for (int side : {0, 1}) {
      auto& own = sides_[side];
      own.types = side ? spec.right : spec.left;
      // Rows are needed when pairs are made of them, or when they may have to be shown later.
      bool is_looked_at = traits_.pairs || has_condition_ || traits_.tracked(side);
      if (is_looked_at) {
        own.rows =
            std::make_unique<RowStore>(own.types, !spec.append_only[side], traits_.tracked(side));
      }
      own.fetched.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(own.types));
    }
    pairs_.InitializeEmpty(DuckTypes(pair_types_));
    if (!key_count_) {
      upkeep.Add(Upkeep::Rung::kTouched,
                 "no equality binds the two sides: a row that changes meets all rows of the other",
                 "With an equality in the join's condition partners are looked up.");
    }
  }

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override {
    int side = static_cast<int>(port);
    ResolveKeys(side, rows, weights);
    ShowWithoutKey(side, rows, weights);
    if (traits_.single && side == 0) RejectCrowded(rows, weights);
    matches_.assign(rows.size(), 0);
    unknowns_.assign(rows.size(), 0);
    if (traits_.pairs || has_condition_) MakePairs(side, rows, weights);
    Keep(side, rows, weights);
  }

  void Flush() override {
    for (int side : {0, 1}) {
      if (!traits_.tracked(side)) continue;
      if (!has_condition_) ShowChangedKeys(side);
      ShowTouchedRows(side);
    }
    FlushOut();
    if (traits_.single) SettleCrowded();
    for (int side : {0, 1}) {
      for (auto& touched : sides_[side].touched) {
        auto& own = sides_[side];
        own.rows->NoteOf(touched.ref).touched = 0;
        if (own.rows->At(touched.ref).weight == 0) Remove(own, touched.ref, touched.slot);
      }
      sides_[side].touched.clear();
      for (auto& changed : sides_[side].changed_keys) sides_[side].is_changed[changed.slot] = false;
      sides_[side].changed_keys.clear();
    }
    changed_groups_.clear();
    ForgetEmptySlots();
  }

  bool HasState() const override { return true; }
  std::vector<RowStore*> RowStores() override {
    std::vector<RowStore*> stores;
    for (auto& side : sides_) {
      if (side.rows) stores.push_back(side.rows.get());
    }
    return stores;
  }
  size_t StateBytes() const override {
    size_t bytes = table_ ? table_->Bytes() : 0;
    if (group_table_) bytes += group_table_->Bytes();
    bytes += groups_.capacity() * sizeof(Group) +
             (group_of_.capacity() + is_listed_.capacity()) * sizeof(uint32_t) +
             maybe_empty_.capacity() * sizeof(uint32_t) +
             group_slots_.capacity() * sizeof(group_slots_[0]) + is_listed_.size() * 4;
    for (auto& side : sides_) {
      bytes += side.heads.capacity() * sizeof(RowRef) + side.counts.capacity() * sizeof(int64_t) +
               side.is_changed.capacity() + side.touched.capacity() * sizeof(Touched) +
               side.changed_keys.capacity() * sizeof(ChangedKey);
      if (side.rows) bytes += side.rows->Bytes();
    }
    return bytes;
  }

  void Save(StateWriter& writer) const override {
    if (table_) table_->Save(writer);
    if (group_table_) group_table_->Save(writer);
    writer.PutVector(groups_);
    writer.PutVector(group_of_);
    writer.PutVector(is_crowded_);
    for (auto& side : sides_) {
      writer.PutVector(side.counts);
      if (side.rows) side.rows->Save(writer, side.heads);
    }
  }
  void Load(StateReader& reader) override {
    if (table_) table_->Load(reader);
    if (group_table_) group_table_->Load(reader);
    groups_ = reader.GetVector<Group>();
    group_of_ = reader.GetVector<uint32_t>();
    is_crowded_ = reader.GetVector<uint8_t>();
    for (auto& side : sides_) {
      side.counts = reader.GetVector<int64_t>();
      side.heads.assign(side.counts.size(), kNoRow);
      side.is_changed.assign(side.counts.size(), false);
      if (side.rows) side.rows->Load(reader, side.heads);
    }
    is_listed_.clear();
    group_slots_.clear();
    for (uint32_t slot = 0; slot < group_of_.size(); slot++) List(slot);
  }

 private:
  struct Touched {
    RowRef ref;
    uint32_t slot;
    int64_t weight;  // before the step, as the next two
    int32_t matches, unknowns;
  };
  struct ChangedKey {
    uint32_t slot;
    int64_t count;  // before the step
  };
  struct Side {
    std::unique_ptr<Evaluator> keys;
    RowTypes types;
    std::unique_ptr<RowStore> rows;
    std::vector<RowRef> heads;    // by slot
    std::vector<int64_t> counts;  // rows by slot
    std::vector<uint8_t> is_changed;
    std::vector<ChangedKey> changed_keys;  // counts that changed in this step
    std::vector<Touched> touched;          // rows with notes that changed in this step
    duckdb::DataChunk fetched;
  };
  struct ChangedGroup {
    uint32_t group;
    Group before;
  };

  // ---- keys -----------------------------------------------------------------------------------

  void GrowSlots(size_t slots) {
    for (auto& side : sides_) {
      if (side.heads.size() >= slots) continue;
      size_t room = std::max(slots, side.heads.size() + side.heads.size() / 2);
      side.heads.resize(room, kNoRow);
      side.counts.resize(room);
      side.is_changed.resize(room);
    }
    if (traits_.mark && group_of_.size() < sides_[0].heads.size()) {
      group_of_.resize(sides_[0].heads.size());
    }
    if (traits_.single) is_crowded_.resize(sides_[0].heads.size());
  }

  // Fills slots_: the slot of each row's key, or kNoSlot where a NULL keeps it from any partner.
  void ResolveKeys(int side, duckdb::DataChunk& rows, const int64_t* weights) {
    auto count = rows.size();
    std::fill_n(slots_, count, 0);
    any_without_ = false;
    if (!key_count_) return;
    auto& values = sides_[side].keys->Run(rows);
    without_.assign(count, false);
    for (size_t c = 0; c < key_count_; c++) {
      if (null_is_value_[c]) continue;
      duckdb::UnifiedVectorFormat format;
      values.data[c].ToUnifiedFormat(count, format);
      if (format.validity.AllValid()) continue;
      for (duckdb::idx_t i = 0; i < count; i++) {
        if (!format.validity.RowIsValid(format.sel->get_index(i))) {
          without_[i] = any_without_ = true;
        }
      }
    }
    if (traits_.mark) ResolveGroups(side, values, count, weights);
    // A mark's left rows have a slot even so: what they show depends on the others' being there.
    bool all = !any_without_ || (traits_.mark && side == 0);
    if (all) {
      for (size_t c = 0; c < key_count_; c++) keys_.data[c].Reference(values.data[c]);
      keys_.SetCardinality(count);
      table_->Resolve(keys_, slots_);
    } else {
      duckdb::SelectionVector with(count);
      duckdb::idx_t some = 0;
      for (duckdb::idx_t i = 0; i < count; i++) {
        if (!without_[i]) with.set_index(some++, i);
      }
      std::fill_n(slots_, count, kNoSlot);
      if (some > 0) {
        for (size_t c = 0; c < key_count_; c++) keys_.data[c].Slice(values.data[c], with, some);
        keys_.SetCardinality(some);
        uint32_t found[STANDARD_VECTOR_SIZE];
        table_->Resolve(keys_, found);
        for (duckdb::idx_t i = 0; i < some; i++) slots_[with.get_index(i)] = found[i];
      }
    }
    GrowSlots(table_->Slots());
    if (traits_.mark && side == 0) {
      for (duckdb::idx_t i = 0; i < count; i++) {
        group_of_[slots_[i]] = group_slots_of_[i] << 1 | static_cast<uint32_t>(without_[i]);
        List(slots_[i]);
      }
    }
  }

  // A mark's groups: counts how many right rows, and how many with a NULL, each has.
  void ResolveGroups(int side, duckdb::DataChunk& values, duckdb::idx_t count,
                     const int64_t* weights) {
    std::fill_n(group_slots_of_, count, 0);
    if (group_count_) {
      size_t at = 0;
      for (size_t c = 0; c < key_count_; c++) {
        if (null_is_value_[c]) group_keys_.data[at++].Reference(values.data[c]);
      }
      group_keys_.SetCardinality(count);
      group_table_->Resolve(group_keys_, group_slots_of_);
      if (groups_.size() < group_table_->Slots()) groups_.resize(group_table_->Slots());
    }
    if (side == 0 || has_condition_) return;
    for (duckdb::idx_t i = 0; i < count; i++) {
      uint32_t group = group_slots_of_[i];
      if (std::none_of(changed_groups_.begin(), changed_groups_.end(),
                       [&](auto& changed) { return changed.group == group; })) {
        changed_groups_.push_back({group, groups_[group]});
      }
      int64_t weight = weights ? weights[i] : 1;
      groups_[group].rows += weight;
      if (without_[i]) groups_[group].rows_with_null += weight;
    }
  }

  // Remembers that a slot's left rows belong to its group.
  void List(uint32_t slot) {
    if (!traits_.mark) return;
    uint32_t group = group_of_[slot] >> 1;
    if (group_slots_.size() <= group) group_slots_.resize(group + 1);
    if (is_listed_.size() <= slot) is_listed_.resize(slot + 1, kNoSlot);
    if (is_listed_[slot] == group) return;
    is_listed_[slot] = group;
    group_slots_[group].push_back(slot);
  }

  // Rows that can have no partner are shown or not at once; they are not kept.
  void ShowWithoutKey(int side, duckdb::DataChunk& rows, const int64_t* weights) {
    if (!any_without_ || traits_.mark || !traits_.alone[side]) return;
    duckdb::SelectionVector alone(rows.size());
    duckdb::idx_t count = 0;
    int64_t alone_weights[STANDARD_VECTOR_SIZE];
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      if (!without_[i]) continue;
      alone_weights[count] = weights ? weights[i] : 1;
      alone.set_index(count++, i);
    }
    auto emit = [&](duckdb::DataChunk& chunk, const int64_t* w) { Emit(chunk, w); };
    out_.ShowAlone(side, rows, alone, count, alone_weights, emit);
  }

  // ---- pairs ----------------------------------------------------------------------------------

  void MakePairs(int side, duckdb::DataChunk& rows, const int64_t* weights) {
    auto& other = sides_[1 - side];
    pair_count_ = 0;
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      if (slots_[i] == kNoSlot || IsCrowded(slots_[i])) continue;
      for (RowRef ref = other.heads[slots_[i]]; ref != kNoRow;) {
        auto& entry = other.rows->At(ref);
        pair_rows_.set_index(pair_count_, i);
        pair_refs_[pair_count_++] = ref;
        ref = entry.next;
        if (pair_count_ == STANDARD_VECTOR_SIZE) TakePairs(side, rows, weights);
      }
    }
    TakePairs(side, rows, weights);
  }

  void TakePairs(int side, duckdb::DataChunk& rows, const int64_t* weights) {
    if (pair_count_ == 0) return;
    auto& own = sides_[side];
    auto& other = sides_[1 - side];
    other.fetched.Reset();
    other.rows->Gather(pair_refs_, pair_count_, other.fetched, 0);
    size_t own_first = side == 0 ? 0 : other.types.size();
    size_t other_first = side == 0 ? own.types.size() : 0;
    for (size_t c = 0; c < own.types.size(); c++) {
      pairs_.data[own_first + c].Slice(rows.data[c], pair_rows_, pair_count_);
    }
    for (size_t c = 0; c < other.types.size(); c++) {
      pairs_.data[other_first + c].Reference(other.fetched.data[c]);
    }
    pairs_.SetCardinality(pair_count_);
    taken_ = 0;
    only_additions_ = true;
    if (has_condition_) {
      Judge(side, weights, pairs_, 0);
    } else {
      for (duckdb::idx_t pair = 0; pair < pair_count_; pair++) Take(side, weights, pair);
    }
    if (traits_.pairs && taken_ > 0) {
      if (taken_ < pair_count_) pairs_.Slice(chosen_, taken_);
      Emit(pairs_, only_additions_ ? nullptr : pair_weights_);
    }
    pair_count_ = 0;
  }

  int64_t WeightOf(int side, const int64_t* weights, duckdb::idx_t pair) const {
    int64_t weight = weights ? weights[pair_rows_.get_index(pair)] : 1;
    return weight * sides_[1 - side].rows->At(pair_refs_[pair]).weight;
  }

  void Take(int side, const int64_t* weights, duckdb::idx_t pair) {
    int64_t weight = WeightOf(side, weights, pair);
    if (weight == 0) return;
    chosen_.set_index(taken_, pair);
    pair_weights_[taken_++] = weight;
    only_additions_ &= weight == 1;
  }

  // Which of the pairs from `first` on, whose rows `pairs` holds, belong together.
  void Judge(int side, const int64_t* weights, duckdb::DataChunk& pairs, duckdb::idx_t first) {
    duckdb::Vector* holds = nullptr;
    try {
      holds = &condition_->Run(pairs).data[0];
    } catch (const ExpressionFailed& why) {
      return JudgeParts(side, weights, pairs, first, why);
    }
    duckdb::UnifiedVectorFormat format;
    holds->ToUnifiedFormat(pairs.size(), format);
    auto* values = duckdb::UnifiedVectorFormat::GetDataUnsafe<bool>(format);
    for (duckdb::idx_t i = 0; i < pairs.size(); i++) {
      auto index = format.sel->get_index(i);
      bool known = format.validity.RowIsValid(index);
      if (known && !values[index]) continue;
      CountMatch(side, first + i, weights, known);
      if (known) Take(side, weights, first + i);
    }
  }

  void JudgeParts(int side, const int64_t* weights, duckdb::DataChunk& pairs, duckdb::idx_t first,
                  const ExpressionFailed& why) {
    duckdb::idx_t half = pairs.size() / 2;
    if (half == 0) return Reject(ValuesOf(pairs, 0), WeightOf(side, weights, first), why);
    duckdb::DataChunk part;
    part.InitializeEmpty(pairs.GetTypes());
    for (duckdb::idx_t start : {duckdb::idx_t{0}, half}) {
      duckdb::idx_t count = start == 0 ? half : pairs.size() - half;
      duckdb::SelectionVector some(count);
      for (duckdb::idx_t i = 0; i < count; i++) some.set_index(i, start + i);
      part.Reference(pairs);
      part.Slice(some, count);
      Judge(side, weights, part, first + start);
    }
  }

  // A pair for which the condition holds, or of which it is NULL, on both sides that count.
  void CountMatch(int side, duckdb::idx_t pair, const int64_t* weights, bool known) {
    auto& other = sides_[1 - side];
    auto row = pair_rows_.get_index(pair);
    RowRef ref = pair_refs_[pair];
    if (traits_.tracked(side)) {
      (known ? matches_ : unknowns_)[row] += other.rows->At(ref).weight;
    }
    if (traits_.tracked(1 - side)) {
      Touch(other, ref, slots_[row]);
      auto weight = static_cast<int32_t>(weights ? weights[row] : 1);
      auto& note = other.rows->NoteOf(ref);
      (known ? note.matches : note.unknowns) += weight;
    }
  }

  // ---- what is kept ---------------------------------------------------------------------------

  void Keep(int side, duckdb::DataChunk& rows, const int64_t* weights) {
    auto& own = sides_[side];
    bool count_matters = !has_condition_ && (traits_.tracked(1 - side) || traits_.single);
    const std::vector<std::string_view>* encoded = own.rows ? &own.rows->Encode(rows) : nullptr;
    if (encoded) own.rows->Prefetch(*encoded);
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      uint32_t slot = slots_[i];
      if (slot == kNoSlot) continue;
      int64_t weight = weights ? weights[i] : 1;
      if (count_matters && !own.is_changed[slot]) {
        own.is_changed[slot] = true;
        own.changed_keys.push_back({slot, own.counts[slot]});
      }
      own.counts[slot] += weight;
      if (own.counts[slot] == 0) maybe_empty_.push_back(slot);
      if (!encoded) continue;
      RowRef ref = own.rows->FindOrAdd((*encoded)[i], own.heads[slot]);
      if (traits_.tracked(side)) {
        Touch(own, ref, slot);
        auto& note = own.rows->NoteOf(ref);
        note.matches = matches_[i];
        note.unknowns = unknowns_[i];
      }
      auto& entry = own.rows->At(ref);
      entry.weight += static_cast<int32_t>(weight);
      if (entry.weight == 0 && !traits_.tracked(side)) Remove(own, ref, slot);
    }
  }

  void Remove(Side& side, RowRef ref, uint32_t slot) {
    side.rows->Remove(ref, side.heads[slot]);
    if (side.heads[slot] == kNoRow) maybe_empty_.push_back(slot);
  }

  void Touch(Side& side, RowRef ref, uint32_t slot) {
    auto& note = side.rows->NoteOf(ref);
    if (note.touched) return;
    side.touched.push_back({ref, slot, side.rows->At(ref).weight, note.matches, note.unknowns});
    note.touched = static_cast<uint32_t>(side.touched.size());
  }

  void ForgetEmptySlots() {
    if (!table_) {
      maybe_empty_.clear();
      return;
    }
    std::sort(maybe_empty_.begin(), maybe_empty_.end());
    maybe_empty_.erase(std::unique(maybe_empty_.begin(), maybe_empty_.end()), maybe_empty_.end());
    for (uint32_t slot : maybe_empty_) {
      bool empty = true;
      for (auto& side : sides_) {
        empty = empty && side.counts[slot] == 0 && side.heads[slot] == kNoRow;
      }
      if (empty) table_->Erase(slot);
    }
    maybe_empty_.clear();
  }

  // ---- what is shown of rows with or without a partner -----------------------------------------

  Shown ShownAs(int side, bool partnered) const {
    if (partnered ? traits_.partnered[side] : traits_.alone[side]) return Shown::kPlain;
    return Shown::kNot;
  }
  Shown MarkOf(uint32_t slot, int64_t partners, const Group& group) const {
    bool has_null = group_of_[slot] & 1;
    if (!has_null && partners > 0) return Shown::kTrue;
    bool unknown = has_null ? group.rows > 0 : group.rows_with_null > 0;
    return unknown ? Shown::kUnknown : Shown::kFalse;
  }

  // All rows of keys that got their first partner, or lost the last.
  void ShowChangedKeys(int side) {
    auto& own = sides_[side];
    auto& other = sides_[1 - side];
    auto changed = [&](uint32_t slot, Shown before, Shown now) {
      if (before == now) return;
      for (RowRef ref = own.heads[slot]; ref != kNoRow; ref = own.rows->At(ref).next) {
        auto& note = own.rows->NoteOf(ref);
        int64_t weight = own.rows->At(ref).weight;
        if (note.touched) {
          auto& touched = own.touched[note.touched - 1];
          Show(side, ref, before, -touched.weight);
          touched.weight = weight;  // done
        } else {
          Show(side, ref, before, -weight);
        }
        Show(side, ref, now, weight);
      }
    };
    if (!traits_.mark) {
      for (auto& key : other.changed_keys) {
        changed(key.slot, ShownAs(side, key.count > 0), ShownAs(side, other.counts[key.slot] > 0));
      }
      return;
    }
    // A mark changes with its key's count or with its group's.
    std::vector<std::pair<uint32_t, int64_t>> slots;
    for (auto& key : other.changed_keys) slots.emplace_back(key.slot, key.count);
    for (auto& [group, before] : changed_groups_) {
      bool same = (before.rows > 0) == (groups_[group].rows > 0) &&
                  (before.rows_with_null > 0) == (groups_[group].rows_with_null > 0);
      if (same || group >= group_slots_.size()) continue;
      auto& listed = group_slots_[group];
      std::erase_if(listed, [&, group = group](uint32_t slot) {
        bool gone = group_of_[slot] >> 1 != group || own.heads[slot] == kNoRow;
        if (gone && is_listed_[slot] == group) is_listed_[slot] = kNoSlot;
        return gone;
      });
      for (uint32_t slot : listed) {
        if (!other.is_changed[slot]) slots.emplace_back(slot, other.counts[slot]);
      }
    }
    std::sort(slots.begin(), slots.end());
    slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
    for (auto& [slot, count] : slots) {
      if (own.heads[slot] == kNoRow) continue;
      uint32_t group = group_of_[slot] >> 1;
      changed(slot, MarkOf(slot, count, GroupBefore(group)),
              MarkOf(slot, other.counts[slot], groups_[group]));
    }
  }

  Group GroupBefore(uint32_t group) const {
    for (auto& changed : changed_groups_) {
      if (changed.group == group) return changed.before;
    }
    return groups_[group];
  }

  void ShowTouchedRows(int side) {
    auto& own = sides_[side];
    auto& other = sides_[1 - side];
    for (auto& touched : own.touched) {
      int64_t weight = own.rows->At(touched.ref).weight;
      Shown before, now;
      if (has_condition_) {
        auto& note = own.rows->NoteOf(touched.ref);
        before = ByMatches(side, touched.matches, touched.unknowns);
        now = ByMatches(side, note.matches, note.unknowns);
      } else if (traits_.mark) {
        now =
            MarkOf(touched.slot, other.counts[touched.slot], groups_[group_of_[touched.slot] >> 1]);
        before = now;
      } else {
        before = now = ShownAs(side, other.counts[touched.slot] > 0);
      }
      if (before == now) {
        Show(side, touched.ref, now, weight - touched.weight);
      } else {
        Show(side, touched.ref, before, -touched.weight);
        Show(side, touched.ref, now, weight);
      }
    }
  }

  Shown ByMatches(int side, int32_t matches, int32_t unknowns) const {
    if (!traits_.mark) return ShownAs(side, matches > 0);
    return matches > 0 ? Shown::kTrue : unknowns > 0 ? Shown::kUnknown : Shown::kFalse;
  }

  void Show(int side, RowRef ref, Shown as, int64_t weight) {
    if (as == Shown::kNot || weight == 0) return;
    if (side != shown_side_) FlushOut();
    shown_side_ = side;
    shown_refs_[shown_count_] = ref;
    shown_as_[shown_count_] = as;
    shown_weights_[shown_count_++] = weight;
    if (shown_count_ == STANDARD_VECTOR_SIZE) FlushOut();
  }

  void FlushOut() {
    if (shown_count_ == 0) return;
    auto& chunk = out_.Begin(shown_side_);
    sides_[shown_side_].rows->Gather(shown_refs_, shown_count_, chunk,
                                     out_.FirstColumn(shown_side_));
    if (traits_.mark) {
      auto& mark = chunk.data[chunk.ColumnCount() - 1];
      auto* marks = duckdb::FlatVector::GetDataUnsafe<bool>(mark);
      for (duckdb::idx_t i = 0; i < shown_count_; i++) {
        marks[i] = shown_as_[i] == Shown::kTrue;
        if (shown_as_[i] == Shown::kUnknown) duckdb::FlatVector::SetNull(mark, i, true);
      }
    }
    chunk.SetCardinality(shown_count_);
    bool only_additions = std::all_of(shown_weights_, shown_weights_ + shown_count_,
                                      [](int64_t weight) { return weight == 1; });
    Emit(chunk, only_additions ? nullptr : shown_weights_);
    shown_count_ = 0;
  }

  // ---- scalar subqueries with more than one row -------------------------------------------------

  bool IsCrowded(uint32_t slot) const { return traits_.single && is_crowded_[slot]; }
  static ExpressionFailed Crowd() {
    return ExpressionFailed(Error(ErrorCode::kQueryFailed,
                                  "more than one row returned by a subquery used as an expression"),
                            "scalar subquery");
  }

  // Left rows that come to, or go from, a key with too many partners.
  void RejectCrowded(duckdb::DataChunk& rows, const int64_t* weights) {
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      if (slots_[i] == kNoSlot || !IsCrowded(slots_[i])) continue;
      Reject(ValuesOf(rows, i), weights ? weights[i] : 1, Crowd());
    }
  }

  // Keys that got too many partners, or have no longer too many.
  void SettleCrowded() {
    auto& left = sides_[0];
    auto& right = sides_[1];
    if (has_condition_) {
      for (auto& touched : left.touched) {
        if (left.rows->At(touched.ref).weight > 0 && left.rows->NoteOf(touched.ref).matches > 1) {
          throw Crowd();
        }
      }
      return;
    }
    for (auto* keys : {&right.changed_keys, &left.changed_keys}) {
      for (auto& key : *keys) {
        bool is_crowded = right.counts[key.slot] > 1;
        if (is_crowded == static_cast<bool>(is_crowded_[key.slot])) continue;
        is_crowded_[key.slot] = is_crowded;
        ShowAllPairs(key.slot, is_crowded ? -1 : 1);
        for (RowRef ref = left.heads[key.slot]; ref != kNoRow; ref = left.rows->At(ref).next) {
          int64_t weight = left.rows->At(ref).weight;
          if (weight == 0) continue;
          left.fetched.Reset();
          left.rows->Gather(&ref, 1, left.fetched, 0);
          left.fetched.SetCardinality(1);
          Reject(ValuesOf(left.fetched, 0), is_crowded ? weight : -weight, Crowd());
        }
      }
    }
  }

  void ShowAllPairs(uint32_t slot, int64_t sign) {
    std::vector<RowRef> refs[2];
    std::vector<int64_t> weights;
    for (RowRef a = sides_[0].heads[slot]; a != kNoRow; a = sides_[0].rows->At(a).next) {
      for (RowRef b = sides_[1].heads[slot]; b != kNoRow; b = sides_[1].rows->At(b).next) {
        int64_t weight = sides_[0].rows->At(a).weight * sides_[1].rows->At(b).weight;
        if (weight == 0) continue;
        refs[0].push_back(a);
        refs[1].push_back(b);
        weights.push_back(sign * weight);
      }
    }
    for (size_t done = 0; done < weights.size(); done += STANDARD_VECTOR_SIZE) {
      auto some = std::min<size_t>(STANDARD_VECTOR_SIZE, weights.size() - done);
      size_t column = 0;
      for (int side : {0, 1}) {
        auto& own = sides_[side];
        own.fetched.Reset();
        own.rows->Gather(&refs[side][done], some, own.fetched, 0);
        for (auto& values : own.fetched.data) pairs_.data[column++].Reference(values);
      }
      pairs_.SetCardinality(some);
      Emit(pairs_, &weights[done]);
    }
  }

  Traits traits_;
  bool has_condition_;
  RowTypes pair_types_;
  std::vector<bool> null_is_value_;
  size_t key_count_ = 0, group_count_ = 0;
  Side sides_[2];
  std::unique_ptr<KeyTable> table_;  // null: no keys, everything is in slot 0
  std::unique_ptr<Evaluator> condition_;
  std::vector<uint32_t> maybe_empty_;

  // Of marks: by group; by slot (group << 1 | the key has a NULL); slots by group.
  std::unique_ptr<KeyTable> group_table_;
  std::vector<Group> groups_;
  std::vector<uint32_t> group_of_;
  std::vector<std::vector<uint32_t>> group_slots_;
  std::vector<uint32_t> is_listed_;
  std::vector<ChangedGroup> changed_groups_;

  // Of the chunk at hand.
  duckdb::DataChunk keys_, group_keys_, pairs_;
  uint32_t slots_[STANDARD_VECTOR_SIZE], group_slots_of_[STANDARD_VECTOR_SIZE];
  std::vector<uint8_t> without_;
  bool any_without_ = false;
  std::vector<int32_t> matches_, unknowns_;
  duckdb::SelectionVector pair_rows_{STANDARD_VECTOR_SIZE}, chosen_{STANDARD_VECTOR_SIZE};
  RowRef pair_refs_[STANDARD_VECTOR_SIZE];
  int64_t pair_weights_[STANDARD_VECTOR_SIZE];
  duckdb::idx_t pair_count_ = 0, taken_ = 0;
  bool only_additions_ = true;
  std::vector<uint8_t> is_crowded_;  // of single joins, by slot

  JoinOutput out_;
  int shown_side_ = 0;
  RowRef shown_refs_[STANDARD_VECTOR_SIZE];
  Shown shown_as_[STANDARD_VECTOR_SIZE];
  int64_t shown_weights_[STANDARD_VECTOR_SIZE];
  duckdb::idx_t shown_count_ = 0;
};

}  // namespace

std::unique_ptr<Operator> MakeJoin(const SessionPtr& session, JoinSpec spec) {
  RowTypes types = spec.left;
  bool append_only = spec.append_only[0] && spec.append_only[1];
  switch (spec.kind) {
    case Kind::kSemi: break;
    case Kind::kAnti: append_only = false; break;
    case Kind::kMark:
      types.push_back(duckdb::LogicalType::BOOLEAN);
      append_only = false;
      break;
    default:
      types.insert(types.end(), spec.right.begin(), spec.right.end());
      append_only = append_only && spec.kind == Kind::kInner;
  }
  return std::make_unique<Join>(session, std::move(spec), std::move(types), append_only);
}

}  // namespace weir
