#include "query/view_rows.h"

#include <numeric>

#include "duckdb/common/serializer/binary_deserializer.hpp"
#include "duckdb/common/serializer/binary_serializer.hpp"
#include "duckdb/common/serializer/memory_stream.hpp"
#include "duckdb/common/types.hpp"
#include "formats/block.h"

namespace weir {
namespace {

constexpr size_t kPieceChunks = 64;  // of a view's rows in one message

class ViewCursor : public RowCursor {
 public:
  ViewCursor(std::shared_ptr<const Columns> rows, std::vector<size_t> columns)
      : rows_(std::move(rows)), columns_(std::move(columns)) {}

  void Next(duckdb::DataChunk& out) override {
    if (next_ == rows_->chunks.size()) return;
    auto& chunk = *rows_->chunks[next_++];
    for (size_t i = 0; i < columns_.size(); i++) out.data[i].Reference(chunk.data[columns_[i]]);
    out.SetCardinality(chunk.size());
  }

 private:
  std::shared_ptr<const Columns> rows_;
  std::vector<size_t> columns_;
  size_t next_ = 0;
};

class ViewRows : public RowSource {
 public:
  ViewRows(std::vector<std::string> names, std::vector<duckdb::LogicalType> types,
           std::shared_ptr<const Columns> rows)
      : names_(std::move(names)), types_(std::move(types)), rows_(std::move(rows)) {}
  const std::vector<std::string>& Names() const override { return names_; }
  const std::vector<duckdb::LogicalType>& Types() const override { return types_; }
  uint64_t EstimatedRows() const override { return rows_->rows; }
  std::unique_ptr<RowCursor> Scan(std::vector<size_t> columns) override {
    return std::make_unique<ViewCursor>(rows_, std::move(columns));
  }

 private:
  std::vector<std::string> names_;
  std::vector<duckdb::LogicalType> types_;
  std::shared_ptr<const Columns> rows_;
};

}  // namespace

std::string SaveType(const duckdb::LogicalType& type) {
  duckdb::MemoryStream stream;
  duckdb::BinarySerializer::Serialize(type, stream);
  return {reinterpret_cast<const char*>(stream.GetData()), stream.GetPosition()};
}

duckdb::LogicalType LoadType(const std::string& bytes) {
  std::string copy = bytes;  // the stream wants to be able to write
  duckdb::MemoryStream stream(reinterpret_cast<duckdb::data_ptr_t>(copy.data()), copy.size());
  duckdb::BinaryDeserializer deserializer(stream);
  deserializer.Begin();
  auto type = duckdb::LogicalType::Deserialize(deserializer);
  deserializer.End();
  return type;
}

ViewData DescribeView(const std::string& name, const std::vector<Column>& columns,
                      const Columns& rows) {
  ViewData data;
  data.name = name;
  for (auto& column : columns) {
    data.names.push_back(column.name);
    data.types.push_back(SaveType(column.type));
  }
  data.rows = rows.rows;
  size_t pieces = (rows.chunks.size() + kPieceChunks - 1) / kPieceChunks;
  data.pieces = rows.rows == 0 ? 0 : static_cast<uint32_t>(pieces);
  return data;
}

BlockMessage TakePiece(const std::vector<Column>& columns, Columns& rows) {
  Columns piece;
  size_t count = std::min(kPieceChunks, rows.chunks.size());
  for (size_t i = 0; i < count; i++) {
    piece.rows += rows.chunks[i]->size();
    piece.chunks.push_back(std::move(rows.chunks[i]));
  }
  rows.chunks.erase(rows.chunks.begin(), rows.chunks.begin() + static_cast<ptrdiff_t>(count));
  rows.rows -= piece.rows;
  std::vector<duckdb::LogicalType> types;
  for (auto& column : columns) types.push_back(column.type);
  BlockMessage message;
  message.rows = piece.rows;
  message.block = EncodeBlock(piece, types);
  return message;
}

std::shared_ptr<RowSource> MakeViewRows(ViewData view) {
  std::vector<duckdb::LogicalType> types;
  for (auto& type : view.types) types.push_back(LoadType(type));
  auto rows = std::make_shared<Columns>();
  for (auto& block : view.blocks) {
    std::vector<size_t> all(types.size());
    std::iota(all.begin(), all.end(), size_t{0});
    Columns piece = DecodeBlock(block, types, all);
    rows->rows += piece.rows;
    for (auto& chunk : piece.chunks) rows->chunks.push_back(std::move(chunk));
    std::string().swap(block);  // a copy is enough
  }
  return std::make_shared<ViewRows>(std::move(view.names), std::move(types), std::move(rows));
}

}  // namespace weir
