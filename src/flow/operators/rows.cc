#include "flow/operators/rows.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "duckdb/common/types/timestamp.hpp"
#include "flow/state/weights.h"

namespace weir {

InputRows::InputRows(RowTypes types, bool append_only)
    : Operator("rows", types, append_only),
      store_(std::move(types), !append_only, RowStore::Lists::kUnlisted) {}

InputRows::InputRows(RowTypes types, const SessionPtr& session, const Expiry& expiry)
    : InputRows(std::move(types), true) {
  store_.ExpectRemovals();
  end_ = std::make_unique<Evaluator>(session, std::vector{expiry.end});
  lateness_ = expiry.lateness;
}

void InputRows::Flush() {
  is_step_over_ = true;
  if (end_) watermark_ = static_cast<WatermarkOperator*>(inputs[1])->Current();
}

std::string InputRows::TextOf(duckdb::DataChunk& rows, duckdb::idx_t row) const {
  return inputs[0]->TextOf(rows, row);
}

void InputRows::Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) {
  CHECK(port == 0 && count_ == 0);  // a watermark has no rows; no chunk is under way
  if (is_step_over_) Forget();
  if (!readers_are_current_) FindReaders();
  store_.FindOrAdd(rows, refs_, is_new_);
  BeforeChange([&](StateWriter& writer) {
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      // A row that comes is none of the snapshot, also where one stood that is.
      if (to_write_.Claim(store_, refs_[i]) && !is_new_[i]) SaveNow(writer, refs_[i]);
    }
  });
  if (end_) NoteEnds(rows, refs_);
  CountOut(rows.size());
  for (auto& edge : outputs) HandTo(edge, rows, weights);
  count_ = rows.size();
  weights_ = weights;
  change_.clear();
  for (auto& reader : readers_) {
    if (reader.index->failure().empty()) HandTo(reader.edge, rows, weights);
  }
  for (duckdb::idx_t i = 0; i < rows.size(); i++) {
    auto& weight = store_.WeightOf(refs_[i]);
    AddWeight(weight, weights ? weights[i] : 1);
    DEBUG_ASSERT(!append_only() || weight > 0);
    if (weight != 0) continue;
    gone_.push_back(refs_[i]);
    for (auto& edge : outputs) static_cast<RowIndex*>(edge.to)->IsGone(i);
  }
  count_ = 0;
}

// What several chunks of a step say of a row is netted when all of them are there.
void InputRows::Forget() {
  is_step_over_ = false;
  if (end_) ForgetThoseOver();
  if (gone_.empty()) return;
  for (auto& edge : outputs) static_cast<RowIndex*>(edge.to)->Forget();
  std::sort(gone_.begin(), gone_.end());
  gone_.erase(std::unique(gone_.begin(), gone_.end()), gone_.end());
  for (RowRef ref : gone_) {
    if (store_.WeightOf(ref) != 0) continue;
    SaveBefore(ref);
    store_.Remove(ref);
  }
  gone_.clear();
}

// Rows without an end, or one that is infinite, stay.
void InputRows::NoteEnds(duckdb::DataChunk& rows, const RowRef* refs) {
  duckdb::UnifiedVectorFormat format;
  end_->Run(rows).data[0].ToUnifiedFormat(rows.size(), format);
  auto* ends = duckdb::UnifiedVectorFormat::GetDataUnsafe<Micros>(format);
  for (duckdb::idx_t i = 0; i < rows.size(); i++) {
    auto at = format.sel->get_index(i);
    bool is_end = format.validity.RowIsValid(at) &&
                  duckdb::Timestamp::IsFinite(duckdb::timestamp_t(ends[at]));
    if (!is_end) continue;
    ends_.push_back({ends[at], refs[i]});
    std::push_heap(ends_.begin(), ends_.end(), std::greater<>());
  }
}

void InputRows::ForgetThoseOver() {
  std::vector<RowRef> over;
  while (!ends_.empty() && watermark_ && OverAt(ends_.front().end, lateness_) <= *watermark_) {
    over.push_back(ends_.front().ref);
    std::pop_heap(ends_.begin(), ends_.end(), std::greater<>());
    ends_.pop_back();
  }
  if (over.empty()) return;
  for (auto& edge : outputs) static_cast<RowIndex*>(edge.to)->Forget(over);
  for (RowRef ref : over) {
    SaveBefore(ref);
    store_.Remove(ref);
  }
}

