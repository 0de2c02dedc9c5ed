// Sessions: rows of a group of which each comes at most a gap after the one before.  Each row comes
// out with the start and the last time of its session.
//
// A key's sessions stand in order of time, each with its rows.  A step gathers what changed for
// each key; at its end the sessions that the changes touch (within a gap) are taken apart and put
// together again: so rows may come in any order, join two sessions, or leave a hole that splits
// one.
//
// Cost: by the rows of touched sessions, as all of them come out anew when an end moves; only the
// new rows do when it does not.  Rows that come behind those of a session are put there as they
// are.  State: the rows, and 16 bytes for each.
//
// Where rows come no more once a watermark has passed them, sessions stand in order of their ends,
// too: one that no row can join any more is forgotten.
#include <algorithm>
#include <map>

#include "base/error.h"
#include "duck/evaluator.h"
#include "flow/operators/operators.h"
#include "flow/state/allocated.h"
#include "flow/state/key_table.h"
#include "flow/state/row_store.h"
#include "flow/state/rows_to_write.h"
#include "flow/state/weights.h"

namespace weir {
namespace {

class Sessions : public Operator {
 public:
  Sessions(const SessionPtr& session, const SessionCall& call, RowTypes input, RowTypes types,
           bool append_only, std::optional<Micros> lateness)
      : Operator("session", std::move(types), false),
        lateness_(lateness),
        gap_(call.gap),
        width_(input.size()),
        group_count_(call.groups.size()),
        rows_(std::move(input), !append_only) {
    auto expressions = call.groups;
    expressions.push_back(call.time);
    evaluator_ = std::make_unique<Evaluator>(session, expressions);
    RowTypes group_types(evaluator_->types().begin(), evaluator_->types().end() - 1);
    if (group_count_) {
      table_ = KeyTable::Make(group_types);
      keys_.InitializeEmpty(DuckTypes(group_types));
    }
    out_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(this->types()));
    if (lateness_) rows_.ExpectRemovals();
    upkeep.Add(Upkeep::Rung::kTouched,
               "a row that moves an end of its session shows the session's rows again");
  }

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override {
    if (port != 0) return;
    ResolveTimes(rows);
    auto& encoded = rows_.Encode(rows);
    rows_.Prefetch(encoded);
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      Key& key = keys_of_[slots_[i]];
      key.is_used = true;
      if (key.last_change == kNoChange) touched_.push_back(slots_[i]);
      RowRef ref = rows_.FindOrAdd(encoded[i], key.head);
      SaveBefore(ref);
      step_changes_.push_back({{times_[i], ref, weights ? weights[i] : 1}, key.last_change});
      key.last_change = static_cast<uint32_t>(step_changes_.size() - 1);
    }
  }

  void Flush() override {
    for (size_t i = 0; i < touched_.size(); i++) {
      PrefetchAhead(i);
      Settle(touched_[i]);
    }
    touched_.clear();
    step_changes_.clear();
    if (step_changes_.capacity() > kKeptChanges) step_changes_.shrink_to_fit();
    FlushOut();
    // Rows that are gone were still pointed at by what went out.
    for (auto& [slot, ref] : gone_) rows_.Remove(ref, keys_of_[slot].head);
    for (auto& [slot, ref] : gone_) {
      if (table_ && keys_of_[slot].head == kNoRow && keys_of_[slot].is_used) {
        keys_of_[slot] = Key();
        table_->Erase(slot);
      }
    }
    gone_.clear();
    while (IsDue()) {
      auto slots = std::move(by_end_.begin()->second);
      noted_ -= slots.size();
      for (uint32_t slot : slots) ForgetOver(slot);
      by_end_.erase(by_end_.begin());
    }
  }

