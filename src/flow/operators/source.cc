#include "base/error.h"
#include "duck/constant.h"
#include "duckdb/common/types/timestamp.hpp"
#include "flow/operators/operators.h"

namespace weir {
namespace {

RowTypes WithHiddenColumns(RowTypes types, const std::optional<WatermarkSpec>& watermark) {
  types.push_back(duckdb::LogicalType::UBIGINT);
  types.push_back(duckdb::LogicalType::TIMESTAMP_TZ);
  if (watermark) types.push_back(types[watermark->column]);
  return types;
}

}  // namespace

SourceOperator::SourceOperator(std::string stream, RowTypes stream_types,
                               std::vector<std::string> names,
                               std::optional<WatermarkSpec> watermark)
    : Operator("source", WithHiddenColumns(std::move(stream_types), watermark), true),
      stream_(std::move(stream)),
      names_(std::move(names)),
      watermark_(watermark),
      reads_(types().size()) {
  names_.resize(types().size() - (watermark_ ? 3 : 2));
  names_.insert(names_.end(), {"_offset", "_arrival_time"});
  if (watermark_) names_.push_back("_watermark");
  out_.InitializeEmpty(DuckTypes(types()));
  for (auto& column : out_.data) SetNull(column);
}

void SourceOperator::KeepTime() {
  if (keeps_time_) return;
  CHECK(watermark_ && watermark_->column < reads_.size());
  keeps_time_ = true;
  reads_[watermark_->column] = true;
  reads_[reads_.size() - 2] = true;  // when rows arrive
  OutputsChanged();
}

void SourceOperator::LearnFrom(const SourceOperator& twin) {
  CHECK(reads_.size() == twin.reads_.size());
  for (size_t i = 0; i < reads_.size(); i++) reads_[i] = reads_[i] || twin.reads_[i];
  if (!keeps_time_ && twin.keeps_time_) {
    KeepTime();
    reached_ = twin.reached_;
    last_arrival_ = twin.last_arrival_;
  }
  OutputsChanged();  // who is above reads more of it
}

void SourceOperator::Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) {
  if (keeps_time_ && rows.size() > 0) MoveWatermark(rows);
  Emit(rows, weights);
}

std::string SourceOperator::TextOf(duckdb::DataChunk& rows, duckdb::idx_t row) const {
  std::string text = "(";
  for (size_t column = 0; column < reads_.size() && column < rows.ColumnCount(); column++) {
    if (!reads_[column]) continue;
    text += (text.size() > 1 ? ", " : "") + (names_[column].empty() ? "" : names_[column] + ": ") +
            rows.GetValue(column, row).ToSQLString();
  }
  return text + ")";
}

// How far time went on beyond what the last row said, until `until`.
Micros SourceOperator::Idle(Micros until) const {
  if (!watermark_->idle_timeout || !last_arrival_) return 0;
  return std::max<Micros>(0, until - *last_arrival_ - *watermark_->idle_timeout);
}

void SourceOperator::Arrive(Micros arrived) {
  if (last_arrival_ == arrived) return;
  if (reached_) *reached_ += Idle(arrived);
  last_arrival_ = arrived;
}

void SourceOperator::Reach(Micros time) {
  if (!duckdb::Timestamp::IsFinite(duckdb::timestamp_t(time))) return;
  reached_ = std::max(reached_.value_or(INT64_MIN), time - watermark_->delay);
}

void SourceOperator::MoveWatermark(duckdb::DataChunk& rows) {
  duckdb::UnifiedVectorFormat times, arrivals;
  rows.data[watermark_->column].ToUnifiedFormat(rows.size(), times);
  rows.data[types().size() - 2].ToUnifiedFormat(rows.size(), arrivals);
  auto* time = duckdb::UnifiedVectorFormat::GetDataUnsafe<int64_t>(times);
  auto* arrival = duckdb::UnifiedVectorFormat::GetDataUnsafe<int64_t>(arrivals);
  bool shown = reads_.back();
  bool at_once =
      rows.data[types().size() - 2].GetVectorType() == duckdb::VectorType::CONSTANT_VECTOR;
  if (at_once && !shown && times.validity.AllValid()) {  // as rows mostly come
    Arrive(arrival[arrivals.sel->get_index(0)]);
    Micros highest = INT64_MIN;
    for (duckdb::idx_t row = 0; row < rows.size(); row++) {
      Micros at = time[times.sel->get_index(row)];
      if (at != INT64_MAX) highest = std::max(highest, at);  // infinity is no time
    }
    return Reach(highest);
  }
  duckdb::Vector before(types().back());
  auto* befores = duckdb::FlatVector::GetDataUnsafe<int64_t>(before);
  for (duckdb::idx_t row = 0; row < rows.size(); row++) {
    Arrive(arrival[arrivals.sel->get_index(row)]);
    if (shown) {
      if (reached_) {
        befores[row] = *reached_;
      } else {
        duckdb::FlatVector::SetNull(before, row, true);
      }
    }
    auto at = times.sel->get_index(row);
    if (times.validity.RowIsValid(at)) Reach(time[at]);
  }
  if (shown) rows.data[types().size() - 1].Reference(before);
}

std::optional<Micros> SourceOperator::watermark() const {
  if (!reached_) return std::nullopt;
  return *reached_ + Idle(log_time_);
}

std::optional<Micros> SourceOperator::LogTimeFor(Micros watermark) const {
  if (!reached_) return std::nullopt;
  if (*reached_ >= watermark) return *last_arrival_;
  if (!watermark_->idle_timeout) return std::nullopt;
  Micros missing;
  if (__builtin_sub_overflow(watermark, *reached_, &missing)) return std::nullopt;
  return OverAt(missing, *last_arrival_ + *watermark_->idle_timeout);
}

void SourceOperator::Save(StateWriter& writer) const {
  writer.Put(reached_.has_value());
  writer.Put(reached_.value_or(0));
  writer.Put(last_arrival_.has_value());
  writer.Put(last_arrival_.value_or(0));
}

void SourceOperator::Load(StateReader& reader) {
  auto read = [&]() -> std::optional<Micros> {
    bool is_set = reader.Get<bool>();
    auto value = reader.Get<Micros>();
    return is_set ? std::optional(value) : std::nullopt;
  };
  reached_ = read();
  last_arrival_ = read();
}

void SourceOperator::Feed(duckdb::DataChunk& stream_rows, uint64_t first_offset,
                          Micros arrival_time) {
  size_t columns = stream_rows.ColumnCount();
  CHECK(columns + (watermark_ ? 3 : 2) == types().size());
  if (watermark_) SetNull(out_.data.back());
  for (size_t i = 0; i < columns; i++) out_.data[i].Reference(stream_rows.data[i]);
  if (reads_[columns]) {
    duckdb::Vector offsets(duckdb::LogicalType::UBIGINT);
    auto* values = duckdb::FlatVector::GetDataUnsafe<uint64_t>(offsets);
    for (duckdb::idx_t row = 0; row < stream_rows.size(); row++) values[row] = first_offset + row;
    out_.data[columns].Reference(offsets);
  }
  if (reads_[columns + 1]) {
    SetConstant(out_.data[columns + 1],
                duckdb::Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(arrival_time)));
  }
  out_.SetCardinality(stream_rows.size());
  Receive(0, out_, nullptr);
}

}  // namespace weir