void InputRows::SaveNow(StateWriter& writer, RowRef ref) const {
  if (store_.WeightOf(ref) != 0) store_.SaveRow(writer, ref);
}

void InputRows::SaveBefore(RowRef ref) {
  BeforeChange([&](StateWriter& writer) {
    if (to_write_.Claim(store_, ref)) SaveNow(writer, ref);
  });
}

bool InputRows::BeginPieces(StateWriter&) {
  to_write_.Begin(store_);
  return true;
}

bool InputRows::SavePieces(StateWriter& writer, const Stop& stop) {
  if (!to_write_.Continue(
          store_, [&](RowRef ref) { SaveNow(writer, ref); }, stop))
    return false;
  RowStore::SaveEnd(writer);
  return true;
}

void InputRows::Load(StateReader& reader) {
  loaded_.clear();
  store_.LoadRows(reader, [&](RowRef ref, uint32_t number) {
    if (number >= loaded_.size()) loaded_.resize(number + size_t{1}, kNoRow);
    loaded_[number] = ref;
  });
  ends_.clear();
  if (!end_) return;
  store_.ForEachChunk([&](duckdb::DataChunk& rows, const RowRef* refs) { NoteEnds(rows, refs); });
}

void InputRows::OutputsChanged() {
  Operator::OutputsChanged();
  readers_are_current_ = false;
}

void InputRows::FindReaders() {
  readers_.clear();
  for (auto& edge : outputs) {
    auto* index = static_cast<RowIndex*>(edge.to);
    for (auto& reader : index->outputs) {
      CHECK(index->position < reader.to->position);
      readers_.push_back({reader, index});
    }
  }
  std::sort(readers_.begin(), readers_.end(), [](const Reader& a, const Reader& b) {
    return std::pair(a.edge.to->position, a.edge.port) <
           std::pair(b.edge.to->position, b.edge.port);
  });
  readers_are_current_ = true;
}

int64_t InputRows::ChangeOf(RowRef ref) const {
  if (change_.empty()) {
    for (duckdb::idx_t i = 0; i < count_; i++) {
      change_.emplace_back(refs_[i], weights_ ? weights_[i] : 1);
    }
    std::sort(change_.begin(), change_.end());
  }
  int64_t change = 0;
  auto at = std::lower_bound(change_.begin(), change_.end(), std::pair(ref, INT64_MIN));
  for (; at != change_.end() && at->first == ref; ++at) change += at->second;
  return change;
}

void RowIndex::OutputsChanged() {
  Operator::OutputsChanged();
  if (!inputs.empty()) inputs[0]->OutputsChanged();  // which tells our readers
}

void RowIndex::Forget(const std::vector<RowRef>& refs) {
  duckdb::DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types()));
  for (size_t done = 0; done < refs.size(); done += STANDARD_VECTOR_SIZE) {
    size_t some = std::min<size_t>(STANDARD_VECTOR_SIZE, refs.size() - done);
    chunk.Reset();
    rows().store().Gather(&refs[done], some, chunk, 0);
    chunk.SetCardinality(some);
    TakeOut(chunk, &refs[done]);
  }
}

void RowIndex::Rebuild() {
  Clear();
  rows().store().ForEachChunk(
      [&](duckdb::DataChunk& chunk, const RowRef* refs) { PutIn(chunk, refs); });
}

void InputRows::CheckInvariants() const {
  Operator::CheckInvariants();
  store_.CheckInvariants();
  CHECK(count_ == 0);  // no chunk is at hand
  // What is there no more is yet to go, and what ends is there.
  std::set<RowRef> gone(gone_.begin(), gone_.end());
  store_.ForEach([&](RowRef ref) { CHECK(store_.WeightOf(ref) != 0 || gone.contains(ref)); });
  CHECK(std::is_heap(ends_.begin(), ends_.end(), std::greater<>()));
  CHECK(end_ || ends_.empty());
  for (auto& end : ends_) CHECK(store_.WeightOf(end.ref) > 0);
}

size_t InputRows::StateBytes() const {
  return store_.Bytes() + gone_.capacity() * sizeof(RowRef) + ends_.capacity() * sizeof(End);
}

}  // namespace weir
