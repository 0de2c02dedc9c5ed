#include "formats/rows.h"

#include "formats/csv_rows.h"
#include "formats/json_rows.h"

namespace weir {
namespace {

class Parser : public RowParser {
 public:
  explicit Parser(std::shared_ptr<const Stream> stream)
      : stream_(std::move(stream)),
        builder_(*stream_),
        json_(*stream_, builder_),
        csv_(*stream_, builder_) {}

  ParsedRows Parse(RowFormat format, std::string_view body, RowMemory::Hold* memory) override {
    builder_.Begin(body.size() / bytes_per_row_ + 1, memory);
    switch (format) {
      case RowFormat::kNdjson: json_.ParseLines(body); break;
      case RowFormat::kJson: json_.ParseDocument(body); break;
      case RowFormat::kCsv: csv_.Parse(body); break;
    }
    auto parsed = builder_.Finish();
    if (parsed.columns->rows >= 16) {
      bytes_per_row_ = std::max<size_t>(body.size() / parsed.columns->rows, 1);
    }
    return parsed;
  }

 private:
  std::shared_ptr<const Stream> stream_;
  BlockBuilder builder_;
  JsonRows json_;
  CsvRows csv_;
  size_t bytes_per_row_ = 64;
};

}  // namespace

std::unique_ptr<RowParser> RowParser::Make(std::shared_ptr<const Stream> stream) {
  return std::make_unique<Parser>(std::move(stream));
}

}  // namespace weir
