// Joins with a condition beside the keys that say of each row whether it has a partner (outer,
// semi, anti, mark, single).
//
// Each row of such a side counts its partners, and for a mark the pairs of which the condition is
// NULL: in notes beside the index, which therefore is the join's own (arrange.h).  What the counts
// say is looked at when the step ends, for the rows that changed, so that what is replaced within a
// step is not seen as gone.
//
// Cost: by changes and the pairs with equal keys.  State: 12 bytes a row of such a side.
#include "flow/operators/join_keys.h"
#include "flow/operators/join_pairs.h"
#include "flow/operators/join_traits.h"
#include "flow/operators/joins.h"
#include "flow/operators/row_display.h"
#include "flow/state/weights.h"

namespace weir {
namespace {

class MatchingJoin : public Operator {
 public:
  MatchingJoin(const SessionPtr& session, const JoinSpec& spec, RowTypes types, bool append_only)
      : Operator("join", std::move(types), append_only),
        traits_(JoinTraits::Of(spec.kind)),
        keys_(KeyTypes(spec), spec.null_is_value),
        pairs_(session, spec),
        out_(this->types(), spec.left.size(), traits_.pairs ? spec.right.size() : 0),
        display_(out_, traits_.mark) {
    if (traits_.pairs) {
      pairs_.take = [this](duckdb::DataChunk& rows, const int64_t* weights) {
        Emit(rows, weights);
      };
    }
    pairs_.match = [this](duckdb::idx_t row, RowRef partner, bool known) {
      CountMatch(row, partner, known);
    };
    pairs_.fail = [this](std::string pair, int64_t weight, const ExpressionFailed& why) {
      Reject(std::move(pair), weight, why);
    };
    SayAllWithAll(*this, spec);
  }

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override {
    CHECK(port <= 1);
    side_ = static_cast<int>(port);
    weights_ = weights;
    auto& own = IndexAt(side_);
    keys_.Resolve(own, rows.size(), [&](duckdb::DataChunk& keys, uint32_t* slots) {
      IndexAt(1 - side_).Find(keys, slots);
    });
    ShowWithoutKey(own, rows, weights);
    matches_.assign(rows.size(), 0);
    unknowns_.assign(rows.size(), 0);
    pairs_.Make(side_, rows, weights, keys_.other(), IndexAt(1 - side_), false);
    if (!traits_.tracked(side_)) return;
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      if (keys_.own()[i] == kNoSlot) continue;
      auto& note = Touch(side_, own.rows().refs()[i]);
      note.matches = matches_[i];
      note.unknowns = unknowns_[i];
    }
  }

  void Flush() override {
    auto emit = [&](duckdb::DataChunk& rows, const int64_t* weights) { Emit(rows, weights); };
    for (int side : {0, 1}) {
      auto& rows = IndexAt(side).rows();
      for (auto& before : touched_[side]) {
        auto& note = NoteOf(side, before.ref);
        DEBUG_ASSERT(note.touched);
        note.touched = false;
        int64_t weight = rows.WeightOf(before.ref);
        Shown was = ShownAs(side, before.matches, before.unknowns);
        Shown is = ShownAs(side, note.matches, note.unknowns);
        bool same = was == is;
        display_.Show(side, rows.store(), before.ref, was, same ? 0 : -before.weight, emit);
        display_.Show(side, rows.store(), before.ref, is, weight - (same ? before.weight : 0),
                      emit);
        if (traits_.single && side == 0 && weight > 0 && note.matches > 1) throw Crowd();
      }
      touched_[side].clear();
    }
    display_.Flush(emit);
  }

  bool HasState() const override { return true; }
  size_t StateBytes() const override {
    size_t bytes = 0;
    for (int side : {0, 1}) {
      bytes += notes_[side].Bytes() + touched_[side].capacity() * sizeof(Touched);
    }
    return bytes;
  }
  void Save(StateWriter& writer) const override {
    for (int side : {0, 1}) {
      for (uint32_t number = 0; number < notes_[side].size(); number++) {
        SaveNow(writer, side, number);
      }
    }
    SaveEnd(writer);
  }
  void Load(StateReader& reader) override {
    for (auto side = reader.Get<uint8_t>(); side != kEnd; side = reader.Get<uint8_t>()) {
      auto number = reader.Get<uint32_t>();
      Note read;
      read.matches = reader.Get<int32_t>();
      read.unknowns = reader.Get<int32_t>();
      if (side > 1) StateReader::Bad();
      RowRef ref = IndexAt(side).rows().LoadedAt(number);
      if (ref != kNoRow) NoteOf(side, ref) = read;  // otherwise of a row that had gone
    }
  }

 private:
  struct Note {
    int32_t matches = 0, unknowns = 0;
    bool touched = false;
  };
  struct Touched {
    RowRef ref;
    int32_t matches, unknowns;  // before the step, as the next
    int64_t weight;
  };

