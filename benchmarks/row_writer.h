// Rows written value by value into columns, for benchmarks that make their own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "flow/operator.h"
#include "formats/columns.h"

namespace weir {

class RowWriter {
 public:
  explicit RowWriter(const RowTypes& types) : types_(DuckTypes(types)) {}

  // BIGINT (and what is as wide) from int64_t, INTEGER and DATE from int32_t, VARCHAR from text.
  template <class... Values>
  void Add(const Values&... values) {
    if (!chunk_ || chunk_->size() == STANDARD_VECTOR_SIZE) Begin();
    auto row = chunk_->size();
    size_t column = 0;
    (Put(chunk_->data[column++], row, values), ...);
    chunk_->SetCardinality(row + 1);
  }
  Columns Take() {
    Columns columns;
    for (auto& chunk : chunks_) columns.rows += chunk->size();
    columns.chunks = std::move(chunks_);
    chunks_.clear();
    chunk_ = nullptr;
    return columns;
  }

 private:
  void Begin() {
    chunks_.push_back(std::make_unique<duckdb::DataChunk>());
    chunk_ = chunks_.back().get();
    chunk_->Initialize(duckdb::Allocator::DefaultAllocator(), types_);
  }
  static void Put(duckdb::Vector& column, duckdb::idx_t row, int64_t value) {
    duckdb::FlatVector::GetDataUnsafe<int64_t>(column)[row] = value;
  }
  static void Put(duckdb::Vector& column, duckdb::idx_t row, int32_t value) {
    duckdb::FlatVector::GetDataUnsafe<int32_t>(column)[row] = value;
  }
  static void Put(duckdb::Vector& column, duckdb::idx_t row, std::string_view value) {
    duckdb::FlatVector::GetDataUnsafe<duckdb::string_t>(column)[row] =
        duckdb::StringVector::AddString(column, value.data(), value.size());
  }

  duckdb::vector<duckdb::LogicalType> types_;
  std::vector<std::unique_ptr<duckdb::DataChunk>> chunks_;
  duckdb::DataChunk* chunk_ = nullptr;
};

}  // namespace weir
