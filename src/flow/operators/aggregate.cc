// GROUP BY: a slot for each group, the aggregates' states in arrays by slot.  A group that a step
// touches is remembered with the row it showed before; Flush emits the old row as gone and the new
// one as come.  Cost: by rows in, and by touched groups; state: by groups.
//
// A group whose result cannot be had (a sum that does not fit its type) is a failed row until it
// can.
//
// Groups that end (by a watermark) stand in order of their ends.  When one is over its state is
// freed; with `on_close` its row comes only then.
#include <array>
#include <map>

#include "base/error.h"
#include "duck/errors.h"
#include "duck/evaluator.h"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "flow/aggregates/distinct.h"
#include "flow/operators/operators.h"
#include "flow/state/allocated.h"
#include "flow/state/key_table.h"
#include "flow/state/large_array.h"
#include "flow/state/slot_runs.h"
#include "flow/state/weights.h"

namespace weir {
namespace {

constexpr auto kGone = [] {
  std::array<int64_t, STANDARD_VECTOR_SIZE> weights{};
  weights.fill(-1);
  return weights;
}();

// Where a call's arguments and filter stand among the evaluated expressions.  With DISTINCT the
// state is fed by a set that calls over the same arguments share.
struct Call {
  std::string function;
  std::unique_ptr<AggregateState> state;
  size_t first_argument = 0, argument_count = 0;
  std::optional<size_t> filter;
  std::unique_ptr<duckdb::DataChunk> arguments = std::make_unique<duckdb::DataChunk>();
  bool distinct = false;
};
struct SharedDistinct {
  size_t call;  // one of those it feeds: for the arguments
  std::unique_ptr<DistinctSet> set;
};

class Aggregate : public Operator {
 public:
  Aggregate(RowTypes types, std::unique_ptr<Evaluator> evaluator, std::unique_ptr<KeyTable> groups,
            size_t group_count, std::vector<Call> calls, std::vector<SharedDistinct> distincts,
            bool global, bool on_close, bool append_only)
      : Operator("aggregate", std::move(types), append_only),
        evaluator_(std::move(evaluator)),
        groups_(std::move(groups)),
        group_count_(group_count),
        calls_(std::move(calls)),
        distincts_(std::move(distincts)),
        global_(global),
        on_close_(on_close) {
    RowTypes group_types(this->types().begin(), this->types().begin() + group_count);
    keys_.InitializeEmpty(DuckTypes(group_types));
    key_columns_.InitializeEmpty(DuckTypes(group_types));
    if (group_count) {
      keys_out_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(group_types));
    }
    old_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(this->types()));
    new_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(this->types()));
    out_.InitializeEmpty(DuckTypes(this->types()));
    results_stand_alone_ =
        std::all_of(this->types().begin() + group_count, this->types().end(),
                    [](auto& type) { return duckdb::TypeIsConstantSize(type.InternalType()); });
    if (global_) Grow(1);
    for (auto& call : calls_) upkeep.Add(call.state->HowKept());
    for (auto& distinct : distincts_) upkeep.Add(distinct.set->HowKept());
  }

  // `end` over the groups.
  void EndGroups(SessionPtr session, const Expiry& expiry) {
    lateness_ = expiry.lateness;
    end_ = std::make_unique<Evaluator>(std::move(session), std::vector{expiry.end});
    for (auto& distinct : distincts_) distinct.set->TrackGroups();
  }

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override {
    if (port != 0) return;
    auto& values = evaluator_->Run(rows);
    if (!global_) {
      for (size_t i = 0; i < group_count_; i++) keys_.data[i].Reference(values.data[i]);
      keys_.SetCardinality(rows.size());
      groups_->Resolve(keys_, slots_);
      Grow(groups_->Slots());
    }
    SaveBefore(slots_, global_ ? std::min<size_t>(rows.size(), 1) : rows.size());
    if (global_) {
      TouchOne(0);
    } else if (!weights && rows.size() > 0 && AllOne(slots_, rows.size())) {
      TouchOne(slots_[0]);
      group_[slots_[0]].weight += static_cast<int64_t>(rows.size());
    } else {
      if (group_.size() > kLarge) Prefetch(rows.size());
      Touch(rows.size());
      for (duckdb::idx_t i = 0; i < rows.size(); i++) {
        int64_t weight = group_[slots_[i]].weight;
        AddWeight(weight, weights ? weights[i] : 1);
        group_[slots_[i]].weight = weight;
        if (group_[slots_[i]].weight != weight) TooManyCopies();
      }
    }
    for (auto& call : calls_) {
      if (!call.distinct) Update(call, values, weights);
    }
    for (auto& distinct : distincts_) {
      auto& call = calls_[distinct.call];
      SetArguments(call, values);
      distinct.set->Update(*call.arguments, values, slots_, weights);
    }
    SaveAside();
  }

  void Flush() override {
    if (global_ && !emitted_) {
      SaveBefore(slots_, 1);
      TouchOne(0);
    }
    emitted_ = true;
    CHECK(before_count_ == touched_.size());  // each has the row it showed
    WithdrawFailed();
    for (size_t start = 0; start < touched_.size(); start += STANDARD_VECTOR_SIZE) {
      auto count = std::min<size_t>(STANDARD_VECTOR_SIZE, touched_.size() - start);
      EmitChanges(touched_.data() + start, count, *before_pages_[start / STANDARD_VECTOR_SIZE]);
    }
    if (end_) NoteEnds();
    if (!on_close_) EmitFresh(fresh_);
    for (auto* slots : {&touched_, &fresh_}) {
      for (uint32_t slot : *slots) {
        group_[slot].is_touched = false;
        if (!global_ && group_[slot].weight == 0) {
          for (auto& call : calls_) call.state->Clear(slot);
          groups_->Erase(slot);
          if (end_) ends_[slot] = kNoEnd;
        }
      }
      slots->clear();
    }
    if (end_) EndThose();
    before_count_ = 0;
    if (before_pages_.size() > 1) before_pages_.resize(1);
  }

  std::optional<Micros> WaitsForWatermark() const override {
    if (by_end_.empty()) return std::nullopt;
    return OverAt(by_end_.begin()->first, lateness_);
  }
  bool IsDue() const override { return end_ && Watermark().HasPassed(WaitsForWatermark()); }
  void CheckInvariants() const override {
    Operator::CheckInvariants();
    groups_->CheckInvariants();
    group_.CheckInvariants();
    for (auto& distinct : distincts_) distinct.set->CheckInvariants();
    CHECK(touched_.empty() && fresh_.empty() && before_count_ == 0);
    size_t there = 0;
    for (size_t slot = 0; slot < group_.size(); slot++) {
      CHECK(!group_[slot].is_touched && (global_ || !group_[slot].is_shown || group_[slot].weight));
      there += group_[slot].weight != 0;
    }
    CHECK(global_ || there == groups_->KeysThere());
    size_t noted = 0;
    for (auto& [end, slots] : by_end_) noted += slots.size();
    CHECK(noted == noted_ && ends_.size() == (end_ ? group_.size() : 0));
    for (Micros end : ends_) CHECK(end == kNoEnd || by_end_.contains(end));
  }
  bool HasState() const override { return true; }
  size_t StateBytes() const override {
    size_t bytes = groups_->Bytes() + group_.Bytes() +
                   (touched_.capacity() + fresh_.capacity()) * sizeof(uint32_t) +
                   ends_.capacity() * sizeof(Micros) +
                   by_end_.size() * TreeNodeBytes<std::pair<Micros, std::vector<uint32_t>>>() +
                   noted_ * 2 * sizeof(uint32_t);
    for (auto& call : calls_) bytes += call.state->Bytes();
    for (auto& distinct : distincts_) bytes += distinct.set->Bytes();
    return bytes;
  }
  bool CanSave() const override {
    return std::all_of(calls_.begin(), calls_.end(),
                       [](auto& call) { return call.state->CanSave(); });
  }
  void Load(StateReader& reader) override {
    emitted_ = reader.Get<bool>();
    auto slots = reader.Get<uint64_t>();
    if (!global_) groups_->BeginLoad(slots);
    Grow(slots);
    auto parts = Parts();
    for (auto* part : parts) part->BeginLoad(reader);
    for (auto mark = reader.Get<uint32_t>(); mark != kEnd; mark = reader.Get<uint32_t>()) {
      if (kEnd - mark <= parts.size()) {
        parts[kEnd - mark - 1]->LoadPiece(reader);
      } else {
        LoadGroup(mark, reader);
      }
    }
    if (!global_) groups_->EndLoad();
    for (auto* part : parts) part->EndLoad();
    if (!end_) return;
    ends_.assign(group_.size(), kNoEnd);
    std::vector<uint32_t> there;
    for (uint32_t slot = 0; slot < group_.size(); slot++) {
      if (group_[slot].weight > 0) there.push_back(slot);
    }
    NoteEnds(there);
  }

 private:
  static constexpr size_t kLarge = 1 << 15;     // groups: more than the caches keep
  static constexpr size_t kMostMore = 1 << 17;  // of which room is made at once

  // In one word, as a step that touches a group looks at all of it.
  struct Group {
    Group() : weight(0), is_shown(0), is_touched(0) {}
    int64_t weight : 62;      // rows in the group
    uint64_t is_shown : 1;    // its row is part of the output
    uint64_t is_touched : 1;  // in this step
  };

  // ---- saved: groups in any order, and in between what the sets of distinct values and the states
  // write by themselves

  // Stands where a slot would; those of the parts are below.
  static constexpr uint32_t kEnd = kEndOfParts;

  std::vector<StatePart*> Parts() {
    std::vector<StatePart*> parts;
    for (auto& distinct : distincts_) parts.push_back(distinct.set.get());
    for (auto& call : calls_) parts.push_back(call.state.get());
    return parts;
  }
  bool BeginPieces(StateWriter& writer) override {
    writer.Put(emitted_);
    size_t slots = global_ ? 1 : groups_->Slots();
    writer.Put<uint64_t>(slots);
    to_write_.Begin(slots);
    uint32_t mark = kEnd;
    for (auto* part : Parts()) part->BeginPieces(writer, --mark);
    return true;
  }
  bool SavePieces(StateWriter& writer, const Stop& stop) override {
    auto write = [&](size_t slot) { SaveNow(writer, static_cast<uint32_t>(slot)); };
    if (!to_write_.Continue(write, stop)) return false;
    for (auto* part : Parts()) {
      if (!part->SavePieces(writer, stop)) return false;
    }
    writer.Put(kEnd);
    return true;
  }
  void EndPieces() override {
    to_write_.End();
    for (auto* part : Parts()) part->EndPieces();
  }
  void SaveNow(StateWriter& writer, uint32_t slot) const {
    if (!global_ && group_[slot].weight == 0) return;
    writer.Put(slot);
    if (!global_) groups_->SaveKey(slot, writer);
    writer.Put(group_[slot]);
    for (auto& call : calls_) call.state->SaveSlot(slot, writer);
    auto failed = failed_groups_.find(slot);
    writer.Put(failed != failed_groups_.end());
    if (failed != failed_groups_.end()) SaveFailed(writer, failed->second);
  }
  void LoadGroup(uint32_t slot, StateReader& reader) {
    if (slot >= group_.size()) StateReader::Bad();
    if (!global_) groups_->LoadKey(slot, reader);
    group_[slot] = reader.Get<Group>();
    for (auto& call : calls_) call.state->LoadSlot(slot, reader);
    if (reader.Get<bool>()) failed_groups_[slot] = LoadFailed(reader);
  }
  void SaveBefore(const uint32_t* slots, size_t count) {
    BeforeChange([&](StateWriter& writer) {
      for (size_t i = 0; i < count; i++) {
        if (to_write_.Claim(slots[i])) SaveNow(writer, slots[i]);
      }
    });
  }
  // Of groups that are over.
  void SaveGroupsBefore(const std::vector<uint32_t>& slots) {
    SaveBefore(slots.data(), slots.size());
    BeforeChange([&](StateWriter& writer) {
      for (uint32_t slot : slots) {
        for (auto& call : calls_) call.state->SaveBeforeClear(slot, writer);
        for (auto& distinct : distincts_) distinct.set->SaveGroup(slot, writer);
      }
    });
  }
  // What sets and states have put aside.
  void SaveAside() {
    BeforeChange([&](StateWriter& writer) {
      for (auto* part : Parts()) part->HandOver(writer);
    });
  }

  void Prefetch(duckdb::idx_t rows) const {
    for (duckdb::idx_t i = 0; i < rows; i++) __builtin_prefetch(&group_[slots_[i]]);
    for (auto& call : calls_) call.state->Prefetch(slots_, rows);
  }

  void Grow(size_t slots) {
    if (slots <= group_.size()) return;
    size_t more = std::clamp<size_t>(group_.size() / 2, 1, kMostMore);
    size_t room = std::max(slots, group_.size() + more);
    group_.Resize(room);
    if (end_) ends_.resize(room, kNoEnd);
    for (auto& call : calls_) call.state->Grow(room);
  }

  // Remembers, for groups not touched in this step yet, what they show.
  void Touch(duckdb::idx_t count) {
    size_t first = touched_.size();
    for (duckdb::idx_t i = 0; i < count; i++) {
      uint32_t slot = slots_[i];
      Group& group = group_[slot];
      if (group.is_touched) continue;
      group.is_touched = true;
      (group.is_shown ? touched_ : fresh_).push_back(slot);
    }
    if (touched_.size() > first) Remember(first);
  }

  void TouchOne(uint32_t slot) {
    if (group_[slot].is_touched) return;
    group_[slot].is_touched = true;
    if (!group_[slot].is_shown) return fresh_.push_back(slot);
    touched_.push_back(slot);
    Remember(touched_.size() - 1);
  }

  // Appends the present rows of touched_[first...] to the pages of old rows.
  void Remember(size_t first) {
    size_t count = touched_.size() - first;
    if (first == 0 && results_stand_alone_) {  // mostly all of a step: nothing is copied
      Rows(touched_.data(), count, BeforePage(0));
      before_count_ = count;
      return;
    }
    old_.Reset();
    Rows(touched_.data() + first, count, old_);
    for (size_t done = 0; done < count;) {
      size_t at = before_count_ % STANDARD_VECTOR_SIZE;
      auto& target = BeforePage(before_count_ / STANDARD_VECTOR_SIZE);
      size_t some = std::min(count - done, STANDARD_VECTOR_SIZE - at);
      for (duckdb::idx_t column = 0; column < target.ColumnCount(); column++) {
        duckdb::VectorOperations::Copy(old_.data[column], target.data[column], done + some, done,
                                       at);
      }
      target.SetCardinality(at + some);
      before_count_ += some;
      done += some;
    }
  }

  // A page of old rows; empty when nothing is on it yet.
  duckdb::DataChunk& BeforePage(size_t page) {
    if (page == before_pages_.size()) {
      before_pages_.push_back(std::make_unique<duckdb::DataChunk>());
      before_pages_.back()->Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types()));
    } else if (before_count_ == page * STANDARD_VECTOR_SIZE) {
      before_pages_[page]->Reset();
    }
    return *before_pages_[page];
  }

  // The present rows of up to 2,048 groups, into a chunk that is empty.  Throws ExpressionFailed
  // when one has no result.
  void Rows(const uint32_t* slots, size_t count, duckdb::DataChunk& rows) {
    if (group_count_) {
      for (size_t i = 0; i < group_count_; i++) key_columns_.data[i].Reference(rows.data[i]);
      groups_->Keys(slots, count, key_columns_);
      for (size_t i = 0; i < group_count_; i++) rows.data[i].Reference(key_columns_.data[i]);
    }
    rows.SetCardinality(count);
    size_t i = 0;
    try {
      for (; i < calls_.size(); i++) {
        calls_[i].state->Result(slots, count, rows.data[group_count_ + i]);
      }
    } catch (...) {
      RethrowExpressionFailure(calls_[i].function);
    }
  }

  static void SetArguments(Call& call, duckdb::DataChunk& values) {
    for (size_t i = 0; i < call.argument_count; i++) {
      call.arguments->data[i].Reference(values.data[call.first_argument + i]);
    }
    call.arguments->SetCardinality(values.size());
  }

  void Update(Call& call, duckdb::DataChunk& values, const int64_t* weights) {
    SetArguments(call, values);
    if (!call.filter) return call.state->Update(*call.arguments, slots_, weights);

    duckdb::UnifiedVectorFormat format;
    values.data[*call.filter].ToUnifiedFormat(values.size(), format);
    auto* holds = duckdb::UnifiedVectorFormat::GetDataUnsafe<bool>(format);
    duckdb::idx_t count = 0;
    for (duckdb::idx_t row = 0; row < values.size(); row++) {
      auto index = format.sel->get_index(row);
      if (!format.validity.RowIsValid(index) || !holds[index]) continue;
      filtered_.set_index(count, row);
      filtered_slots_[count] = slots_[row];
      if (weights) filtered_weights_[count] = weights[row];
      count++;
    }
    if (count == 0) return;
    if (call.argument_count) {
      call.arguments->Slice(filtered_, count);
    } else {
      call.arguments->SetCardinality(count);
    }
    call.state->Update(*call.arguments, filtered_slots_, weights ? filtered_weights_ : nullptr);
  }

  static constexpr Micros kNoEnd = INT64_MIN;

  void NoteEnds() {
    std::vector<uint32_t> unknown;
    for (uint32_t slot : fresh_) {
      if (ends_[slot] == kNoEnd && group_[slot].weight != 0) unknown.push_back(slot);
    }
    NoteEnds(unknown);
  }

  void NoteEnds(const std::vector<uint32_t>& slots) {
    for (size_t start = 0; start < slots.size(); start += STANDARD_VECTOR_SIZE) {
      size_t count = std::min<size_t>(STANDARD_VECTOR_SIZE, slots.size() - start);
      keys_out_.Reset();
      groups_->Keys(slots.data() + start, count, keys_out_);
      keys_out_.SetCardinality(count);
      duckdb::UnifiedVectorFormat format;
      end_->Run(keys_out_).data[0].ToUnifiedFormat(count, format);
      auto* ends = duckdb::UnifiedVectorFormat::GetDataUnsafe<int64_t>(format);
      for (size_t i = 0; i < count; i++) {
        auto at = format.sel->get_index(i);
        if (!format.validity.RowIsValid(at)) continue;  // never over
        if (!duckdb::Timestamp::IsFinite(duckdb::timestamp_t(ends[at]))) continue;
        ends_[slots[start + i]] = ends[at];
        by_end_[ends[at]].push_back(slots[start + i]);
        noted_++;
      }
    }
  }

  // Frees the groups that are over.
  void EndThose() {
    while (Watermark().HasPassed(WaitsForWatermark())) {
      // A slot may have been used again since: it stands under the end it has now.
      auto& [end, noted] = *by_end_.begin();
      std::vector<uint32_t> over;
      for (uint32_t slot : noted) {
        if (ends_[slot] != end) continue;
        ends_[slot] = kNoEnd;
        over.push_back(slot);
      }
      SaveGroupsBefore(over);
      if (on_close_) EmitFresh(over);
      for (uint32_t slot : over) {
        for (auto& call : calls_) call.state->Clear(slot);
        for (auto& distinct : distincts_) distinct.set->Forget(slot);
        groups_->Erase(slot);
        group_[slot] = Group();
        failed_groups_.erase(slot);  // as a failed row it stays
      }
      CHECK(noted_ >= noted.size());
      noted_ -= noted.size();
      by_end_.erase(by_end_.begin());
    }
  }

  const WatermarkOperator& Watermark() const {
    return static_cast<const WatermarkOperator&>(*inputs[1]);
  }

  void EmitFresh(const std::vector<uint32_t>& slots) {
    for (size_t start = 0; start < slots.size(); start += STANDARD_VECTOR_SIZE) {
      EmitFresh(slots.data() + start, std::min<size_t>(STANDARD_VECTOR_SIZE, slots.size() - start));
    }
  }

  // Groups that showed no row before this step.
  void EmitFresh(const uint32_t* slots, size_t count) {
    uint32_t come[STANDARD_VECTOR_SIZE];
    size_t some = 0;
    for (size_t i = 0; i < count; i++) {
      if (!global_ && group_[slots[i]].weight <= 0) continue;
      come[some++] = slots[i];
      group_[slots[i]].is_shown = true;
    }
    if (some == 0) return;
    new_.Reset();
    try {
      Rows(come, some, new_);
    } catch (const ExpressionFailed& why) {
      if (some == 1) return FailGroup(come[0], why);
      for (size_t i = 0; i < some; i++) EmitFresh(&come[i], 1);
      return;
    }
    Emit(new_, nullptr);
  }

  // ---- groups without a result
  // --------------------------------------------------------------------

  void FailGroup(uint32_t slot, const ExpressionFailed& why) {
    group_[slot].is_shown = false;
    std::string text = "(all rows)";
    if (group_count_) {
      keys_out_.Reset();
      groups_->Keys(&slot, 1, keys_out_);
      keys_out_.SetCardinality(1);
      text = ValuesOf(keys_out_, 0);
    }
    auto& failed = failed_groups_[slot] = Failure(std::move(text), why);
    Reject(failed, 1);
  }

  // Groups that a step touches are tried again.
  void WithdrawFailed() {
    if (failed_groups_.empty()) return;
    for (uint32_t slot : fresh_) {
      auto found = failed_groups_.find(slot);
      if (found == failed_groups_.end()) continue;
      Reject(found->second, -1);
      failed_groups_.erase(found);
    }
  }

  void EmitChangesOneByOne(const uint32_t* slots, size_t count, duckdb::DataChunk& old_rows) {
    for (size_t i = 0; i < count; i++) {
      out_.Reference(old_rows);
      gone_.set_index(0, i);
      out_.Slice(gone_, 1);
      Emit(out_, kGone.data());
      group_[slots[i]].is_shown = false;
      EmitFresh(&slots[i], 1);
    }
  }

  void EmitChanges(const uint32_t* slots, size_t count, duckdb::DataChunk& old_rows) {
    CHECK(old_rows.size() == count);
    new_.Reset();
    try {
      Rows(slots, count, new_);
    } catch (const ExpressionFailed&) {
      return EmitChangesOneByOne(slots, count, old_rows);
    }
    size_t gone = 0, come = 0;
    for (size_t i = 0; i < count; i++) {
      uint32_t slot = slots[i];
      bool was = group_[slot].is_shown;
      bool is = global_ || group_[slot].weight > 0;
      if (was && is && SameRow(old_rows, new_, i)) continue;
      if (was) gone_.set_index(gone++, i);
      if (is) come_.set_index(come++, i);
      group_[slot].is_shown = is;
    }
    auto emit = [&](duckdb::DataChunk& rows, const duckdb::SelectionVector& chosen, size_t some,
                    const int64_t* weights) {
      if (some == 0) return;
      out_.Reference(rows);
      if (some < rows.size()) out_.Slice(chosen, some);
      Emit(out_, weights);
    };
    emit(old_rows, gone_, gone, kGone.data());
    emit(new_, come_, come, nullptr);
  }

  // Compares the aggregates only: the group is the same.
  bool SameRow(duckdb::DataChunk& a, duckdb::DataChunk& b, duckdb::idx_t row) {
    for (duckdb::idx_t column = group_count_; column < a.ColumnCount(); column++) {
      auto& left = a.data[column];
      auto& right = b.data[column];
      bool left_null = duckdb::FlatVector::IsNull(left, row);
      if (left_null != duckdb::FlatVector::IsNull(right, row)) return false;
      if (left_null) continue;
      auto type = left.GetType().InternalType();
      if (!duckdb::TypeIsConstantSize(type)) return false;
      auto width = duckdb::GetTypeIdSize(type);
      if (std::memcmp(duckdb::FlatVector::GetData(left) + row * width,
                      duckdb::FlatVector::GetData(right) + row * width, width) != 0) {
        return false;
      }
    }
    return true;
  }

  std::unique_ptr<Evaluator> evaluator_;
  std::unique_ptr<KeyTable> groups_;
  size_t group_count_;
  std::vector<Call> calls_;
  std::vector<SharedDistinct> distincts_;
  bool global_, on_close_;
  bool results_stand_alone_;  // none points to what a state keeps, as a text may
  bool emitted_ = false;

  std::unique_ptr<Evaluator> end_;  // null: groups never end
  Micros lateness_ = 0;
  std::vector<Micros> ends_;                        // by slot
  std::map<Micros, std::vector<uint32_t>> by_end_;  // slots
  size_t noted_ = 0;                                // in all of by_end_

  UnitsToWrite to_write_;  // slots

  LargeArray<Group> group_;        // by slot
  std::vector<uint32_t> touched_;  // slots: of those that showed a row before
  std::vector<uint32_t> fresh_;    // of those that did not
  std::vector<std::unique_ptr<duckdb::DataChunk>> before_pages_;  // rows of touched_, in its order
  size_t before_count_ = 0;
  std::map<uint32_t, FailedRow> failed_groups_;  // by slot

  uint32_t slots_[STANDARD_VECTOR_SIZE] = {};  // without groups all are 0
  duckdb::SelectionVector filtered_{STANDARD_VECTOR_SIZE};
  uint32_t filtered_slots_[STANDARD_VECTOR_SIZE];
  int64_t filtered_weights_[STANDARD_VECTOR_SIZE];
  duckdb::SelectionVector gone_{STANDARD_VECTOR_SIZE}, come_{STANDARD_VECTOR_SIZE};
  duckdb::DataChunk keys_, keys_out_, old_, new_, out_;
  duckdb::DataChunk key_columns_;  // the first columns of rows at hand
};

}  // namespace