  std::optional<Micros> WaitsForWatermark() const override {
    if (by_end_.empty()) return std::nullopt;
    return OverAt(by_end_.begin()->first, *lateness_);
  }
  bool IsDue() const override { return lateness_ && HasPassed(WaitsForWatermark()); }
  void CheckInvariants() const override {
    Operator::CheckInvariants();
    if (table_) table_->CheckInvariants();
    rows_.CheckInvariants();
    CHECK(touched_.empty() && step_changes_.empty() && gone_.empty());
    size_t rows = 0, bytes = 0, noted = 0;
    for (auto& key : keys_of_) {
      CHECK(key.last_change == kNoChange);
      const Row* last = nullptr;  // of the session before
      for (auto& session : key.sessions) {
        CHECK(!session.rows.empty() && (!last || session.start() - last->time > gap_));
        for (size_t i = 1; i < session.rows.size(); i++) {
          auto& before = session.rows[i - 1];
          CHECK(before < session.rows[i] && session.rows[i].time - before.time <= gap_);
        }
        last = &session.rows.back();
        rows += session.rows.size();
        bytes += BytesOf(session);
      }
    }
    CHECK(rows == rows_.rows() && bytes == sessions_bytes_);
    for (auto& [end, slots] : by_end_) noted += slots.size();
    CHECK(noted == noted_);
  }
  bool HasState() const override { return true; }
  std::vector<RowStore*> RowStores() override { return {&rows_}; }
  size_t StateBytes() const override {
    return rows_.Bytes() + sessions_bytes_ + keys_of_.capacity() * sizeof(Key) +
           step_changes_.capacity() * sizeof(StepChange) + (table_ ? table_->Bytes() : 0) +
           by_end_.size() * TreeNodeBytes<std::pair<Micros, std::vector<uint32_t>>>() +
           noted_ * 2 * sizeof(uint32_t);
  }
  // Keys and sessions follow from the rows.
  void Load(StateReader& reader) override {
    rows_.LoadRows(reader, [](RowRef, uint32_t) {});
    std::vector<std::vector<Row>> rows_of;  // by slot
    rows_.ForEachChunk([&](duckdb::DataChunk& rows, const RowRef* refs) {
      ResolveTimes(rows);
      rows_of.resize(keys_of_.size());
      for (duckdb::idx_t i = 0; i < rows.size(); i++) {
        rows_.PutInFront(refs[i], keys_of_[slots_[i]].head);
        rows_of[slots_[i]].push_back({times_[i], refs[i]});
      }
    });
    for (uint32_t slot = 0; slot < rows_of.size(); slot++) {
      auto& key = keys_of_[slot];
      std::sort(rows_of[slot].begin(), rows_of[slot].end());
      key.is_used = true;
      key.sessions = Split(rows_of[slot]);
      std::vector<Row>().swap(rows_of[slot]);
      for (auto& session : key.sessions) {
        sessions_bytes_ += BytesOf(session);
        NoteEnd(slot, session);
      }
    }
  }

 private:
  struct Row {
    Micros time;
    RowRef ref;
    auto operator<=>(const Row&) const = default;
  };
  struct Change {
    Micros time;
    RowRef ref;
    int64_t weight;
  };
  // Those of a key are a list, the last one first.
  struct StepChange {
    Change change;
    uint32_t before;
  };
  static constexpr uint32_t kNoChange = UINT32_MAX;
  static constexpr size_t kKeptChanges = 1 << 17;

  struct Session {
    std::vector<Row> rows;  // by time; never empty
    Micros start() const { return rows.front().time; }
    Micros last() const { return rows.back().time; }
  };
  struct Key {
    RowRef head = kNoRow;
    uint32_t last_change = kNoChange;  // of this step
    std::vector<Session> sessions;     // by time
    bool is_used = false;
  };

  // ---- saved: the rows, in any order.  All that a step changes has come in it or ends with it.

  void SaveNow(StateWriter& writer, RowRef ref) const {
    if (rows_.At(ref).weight != 0) rows_.SaveRow(writer, ref);  // otherwise it comes just now
  }
  void SaveBefore(RowRef ref) {
    BeforeChange([&](StateWriter& writer) {
      if (to_write_.Claim(rows_, ref)) SaveNow(writer, ref);
    });
  }
  bool BeginPieces(StateWriter&) override {
    to_write_.Begin(rows_);
    return true;
  }
  bool SavePieces(StateWriter& writer, const Stop& stop) override {
    if (!to_write_.Continue(
            rows_, [&](RowRef ref) { SaveNow(writer, ref); }, stop))
      return false;
    RowStore::SaveEnd(writer);
    return true;
  }
  void EndPieces() override { to_write_.End(); }

