#include "formats/csv_rows.h"

#include <algorithm>

#include "base/error.h"
#include "formats/json_value.h"
#include "simdjson.h"

namespace weir {

bool CsvRows::ReadRecord(std::vector<Cell>& cells, size_t& count, const char*& wrong) {
  count = 0;
  wrong = nullptr;
  if (at_ >= body_.size()) return false;
  while (true) {
    if (count == cells.size()) cells.emplace_back();
    Cell& cell = cells[count++];
    cell.text.clear();
    cell.quoted = at_ < body_.size() && body_[at_] == '"';
    if (cell.quoted) {
      at_++;
      while (true) {
        size_t quote = body_.find('"', at_);
        if (quote == std::string_view::npos) {
          wrong = "a quoted field without its closing quote";
          line_ += static_cast<uint64_t>(
              std::count(body_.begin() + static_cast<ptrdiff_t>(at_), body_.end(), '\n'));
          at_ = body_.size();
          return true;
        }
        auto part = body_.substr(at_, quote - at_);
        line_ += static_cast<uint64_t>(std::count(part.begin(), part.end(), '\n'));
        cell.text += part;
        at_ = quote + 1;
        if (at_ >= body_.size() || body_[at_] != '"') break;
        cell.text += '"';
        at_++;
      }
      if (at_ < body_.size() && body_[at_] != ',' && body_[at_] != '\n' && body_[at_] != '\r') {
        wrong = "text after a closing quote";
      }
    }
    size_t stop = body_.find_first_of(",\n", at_);
    size_t end = stop == std::string_view::npos ? body_.size() : stop;
    if (!cell.quoted) {
      cell.text += body_.substr(at_, end - at_);
      bool last = end == body_.size() || body_[end] == '\n';
      if (last && !cell.text.empty() && cell.text.back() == '\r') cell.text.pop_back();
    }
    at_ = std::min(end + 1, body_.size());
    if (end == body_.size()) return true;
    if (body_[end] == '\n') {
      line_++;
      return true;
    }
    if (at_ == body_.size()) {  // a comma ends the body: one more, empty, field
      if (count == cells.size()) cells.emplace_back();
      cells[count++] = Cell();
      return true;
    }
  }
}

void CsvRows::ReadHeader() {
  std::vector<Cell> cells;
  size_t count;
  const char* wrong;
  if (!ReadRecord(cells, count, wrong) || wrong) {
    throw Error(ErrorCode::kInvalidData, "the CSV body has no header",
                "The first line names the columns.");
  }
  given_.assign(stream_.columns.size(), false);
  bool any = false;
  for (size_t i = 0; i < count; i++) {
    if (cells[i].text.find('\r') != std::string::npos) {  // all of the body would be the header
      throw Error(ErrorCode::kInvalidData, "the CSV header has a carriage return inside the line",
                  "Lines end with LF or CRLF, not with CR alone.");
    }
    auto column = stream_.Find(cells[i].text);
    columns_.push_back(column ? static_cast<int>(*column) : -1);
    names_.push_back(cells[i].text);
    if (column) {
      if (given_[*column]) {
        throw Error(ErrorCode::kInvalidData,
                    "the CSV header names column \"" + cells[i].text + "\" twice");
      }
      given_[*column] = any = true;
    } else if (stream_.unknown_fields == UnknownFields::kReject) {
      throw Error(ErrorCode::kInvalidData,
                  "stream \"" + stream_.name + "\" has no column \"" + cells[i].text + "\"");
    }
  }
  if (!any) {
    throw Error(ErrorCode::kInvalidData,
                "the CSV header names no column of stream \"" + stream_.name + "\"",
                "The first line names the columns.");
  }
}

// A nested value is JSON, or as DuckDB writes it: [a, b], {'x': 1}.
std::string CsvRows::WriteText(ColumnWriter& writer, const duckdb::LogicalType& type,
                               const std::string& text) {
  if (type.IsJSONType()) {
    if (!IsJson(text)) return "not JSON";
    return writer.Write(builder_.row(), TokenKind::kObject, text);
  }
  bool json = type.IsNested() && !text.empty() && (text[0] == '{' || text[0] == '[');
  if (!json || !IsJson(text)) return writer.Write(builder_.row(), TokenKind::kString, text);
  auto kind = text[0] == '{' ? TokenKind::kObject : TokenKind::kArray;
  auto reason = writer.Write(builder_.row(), kind, text);
  bool otherwise =
      !reason.empty() && writer.Write(builder_.row(), TokenKind::kString, text).empty();
  return otherwise ? "" : reason;
}

void CsvRows::WriteRow(const std::vector<Cell>& cells, size_t count, uint64_t line) {
  if (count != columns_.size()) {
    builder_.RefuseRow({line, "", "",
                        "has " + std::to_string(count) + " fields, the header " +
                            std::to_string(columns_.size())});
    return;
  }
  for (size_t i = 0; i < count; i++) {
    if (columns_[i] < 0) continue;
    auto& writer = builder_.columns()[static_cast<size_t>(columns_[i])];
    auto& cell = cells[i];
    std::string reason;
    if (!simdjson::validate_utf8(cell.text)) {
      reason = "not UTF-8";
    } else if (cell.text.empty() && !cell.quoted) {
      reason = writer.WriteNull(builder_.row());
    } else {
      reason = WriteText(writer, stream_.columns[static_cast<size_t>(columns_[i])].type, cell.text);
    }
    if (!reason.empty()) return builder_.RefuseRow({line, writer.name(), cell.text, reason});
  }
  for (size_t i = 0; i < given_.size(); i++) {
    if (given_[i]) continue;
    auto reason = builder_.columns()[i].WriteNull(builder_.row());
    if (!reason.empty()) {
      return builder_.RefuseRow({line, stream_.columns[i].name, "", "is missing and " + reason});
    }
  }
  if (auto* column = builder_.NullWhereNoneMayBe()) {
    return builder_.RefuseRow({line, column->name, "", "must not be NULL"});
  }
  builder_.KeepRow();
}

void CsvRows::Parse(std::string_view body) {
  if (body.starts_with("\xef\xbb\xbf")) body.remove_prefix(3);
  body_ = body;
  at_ = 0;
  line_ = 1;
  columns_.clear();
  names_.clear();
  ReadHeader();
  std::vector<Cell> cells;
  size_t count;
  const char* wrong;
  uint64_t line = line_;
  while (ReadRecord(cells, count, wrong)) {
    bool blank = count == 1 && cells[0].text.empty() && !cells[0].quoted;
    if (wrong) {
      builder_.RefuseRow({line, "", cells[0].text, wrong});
    } else if (!blank) {
      WriteRow(cells, count, line);
    }
    line = line_;
  }
}

}  // namespace weir
