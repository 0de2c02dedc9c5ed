// One materialized view as it is kept: its content, its recent changes and its state.
//
// The engine thread writes; content and changes are read by any thread (they say how), everything
// under `mutex` by holding it.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <set>

#include "duck/row_codec.h"
#include "flow/circuit.h"
#include "views/change_ring.h"
#include "views/content.h"
#include "views/kept.h"
#include "views/versions.h"
#include "views/views.h"

namespace weir {

struct LiveView : Kept {
  struct SortColumn {
    size_t column;
    bool descending;
    bool nulls_first;
  };

  Definition<View> definition;
  // Set once, before others see it.
  std::vector<Column> columns;
  std::vector<SortColumn> order;
  std::string not_incremental;  // why it is recomputed; "" when it is not
  std::string hint;             // how it would not be; "" when nothing is known
  RowTypes types() const;

  OutputOperator* output = nullptr;  // the engine's (or, while filling, the filler's)

  ViewContent content;
  ViewContent errors;  // rows of ErrorCodec, with how many there are
  ChangeRing changes;

  // Engine: takes over what changed among an operator's failed rows, or all of them.
  void AddErrors(const FailedRow& row, Offset first, int64_t count, uint64_t step);

  // Under `mutex`, too.
  uint64_t changed_rows = 0;
  size_t state_bytes = 0, shared_bytes = 0, file_bytes = 0, content_bytes = 0;
  std::vector<std::string> operator_ids;
  // Of a recomputed view: what its content shows, and since which step; older ones for readers.
  Version standing;
  std::deque<std::pair<uint64_t, Version>> stood;
  Version StoodAt(uint64_t step) const;  // takes `mutex`
  bool is_retired = false;  // it is parked and stands for one whose rows and operators are gone

  // Whether its content may change when only time passes.
  bool WantsClock() const;

  // Engine: applies rows with net weights as part of a step, which took events in or not; returns
  // the change, or null when nothing changed.
  template <class ForEachRow>
  ViewChangePtr Apply(const Version& version, bool by_events, ForEachRow for_each_row);
};
using LiveViewPtr = std::shared_ptr<LiveView>;

// Appends encoded rows to columns.
class RowWriter {
 public:
  explicit RowWriter(const RowTypes& types) : RowWriter(types, {}) {}
  // `kept`: what columns go on; none: all.
  RowWriter(const RowTypes& types, std::vector<size_t> kept);
  // REQUIRES: some copies.
  void Add(std::string_view row, int64_t copies);
  // Of the values that go on, of the row added last, outside of their vectors; or more.
  size_t LastBytes() const { return last_bytes_; }
  Columns Take();
  uint64_t rows() const { return columns_.rows; }

 private:
  void SizeUp(std::string_view row);

  RowCodec codec_;
  RowTypes decoded_types_, types_;
  std::vector<size_t> kept_;
  size_t last_bytes_ = 0;
  Columns columns_;
  std::unique_ptr<duckdb::DataChunk> one_;
};

template <class ForEachRow>
ViewChangePtr LiveView::Apply(const Version& version, bool by_events, ForEachRow for_each_row) {
  RowWriter added(types()), removed(types());
  uint64_t before = content.rows();
  for_each_row([&](std::string_view row, int64_t weight) {
    content.Change(row, weight, version.step);
    (weight > 0 ? added : removed).Add(row, weight > 0 ? weight : -weight);
  });
  CHECK(content.rows() == before + added.rows() - removed.rows());
  if (added.rows() + removed.rows() == 0) return nullptr;
  auto change = std::make_shared<ViewChange>();
  change->sequence = changes.Last() + 1;
  change->offset = version.offset;
  change->as_of = version.as_of;
  change->added = added.Take();
  change->removed = removed.Take();
  {
    std::lock_guard lock(mutex);
    changed_rows += change->added.rows + change->removed.rows;
  }
  changes.Add(change, version.step, by_events);
  return change;
}

// The error rows at a pinned step.
Snapshot ReadErrors(const LiveView& view, const Version& version, const ReadOptions& options);

// The content at a pinned step, filtered, ordered and cut as asked.
Snapshot ReadContent(const LiveView& view, const Version& version, const ReadOptions& options);

}  // namespace weir
