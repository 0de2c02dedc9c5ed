// Window functions whose frames are bounded on both sides, and lag and lead: a change touches only
// the rows whose frames it can be in.
//
// Those rows, with what their frames reach, are handed to DuckDB's own window operator: one run for
// all that a step touched, each stretch as a partition of its own.  What comes out differently is
// shown.  Cost: by the changed rows and the reach of the frames, however long the partition is.
#include <algorithm>

#include "base/error.h"
#include "duck/batch_plan.h"
#include "flow/operators/ordered_window.h"

namespace weir {
namespace {

class FramedWindow : public OrderedWindow {
 public:
  FramedWindow(const SessionPtr& session, const WindowCall& call, const RowTypes& input,
               const RowTypes& results)
      : OrderedWindow("framed window", session, call.partitions, call.order, BoundsOf(call), input,
                      results),
        reach_(call.reach),
        width_(input.size()),
        runner_(*session, call.pattern) {
    size_t kept = 0;
    for (auto& range : reach_.ranges) {
      for (auto* end : {&range.first, &range.second}) {
        bounds_.push_back(*end ? std::optional(kept++) : std::nullopt);
      }
    }
    RowTypes given = input;
    given.insert(given.end(), 2, duckdb::LogicalType::UBIGINT);
    given_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(given));
    said_.InitializeEmpty(DuckTypes(results));
  }

 protected:
  void Settle(uint32_t slot) override {
    auto& items = partition(slot).items;
    std::vector<Place> marks;
    std::vector<std::string> gone;
    for (auto& change : partition(slot).changes) {
      Apply(slot, change, &marks);
      // Where rows went, the one that stands there now; its peers and neighbours follow from it.
      if (change.weight < 0) gone.push_back(change.key);
    }
    if (items.empty()) return;
    for (auto& key : gone) {
      auto at = items.lower_bound(Item::First(key));
      // All that is left of its peers, and the ones on both sides.
      auto before = at == items.begin() ? at : std::prev(at);
      if (before != items.end()) marks.push_back(before);
      for (; at != items.end() && at->key == key; ++at) marks.push_back(at);
      if (at != items.end()) marks.push_back(at);
    }
    std::sort(marks.begin(), marks.end(), [](auto& a, auto& b) { return Less()(*a, *b); });
    auto end = items.end();
    for (size_t i = 0; i < marks.size();) {
      // Marks that stand side by side reach as one.
      Place first = marks[i], last = marks[i];
      for (i++; i < marks.size() && (marks[i] == last || marks[i] == std::next(last)); i++) {
        last = marks[i];
      }
      Place from = first, to = last;
      Touched(items, from, to);
      while (i < marks.size() && !(to == end) && !Less()(*to, *marks[i])) {
        last = marks[i];
        i++;
        Place more = last;
        Touched(items, last, more);
        if (Less()(*to, *more)) to = more;
      }
      Compute(slot, from, to);
    }
  }

  void Finish() override {
    AppendGiven();
    if (!rows_given_ || rows_given_->Count() == 0) return;
    BatchRunner::Inputs inputs;
    inputs.push_back(std::move(rows_given_));
    runner_.Run(inputs, [&](duckdb::DataChunk& chunk) {
      CHECK(chunk.ColumnCount() == width_ + 2 + said_.ColumnCount());
      for (duckdb::idx_t i = 0; i < said_.ColumnCount(); i++) {
        said_.data[i].Reference(chunk.data[width_ + 2 + i]);
      }
      said_.SetCardinality(chunk.size());
      duckdb::UnifiedVectorFormat ordinals;
      chunk.data[width_].ToUnifiedFormat(chunk.size(), ordinals);
      auto& encoded = results().Encode(said_);
      for (duckdb::idx_t i = 0; i < chunk.size(); i++) {
        auto ordinal = duckdb::UnifiedVectorFormat::GetDataUnsafe<uint64_t>(
            ordinals)[ordinals.sel->get_index(i)];
        CHECK(ordinal < given_items_.size());
        auto& [slot, item] = given_items_[ordinal];
        if (item) SetResult(slot, *item, encoded[i]);
      }
    });
    rows_given_.reset();
    given_items_.clear();
    stretches_ = 0;
  }

 private:
  static std::vector<ExpressionPtr> BoundsOf(const WindowCall& call) {
    std::vector<ExpressionPtr> bounds;
    for (auto& range : call.reach.ranges) {
      if (range.first) bounds.push_back(range.first);
      if (range.second) bounds.push_back(range.second);
    }
    return bounds;
  }

  // Where a row's frame starts (0) or ends (1).
  const std::string& Bound(const Item& item, size_t range, size_t end) const {
    auto& place = bounds_[2 * range + end];
    return place ? (*item.bounds)[*place] : item.key;
  }