  void ResolveTimes(duckdb::DataChunk& rows) {
    auto& values = evaluator_->Run(rows);
    if (table_) {
      for (size_t c = 0; c < group_count_; c++) keys_.data[c].Reference(values.data[c]);
      keys_.SetCardinality(rows.size());
      table_->Resolve(keys_, slots_);
      if (keys_of_.size() < table_->Slots()) keys_of_.resize(table_->Slots());
    } else {
      std::fill_n(slots_, rows.size(), 0);
      keys_of_.resize(1);
    }
    for (duckdb::idx_t i = 0; i < rows.size(); i++) __builtin_prefetch(&keys_of_[slots_[i]]);
    ReadTimes(values.data[group_count_], rows.size());
  }

  void ReadTimes(duckdb::Vector& column, duckdb::idx_t count) {
    duckdb::UnifiedVectorFormat format;
    column.ToUnifiedFormat(count, format);
    auto* times = duckdb::UnifiedVectorFormat::GetDataUnsafe<int64_t>(format);
    for (duckdb::idx_t i = 0; i < count; i++) times_[i] = times[format.sel->get_index(i)];
  }

  std::vector<Session> Split(const std::vector<Row>& rows) const {
    std::vector<Session> sessions;
    for (auto& row : rows) {
      if (sessions.empty() || row.time - sessions.back().last() > gap_) sessions.emplace_back();
      sessions.back().rows.push_back(row);
    }
    return sessions;
  }

  // With the block its rows stand in, and its place in the key's list.
  static size_t BytesOf(const Session& session) {
    return AllocatedBytes(session.rows.capacity() * sizeof(Row)) + sizeof(Session);
  }

  // Applies a key's changes to its sessions.
  void Settle(uint32_t slot) {
    Key& key = keys_of_[slot];
    auto& changes = changes_;
    changes.clear();
    for (uint32_t i = key.last_change; i != kNoChange; i = step_changes_[i].before) {
      changes.push_back(step_changes_[i].change);
    }
    key.last_change = kNoChange;
    std::reverse(changes.begin(), changes.end());
    auto is_before = [](auto& a, auto& b) {
      return std::tie(a.time, a.ref) < std::tie(b.time, b.ref);
    };
    if (!std::is_sorted(changes.begin(), changes.end(), is_before)) {
      std::sort(changes.begin(), changes.end(), is_before);
    }
    // One change for each row.
    size_t kept = 0;
    for (auto& change : changes) {
      if (kept > 0 && changes[kept - 1].ref == change.ref) {
        AddWeight(changes[kept - 1].weight, change.weight);
      } else {
        changes[kept++] = change;
      }
    }
    changes.resize(kept);
    // Runs of changes whose sessions may become one are settled together.
    for (size_t first = 0; first < changes.size();) {
      size_t end = first + 1;
      auto from = FirstTouched(key, changes[first].time);
      auto to = from;
      Micros reach = changes[first].time;
      for (;; end++) {
        while (to != key.sessions.end() && to->start() - gap_ <= reach) {
          reach = std::max(reach, to->last());
          ++to;
        }
        if (end == changes.size() || changes[end].time - gap_ > reach) break;
        reach = std::max(reach, changes[end].time);
      }
      if (!Append(slot, key, from, to, first, end)) SettleRun(slot, key, from, to, first, end);
      first = end;
    }
  }

