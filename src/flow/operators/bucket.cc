#include "duck/constant.h"
#include "duck/evaluator.h"
#include "duck/functions/clock_functions.h"
#include "flow/operators/operators.h"

namespace weir {
namespace {

// Appends a rounding of a time as a column.  Rounding keeps order, so when the earliest and the
// latest row of a chunk round alike, all do: events come in time order, and most chunks lie within
// one month.  The margin covers that a local time may be moved when clocks change.
class Bucket : public Operator {
 public:
  Bucket(SessionPtr session, ExpressionPtr bucket, RowTypes types,
         std::optional<size_t> time_column, bool append_only)
      : Operator("bucket", types, append_only),
        evaluator_(std::move(session), {std::move(bucket)}),
        time_column_(time_column) {
    out_.InitializeEmpty(DuckTypes(this->types()));
    types.pop_back();
    ends_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types), 3);
  }

  void Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) override {
    for (duckdb::idx_t i = 0; i < rows.ColumnCount(); i++) out_.data[i].Reference(rows.data[i]);
    out_.SetCardinality(rows.size());
    auto& last = out_.data[rows.ColumnCount()];
    if (auto value = OneBucketForAll(rows)) {
      SetConstant(last, *value);
    } else {
      last.Reference(evaluator_.Run(rows).data[0]);
    }
    Emit(out_, weights);
  }

  // Its rows are those of its input.
  std::string TextOf(duckdb::DataChunk& rows, duckdb::idx_t row) const override {
    return inputs.empty() ? ValuesOf(rows, row) : inputs[0]->TextOf(rows, row);
  }

 private:
  static constexpr int64_t kMarginMicros = 26ll * 3600 * 1000000;
  // Times go on: what is asked about them is asked about those of some days ahead, too.
  static constexpr int64_t kAheadMicros = 7 * 24ll * 3600 * 1000000;

  std::optional<duckdb::Value> OneBucketForAll(duckdb::DataChunk& rows) {
    if (!time_column_ || rows.size() < 4) return std::nullopt;
    auto& column = rows.data[*time_column_];
    duckdb::UnifiedVectorFormat format;
    column.ToUnifiedFormat(rows.size(), format);
    if (!format.validity.AllValid()) return std::nullopt;
    auto* times = duckdb::UnifiedVectorFormat::GetDataUnsafe<int64_t>(format);
    int64_t earliest = INT64_MAX, latest = INT64_MIN;
    auto look = [&](auto place) {
      for (duckdb::idx_t i = 0; i < rows.size(); i++) {
        int64_t time = times[place(i)];
        earliest = std::min(earliest, time);
        latest = std::max(latest, time);
      }
    };
    if (auto* places = format.sel->data()) {
      look([&](duckdb::idx_t i) -> duckdb::idx_t { return places[i]; });
    } else {
      look([](duckdb::idx_t i) { return i; });
    }
    // Infinities and the far past stand at the ends of the type; they go the slow way.
    constexpr int64_t kFar = INT64_MAX / 4;
    if (earliest < -kFar || latest > kFar) return std::nullopt;
    if (earliest - kMarginMicros >= known_from_ && latest + kMarginMicros <= known_to_) {
      return known_;
    }
    ends_.Reset();
    auto* ends = duckdb::FlatVector::GetDataUnsafe<int64_t>(ends_.data[*time_column_]);
    ends[0] = earliest - kMarginMicros;
    ends[1] = latest + kMarginMicros;
    ends[2] = ends[1] + kAheadMicros;
    for (duckdb::idx_t i = 0; i < ends_.ColumnCount(); i++) {
      if (i != *time_column_) SetNull(ends_.data[i]);
    }
    ends_.SetCardinality(3);
    auto& rounded = evaluator_.Run(ends_);
    auto first = rounded.GetValue(0, 0);
    if (first.IsNull() || first != rounded.GetValue(0, 1)) return std::nullopt;
    known_from_ = ends[0];
    known_to_ = first == rounded.GetValue(0, 2) ? ends[2] : ends[1];
    known_ = first;
    return known_;
  }

  Evaluator evaluator_;
  std::optional<size_t> time_column_;
  duckdb::DataChunk out_, ends_;
  // The widest range of times known to round alike.
  int64_t known_from_ = INT64_MAX, known_to_ = INT64_MIN;
  duckdb::Value known_;
};

}  // namespace

std::unique_ptr<Operator> MakeBucket(SessionPtr session, ExpressionPtr bucket, RowTypes input,
                                     bool coarse, bool append_only) {
  std::optional<size_t> time_column;
  if (coarse) time_column = OnlyTimeColumn(*bucket);
  RowTypes types = std::move(input);
  types.push_back(bucket->return_type);
  return std::make_unique<Bucket>(std::move(session), std::move(bucket), std::move(types),
                                  time_column, append_only);
}

}  // namespace weir
