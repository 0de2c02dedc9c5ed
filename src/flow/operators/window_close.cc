// Rows of windows that are closed.  A row waits under the end of its window and comes when the
// watermark has passed it.  Where no row that is late gets here, it never goes again; otherwise
// what comes or goes afterwards is handed on.
//
// Cost: a look-up a row, and its copy when it comes.  State: the rows of open windows.
#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "duck/evaluator.h"
#include "duckdb/common/types/timestamp.hpp"
#include "flow/operators/operators.h"
#include "flow/state/allocated.h"
#include "flow/state/row_store.h"
#include "flow/state/rows_to_write.h"
#include "flow/state/weights.h"

namespace weir {
namespace {

class WindowClose : public Operator {
 public:
  WindowClose(SessionPtr session, const Expiry& expiry, RowTypes types, bool settled)
      : Operator("window close", types, settled),
        lateness_(expiry.lateness),
        end_(std::move(session), {expiry.end}),
        rows_(types, true) {
    out_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types));
  }

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override {
    if (port != 0) return;
    ReadEnds(rows);
    auto& encoded = rows_.Encode(rows);
    rows_.Prefetch(encoded);
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      if (ends_[i]) Keep(*ends_[i], encoded[i], weights ? weights[i] : 1);
    }
  }

  void Flush() override {
    while (IsDue()) {
      RowRef& head = waiting_.begin()->second;
      std::vector<RowRef> rows;
      for (RowRef ref = head; ref != kNoRow; ref = rows_.At(ref).next) rows.push_back(ref);
      for (auto ref = rows.rbegin(); ref != rows.rend(); ++ref) Show(*ref);  // as they came
      FlushOut();
      for (RowRef ref : rows) {
        SaveBefore(ref);
        rows_.Remove(ref, head);
      }
      CHECK(head == kNoRow);
      waiting_.erase(waiting_.begin());
    }
  }

  std::optional<Micros> WaitsForWatermark() const override {
    if (waiting_.empty()) return std::nullopt;
    return OverAt(waiting_.begin()->first, lateness_);
  }
  bool IsDue() const override {
    return static_cast<const WatermarkOperator&>(*inputs[1]).HasPassed(WaitsForWatermark());
  }
  void CheckInvariants() const override {
    Operator::CheckInvariants();
    rows_.CheckInvariants();
    size_t rows = 0;
    for (auto& [end, head] : waiting_) {
      CHECK(head != kNoRow);
      for (RowRef ref = head; ref != kNoRow; ref = rows_.At(ref).next) {
        CHECK(rows_.At(ref).weight != 0);
        CHECK(++rows <= rows_.rows());  // no list is a ring
      }
    }
    CHECK(rows == rows_.rows());
  }
  bool HasState() const override { return true; }
  std::vector<RowStore*> RowStores() override { return {&rows_}; }
  size_t StateBytes() const override {
    return rows_.Bytes() + waiting_.size() * TreeNodeBytes<std::pair<const Micros, RowRef>>();
  }

  // Ends follow from the rows.
  void Load(StateReader& reader) override {
    rows_.LoadRows(reader, [](RowRef, uint32_t) {});
    rows_.ForEachChunk([&](duckdb::DataChunk& rows, const RowRef* refs) {
      ReadEnds(rows);
      for (duckdb::idx_t i = 0; i < rows.size(); i++) {
        if (!ends_[i]) StateReader::Bad();
        rows_.PutInFront(refs[i], waiting_.try_emplace(*ends_[i], kNoRow).first->second);
      }
    });
  }

 private:
  // Nothing for rows that are in no window, or in one that is never over.
  void ReadEnds(duckdb::DataChunk& rows) {
    duckdb::UnifiedVectorFormat format;
    end_.Run(rows).data[0].ToUnifiedFormat(rows.size(), format);
    auto* ends = duckdb::UnifiedVectorFormat::GetDataUnsafe<int64_t>(format);
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      auto at = format.sel->get_index(i);
      bool is_over_once = format.validity.RowIsValid(at) &&
                          duckdb::Timestamp::IsFinite(duckdb::timestamp_t(ends[at]));
      ends_[i] = is_over_once ? std::optional(ends[at]) : std::nullopt;
    }
  }

  void Keep(Micros end, std::string_view row, int64_t weight) {
    auto waits = waiting_.try_emplace(end, kNoRow).first;
    RowRef ref = rows_.FindOrAdd(row, waits->second);
    SaveBefore(ref);
    AddWeight(rows_.At(ref).weight, weight);
    if (rows_.At(ref).weight != 0) return;
    rows_.Remove(ref, waits->second);
    if (waits->second == kNoRow) waiting_.erase(waits);
  }

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

  void Show(RowRef ref) {
    shown_[shown_count_] = ref;
    shown_weights_[shown_count_++] = rows_.At(ref).weight;
    if (shown_count_ == STANDARD_VECTOR_SIZE) FlushOut();
  }
  void FlushOut() {
    if (shown_count_ == 0) return;
    out_.Reset();
    rows_.Gather(shown_, shown_count_, out_, 0);
    out_.SetCardinality(shown_count_);
    bool only_additions = std::all_of(shown_weights_, shown_weights_ + shown_count_,
                                      [](int64_t weight) { return weight == 1; });
    shown_count_ = 0;
    Emit(out_, only_additions ? nullptr : shown_weights_);
  }

  Micros lateness_;
  Evaluator end_;
  RowStore rows_;
  std::map<Micros, RowRef> waiting_;  // by end, a list of rows
  RowsToWrite to_write_;

  std::optional<Micros> ends_[STANDARD_VECTOR_SIZE];  // of the chunk at hand
  RowRef shown_[STANDARD_VECTOR_SIZE];
  int64_t shown_weights_[STANDARD_VECTOR_SIZE];
  duckdb::idx_t shown_count_ = 0;
  duckdb::DataChunk out_;
};

}  // namespace

std::unique_ptr<Operator> MakeWindowClose(SessionPtr session, Expiry expiry, RowTypes types,
                                          bool settled) {
  return std::make_unique<WindowClose>(std::move(session), expiry, std::move(types), settled);
}

}  // namespace weir
