#include "query/view_rows.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "duckdb/common/serializer/binary_deserializer.hpp"
#include "duckdb/common/serializer/binary_serializer.hpp"
#include "duckdb/common/serializer/memory_stream.hpp"
#include "duckdb/common/types.hpp"
#include "formats/block.h"

namespace weir {
namespace {

constexpr size_t kPieceChunks = 64;  // of a view's rows in one message

// The rows with their copies.
struct Content {
  Columns rows;
  std::vector<int64_t> copies;  // none: each once
  uint64_t total = 0;           // with copies
};

class ViewCursor : public RowCursor {
 public:
  ViewCursor(std::shared_ptr<const Content> content, std::vector<size_t> columns)
      : content_(std::move(content)), columns_(std::move(columns)) {}

  void Next(duckdb::DataChunk& out) override {
    auto& chunks = content_->rows.chunks;
    if (next_ == chunks.size()) return;
    auto& chunk = *chunks[next_];
    for (size_t i = 0; i < columns_.size(); i++) out.data[i].Reference(chunk.data[columns_[i]]);
    if (content_->copies.empty()) {
      out.SetCardinality(chunk.size());
      next_++;
    } else {
      Repeat(chunk.size(), out);
    }
  }

 private:
  // As many copies as go into a vector, from where the last one ended.
  void Repeat(size_t rows, duckdb::DataChunk& out) {
    duckdb::SelectionVector repeated(STANDARD_VECTOR_SIZE);
    duckdb::idx_t count = 0;
    while (row_ < rows && count < STANDARD_VECTOR_SIZE) {
      int64_t left = content_->copies[first_ + row_] - given_;
      int64_t some = std::min<int64_t>(left, static_cast<int64_t>(STANDARD_VECTOR_SIZE - count));
      for (int64_t i = 0; i < some; i++) repeated.set_index(count++, row_);
      given_ += some;
      if (some < left) break;
      given_ = 0;
      row_++;
    }
    for (size_t i = 0; i < columns_.size(); i++) out.data[i].Slice(repeated, count);
    out.SetCardinality(count);
    if (row_ < rows) return;
    first_ += rows;
    row_ = 0;
    next_++;
  }

  std::shared_ptr<const Content> content_;
  std::vector<size_t> columns_;
  size_t next_ = 0;             // chunk
  size_t first_ = 0, row_ = 0;  // its first row among all, and the next one in it
  int64_t given_ = 0;           // copies of that one
};

class ViewRows : public RowSource {
 public:
  ViewRows(std::vector<std::string> names, std::vector<duckdb::LogicalType> types,
           std::shared_ptr<const Content> content)
      : names_(std::move(names)), types_(std::move(types)), content_(std::move(content)) {}
  const std::vector<std::string>& Names() const override { return names_; }
  const std::vector<duckdb::LogicalType>& Types() const override { return types_; }
  uint64_t EstimatedRows() const override { return content_->total; }
  std::unique_ptr<RowCursor> Scan(std::vector<size_t> columns) override {
    return std::make_unique<ViewCursor>(content_, std::move(columns));
  }

 private:
  std::vector<std::string> names_;
  std::vector<duckdb::LogicalType> types_;
  std::shared_ptr<const Content> content_;
};

}  // namespace

bool IsEqualityExact(const duckdb::LogicalType& column, const std::string& value, bool is_text) {
  if (is_text) return column == duckdb::LogicalType::VARCHAR;
  duckdb::Value number;  // one beyond the column's type is equal to none of its values
  std::string message;
  return column.IsIntegral() &&
         duckdb::Value(value).DefaultTryCastAs(column, number, &message, true);
}

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

BlockMessage TakePiece(Snapshot& snapshot) {
  auto& rows = snapshot.rows;
  Columns piece;
  size_t count = std::min(kPieceChunks, rows.chunks.size());
  for (size_t i = 0; i < count; i++) {
    piece.rows += rows.chunks[i]->size();
    piece.chunks.push_back(std::move(rows.chunks[i]));
  }
  rows.chunks.erase(rows.chunks.begin(), rows.chunks.begin() + static_cast<ptrdiff_t>(count));
  rows.rows -= piece.rows;
  std::vector<duckdb::LogicalType> types;
  for (auto& column : snapshot.columns) types.push_back(column.type);
  BlockMessage message;
  message.rows = piece.rows;
  if (!snapshot.copies.empty()) {
    auto end = snapshot.copies.begin() + static_cast<ptrdiff_t>(piece.rows);
    message.copies.assign(snapshot.copies.begin(), end);
    snapshot.copies.erase(snapshot.copies.begin(), end);
  }
  message.block = EncodeBlock(piece, types);
  return message;
}

std::shared_ptr<RowSource> MakeViewRows(ViewData view) {
  std::vector<duckdb::LogicalType> types;
  for (auto& type : view.types) types.push_back(LoadType(type));
  auto content = std::make_shared<Content>();
  for (auto& block : view.blocks) {
    std::vector<size_t> all(types.size());
    std::iota(all.begin(), all.end(), size_t{0});
    Columns piece = DecodeBlock(block, types, all);
    content->rows.rows += piece.rows;
    for (auto& chunk : piece.chunks) content->rows.chunks.push_back(std::move(chunk));
    std::string().swap(block);  // a copy is enough
  }
  content->copies = std::move(view.copies);
  CHECK(content->copies.empty() || content->copies.size() == content->rows.rows);
  content->total = content->rows.rows;
  if (!content->copies.empty()) {
    content->total = 0;
    for (int64_t copies : content->copies) content->total += static_cast<uint64_t>(copies);
  }
  return std::make_shared<ViewRows>(std::move(view.names), std::move(types), std::move(content));
}

}  // namespace weir
