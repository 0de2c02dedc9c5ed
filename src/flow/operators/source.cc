#include "duck/constant.h"
#include "flow/operators/operators.h"

namespace weir {
namespace {

RowTypes WithHiddenColumns(RowTypes types) {
  types.push_back(duckdb::LogicalType::UBIGINT);
  types.push_back(duckdb::LogicalType::TIMESTAMP_TZ);
  return types;
}

}  // namespace

SourceOperator::SourceOperator(std::string stream, RowTypes stream_types,
                               std::vector<std::string> names)
    : Operator("source", WithHiddenColumns(std::move(stream_types)), true),
      stream_(std::move(stream)),
      names_(std::move(names)),
      reads_(types().size()) {
  names_.resize(types().size() - 2);
  names_.insert(names_.end(), {"_offset", "_arrival_time"});
  out_.InitializeEmpty(DuckTypes(types()));
}

void SourceOperator::Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) {
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

void SourceOperator::Feed(duckdb::DataChunk& stream_rows, uint64_t first_offset,
                          Micros arrival_time) {
  size_t columns = types().size() - 2;
  for (size_t i = 0; i < columns; i++) out_.data[i].Reference(stream_rows.data[i]);
  if (reads_[columns]) {
    duckdb::Vector offsets(duckdb::LogicalType::UBIGINT);
    auto* values = duckdb::FlatVector::GetDataUnsafe<uint64_t>(offsets);
    for (duckdb::idx_t row = 0; row < stream_rows.size(); row++) values[row] = first_offset + row;
    out_.data[columns].Reference(offsets);
  } else {
    SetNull(out_.data[columns]);
  }
  SetConstant(out_.data[columns + 1],
              duckdb::Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(arrival_time)));
  out_.SetCardinality(stream_rows.size());
  Receive(0, out_, nullptr);
}

}  // namespace weir
