#include "formats/json_rows.h"

#include "base/error.h"

namespace weir {
namespace {
constexpr size_t kPadding = 64;
constexpr size_t kLineBytesMax = 1 << 20;
constexpr const char* kNoSuchColumn = "the stream has no such column";
}  // namespace

JsonRows::JsonRows(const Stream& stream, BlockBuilder& builder)
    : stream_(stream), builder_(builder), seen_(stream.columns.size(), 0) {
  for (size_t i = 0; i < stream.columns.size(); i++) {
    by_name_[stream.columns[i].name] = static_cast<int>(i);
  }
}

// The column of the key at the scanner, which is left behind the colon.
int JsonRows::ColumnOf(JsonScanner& scanner, size_t position, const char*& wrong) {
  if (position < order_.size() &&
      scanner.TakePadded(order_[position].key.data(), order_[position].size)) {
    int column = order_[position].column;
    scanner.SkipBlanks();
    if (!scanner.Take(':')) wrong = "expected a colon after a field name";
    scanner.SkipBlanks();
    return column;
  }
  scanner.SkipSpace();
  const char* begin = scanner.at();
  if (scanner.AtEnd() || *begin != '"') {
    wrong = "expected a field name in quotes";
    return kUnknown;
  }
  std::string_view name;
  wrong = scanner.ReadString(name);
  if (wrong) return kUnknown;
  auto found = by_name_.find(name);
  int column = found == by_name_.end() ? kUnknown : found->second;
  if (found == by_name_.end()) {
    if (auto similar = stream_.Find(name)) column = static_cast<int>(*similar);  // other case
  }
  auto size = static_cast<size_t>(scanner.at() - begin);
  order_.resize(std::min(order_.size(), position));
  if (order_.size() == position && size <= kPadding) {
    Field field{{}, size, column};
    std::memcpy(field.key.data(), begin, size);
    order_.push_back(field);
  }
  if (column == kUnknown && stream_.unknown_fields == UnknownFields::kReject && !refused_) {
    refused_ = true;
    refusal_ = {0, std::string(name), "", kNoSuchColumn};
  }
  scanner.SkipSpace();
  if (!scanner.Take(':')) wrong = "expected a colon after a field name";
  scanner.SkipSpace();
  return column;
}

const char* JsonRows::ParseObject(JsonScanner& scanner, uint64_t line) {
  row_number_++;
  refused_ = false;
  if (!scanner.Take('{')) return "not a JSON object";
  scanner.SkipSpace();
  size_t written = 0;
  if (!scanner.Take('}')) {
    for (size_t position = 0;; position++) {
      const char* wrong = nullptr;
      int column = ColumnOf(scanner, position, wrong);
      JsonScanner::Token token{};
      if (!wrong) wrong = scanner.ReadValue(token);
      if (wrong) return wrong;
      if (column == kUnknown) {
        if (refused_ && refusal_.reason == kNoSuchColumn && refusal_.value.empty()) {
          refusal_.value = token.kind == TokenKind::kNull ? "null" : std::string(token.text);
        }
        if (stream_.unknown_fields == UnknownFields::kReject && !refused_) {
          refused_ = true;
          std::string name(position < order_.size() ? order_[position].Name() : "");
          refusal_ = {0, name, token.kind == TokenKind::kNull ? "null" : std::string(token.text),
                      kNoSuchColumn};
        }
      } else if (!refused_) {
        auto index = static_cast<size_t>(column);
        auto reason = builder_.columns()[index].Write(builder_.row(), token.kind, token.text);
        if (!reason.empty()) {
          refused_ = true;
          refusal_ = {0, stream_.columns[index].name,
                      token.kind == TokenKind::kNull ? "null" : std::string(token.text), reason};
        } else if (seen_[index] != row_number_) {
          seen_[index] = row_number_;
          written++;
        }
      }
      scanner.SkipBlanks();
      if (scanner.Take(',')) {
        scanner.SkipBlanks();
        continue;
      }
      scanner.SkipSpace();
      if (scanner.Take('}')) break;
      if (!scanner.Take(',')) return "expected a comma or }";
      scanner.SkipSpace();
    }
  }
  if (!refused_ && written < seen_.size()) {
    for (size_t i = 0; i < seen_.size() && !refused_; i++) {
      if (seen_[i] == row_number_) continue;
      auto reason = builder_.columns()[i].WriteNull(builder_.row());
      if (!reason.empty()) {
        refused_ = true;
        refusal_ = {0, stream_.columns[i].name, "", "is missing and " + reason};
      }
    }
  }
  if (refused_) refusal_.line = line;
  return nullptr;
}

bool JsonRows::FinishRow(uint64_t line) {
  if (refused_) {
    builder_.RefuseRow(std::move(refusal_));
    return false;
  }
  if (auto* column = builder_.NullWhereNoneMayBe()) {
    builder_.RefuseRow({line, column->name, "", "must not be NULL"});
    return false;
  }
  builder_.KeepRow();
  return true;
}

void JsonRows::ParsePadded(const char* begin, const char* end) {
  JsonScanner scanner(begin, end);
  while (true) {
    // Blank lines between rows.
    while (!scanner.AtEnd() && (*scanner.at() == '\n' || *scanner.at() == '\r' ||
                                *scanner.at() == ' ' || *scanner.at() == '\t')) {
      line_ += *scanner.at() == '\n';
      scanner.MoveTo(scanner.at() + 1);
    }
    if (scanner.AtEnd()) return;
    const char* row = scanner.at();
    // A row ends with its line: a value may not run on into the next.
    const char* wrong = ParseObject(scanner, line_);
    const char* after = scanner.at();
    if (!wrong) {
      scanner.SkipBlanks();
      if (!scanner.AtEnd() && *scanner.at() == '\r') scanner.MoveTo(scanner.at() + 1);
      if (scanner.AtEnd() || *scanner.at() == '\n') {
        if (after - row > static_cast<ptrdiff_t>(kLineBytesMax)) {
          wrong = "longer than 1 MiB";
        } else if (scanner.last_newline() && scanner.last_newline() >= row) {
          wrong = "an object that goes over several lines; NDJSON has one on each line";
        } else {
          FinishRow(line_);
          continue;
        }
      } else {
        wrong = "more than one value on the line";
      }
    }
    auto* newline =
        static_cast<const char*>(std::memchr(row, '\n', static_cast<size_t>(end - row)));
    const char* row_end = newline ? newline : end;
    builder_.RefuseRow({line_, "", std::string(row, static_cast<size_t>(row_end - row)), wrong});
    scanner = JsonScanner(row_end, end);
  }
}

void JsonRows::ParseLines(std::string_view body) {
  if (body.starts_with("\xef\xbb\xbf")) body.remove_prefix(3);
  line_ = 1;
  // Readers may look 64 bytes past a row; only the last rows need a copy with room behind.
  size_t in_place = 0;
  if (body.size() > kPadding) {
    size_t newline = body.rfind('\n', body.size() - kPadding - 1);
    if (newline != std::string_view::npos) in_place = newline + 1;
  }
  if (in_place) ParsePadded(body.data(), body.data() + in_place);
  std::string tail;
  tail.reserve(body.size() - in_place + kPadding);
  tail.append(body, in_place, body.size() - in_place);
  size_t size = tail.size();
  tail.append(kPadding, '\0');
  ParsePadded(tail.data(), tail.data() + size);
}

void JsonRows::ParseDocument(std::string_view body) {
  if (body.starts_with("\xef\xbb\xbf")) body.remove_prefix(3);
  std::string padded;
  padded.reserve(body.size() + kPadding);
  padded.append(body);
  padded.append(kPadding, '\0');
  JsonScanner scanner(padded.data(), padded.data() + body.size());
  auto fail = [&](const char* wrong, uint64_t element) {
    std::string where = element ? " in element " + std::to_string(element) : "";
    throw Error(scanner.too_deep() ? ErrorCode::kTooDeep : ErrorCode::kInvalidData,
                "the body is not the JSON it should be: " + std::string(wrong) + where,
                "Send an array of objects, one object, or NDJSON with Content-Type "
                "application/x-ndjson.");
  };
  scanner.SkipSpace();
  bool array = scanner.Take('[');
  uint64_t element = 0;
  scanner.SkipSpace();
  if (array && scanner.Take(']')) {
    scanner.SkipSpace();
    if (!scanner.AtEnd()) fail("something stands after it", 0);
    return;
  }
  while (true) {
    element++;
    scanner.SkipSpace();
    if (array && !scanner.AtEnd() && *scanner.at() != '{') {
      JsonScanner::Token token{};
      if (const char* wrong = scanner.ReadValue(token)) fail(wrong, element);
      builder_.RefuseRow({element, "", std::string(token.text), "not a JSON object"});
    } else {
      if (const char* wrong = ParseObject(scanner, element)) fail(wrong, array ? element : 0);
      FinishRow(element);
    }
    scanner.SkipSpace();
    if (!array || scanner.Take(']')) break;
    if (!scanner.Take(',')) fail("expected a comma or ]", element);
  }
  scanner.SkipSpace();
  if (!scanner.AtEnd()) fail("something stands after it", 0);
}

}  // namespace weir