  // Grows [from, to] to the rows whose frames may hold one of them.
  void Touched(const Items& items, Place& from, Place& to) const {
    Place first = from, last = to;
    Back(items, from, reach_.rows_after, reach_.groups_after);
    Forward(items, to, reach_.rows_before, reach_.groups_before);
    for (size_t range = 0; range < reach_.ranges.size(); range++) {
      // The first row whose frame ends behind the change, and the last whose frame starts before.
      Place lower = first, upper = last;
      while (lower != items.begin() && Bound(*std::prev(lower), range, 1) >= first->key) {
        --lower;
      }
      while (std::next(upper) != items.end() && Bound(*std::next(upper), range, 0) <= last->key) {
        ++upper;
      }
      if (Less()(*lower, *from)) from = lower;
      if (Less()(*to, *upper)) to = upper;
    }
  }

  // Grows [from, to] to what the frames of its rows reach.
  void Needed(const Items& items, Place& from, Place& to) const {
    Place first = from, last = to;
    Back(items, from, reach_.rows_before, reach_.groups_before);
    Forward(items, to, reach_.rows_after, reach_.groups_after);
    for (size_t range = 0; range < reach_.ranges.size(); range++) {
      Place lower = items.lower_bound(Item::First(Bound(*first, range, 0)));
      Place upper = items.upper_bound(Item::Last(Bound(*last, range, 1)));
      if (lower != items.end() && Less()(*lower, *from)) from = lower;
      if (upper == items.begin()) continue;
      --upper;
      if (Less()(*to, *upper)) to = upper;
    }
  }

  void Back(const Items& items, Place& place, uint64_t rows, uint64_t groups) const {
    Place by_groups = place;
    for (; rows > 0 && place != items.begin(); rows--) --place;
    if (!reach_.peers) return;
    for (; groups > 0; groups--) {
      ToFirstPeer(items, by_groups);
      if (by_groups == items.begin()) break;
      --by_groups;
    }
    if (Less()(*by_groups, *place)) place = by_groups;
    ToFirstPeer(items, place);
  }
  void Forward(const Items& items, Place& place, uint64_t rows, uint64_t groups) const {
    Place by_groups = place;
    for (; rows > 0 && std::next(place) != items.end(); rows--) ++place;
    if (!reach_.peers) return;
    for (; groups > 0; groups--) {
      ToLastPeer(items, by_groups);
      if (std::next(by_groups) == items.end()) break;
      ++by_groups;
    }
    if (Less()(*place, *by_groups)) place = by_groups;
    ToLastPeer(items, place);
  }
  static void ToFirstPeer(const Items& items, Place& place) {
    while (place != items.begin() && SamePeers(*std::prev(place), *place)) --place;
  }
  static void ToLastPeer(const Items& items, Place& place) {
    while (std::next(place) != items.end() && SamePeers(*std::next(place), *place)) ++place;
  }

  // Hands the rows [from, to], with what they need, to the run of this step.
  void Compute(uint32_t slot, Place from, Place to) {
    Place first = from, last = to;
    Needed(partition(slot).items, first, last);
    stretches_++;
    bool is_touched = false;
    for (Place place = first;; ++place) {
      is_touched = is_touched || place == from;
      Give(slot, *place, is_touched);
      if (place == to) is_touched = false;
      if (place == last) break;
    }
  }

  void Give(uint32_t slot, const Item& item, bool is_touched) {
    given_rows_[given_count_] = item.row;
    given_ordinals_[given_count_] = given_items_.size();
    given_stretches_[given_count_++] = stretches_;
    given_items_.emplace_back(slot, is_touched ? &item : nullptr);
    if (given_count_ == STANDARD_VECTOR_SIZE) AppendGiven();
  }

  void AppendGiven() {
    if (given_count_ == 0) return;
    if (!rows_given_) rows_given_ = runner_.Rows(0);
    given_.Reset();
    rows().Gather(given_rows_, given_count_, given_, 0);
    std::copy_n(given_ordinals_, given_count_,
                duckdb::FlatVector::GetDataUnsafe<uint64_t>(given_.data[width_]));
    std::copy_n(given_stretches_, given_count_,
                duckdb::FlatVector::GetDataUnsafe<uint64_t>(given_.data[width_ + 1]));
    given_.SetCardinality(given_count_);
    rows_given_->Append(given_);
    given_count_ = 0;
  }

  FrameReach reach_;
  std::vector<std::optional<size_t>> bounds_;  // where an item keeps both ends of each range
  size_t width_;
  BatchRunner runner_;
  std::unique_ptr<duckdb::ColumnDataCollection> rows_given_;
  // By ordinal, with the partition; null: only needed by others.
  std::vector<std::pair<uint32_t, const Item*>> given_items_;
  uint64_t stretches_ = 0;
  RowRef given_rows_[STANDARD_VECTOR_SIZE];
  uint64_t given_ordinals_[STANDARD_VECTOR_SIZE], given_stretches_[STANDARD_VECTOR_SIZE];
  duckdb::idx_t given_count_ = 0;
  duckdb::DataChunk given_, said_;
};

}  // namespace

std::unique_ptr<Operator> MakeFramedWindow(const SessionPtr& session, const WindowCall& call,
                                           const RowTypes& input) {
  auto& types = call.pattern->types;
  RowTypes results(types.begin() + static_cast<ptrdiff_t>(input.size()) + 2, types.end());
  return std::make_unique<FramedWindow>(session, call, input, results);
}

}  // namespace weir
