#include "formats/block_builder.h"

#include <algorithm>

namespace weir {
namespace {
constexpr size_t kErrorsKept = 1000;
constexpr size_t kValueBytesKept = 200;
}  // namespace

BlockBuilder::BlockBuilder(const Stream& stream) {
  for (size_t i = 0; i < stream.columns.size(); i++) {
    Column column = stream.columns[i];
    types_.push_back(column.type);
    if (stream.IsTable() && column.not_null && !stream.IsKey(i)) {
      needed_.emplace_back(i, column);
      column.not_null = false;  // as long as it is not known whether the row is gone
    }
    columns_.emplace_back(column);
  }
}

void BlockBuilder::Begin(size_t rows_expected) {
  parsed_ = ParsedRows();
  parsed_.columns = std::make_shared<Columns>();
  rows_expected_ = rows_expected;
  OpenChunk();
}

void BlockBuilder::OpenChunk() {
  // Small bodies take small vectors; most bodies of any size fill whole ones.
  size_t left =
      rows_expected_ > parsed_.columns->rows ? rows_expected_ - parsed_.columns->rows : 16;
  capacity_ = std::clamp<duckdb::idx_t>(left, 4, STANDARD_VECTOR_SIZE);
  auto chunk = std::make_unique<duckdb::DataChunk>();
  chunk->Initialize(duckdb::Allocator::DefaultAllocator(), types_, capacity_);
  for (size_t i = 0; i < columns_.size(); i++) columns_[i].Open(chunk->data[i]);
  parsed_.columns->chunks.push_back(std::move(chunk));
  row_ = 0;
}

const Column* BlockBuilder::FirstNullOfNeeded() const {
  auto& chunk = *parsed_.columns->chunks.back();
  auto& gone = chunk.data.back();
  if (!duckdb::FlatVector::IsNull(gone, row_) &&
      duckdb::FlatVector::GetDataUnsafe<bool>(gone)[row_]) {
    return nullptr;
  }
  for (auto& [index, column] : needed_) {
    if (duckdb::FlatVector::IsNull(chunk.data[index], row_)) return &column;
  }
  return nullptr;
}

void BlockBuilder::CloseChunk() {
  parsed_.columns->chunks.back()->SetCardinality(row_);
  parsed_.columns->rows += row_;
}

void BlockBuilder::NextChunk() {
  CloseChunk();
  OpenChunk();
}

void BlockBuilder::RefuseRow(RowError error) {
  parsed_.error_count++;
  if (parsed_.errors.size() >= kErrorsKept) return;
  if (error.value.size() > kValueBytesKept) {
    size_t cut = kValueBytesKept;
    while (cut > 0 && (static_cast<unsigned char>(error.value[cut]) & 0xc0) == 0x80) cut--;
    error.value.resize(cut);
    error.value += "...";
  }
  parsed_.errors.push_back(std::move(error));
}

ParsedRows BlockBuilder::Finish() {
  CloseChunk();
  if (row_ == 0) parsed_.columns->chunks.pop_back();
  return std::move(parsed_);
}

}  // namespace weir