  // What is most common: new rows that make a session of their own, or come behind those of one.
  // False when it is something else, and nothing is done.
  bool Append(uint32_t slot, Key& key, std::vector<Session>::iterator from,
              std::vector<Session>::iterator to, size_t first, size_t end) {
    if (to - from > 1) return false;
    for (size_t i = first; i < end; i++) {
      if (changes_[i].weight <= 0 || rows_.At(changes_[i].ref).weight != 0) return false;
    }
    bool is_new = from == to;
    if (!is_new && Row{changes_[first].time, changes_[first].ref} < from->rows.back()) return false;
    if (is_new) from = key.sessions.insert(from, Session());
    Session& session = *from;
    if (!is_new) sessions_bytes_ -= BytesOf(session);
    bool moves = is_new || session.last() != changes_[end - 1].time;
    if (moves) {
      for (auto& row : session.rows) Show(row.ref, session, -rows_.At(row.ref).weight);
    }
    for (size_t i = first; i < end; i++) {
      AddWeight(rows_.At(changes_[i].ref).weight, changes_[i].weight);
      session.rows.push_back({changes_[i].time, changes_[i].ref});
    }
    if (moves) {
      for (auto& row : session.rows) Show(row.ref, session, rows_.At(row.ref).weight);
      NoteEnd(slot, session);
    } else {
      for (size_t i = first; i < end; i++) Show(changes_[i].ref, session, changes_[i].weight);
    }
    sessions_bytes_ += BytesOf(session);
    return true;
  }

  // Of keys that are settled soon: the key, its list of sessions, the rows of the last one.
  void PrefetchAhead(size_t i) const {
    if (i + 12 < touched_.size()) __builtin_prefetch(&keys_of_[touched_[i + 12]]);
    if (i + 8 < touched_.size()) {
      auto& key = keys_of_[touched_[i + 8]];
      if (!key.sessions.empty()) __builtin_prefetch(&key.sessions.back());
    }
    if (i + 4 < touched_.size()) {
      auto& key = keys_of_[touched_[i + 4]];
      bool has_rows = !key.sessions.empty() && !key.sessions.back().rows.empty();
      if (has_rows) __builtin_prefetch(&key.sessions.back().rows.back());
    }
  }

  // The first session that a row at `time` may belong to.
  std::vector<Session>::iterator FirstTouched(Key& key, Micros time) const {
    return std::partition_point(
        key.sessions.begin(), key.sessions.end(),
        [&](const Session& session) { return session.last() + gap_ < time; });
  }

  void SettleRun(uint32_t slot, Key& key, std::vector<Session>::iterator from,
                 std::vector<Session>::iterator to, size_t first, size_t end) {
    std::vector<Row> rows;
    for (auto session = from; session != to; ++session) {
      rows.insert(rows.end(), session->rows.begin(), session->rows.end());
    }
    size_t there = rows.size();
    std::vector<int64_t> before(there);
    for (size_t i = 0; i < there; i++) before[i] = rows_.At(rows[i].ref).weight;
    bool any_gone = false;
    for (size_t i = first; i < end; i++) {
      auto& change = changes_[i];
      auto& weight = rows_.At(change.ref).weight;
      if (weight == 0 && change.weight != 0) rows.push_back({change.time, change.ref});
      AddWeight(weight, change.weight);
      if (weight == 0) {
        any_gone = true;
        gone_.emplace_back(slot, change.ref);
      }
    }
    std::inplace_merge(rows.begin(), rows.begin() + static_cast<int64_t>(there), rows.end());
    if (any_gone) {
      std::erase_if(rows, [&](const Row& row) { return rows_.At(row.ref).weight == 0; });
    }
    auto sessions = Split(rows);

    bool same_ends = to - from == 1 && sessions.size() == 1 &&
                     from->start() == sessions[0].start() && from->last() == sessions[0].last();
    if (same_ends) {
      for (size_t i = first; i < end; i++) {
        Show(changes_[i].ref, sessions[0], changes_[i].weight);
      }
    } else {
      size_t i = 0;
      for (auto session = from; session != to; ++session) {
        for (auto& row : session->rows) Show(row.ref, *session, -before[i++]);
      }
      for (auto& session : sessions) {
        for (auto& row : session.rows) Show(row.ref, session, rows_.At(row.ref).weight);
      }
    }
    for (auto session = from; session != to; ++session) sessions_bytes_ -= BytesOf(*session);
    for (auto& session : sessions) {
      sessions_bytes_ += BytesOf(session);
      if (!same_ends) NoteEnd(slot, session);
    }
    auto at = key.sessions.erase(from, to);
    key.sessions.insert(at, std::make_move_iterator(sessions.begin()),
                        std::make_move_iterator(sessions.end()));
  }

