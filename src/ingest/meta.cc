#include "ingest/meta.h"

#include <cstring>

#include "formats/pump_mark.h"

namespace weir {
namespace {

void PutNumber(std::string& out, uint64_t number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof(number));
}
void PutText(std::string& out, std::string_view text) {
  PutNumber(out, text.size());
  out += text;
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  uint64_t Number() {
    uint64_t number;
    std::memcpy(&number, Take(sizeof(number)).data(), sizeof(number));
    return number;
  }
  std::string Text() { return std::string(Take(Number())); }
  bool AtEnd() const { return bytes_.empty(); }

 private:
  std::string_view Take(uint64_t size) {
    if (size > bytes_.size()) {
      throw Error(ErrorCode::kCorruption, "the meta data of a log record is damaged");
    }
    auto taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  std::string_view bytes_;
};

}  // namespace

std::string EncodeMeta(const RecordMeta& meta) {
  std::string out;
  PutText(out, meta.stream);
  PutText(out, meta.key);
  PutNumber(out, meta.body_hash);
  PutNumber(out, meta.answer.accepted);
  PutNumber(out, meta.answer.duplicates);
  PutNumber(out, meta.answer.rejected_total);
  ASSERT(meta.answer.rejected.size() <= kErrorsOfKeyed);
  PutNumber(out, meta.answer.rejected.size());
  for (auto& row : meta.answer.rejected) {
    PutNumber(out, row.line);
    PutText(out, row.column);
    PutText(out, row.value);
    PutText(out, row.reason);
  }
  PutNumber(out, meta.answer.unknown_fields.size());
  for (auto& name : meta.answer.unknown_fields) PutText(out, name);
  ASSERT(!DecodePumpMark(out));  // it would be taken for one
  DEBUG_ASSERT(DecodeMeta(out)->key == meta.key && DecodeMeta(out)->body_hash == meta.body_hash);
  return out;
}

std::optional<RecordMeta> DecodeMeta(std::string_view bytes) {
  if (bytes.empty() || DecodePumpMark(bytes)) return std::nullopt;
  Reader reader(bytes);
  RecordMeta meta;
  meta.stream = reader.Text();
  meta.key = reader.Text();
  meta.body_hash = reader.Number();
  meta.answer.accepted = reader.Number();
  meta.answer.duplicates = reader.Number();
  meta.answer.rejected_total = reader.Number();
  uint64_t rows = reader.Number();
  if (rows > kErrorsOfKeyed) {
    throw Error(ErrorCode::kCorruption, "the meta data of a log record is damaged");
  }
  for (uint64_t left = rows; left; left--) {
    RowError row;
    row.line = reader.Number();
    row.column = reader.Text();
    row.value = reader.Text();
    row.reason = reader.Text();
    meta.answer.rejected.push_back(std::move(row));
  }
  if (reader.AtEnd()) return meta;  // as it was before unknown fields were told
  for (uint64_t left = reader.Number(); left; left--) {
    meta.answer.unknown_fields.push_back(reader.Text());
  }
  return meta;
}

}  // namespace weir
