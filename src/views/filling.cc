#include "views/filling.h"

#include "base/error.h"
#include "duck/constant.h"
#include "duck/errors.h"

namespace weir {
namespace {

// Progress may give up views, and with them sources.
bool Has(const Filling& filling, const SourceOperator& source) {
  auto& operators = filling.circuit.operators();
  return std::any_of(operators.begin(), operators.end(),
                     [&](auto& op) { return op.get() == &source; });
}

// The columns of history a source reads, and where each stands among those it has.
struct ColumnsOfHistory {
  std::vector<size_t> projection, places;
};
ColumnsOfHistory ColumnsRead(const SourceOperator& source, const Stream& stream) {
  ColumnsOfHistory columns;
  auto& reads = source.reads();
  for (size_t i = 0; i < reads.size(); i++) {
    if (!reads[i] || i > stream.columns.size() + 1) continue;  // _watermark: the source's own
    columns.places.push_back(i);
    columns.projection.push_back(i < stream.columns.size()    ? i
                                 : i == stream.columns.size() ? kOffsetColumn
                                                              : kArrivalTimeColumn);
  }
  if (columns.projection.empty()) {  // only the number of rows counts
    columns.places.push_back(stream.columns.size());
    columns.projection.push_back(kOffsetColumn);
  }
  CHECK(columns.places.back() < source.types().size());
  return columns;
}

// Feeds one source; rows arrive with the columns it reads, and are widened to those it has.
class SourceFiller {
 public:
  SourceFiller(Filling& filling, SourceOperator& source, History& history,
               const std::function<bool(Offset)>& progress)
      : filling_(filling),
        source_(source),
        stream_(*filling.streams.at(source.stream())),
        history_(history),
        progress_(progress),
        columns_(ColumnsRead(source, stream_)) {
    wide_.InitializeEmpty(DuckTypes(source.types()));
  }

  // False when `progress` had it stopped.
  bool Run(Offset up_to, const OnFillTrouble& trouble) {
    for (int tries = 0;;) {
      Offset& reached = filling_.ahead.try_emplace(&source_, filling_.position).first->second;
      Offset before = reached;
      // No row is read twice: a source that is ahead is so until the others are there.
      CHECK(filling_.position <= reached && reached <= up_to);
      try {
        if (reached < up_to) Scan(reached, up_to);
        return go_on_;
      } catch (...) {
        Error error = CurrentError();
        if (reached > before) tries = 0;
        if (!trouble({source_, stream_, error, !in_sink_, tries})) return true;
        tries++;
      }
    }
  }

 private:
  static constexpr uint64_t kFlushRows = 1'000'000;

  void Scan(Offset& reached, Offset up_to) {
    Offset after = reached;
    history_.Scan(stream_, columns_.projection, after, up_to,
                  [&](const Columns& rows, Offset last) {
                    in_sink_ = true;
                    CHECK(reached <= last && last <= up_to);
                    for (auto& chunk : rows.chunks) Feed(*chunk);
                    reached = last;
                    // Windows of long ago close on the way, so that not all of history waits.
                    if (source_.keeps_time() && since_flush_ >= kFlushRows) {
                      filling_.circuit.Flush();
                      since_flush_ = 0;
                    }
                    go_on_ = progress_(last);
                    in_sink_ = false;
                    return go_on_ && Has(filling_, source_);
                  });
  }

  void Feed(const duckdb::DataChunk& chunk) {
    CHECK(chunk.ColumnCount() == columns_.places.size());
    for (auto& column : wide_.data) SetNull(column);
    for (size_t i = 0; i < columns_.places.size(); i++) {
      wide_.data[columns_.places[i]].Reference(chunk.data[i]);
    }
    wide_.SetCardinality(chunk.size());
    source_.FeedHistory(wide_);
    since_flush_ += chunk.size();
  }

  Filling& filling_;
  SourceOperator& source_;
  const Stream& stream_;
  History& history_;
  const std::function<bool(Offset)>& progress_;
  const ColumnsOfHistory columns_;
  duckdb::DataChunk wide_;
  uint64_t since_flush_ = 0;
  bool go_on_ = true, in_sink_ = false;
};

}  // namespace

void Filling::KeepNeeded() {
  CHECK(!attached);
  std::set<Operator*> outputs;
  for (auto& view : views) outputs.insert(view->output);
  for (auto& pump : pumps) outputs.insert(pump->emit);
  circuit.KeepOnly(outputs);
}

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
              const std::function<bool(Offset)>& progress, const OnFillTrouble& trouble,
              Micros log_time) {
  CHECK(!filling.attached && filling.position <= up_to);
  auto sources = filling.circuit.Sources();  // views, and so sources, may be given up on the way
  std::function<bool(Offset)> reached = [&](Offset offset) {
    filling.SettleErrors(offset);
    return progress(offset);
  };
  for (SourceOperator* source : sources) {
    if (!Has(filling, *source)) continue;
    if (!SourceFiller(filling, *source, history, reached).Run(up_to, trouble)) return;
  }
  filling.circuit.SetLogTime(log_time);  // only now: rows that were yet to come are older
  filling.circuit.Flush();
  filling.SettleErrors(up_to);
  filling.position = up_to;
  filling.ahead.clear();
}

}  // namespace weir