  bool HasPassed(std::optional<Micros> time) const {
    return static_cast<const WatermarkOperator&>(*inputs[1]).HasPassed(time);
  }
  Micros EndOf(const Session& session) const { return OverAt(session.last(), gap_); }

  // An end that has moved on since stays noted: nothing is over then, and the new one is noted,
  // too.
  void NoteEnd(uint32_t slot, const Session& session) {
    if (!lateness_) return;
    by_end_[EndOf(session)].push_back(slot);
    noted_++;
  }

  // A row that could join one of these sessions would be late.
  void ForgetOver(uint32_t slot) {
    Key& key = keys_of_[slot];
    size_t over = 0;
    for (; over < key.sessions.size(); over++) {
      auto& session = key.sessions[over];
      if (!HasPassed(OverAt(EndOf(session), *lateness_))) break;
      sessions_bytes_ -= BytesOf(session);
      for (auto& row : session.rows) {
        SaveBefore(row.ref);
        rows_.Remove(row.ref, key.head);
      }
    }
    if (over == 0) return;
    key.sessions.erase(key.sessions.begin(), key.sessions.begin() + static_cast<int64_t>(over));
    if (!table_ || key.head != kNoRow) return;
    key = Key();
    table_->Erase(slot);
  }

  void Show(RowRef ref, const Session& session, int64_t weight) {
    if (weight == 0) return;
    starts_[shown_count_] = session.start();
    lasts_[shown_count_] = session.last();
    shown_[shown_count_] = ref;
    shown_weights_[shown_count_++] = weight;
    if (shown_count_ == STANDARD_VECTOR_SIZE) FlushOut();
  }
  void FlushOut() {
    if (shown_count_ == 0) return;
    out_.Reset();
    rows_.Gather(shown_, shown_count_, out_, 0);
    std::copy_n(starts_, shown_count_,
                duckdb::FlatVector::GetDataUnsafe<int64_t>(out_.data[width_]));
    std::copy_n(lasts_, shown_count_,
                duckdb::FlatVector::GetDataUnsafe<int64_t>(out_.data[width_ + 1]));
    out_.SetCardinality(shown_count_);
    Emit(out_, shown_weights_);
    shown_count_ = 0;
  }

  const std::optional<Micros> lateness_;            // of rows; then inputs[1] is the watermark
  std::map<Micros, std::vector<uint32_t>> by_end_;  // slots
  size_t noted_ = 0;                                // in all of by_end_
  Micros gap_;
  size_t width_, group_count_;
  RowStore rows_;
  std::unique_ptr<Evaluator> evaluator_;
  std::unique_ptr<KeyTable> table_;  // null: one group
  LargeVector<Key> keys_of_;         // by slot
  std::vector<uint32_t> touched_;
  std::vector<StepChange> step_changes_;
  std::vector<Change> changes_;  // of the key at hand
  std::vector<std::pair<uint32_t, RowRef>> gone_;
  size_t sessions_bytes_ = 0;
  RowsToWrite to_write_;

  uint32_t slots_[STANDARD_VECTOR_SIZE];
  Micros times_[STANDARD_VECTOR_SIZE];
  RowRef shown_[STANDARD_VECTOR_SIZE];
  Micros starts_[STANDARD_VECTOR_SIZE], lasts_[STANDARD_VECTOR_SIZE];
  int64_t shown_weights_[STANDARD_VECTOR_SIZE];
  duckdb::idx_t shown_count_ = 0;
  duckdb::DataChunk keys_, out_;
};

}  // namespace

std::unique_ptr<Operator> MakeSession(const SessionPtr& session, const SessionCall& call,
                                      const RowTypes& input, bool append_only,
                                      std::optional<Micros> lateness) {
  RowTypes types = input;
  types.insert(types.end(), 2, TypeOf(call.time));
  return std::make_unique<Sessions>(session, call, input, std::move(types), append_only, lateness);
}

}  // namespace weir