std::unique_ptr<Operator> MakeAggregate(SessionPtr session, AggregateSpec spec, bool append_only) {
  std::vector<ExpressionPtr> expressions = spec.groups;
  RowTypes types;
  std::vector<Call> calls;
  std::vector<SharedDistinct> distincts;
  std::map<std::string, size_t> distinct_of;  // place in distincts, by arguments
  for (auto& call : spec.aggregates) {
    Call made;
    made.function = call.function;
    made.state = MakeAggregateState(call, append_only, spec.on_close);
    made.first_argument = expressions.size();
    made.argument_count = call.arguments.size();
    expressions.insert(expressions.end(), call.arguments.begin(), call.arguments.end());
    if (call.filter) {
      made.filter = expressions.size();
      expressions.push_back(call.filter);
    }
    made.arguments->InitializeEmpty(DuckTypes(call.argument_types));
    if (NeedsDistinct(call)) {
      made.distinct = true;
      std::string arguments;
      for (auto& argument : call.arguments) arguments += Fingerprint(*argument) + "/";
      // A set has a bit for each of its calls.
      auto there = distinct_of.find(arguments);
      if (there != distinct_of.end() &&
          distincts[there->second].set->members() == DistinctSet::kMembers) {
        distinct_of.erase(there);
      }
      auto [found, is_new] = distinct_of.emplace(arguments, distincts.size());
      if (is_new) {
        distincts.push_back({calls.size(), DistinctSet::Make(call.argument_types, append_only)});
      }
      distincts[found->second].set->Add({made.state.get(), made.filter});
    }
    calls.push_back(std::move(made));
  }
  auto evaluator = std::make_unique<Evaluator>(session, std::move(expressions));
  types.assign(evaluator->types().begin(), evaluator->types().begin() + spec.groups.size());
  auto groups = KeyTable::Make(types);
  for (auto& call : spec.aggregates) types.push_back(call.type);
  // DISTINCT: a group that has come stays while rows only come.  So does a closed window.
  append_only = spec.on_close || (append_only && spec.aggregates.empty() && !spec.global);
  auto aggregate = std::make_unique<Aggregate>(
      std::move(types), std::move(evaluator), std::move(groups), spec.groups.size(),
      std::move(calls), std::move(distincts), spec.global, spec.on_close, append_only);
  if (spec.expiry) aggregate->EndGroups(std::move(session), *spec.expiry);
  return aggregate;
}

}  // namespace weir
