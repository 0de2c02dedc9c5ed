#include "query/answer.h"

#include <fmt/format.h>

#include "formats/block.h"
#include "formats/results.h"
#include "query/arrow.h"
#include "query/view_rows.h"

namespace weir {
namespace {

// Blocks for the engine: a message for every so many rows, and one at least, for the columns.
constexpr duckdb::idx_t kBlockRows = 16 * STANDARD_VECTOR_SIZE;

class BlockWriter : public AnswerWriter {
 public:
  explicit BlockWriter(AnswerOut out) : out_(std::move(out)) {}

  void Begin(const std::vector<Column>& columns) override {
    for (auto& column : columns) {
      names_.push_back(column.name);
      types_.push_back(column.type);
    }
  }
  void Rows(duckdb::DataChunk& rows) override {
    auto copy = std::make_unique<duckdb::DataChunk>();
    copy->InitializeEmpty(rows.GetTypes());
    copy->Reference(rows);
    rows_.chunks.push_back(std::move(copy));
    rows_.rows += rows.size();
    if (rows_.rows >= kBlockRows) Flush();
  }
  void End(bool) override {
    if (rows_.rows > 0 || !sent_) Flush();
  }

 private:
  void Flush() {
    BlockMessage message;
    message.names = names_;
    for (auto& type : types_) message.types.push_back(SaveType(type));
    message.rows = rows_.rows;
    if (rows_.rows > 0) message.block = EncodeBlock(rows_, types_);
    rows_ = Columns();
    sent_ = true;
    out_(Write(message));
  }

  AnswerOut out_;
  std::vector<std::string> names_;
  std::vector<duckdb::LogicalType> types_;
  Columns rows_;
  bool sent_ = false;
};

// Text goes out in pieces of about this size: an error that comes early is the whole answer then.
constexpr size_t kPiece = 256 << 10;

class TextWriter : public AnswerWriter {
 public:
  TextWriter(const AnswerOptions& options, AnswerOut out)
      : options_(options), out_(std::move(out)) {}

 protected:
  void Sent() {
    if (text_.size() >= kPiece) Flush();
  }
  void Flush() {
    if (!text_.empty()) out_(std::exchange(text_, {}));
  }

  const AnswerOptions options_;
  std::string text_;

 private:
  AnswerOut out_;
};

class JsonWriter : public TextWriter {
 public:
  using TextWriter::TextWriter;
  void Begin(const std::vector<Column>& columns) override {
    text_ = fmt::format("{{\"offset\":{},\"as_of\":\"{}\",\"columns\":[{}],\"rows\":[",
                        options_.offset.value, IsoTime(options_.as_of), JsonColumns(columns));
  }
  void Rows(duckdb::DataChunk& rows) override {
    if (any_) text_ += ',';
    any_ = true;
    AppendJsonRows(rows, options_.exact, text_);
    Sent();
  }
  void End(bool more) override {
    text_ += more ? "],\"more\":true}\n" : "]}\n";
    Flush();
  }

 private:
  bool any_ = false;
};

class NdjsonWriter : public TextWriter {
 public:
  using TextWriter::TextWriter;
  void Begin(const std::vector<Column>& columns) override { columns_ = columns; }
  void Rows(duckdb::DataChunk& rows) override {
    AppendNdjsonRows(columns_, rows, options_.exact, text_);
    Sent();
  }
  void End(bool) override { Flush(); }

 private:
  std::vector<Column> columns_;
};

class CsvWriter : public TextWriter {
 public:
  using TextWriter::TextWriter;
  void Begin(const std::vector<Column>& columns) override { text_ = CsvHeader(columns); }
  void Rows(duckdb::DataChunk& rows) override {
    AppendCsvRows(rows, text_);
    Sent();
  }
  void End(bool) override { Flush(); }
};

}  // namespace

std::unique_ptr<AnswerWriter> MakeAnswerWriter(AnswerFormat format, const AnswerOptions& options,
                                               duckdb::ClientContext& context, AnswerOut out) {
  switch (format) {
    case AnswerFormat::kJson: return std::make_unique<JsonWriter>(options, std::move(out));
    case AnswerFormat::kNdjson: return std::make_unique<NdjsonWriter>(options, std::move(out));
    case AnswerFormat::kCsv: return std::make_unique<CsvWriter>(options, std::move(out));
    case AnswerFormat::kArrow: return MakeArrowWriter(context, std::move(out));
    case AnswerFormat::kBlocks: return std::make_unique<BlockWriter>(std::move(out));
    case AnswerFormat::kParquet: break;
  }
  throw Error(ErrorCode::kInternal, "this format is not written row by row");
}

}  // namespace weir
