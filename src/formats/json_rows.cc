#include "formats/json_rows.h"

#include "base/error.h"

namespace weir {
namespace {
constexpr size_t kPadding = 64;
constexpr size_t kUnknownBytes = 150;  // of names in the reason of a refusal
}  // namespace

JsonRows::JsonRows(const Stream& stream, BlockBuilder& builder)
    : stream_(stream),
      builder_(builder),
      all_((stream.columns.size() + 63) / 64),
      seen_(all_.size()) {
  for (size_t i = 0; i < stream.columns.size(); i++) {
    all_[i / 64] |= uint64_t{1} << i % 64;
    by_name_[stream.columns[i].name] = static_cast<int>(i);
  }
}

int JsonRows::ColumnOf(std::string_view name) const {
  if (auto found = by_name_.find(name); found != by_name_.end()) return found->second;
  auto similar = stream_.Find(name);  // in another case
  return similar ? static_cast<int>(*similar) : kUnknown;
}

void JsonRows::Refuse(std::string column, const JsonScanner::Token& token, std::string reason) {
  refused_ = true;
  std::string value = token.kind == TokenKind::kNull ? "null" : std::string(token.text);
  refusal_ = {0, std::move(column), std::move(value), std::move(reason)};
}

const char* JsonRows::ParseField(JsonScanner& scanner, const char* step) {
  scanner.SkipSpace();
  if (scanner.AtEnd() || *scanner.at() != '"') return "expected a field name in quotes";
  std::string_view name;
  if (const char* wrong = scanner.ReadString(name)) return wrong;
  int column = ColumnOf(name);
  bool refuse = column == kUnknown && stream_.unknown_fields == UnknownFields::kReject;
  std::string unknown(column == kUnknown ? name : "");
  scanner.SkipSpace();
  if (!scanner.Take(':')) return "expected a colon after a field name";
  scanner.SkipSpace();
  shape_->AddStep({step, static_cast<size_t>(scanner.at() - step)}, column);
  JsonScanner::Token token{};
  if (const char* wrong = scanner.ReadValue(token)) return wrong;
  if (refused_) return nullptr;
  if (refuse) {
    Refuse(std::move(unknown), token, "the stream has no such column");
  } else if (column == kUnknown) {
    builder_.IgnoreField(unknown);
    if (unknown_.size() < kUnknownBytes) {
      unknown_ += (unknown_.empty() ? "\"" : ", \"") + unknown + "\"";
    }
  } else if (column != kUnknown) {
    auto index = static_cast<size_t>(column);
    seen_[index / 64] |= uint64_t{1} << index % 64;
    auto reason = builder_.columns()[index].Write(builder_.row(), token.kind, token.text);
    if (!reason.empty()) Refuse(stream_.columns[index].name, token, std::move(reason));
  }
  return nullptr;
}

const char* JsonRows::ParseObject(JsonScanner& scanner, uint64_t line) {
  refused_ = false;
  std::fill(seen_.begin(), seen_.end(), 0);
  unknown_.clear();
  shape_->BeginRow();
  const char* step = scanner.at();
  if (!scanner.Take('{')) return "not a JSON object";
  scanner.SkipSpace();
  if (!scanner.Take('}')) {
    while (true) {
      if (const char* wrong = ParseField(scanner, step)) return wrong;
      step = scanner.at();
      scanner.SkipSpace();
      if (scanner.Take('}')) break;
      if (!scanner.Take(',')) return "expected a comma or }";
    }
  }
  shape_->AddStep({step, static_cast<size_t>(scanner.at() - step)}, JsonShape::kEnd);
  if (!refused_) WriteMissing();
  if (!refused_ && !unknown_.empty()) RefuseUnknown();
  if (refused_) refusal_.line = line;
  return nullptr;
}

void JsonRows::RefuseUnknown() {
  for (uint64_t seen : seen_) {
    if (seen) return;
  }
  refused_ = true;
  refusal_ = {0, "", "", "none of its fields is a column of the stream: " + unknown_};
}

// The general way told of those it met.
void JsonRows::TellUnknown() {
  for (auto* shape : {&line_shape_, &element_shape_}) {
    shape->ForEachUnknown(body_, [&](const std::string& name) { builder_.IgnoreField(name); });
  }
}

bool JsonRows::WriteMissing() {
  for (size_t word = 0; word < all_.size(); word++) {
    for (uint64_t left = all_[word] & ~seen_[word]; left; left &= left - 1) {
      size_t column = word * 64 + static_cast<size_t>(__builtin_ctzll(left));
      auto reason = builder_.columns()[column].WriteNull(builder_.row());
      if (reason.empty()) continue;
      refused_ = true;
      refusal_ = {0, stream_.columns[column].name, "", "is missing and " + reason};
      return false;
    }
  }
  return true;
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
  if (expect_) shape_->Learn();
  return true;
}

void JsonRows::ParsePadded(const char* begin, const char* end) {
  JsonScanner scanner(begin, end);
  while (true) {
    if (expect_) scanner.MoveTo(ReadExpectedLines(scanner, end));
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
        if (after - row > kLineBytesMax) {
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
  body_++;
  if (body.starts_with("\xef\xbb\xbf")) body.remove_prefix(3);
  line_ = 1;
  shape_ = &line_shape_;
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
  TellUnknown();
}

void JsonRows::ParseDocument(std::string_view body) {
  body_++;
  if (body.starts_with("\xef\xbb\xbf")) body.remove_prefix(3);
  std::string padded;
  padded.reserve(body.size() + kPadding);
  padded.append(body);
  padded.append(kPadding, '\0');
  shape_ = &element_shape_;
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
    const char* begin = scanner.at();
    const char* after = expect_ ? ReadExpected(scanner, begin) : nullptr;
    scanner.MoveTo(after ? after : begin);
    if (after) {
      builder_.KeepRow();
    } else if (array && !scanner.AtEnd() && *scanner.at() != '{') {
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
  TellUnknown();
}

}  // namespace weir
