// The hot path of ingest: rows that look like rows before.
//
// Memory can be read for 64 bytes past the end of the text, and nothing here passes the end: lines
// end with a line's end, and behind the last text stand zeros.  No step of a line holds either, no
// step at all a zero, and no value that a quick reader takes.  So places need not be compared with
// the end.
#include "formats/column_writer_quick.h"
#include "formats/json_rows.h"

namespace weir {

const char* JsonRows::ReadExpectedLines(JsonScanner& scanner, const char* end) {
  const char* row = scanner.at();
  while (row < end) {
    const char* after = ReadExpected(scanner, row);
    if (!after || after - row > kLineBytesMax || scanner.last_newline() >= row) break;
    if (*after == '\r') after++;
    if (*after == '\n') {
      after++;
      line_++;
    } else if (after != end) {
      break;
    }
    builder_.KeepRow();
    row = after;
  }
  return row;
}

const char* JsonRows::ReadExpected(JsonScanner& scanner, const char* row) {
  for (uint64_t& seen : seen_) seen = 0;
  const JsonShape::Step* step = &shape_->start();
  const char* at = row;
  while (true) {
    step = step->Follower(at);
    if (!step) return nullptr;
    at += step->size;
    if (step->column == JsonShape::kEnd) break;
    const char* after = nullptr;
    if (step->column < 0) {
      step->met = body_;
    } else {
      seen_[step->seen_word] |= step->seen_bit;
      after = builder_.columns()[static_cast<size_t>(step->column)].WriteQuick(builder_.row(), at);
    }
    if (!after) after = ReadOther(scanner, at, step->column);
    if (!after) return nullptr;
    at = after;
  }
  uint64_t missing = 0, any = 0;
  for (size_t i = 0; i < all_.size(); i++) {
    missing |= all_[i] ^ seen_[i];
    any |= seen_[i];
  }
  if (!any) return nullptr;  // made of parts of good rows, and none of them a column
  if (missing && !WriteMissing()) return nullptr;
  return builder_.NullWhereNoneMayBe() ? nullptr : at;
}

const char* JsonRows::ReadOther(JsonScanner& scanner, const char* at, int column) {
  scanner.MoveTo(at);
  JsonScanner::Token token{};
  if (scanner.ReadValue(token)) return nullptr;
  if (column < 0) return scanner.at();
  auto& writer = builder_.columns()[static_cast<size_t>(column)];
  bool good = writer.Write(builder_.row(), token.kind, token.text).empty();
  return good ? scanner.at() : nullptr;
}

}  // namespace weir
