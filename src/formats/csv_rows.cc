#include "formats/csv_rows.h"

#include <algorithm>

#include "base/error.h"
#include "formats/json_text.h"
#include "simdjson.h"

namespace weir {
namespace {
constexpr size_t kHeaderFieldsMax = 10'000;
constexpr size_t kReadableBehind = 64;
}  // namespace

bool CsvRows::ReadRecord(std::vector<Cell>& cells, size_t& count, const char*& wrong) {
  count = 0;
  wrong = nullptr;
  if (at_ >= body_.size()) return false;
  while (true) {
    size_t place = std::min(count++, fields_max_);
    if (place == cells.size()) cells.emplace_back();
    Cell& cell = cells[place];
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
      size_t last = std::min(count++, fields_max_);
      if (last == cells.size()) cells.emplace_back();
      cells[last] = Cell();
      return true;
    }
  }
}

void CsvRows::ReadHeader() {
  std::vector<Cell> cells;
  size_t count;
  const char* wrong;
  fields_max_ = kHeaderFieldsMax;
  if (!ReadRecord(cells, count, wrong) || wrong) {
    throw Error(ErrorCode::kInvalidData, "the CSV body has no header",
                "The first line names the columns.");
  }
  if (count > kHeaderFieldsMax) {
    throw Error(ErrorCode::kTooLarge,
                "the CSV header names more than " + std::to_string(kHeaderFieldsMax) + " columns");
  }
  fields_max_ = count;
  given_.assign(stream_.columns.size(), false);
  bool any = false;
  for (size_t i = 0; i < count; i++) {
    if (cells[i].text.find('\r') != std::string::npos) {  // all of the body would be the header
      throw Error(ErrorCode::kInvalidData, "the CSV header has a carriage return inside the line",
                  "Lines end with LF or CRLF, not with CR alone.");
    }
    auto column = stream_.Find(cells[i].text);
    if (!column && !cells[i].quoted) {  // "id, name" is what many write
      auto first = cells[i].text.find_first_not_of(" \t");
      auto last = cells[i].text.find_last_not_of(" \t");
      if (first != std::string::npos) {
        cells[i].text = cells[i].text.substr(first, last - first + 1);
        column = stream_.Find(cells[i].text);
      }
    }
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
    } else {
      builder_.IgnoreField(cells[i].text);
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
    auto problem = JsonTextProblem(text);
    return problem.empty() ? writer.Write(builder_.row(), TokenKind::kObject, text) : problem;
  }
  bool json = type.IsNested() && !text.empty() && (text[0] == '{' || text[0] == '[');
  if (!json || !JsonTextProblem(text).empty()) {
    return writer.Write(builder_.row(), TokenKind::kString, text);
  }
  auto kind = text[0] == '{' ? TokenKind::kObject : TokenKind::kArray;
  padded_.assign(text).append(kReadableBehind, '\0');
  auto reason = writer.Write(builder_.row(), kind, {padded_.data(), text.size()});
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
