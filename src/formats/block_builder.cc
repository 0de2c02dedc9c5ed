#include "formats/block_builder.h"

#include <algorithm>

namespace weir {
namespace {
constexpr size_t kErrorsKept = 1000;
constexpr size_t kTextBytesKept = 200;
constexpr size_t kUnknownFieldsKept = 10;

// The first bytes of a text, whole characters.
void Cut(std::string& text) {
  if (text.size() <= kTextBytesKept) return;
  size_t cut = kTextBytesKept;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) cut--;
  text.resize(cut);
  text += "...";
}

// What a vector of this type takes for a row, and, of the elements of lists, at once.
void AddBytes(const duckdb::LogicalType& type, size_t times, size_t& row, size_t& chunk) {
  switch (type.InternalType()) {
    case duckdb::PhysicalType::LIST: {
      size_t element = 0;
      AddBytes(duckdb::ListType::GetChildType(type), 1, element, chunk);
      row += times * sizeof(duckdb::list_entry_t);
      chunk += element * STANDARD_VECTOR_SIZE;
      return;
    }
    case duckdb::PhysicalType::ARRAY:
      return AddBytes(duckdb::ArrayType::GetChildType(type),
                      times * duckdb::ArrayType::GetSize(type), row, chunk);
    case duckdb::PhysicalType::STRUCT:
      for (auto& [name, field] : duckdb::StructType::GetChildTypes(type)) {
        AddBytes(field, times, row, chunk);
      }
      return;
    default: row += times * duckdb::GetTypeIdSize(type.InternalType());
  }
}
}  // namespace

BlockBuilder::BlockBuilder(const Stream& stream) {
  for (size_t i = 0; i < stream.columns.size(); i++) {
    Column column = stream.columns[i];
    types_.push_back(column.type);
    AddBytes(column.type, 1, row_bytes_, chunk_bytes_);
    if (stream.IsTable() && column.not_null && !stream.IsKey(i)) {
      needed_.emplace_back(i, column);
      column.not_null = false;  // as long as it is not known whether the row is gone
    }
    columns_.emplace_back(column);
  }
}

void BlockBuilder::Begin(size_t rows_expected, RowMemory::Hold* memory) {
  memory_ = memory;
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
  if (memory_) memory_->Add(capacity_ * row_bytes_ + chunk_bytes_);
  auto chunk = std::make_unique<duckdb::DataChunk>();
  chunk->Initialize(duckdb::Allocator::DefaultAllocator(), types_, capacity_);
  for (size_t i = 0; i < columns_.size(); i++) columns_[i].Open(chunk->data[i], memory_);
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
  Cut(error.column);
  Cut(error.value);
  Cut(error.reason);
  parsed_.errors.push_back(std::move(error));
}

void BlockBuilder::IgnoreField(std::string_view name) {
  auto& known = parsed_.unknown_fields;
  if (known.size() >= kUnknownFieldsKept) return;
  std::string kept(name.substr(0, kTextBytesKept + 1));
  Cut(kept);
  if (std::find(known.begin(), known.end(), kept) == known.end()) known.push_back(std::move(kept));
}

ParsedRows BlockBuilder::Finish() {
  CloseChunk();
  if (row_ == 0) parsed_.columns->chunks.pop_back();
  return std::move(parsed_);
}

}  // namespace weir