  static constexpr uint8_t kEnd = 0xff;

  // Notes of rows that have gone say nothing, and are left out when they are read.
  void SaveNow(StateWriter& writer, int side, uint32_t number) const {
    if (number >= notes_[side].size()) return;
    auto& note = notes_[side][number];
    if (note.matches == 0 && note.unknowns == 0) return;
    writer.Put(static_cast<uint8_t>(side));
    writer.Put(number);
    writer.Put(note.matches);
    writer.Put(note.unknowns);
  }
  static void SaveEnd(StateWriter& writer) { writer.Put(kEnd); }

  bool BeginPieces(StateWriter&) override {
    for (int side : {0, 1}) to_write_[side].Begin(notes_[side].size());
    return true;
  }
  bool SavePieces(StateWriter& writer, const Stop& stop) override {
    for (int side : {0, 1}) {
      auto write = [&](size_t row) { SaveNow(writer, side, static_cast<uint32_t>(row)); };
      if (!to_write_[side].Continue(write, stop)) return false;
    }
    SaveEnd(writer);
    return true;
  }
  void EndPieces() override {
    for (int side : {0, 1}) to_write_[side].End();
  }

  Arrangement& IndexAt(int side) const { return static_cast<Arrangement&>(*inputs[side]); }

  Note& NoteOf(int side, RowRef ref) {
    auto& store = IndexAt(side).rows().store();
    size_t number = store.NumberOf(ref);
    if (number >= notes_[side].size()) notes_[side].Reserve(store.Numbers());
    return notes_[side][number];
  }

  // Before a row or its counts change.
  Note& Touch(int side, RowRef ref) {
    auto& note = NoteOf(side, ref);
    if (note.touched) return note;
    BeforeChange([&](StateWriter& writer) {
      auto number = static_cast<uint32_t>(IndexAt(side).rows().store().NumberOf(ref));
      if (to_write_[side].Claim(number)) SaveNow(writer, side, number);
    });
    int64_t weight = IndexAt(side).rows().WeightOf(ref);
    if (weight == 0) note = Note();  // of a row that stood here before
    touched_[side].push_back({ref, note.matches, note.unknowns, weight});
    note.touched = true;
    return note;
  }

  // Rows that can have no partner are shown or not at once; they are not counted.
  void ShowWithoutKey(Arrangement& own, duckdb::DataChunk& rows, const int64_t* weights) {
    if (!keys_.any_without() || !traits_.alone[side_]) return;
    duckdb::SelectionVector alone(rows.size());
    duckdb::idx_t count = 0;
    int64_t alone_weights[STANDARD_VECTOR_SIZE];
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      if (!keys_.is_without(i) || own.slots()[i] == kNoSlot) continue;
      alone_weights[count] = weights ? weights[i] : 1;
      alone.set_index(count++, i);
    }
    auto emit = [&](duckdb::DataChunk& chunk, const int64_t* w) { Emit(chunk, w); };
    out_.ShowAlone(side_, rows, alone, count, alone_weights, emit);
  }

  // A pair for which the condition holds, or of which it is NULL, on both sides that count.
  void CountMatch(duckdb::idx_t row, RowRef partner, bool known) {
    if (!known && !traits_.mark) return;  // no partner; it may have ended, too
    int other = 1 - side_;
    if (traits_.tracked(side_)) {
      AddWeight((known ? matches_ : unknowns_)[row], IndexAt(other).rows().WeightOf(partner));
    }
    if (traits_.tracked(other)) {
      auto& note = Touch(other, partner);
      AddWeight(known ? note.matches : note.unknowns, weights_ ? weights_[row] : 1);
    }
  }

  Shown ShownAs(int side, int32_t matches, int32_t unknowns) const {
    if (traits_.mark) {
      return matches > 0 ? Shown::kTrue : unknowns > 0 ? Shown::kUnknown : Shown::kFalse;
    }
    bool shown = matches > 0 ? traits_.partnered[side] : traits_.alone[side];
    return shown ? Shown::kPlain : Shown::kNot;
  }

  JoinTraits traits_;
  JoinKeys keys_;
  JoinPairs pairs_;
  JoinOutput out_;
  RowDisplay display_;
  PagedArray<Note> notes_[2];        // by the rows' numbers, of sides that count
  std::vector<Touched> touched_[2];  // in this step
  UnitsToWrite to_write_[2];         // by the rows' numbers, while a snapshot is taken

  // Of the chunk at hand.
  int side_ = 0;
  const int64_t* weights_ = nullptr;

  std::vector<int32_t> matches_, unknowns_;
};

}  // namespace

std::unique_ptr<Operator> MakeMatchingJoin(const SessionPtr& session, const JoinSpec& spec,
                                           RowTypes types, bool append_only) {
  return std::make_unique<MatchingJoin>(session, spec, std::move(types), append_only);
}

}  // namespace weir
