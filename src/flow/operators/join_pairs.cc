#include "flow/operators/join_pairs.h"

#include <algorithm>

#include "flow/state/halves.h"
#include "flow/state/weights.h"
#include "io/process/busy_file.h"

namespace weir {

JoinPairs::JoinPairs(const SessionPtr& session, const JoinSpec& spec)
    : widths_{spec.left.size(), spec.right.size()} {
  RowTypes types = spec.left;
  types.insert(types.end(), spec.right.begin(), spec.right.end());
  pairs_.InitializeEmpty(DuckTypes(types));
  for (int side : {0, 1}) {
    fetched_[side].Initialize(duckdb::Allocator::DefaultAllocator(),
                              DuckTypes(side ? spec.right : spec.left));
  }
  if (!spec.condition.empty()) condition_ = std::make_unique<Evaluator>(session, spec.condition);
}

void JoinPairs::Make(int side, duckdb::DataChunk& rows, const int64_t* weights,
                     const uint32_t* slots, const Arrangement& other, bool with_change) {
  Change change{side, &rows, weights, &other};
  auto& kept = other.rows();
  count_ = 0;
  // The first rows of all keys are on their way from memory before the first is looked at.
  RowRef firsts[STANDARD_VECTOR_SIZE];
  for (duckdb::idx_t i = 0; i < rows.size(); i++) {
    firsts[i] = slots[i] == kNoSlot ? kNoRow : other.First(slots[i]);
    if (firsts[i] != kNoRow) kept.store().PrefetchRow(firsts[i]);
  }
  for (duckdb::idx_t i = 0; i < rows.size(); i++) {
    for (RowRef ref = firsts[i]; ref != kNoRow; ref = other.Next(ref)) {
      int64_t weight = kept.WeightOf(ref, with_change);
      if (weight == 0) continue;
      rows_.set_index(count_, i);
      partners_[count_] = ref;
      weights_[count_++] = WeightProduct(weights ? weights[i] : 1, weight);
      if (count_ == STANDARD_VECTOR_SIZE) Settle(change);
    }
  }
  Settle(change);
}

void JoinPairs::Settle(const Change& change) {
  if (count_ == 0) return;
  StopIfInterrupted();
  auto& fetched = fetched_[1 - change.side];
  fetched.Reset();
  change.other->rows().store().Gather(partners_, count_, fetched, 0);
  size_t own_first = change.side == 0 ? 0 : widths_[0];
  size_t other_first = change.side == 0 ? widths_[0] : 0;
  for (size_t c = 0; c < widths_[change.side]; c++) {
    pairs_.data[own_first + c].Slice(change.rows->data[c], rows_, count_);
  }
  for (size_t c = 0; c < widths_[1 - change.side]; c++) {
    pairs_.data[other_first + c].Reference(fetched.data[c]);
  }
  pairs_.SetCardinality(count_);
  chosen_count_ = 0;
  only_additions_ = true;
  if (condition_) {
    Judge(pairs_, 0);
  } else {
    for (duckdb::idx_t pair = 0; pair < count_; pair++) Choose(pair);
  }
  auto count = std::exchange(count_, 0);
  if (!take || chosen_count_ == 0) return;
  if (chosen_count_ < count) pairs_.Slice(chosen_, chosen_count_);
  take(pairs_, only_additions_ ? nullptr : chosen_weights_);
}

void JoinPairs::Choose(duckdb::idx_t pair) {
  chosen_.set_index(chosen_count_, pair);
  chosen_weights_[chosen_count_++] = weights_[pair];
  only_additions_ &= weights_[pair] == 1;
}

// Which of the pairs from `first` on, whose rows `pairs` holds, belong together.
void JoinPairs::Judge(duckdb::DataChunk& pairs, duckdb::idx_t first) {
  duckdb::Vector* holds = nullptr;
  try {
    holds = &condition_->Run(pairs).data[0];
  } catch (const ExpressionFailed& why) {
    return JudgeParts(pairs, first, why);
  }
  CHECK(first + pairs.size() <= count_);
  duckdb::UnifiedVectorFormat format;
  holds->ToUnifiedFormat(pairs.size(), format);
  auto* values = duckdb::UnifiedVectorFormat::GetDataUnsafe<bool>(format);
  for (duckdb::idx_t i = 0; i < pairs.size(); i++) {
    auto index = format.sel->get_index(i);
    bool known = format.validity.RowIsValid(index);
    if (known && !values[index]) continue;
    if (match) match(rows_.get_index(first + i), partners_[first + i], known);
    if (known) Choose(first + i);
  }
}

void JoinPairs::JudgeParts(duckdb::DataChunk& pairs, duckdb::idx_t first,
                           const ExpressionFailed& why) {
  if (pairs.size() == 1) {
    std::string text = "(";
    for (size_t c = 0; c < pairs.ColumnCount(); c++) {
      text += (c > 0 ? ", " : "") + pairs.GetValue(c, 0).ToSQLString();
    }
    return fail(text + ")", weights_[first], why);
  }
  EachHalf(pairs,
           [&](duckdb::DataChunk& half, duckdb::idx_t start) { Judge(half, first + start); });
}

void JoinPairs::MakeAll(const Arrangement& left, uint32_t left_slot, const Arrangement& right,
                        uint32_t right_slot, int64_t sign) {
  std::vector<RowRef> refs[2];
  std::vector<int64_t> weights;
  for (RowRef a = left.First(left_slot); a != kNoRow; a = left.Next(a)) {
    for (RowRef b = right.First(right_slot); b != kNoRow; b = right.Next(b)) {
      int64_t weight = WeightProduct(left.rows().WeightOf(a), right.rows().WeightOf(b));
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
      fetched_[side].Reset();
      (side ? right : left).rows().store().Gather(&refs[side][done], some, fetched_[side], 0);
      for (auto& values : fetched_[side].data) pairs_.data[column++].Reference(values);
    }
    pairs_.SetCardinality(some);
    take(pairs_, &weights[done]);
  }
}

}  // namespace weir
