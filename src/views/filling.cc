#include "views/filling.h"

#include "duck/constant.h"

namespace weir {
namespace {

// Progress may give up views, and with them sources.
bool Has(const Filling& filling, const SourceOperator& source) {
  auto& operators = filling.circuit.operators();
  return std::any_of(operators.begin(), operators.end(),
                     [&](auto& op) { return op.get() == &source; });
}

// Feeds one source; rows arrive with the columns it reads, and are widened to those it has.
bool FillSource(Filling& filling, SourceOperator& source, const Stream& stream, History& history,
                Offset up_to, const std::function<bool(Offset)>& progress) {
  constexpr uint64_t kFlushRows = 1'000'000;
  uint64_t since_flush = 0;
  std::vector<size_t> projection, places;
  auto& reads = source.reads();
  for (size_t i = 0; i < reads.size(); i++) {
    if (!reads[i] || i > stream.columns.size() + 1) continue;  // _watermark: the source's own
    places.push_back(i);
    projection.push_back(i < stream.columns.size()    ? i
                         : i == stream.columns.size() ? kOffsetColumn
                                                      : kArrivalTimeColumn);
  }
  if (projection.empty()) {  // only the number of rows counts
    places.push_back(stream.columns.size());
    projection.push_back(kOffsetColumn);
  }
  duckdb::DataChunk wide;
  wide.InitializeEmpty(DuckTypes(source.types()));
  bool go_on = true;
  history.Scan(stream, projection, filling.position, up_to, [&](const Columns& rows, Offset last) {
    for (auto& chunk : rows.chunks) {
      for (auto& column : wide.data) SetNull(column);
      for (size_t i = 0; i < places.size(); i++) wide.data[places[i]].Reference(chunk->data[i]);
      wide.SetCardinality(chunk->size());
      source.FeedHistory(wide);
      since_flush += chunk->size();
    }
    // Windows of long ago close on the way, so that not all of history waits for its end.
    if (source.keeps_time() && since_flush >= kFlushRows) {
      filling.circuit.Flush();
      since_flush = 0;
    }
    go_on = progress(last);
    return go_on && Has(filling, source);
  });
  return go_on;
}

}  // namespace

void Filling::SettleErrors(Offset reached) {
  for (auto& op : circuit.operators()) {
    auto* failed = op->failed_rows();
    if (!failed || !failed->HasChanges()) continue;
    if (auto* row = pumps.empty() ? nullptr : failed->New()) {
      rejected.try_emplace(op.get(), row->reason);
    }
    failed->TakeChanges(reached, [](const FailedRow&, Offset, int64_t) {});
  }
}

void FillUpTo(Filling& filling, History& history, Offset up_to,
              const std::function<bool(Offset)>& progress, Micros log_time) {
  auto sources = filling.circuit.Sources();  // views, and so sources, may be given up on the way
  for (SourceOperator* source : sources) {
    if (!Has(filling, *source)) continue;
    auto& stream = *filling.streams.at(source->stream());
    auto reached = [&](Offset offset) {
      filling.SettleErrors(offset);
      return progress(offset);
    };
    if (!FillSource(filling, *source, stream, history, up_to, reached)) return;
  }
  filling.circuit.SetLogTime(log_time);  // only now: rows that were yet to come are older
  filling.circuit.Flush();
  filling.SettleErrors(up_to);
  filling.position = up_to;
}

}  // namespace weir
