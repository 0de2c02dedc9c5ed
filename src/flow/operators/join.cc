// Joins that keep nothing of their own: inner ones, and those of which the keys alone say whether a
// row has a partner (left, right, full, semi, anti, and scalar subqueries: "single").
//
// Both sides' rows stand in indexes that other joins may share (arrange.h).  A row that comes or
// goes is looked up in the other side's: the pairs are an inner join's change, at once.  For the
// rest the rows A of a side are shown or not by P, whether their key has rows on the other side:
//
//   change of A.[P]  =  (change of A).[P as the step began]  +  A.([P now] - [P as it began])
//
// the first at once, the second for the keys that are others when the step ends.
//
// Of a scalar subquery, left rows with more than one partner are failed rows as long as they have
// them, and make no pairs.
//
// Cost: by changes and the pairs they make.  State: a byte a key, where partners matter; of a side
// whose rows are never looked at, a count by key.
// After: DBSP (Budiu et al., VLDB 2023), section 4, bilinear operators.
#include <algorithm>

#include "flow/operators/join_keys.h"
#include "flow/operators/join_pairs.h"
#include "flow/operators/join_traits.h"
#include "flow/operators/joins.h"
#include "flow/operators/partner_keys.h"
#include "flow/operators/row_display.h"

namespace weir {
namespace {

class Join : public Operator {
 public:
  Join(const SessionPtr& session, const JoinSpec& spec, RowTypes types, bool append_only)
      : Operator("join", std::move(types), append_only),
        traits_(JoinTraits::Of(spec.kind)),
        null_is_value_(spec.null_is_value),
        keys_(KeyTypes(spec), spec.null_is_value),
        pairs_(session, spec),
        out_(this->types(), spec.left.size(), traits_.pairs ? spec.right.size() : 0),
        display_(out_, false) {
    auto key_types = KeyTypes(spec);
    if (SideOf(spec, 1) == JoinSide::kCounted) {
      partners_[1] = PartnerKeys(std::make_unique<KeyCounts>(key_types));
      if (!key_types.empty()) counted_keys_ = std::make_unique<Evaluator>(session, spec.right_keys);
    }
    key_chunk_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(key_types));
    some_keys_.InitializeEmpty(DuckTypes(key_types));
    for (int side : {0, 1}) {
      auto& types_of = side ? spec.right : spec.left;
      fetched_[side].Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types_of));
    }
    if (traits_.pairs) {
      pairs_.take = [this](duckdb::DataChunk& rows, const int64_t* weights) {
        Emit(rows, weights);
      };
    }
    pairs_.fail = [this](std::string pair, int64_t weight, const ExpressionFailed& why) {
      Reject(std::move(pair), weight, why);
    };
    SayAllWithAll(*this, spec);
  }

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override {
    CHECK(port <= 1);
    Connect();
    int side = static_cast<int>(port);
    if (partners_[side].counts()) return Count(rows, weights);
    auto& own = *indexes_[side];
    keys_.Resolve(own, rows.size(), [&](duckdb::DataChunk& keys, uint32_t* slots) {
      partners_[1 - side].Find(keys, slots);
    });
    if (traits_.tracked(side)) ShowAtOnce(side, own, rows, weights);
    if (traits_.single && side == 0) RejectCrowded(rows, weights);
    if (traits_.pairs) MakePairs(side, rows, weights);
    if (!PartnersMatter(side)) return;
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      if (keys_.own()[i] != kNoSlot) partners_[side].Touch(keys_.own()[i]);
    }
  }

  void Flush() override {
    for (int side : {0, 1}) {
      if (!PartnersMatter(side)) continue;
      auto changes = partners_[side].Changes();
      std::erase_if(changes, [&](auto& change) {
        return (change.before == Partners::kNone) == (change.now == Partners::kNone) &&
               IsCrowded(change.before) == IsCrowded(change.now);
      });
      if (!changes.empty()) ShowChanges(side, changes);
    }
    display_.Flush([&](duckdb::DataChunk& rows, const int64_t* weights) { Emit(rows, weights); });
    for (auto& partners : partners_) partners.EndStep();
  }

  void CheckInvariants() const override {
    Operator::CheckInvariants();
    if (auto* counts = partners_[1].counts()) counts->CheckInvariants();
  }
  bool HasState() const override { return true; }  // if only what stands in its indexes
  size_t StateBytes() const override { return partners_[0].Bytes() + partners_[1].Bytes(); }
  void Load(StateReader& reader) override {
    if (auto* counts = partners_[1].counts()) LoadParts(reader, {counts});
  }

 private:
  // Without counts nothing is kept that its indexes do not have.
  bool BeginPieces(StateWriter& writer) override {
    if (auto* counts = partners_[1].counts()) counts->BeginPieces(writer, 0);
    return true;
  }
  bool SavePieces(StateWriter& writer, const Stop& stop) override {
    auto* counts = partners_[1].counts();
    if (!counts) return true;
    if (!counts->SavePieces(writer, stop)) return false;
    writer.Put(kEndOfParts);
    return true;
  }
  void EndPieces() override {
    if (auto* counts = partners_[1].counts()) counts->EndPieces();
  }

  // Whether something depends on the keys that have rows on this side.
  bool PartnersMatter(int side) const {
    return traits_.tracked(1 - side) || (traits_.single && side == 1);
  }

  void Connect() {
    for (int side : {0, 1}) {
      if (partners_[side].counts()) continue;
      indexes_[side] = static_cast<Arrangement*>(inputs[side]);
      partners_[side].StandOn(indexes_[side]);
    }
  }
  // Both sides are the same rows: the right one is told second, of a left one that has changed.
  bool WithChange(int side) const {
    return side == 1 && indexes_[0] && &indexes_[0]->rows() == &indexes_[1]->rows();
  }

  // The rows of a side that are not looked at.  Keys can fail, so nothing changes before.
  void Count(duckdb::DataChunk& rows, const int64_t* weights) {
    auto count = rows.size();
    auto& partners = partners_[1];
    uint32_t slots[STANDARD_VECTOR_SIZE] = {};
    if (counted_keys_) {
      auto& keys = counted_keys_->Run(rows);
      std::vector<uint8_t> without(count);
      FindWithoutKey(keys, count, null_is_value_, without);
      SlotsOf(keys, count, without, some_keys_, slots,
              [&](duckdb::DataChunk& some, uint32_t* found) {
                partners.counts()->Resolve(some, found);
              });
    }
    BeforeChange([&](StateWriter& writer) { partners.counts()->SaveBefore(slots, count, writer); });
    for (duckdb::idx_t i = 0; i < count; i++) {
      if (slots[i] == kNoSlot) continue;
      partners.Touch(slots[i]);
      partners.counts()->Add(slots[i], weights ? weights[i] : 1);
    }
  }

  bool IsShown(int side, Partners partners) const {
    return partners == Partners::kNone ? traits_.alone[side] : traits_.partnered[side];
  }
  bool IsCrowded(Partners partners) const { return traits_.single && partners == Partners::kMany; }

  // Rows that are shown by what their key's partners were as the step began; those that can have
  // none are alone for good.
  void ShowAtOnce(int side, Arrangement& own, duckdb::DataChunk& rows, const int64_t* weights) {
    auto& other = partners_[1 - side];
    duckdb::SelectionVector shown(rows.size());
    duckdb::idx_t count = 0;
    int64_t shown_weights[STANDARD_VECTOR_SIZE];
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      if (own.slots()[i] == kNoSlot) continue;  // its key has failed
      auto partners = Partners::kNone;
      if (uint32_t slot = keys_.other()[i]; slot != kNoSlot) {
        if (!HasRows(own, keys_.own()[i])) other.StartAnew(slot);
        partners = other.AtStart(slot);
      }
      if (!IsShown(side, partners)) continue;
      shown_weights[count] = weights ? weights[i] : 1;
      shown.set_index(count++, i);
    }
    auto emit = [&](duckdb::DataChunk& chunk, const int64_t* w) { Emit(chunk, w); };
    out_.ShowAlone(side, rows, shown, count, shown_weights, emit);
  }

  // A scalar subquery's right side may have been crowded: then left rows are failed rows already.
  bool HasRows(const Arrangement& own, uint32_t slot) const {
    if (traits_.single) return true;
    for (RowRef ref = own.First(slot); ref != kNoRow; ref = own.Next(ref)) {
      if (own.rows().WeightOf(ref) != 0) return true;
    }
    return false;
  }

  void MakePairs(int side, duckdb::DataChunk& rows, const int64_t* weights) {
    auto* slots = keys_.other();
    if (traits_.single) {
      auto* right = side == 0 ? keys_.other() : keys_.own();
      for (duckdb::idx_t i = 0; i < rows.size(); i++) {
        if (slots[i] != kNoSlot && IsCrowded(partners_[1].AtStart(right[i]))) slots[i] = kNoSlot;
      }
    }
    pairs_.Make(side, rows, weights, slots, *indexes_[1 - side], WithChange(side));
  }

  // ---- what has changed when the step ends ------------------------------------------------------

  // Rows of the other side whose key has other partners on this one.
  void ShowChanges(int side, const std::vector<PartnerKeys::Change>& changes) {
    int shown_side = 1 - side;
    auto& own = *indexes_[shown_side];
    std::vector<uint32_t> slots;
    slots.reserve(changes.size());
    for (auto& change : changes) slots.push_back(change.slot);
    uint32_t found[STANDARD_VECTOR_SIZE];
    for (size_t done = 0; done < slots.size(); done += STANDARD_VECTOR_SIZE) {
      size_t some = std::min<size_t>(STANDARD_VECTOR_SIZE, slots.size() - done);
      key_chunk_.Reset();
      partners_[side].Keys(&slots[done], some, key_chunk_);
      own.Find(key_chunk_, found);
      for (size_t i = 0; i < some; i++) {
        if (found[i] != kNoSlot) ShowChange(shown_side, found[i], changes[done + i]);
      }
    }
  }

  void ShowChange(int side, uint32_t slot, const PartnerKeys::Change& change) {
    auto& own = *indexes_[side];
    int64_t sign = static_cast<int64_t>(IsShown(side, change.now)) -
                   static_cast<int64_t>(IsShown(side, change.before));
    auto emit = [&](duckdb::DataChunk& rows, const int64_t* weights) { Emit(rows, weights); };
    for (RowRef ref = own.First(slot); ref != kNoRow && sign != 0; ref = own.Next(ref)) {
      display_.Show(side, own.rows().store(), ref, Shown::kPlain, sign * own.rows().WeightOf(ref),
                    emit);
    }
    if (!traits_.single || IsCrowded(change.before) == IsCrowded(change.now)) return;
    bool is_crowded = IsCrowded(change.now);
    pairs_.MakeAll(own, slot, *indexes_[1], change.slot, is_crowded ? -1 : 1);
    for (RowRef ref = own.First(slot); ref != kNoRow; ref = own.Next(ref)) {
      int64_t weight = own.rows().WeightOf(ref);
      if (weight == 0) continue;
      fetched_[0].Reset();
      own.rows().store().Gather(&ref, 1, fetched_[0], 0);
      fetched_[0].SetCardinality(1);
      Reject(ValuesOf(fetched_[0], 0), is_crowded ? weight : -weight, Crowd());
    }
  }

  // Left rows that come to, or go from, a key with too many partners.
  void RejectCrowded(duckdb::DataChunk& rows, const int64_t* weights) {
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      if (!IsCrowded(partners_[1].AtStart(keys_.other()[i]))) continue;
      Reject(ValuesOf(rows, i), weights ? weights[i] : 1, Crowd());
    }
  }

  JoinTraits traits_;
  std::vector<bool> null_is_value_;
  JoinKeys keys_;
  JoinPairs pairs_;
  JoinOutput out_;
  RowDisplay display_;
  Arrangement* indexes_[2] = {};  // null: counted
  PartnerKeys partners_[2];
  std::unique_ptr<Evaluator> counted_keys_;

  duckdb::DataChunk key_chunk_, some_keys_, fetched_[2];
};

}  // namespace

std::unique_ptr<Operator> MakeKeyJoin(const SessionPtr& session, const JoinSpec& spec,
                                      RowTypes types, bool append_only) {
  return std::make_unique<Join>(session, spec, std::move(types), append_only);
}

}  // namespace weir
