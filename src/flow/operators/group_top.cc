// The first rows of each group: row_number, rank or dense_rank up to k, and DISTINCT ON.  A group's
// rows stand in a balanced tree by the order asked for (ties by the rows' bytes); a step emits the
// difference between what a touched group showed and shows.  While input only grows, rows that can
// never be among the first are not kept: work and state go by k, not by history.
#include <algorithm>
#include <set>

#include "base/error.h"
#include "duck/evaluator.h"
#include "duck/row_codec.h"
#include "flow/operators/operators.h"
#include "flow/operators/sort_order.h"
#include "flow/state/allocated.h"
#include "flow/state/items_to_write.h"
#include "flow/state/key_table.h"
#include "flow/state/row_store.h"
#include "flow/state/weights.h"

namespace weir {
namespace {

class GroupTop : public Operator {
 public:
  GroupTop(const SessionPtr& session, const GroupTopCall& call, const RowTypes& input,
           RowTypes types, bool append_only)
      : Operator("group top", std::move(types), false),
        numbering_(call.numbering),
        limit_(call.limit),
        with_number_(call.with_number),
        prune_(append_only),
        keys_(session, Expressions(call.order)),
        key_codec_(keys_.types(), Directions(call.order)),
        rows_(input, !append_only) {
    RowTypes group_types;
    for (auto& group : call.groups) group_types.push_back(TypeOf(group));
    if (group_types.empty()) {
      Grow(1);
    } else {
      table_ = KeyTable::Make(group_types);
      group_values_ = std::make_unique<Evaluator>(session, call.groups);
    }
    out_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(this->types()));
    if (!prune_) {
      upkeep.Add(Upkeep::Rung::kClosedForm,
                 "its input has rows that go, so each group keeps all its rows in order: any may "
                 "come up");
    }
  }

  void Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) override {
    auto& keys = key_codec_.Encode(keys_.Run(rows));
    if (table_) {
      table_->Resolve(group_values_->Run(rows), slots_);
      Grow(table_->Slots());
    } else {
      std::fill_n(slots_, rows.size(), 0);
    }
    auto& encoded = rows_.Encode(rows);
    Prefetch(rows.size());
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      auto& group = groups_[slots_[i]];
      if (prune_ && IsBeyond(group, keys[i])) continue;
      Touch(slots_[i]);
      RowRef head = kNoRow;  // the tree is the only list
      RowRef ref = rows_.FindOrAdd(encoded[i], head);
      auto& entry = rows_.At(ref);
      if (entry.weight == 0) {
        Insert(group, std::string(keys[i]), ref);
      } else {
        BeforeChange([&](StateWriter& writer) {
          SaveBefore(writer, slots_[i], group.items.find({std::string(keys[i]), ref}));
        });
      }
      AddWeight(entry.weight, weights ? weights[i] : 1);
      if (entry.weight == 0) Erase(group, group.items.find({std::string(keys[i]), ref}));
      changed_.push_back(ref);
      if (prune_) Prune(slots_[i]);
    }
  }

  void Flush() override {
    for (uint32_t slot : touched_) ShowChanges(groups_[slot]);
    FlushOut();
    for (uint32_t slot : touched_) {
      auto& group = groups_[slot];
      group.touched = false;
      group.before.clear();
      if (group.items.empty() && table_) table_->Erase(slot);
    }
    touched_.clear();
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    for (RowRef ref : changed_) {
      RowRef head = ref;  // removing it needs no other
      if (rows_.At(ref).weight == 0) rows_.Remove(ref, head);
    }
    changed_.clear();
  }

  void CheckInvariants() const override {
    Operator::CheckInvariants();
    if (table_) table_->CheckInvariants();
    rows_.CheckInvariants();
    CHECK(touched_.empty() && changed_.empty());
    size_t items = 0, bytes = 0, groups = 0;
    for (auto& group : groups_) {
      CHECK(!group.touched && group.before.empty());
      groups += !group.items.empty();
      items += group.items.size();
      for (auto& item : group.items) {
        CHECK(rows_.At(item.ref).weight != 0);
        bytes += BytesOf(item);
      }
    }
    CHECK(items == rows_.rows() && bytes == items_bytes_);
    CHECK(!table_ || groups <= table_->KeysThere());
  }
  bool HasState() const override { return true; }
  std::vector<RowStore*> RowStores() override { return {&rows_}; }
  size_t StateBytes() const override {
    return (table_ ? table_->Bytes() : 0) + rows_.Bytes() + items_bytes_ +
           groups_.capacity() * sizeof(Group);
  }
  void Load(StateReader& reader) override {
    auto slots = reader.Get<uint64_t>();
    if (table_) table_->BeginLoad(slots);
    Grow(slots);
    for (auto kind = reader.Get<Kind>(); kind != Kind::kEnd; kind = reader.Get<Kind>()) {
      auto slot = reader.Get<uint32_t>();
      if (slot >= groups_.size()) StateReader::Bad();
      if (kind == Kind::kGroup) {
        if (table_) table_->LoadKey(slot, reader);
        continue;
      }
      std::string key(reader.GetString());
      RowRef head = kNoRow;
      RowRef ref = rows_.FindOrAdd(reader.GetString(), head);
      Insert(groups_[slot], std::move(key), ref);
      rows_.At(ref).weight = reader.Get<int32_t>();
    }
    if (table_) table_->EndLoad();
  }

 private:
  static constexpr size_t kLarge = 1 << 12;  // groups: more than the nearest caches keep

  struct Item {
    std::string key;
    RowRef ref;
    mutable uint32_t saved = 0;  // flow/items_to_write.h
  };
  struct Less {
    const RowStore* rows;
    bool operator()(const Item& a, const Item& b) const {
      if (int order = a.key.compare(b.key)) return order < 0;
      if (a.ref == b.ref) return false;
      if (int order = rows->Bytes(a.ref).compare(rows->Bytes(b.ref))) return order < 0;
      return a.ref < b.ref;
    }
  };
  struct Shown {
    RowRef ref;
    int64_t number, copies;
  };
  using Items = std::set<Item, Less>;
  struct Group {
    Items items;
    std::vector<Shown> before;  // what it showed before this step, once touched
    bool touched = false;
  };

  // ---- saved: each group ahead of its first item, items in any order

  enum class Kind : uint8_t { kEnd, kGroup, kItem };

  void SaveNow(StateWriter& writer, uint32_t slot, const Item& item) {
    if (to_write_.Claim(slot)) {
      writer.Put(Kind::kGroup);
      writer.Put(slot);
      if (table_) table_->SaveKey(slot, writer);
    }
    writer.Put(Kind::kItem);
    writer.Put(slot);
    writer.PutString(item.key);
    writer.PutString(rows_.Bytes(item.ref));
    writer.Put(rows_.At(item.ref).weight);
  }
  void SaveBefore(StateWriter& writer, uint32_t slot, Items::iterator item) {
    if (items_to_write_.Claim(*item)) SaveNow(writer, slot, *item);
  }
  bool BeginPieces(StateWriter& writer) override {
    writer.Put<uint64_t>(groups_.size());
    to_write_.Begin(groups_.size());
    items_to_write_.Begin(groups_.size());
    return true;
  }
  bool SavePieces(StateWriter& writer, const Stop& stop) override {
    auto items_of = [&](size_t slot) -> const Items& { return groups_[slot].items; };
    auto write = [&](size_t slot, const Item& item) {
      SaveNow(writer, static_cast<uint32_t>(slot), item);
    };
    if (!items_to_write_.Continue(items_of, write, stop)) return false;
    writer.Put(Kind::kEnd);
    return true;
  }
  void EndPieces() override {
    to_write_.End();
    items_to_write_.End();
  }

  void Grow(size_t count) {
    while (groups_.size() < count) {
      groups_.push_back({Items(Less{&rows_}), {}, false});
    }
  }

  static std::vector<ExpressionPtr> Expressions(const std::vector<SortKey>& order) {
    std::vector<ExpressionPtr> expressions;
    expressions.reserve(order.size());
    for (auto& key : order) expressions.push_back(key.by);
    return expressions;
  }

  // Calls show(row, number, copies) for what a group shows.
  template <class ShowRow>
  void ForEachShown(const Group& group, ShowRow show) const {
    int64_t before = 0, distinct = 0;  // rows and keys before the row at hand
    int64_t rank = 1;
    const std::string* last = nullptr;
    auto limit = static_cast<int64_t>(limit_);
    for (auto& item : group.items) {
      int64_t copies = rows_.At(item.ref).weight;
      if (copies <= 0) continue;
      if (!last || *last != item.key) {
        rank = before + 1;
        distinct++;
        last = &item.key;
      }
      switch (numbering_) {
        case RowNumbering::kRowNumber:
          if (before >= limit) return;
          if (with_number_) {
            for (int64_t copy = 0; copy < copies && before + copy < limit; copy++) {
              show(item.ref, before + copy + 1, 1);
            }
          } else {
            show(item.ref, 0, std::min(copies, limit - before));
          }
          break;
        case RowNumbering::kRank:
          if (rank > limit) return;
          show(item.ref, with_number_ ? rank : 0, copies);
          break;
        case RowNumbering::kDenseRank:
          if (distinct > limit) return;
          show(item.ref, with_number_ ? distinct : 0, copies);
          break;
      }
      before += copies;
    }
  }

  // What a look at each row's group needs: the groups, and of each the item that stands last.
  void Prefetch(duckdb::idx_t rows) const {
    if (groups_.size() <= kLarge) return;
    for (duckdb::idx_t i = 0; i < rows; i++) __builtin_prefetch(&groups_[slots_[i]], 1);
    for (duckdb::idx_t i = 0; i < rows; i++) {
      auto& items = groups_[slots_[i]].items;
      if (!items.empty()) __builtin_prefetch(&*items.rbegin());
    }
    for (duckdb::idx_t i = 0; i < rows; i++) {
      auto& items = groups_[slots_[i]].items;
      if (!items.empty()) __builtin_prefetch(items.rbegin()->key.data());
    }
  }

  // The difference between what the group showed and shows.
  void ShowChanges(const Group& group) {
    changes_.clear();
    for (auto& shown : group.before) changes_.push_back({shown.ref, shown.number, -shown.copies});
    ForEachShown(group, [&](RowRef ref, int64_t number, int64_t copies) {
      changes_.push_back({ref, number, copies});
    });
    std::sort(changes_.begin(), changes_.end(), [](auto& a, auto& b) {
      return std::pair(a.ref, a.number) < std::pair(b.ref, b.number);
    });
    for (size_t i = 0; i < changes_.size();) {
      auto [ref, number, change] = changes_[i++];
      for (; i < changes_.size() && changes_[i].ref == ref && changes_[i].number == number; i++) {
        change += changes_[i].copies;
      }
      Show(ref, number, change);
    }
  }

  void Touch(uint32_t slot) {
    auto& group = groups_[slot];
    if (group.touched) return;
    group.touched = true;
    touched_.push_back(slot);
    ForEachShown(group, [&](RowRef ref, int64_t number, int64_t copies) {
      group.before.push_back({ref, number, copies});
    });
  }

  static size_t BytesOf(const Item& item) {
    return TreeNodeBytes<Item>() + TextBytes(item.key.size());
  }
  void Insert(Group& group, std::string key, RowRef ref) {
    Item item{std::move(key), ref, items_to_write_.number()};
    items_bytes_ += BytesOf(item);
    group.items.insert(std::move(item));
  }
  void Erase(Group& group, Items::iterator item) {
    items_to_write_.Goes(item);
    items_bytes_ -= BytesOf(*item);
    group.items.erase(item);
  }

  // Surely after all that the group can show.
  bool IsBeyond(const Group& group, std::string_view key) const {
    return numbering_ != RowNumbering::kDenseRank && group.items.size() >= limit_ &&
           (limit_ == 0 || key > group.items.rbegin()->key);
  }

  void Prune(uint32_t slot) {
    Group& group = groups_[slot];
    if (numbering_ != RowNumbering::kRowNumber) {
      PruneRanks(slot);
      return;
    }
    while (group.items.size() > limit_) DropLast(slot);
  }
  // Keeps whole runs of equal keys: those that begin within the limit.
  void PruneRanks(uint32_t slot) {
    Group& group = groups_[slot];
    while (group.items.size() > limit_) {
      auto& last = group.items.rbegin()->key;
      auto run = std::prev(group.items.end());
      while (run != group.items.begin() && std::prev(run)->key == last) --run;
      uint64_t ahead = 0;
      if (numbering_ == RowNumbering::kRank) {
        ahead = static_cast<uint64_t>(std::distance(group.items.begin(), run));
      } else {
        const std::string* seen = nullptr;
        for (auto item = group.items.begin(); item != run; ++item) {
          if (!seen || *seen != item->key) ahead++;
          seen = &item->key;
        }
      }
      if (ahead < limit_) return;
      std::string key = last;
      while (!group.items.empty() && group.items.rbegin()->key == key) DropLast(slot);
    }
  }
  void DropLast(uint32_t slot) {
    Group& group = groups_[slot];
    auto last = std::prev(group.items.end());
    BeforeChange([&](StateWriter& writer) { SaveBefore(writer, slot, last); });
    rows_.At(last->ref).weight = 0;  // removed at the end of the step
    changed_.push_back(last->ref);
    Erase(group, last);
  }

  void Show(RowRef ref, int64_t number, int64_t change) {
    if (change == 0) return;
    shown_[shown_count_] = ref;
    shown_numbers_[shown_count_] = number;
    shown_weights_[shown_count_++] = change;
    if (shown_count_ == STANDARD_VECTOR_SIZE) FlushOut();
  }
  void FlushOut() {
    if (shown_count_ == 0) return;
    out_.Reset();
    rows_.Gather(shown_, shown_count_, out_, 0);
    if (with_number_) {
      auto* numbers = duckdb::FlatVector::GetDataUnsafe<int64_t>(out_.data[out_.ColumnCount() - 1]);
      std::copy_n(shown_numbers_, shown_count_, numbers);
    }
    out_.SetCardinality(shown_count_);
    Emit(out_, shown_weights_);
    shown_count_ = 0;
  }

  RowNumbering numbering_;
  uint64_t limit_;
  bool with_number_, prune_;
  Evaluator keys_;
  RowCodec key_codec_;
  RowStore rows_;
  std::unique_ptr<KeyTable> table_;  // null: one group
  std::unique_ptr<Evaluator> group_values_;
  std::vector<Group> groups_;  // by slot
  std::vector<uint32_t> touched_;
  std::vector<RowRef> changed_;
  std::vector<Shown> changes_;  // of the group at hand
  size_t items_bytes_ = 0;

  UnitsToWrite to_write_;               // slots
  ItemsToWrite<Items> items_to_write_;  // of groups_
  uint32_t slots_[STANDARD_VECTOR_SIZE];
  RowRef shown_[STANDARD_VECTOR_SIZE];
  int64_t shown_numbers_[STANDARD_VECTOR_SIZE], shown_weights_[STANDARD_VECTOR_SIZE];
  duckdb::idx_t shown_count_ = 0;
  duckdb::DataChunk out_;
};

}  // namespace

std::unique_ptr<Operator> MakeGroupTop(const SessionPtr& session, const GroupTopCall& call,
                                       const RowTypes& input, bool append_only) {
  RowTypes types = input;
  if (call.with_number) types.push_back(duckdb::LogicalType::BIGINT);
  return std::make_unique<GroupTop>(session, call, input, std::move(types), append_only);
}

}  // namespace weir
