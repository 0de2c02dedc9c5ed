// Values that hold others: JSON arrays and objects into the vectors of lists, arrays, structs and
// maps, by a writer for each kind of part, without a copy in between.
//
// The text was read once and is JSON.  A row that is refused leaves elements behind at the end of a
// list's vector; the next row writes over them.
#include <algorithm>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/common/types/value.hpp"
#include "duckdb/common/types/value_map.hpp"
#include "formats/column_writer_quick.h"
#include "formats/json_scanner.h"

namespace weir {

using duckdb::idx_t;
using duckdb::LogicalTypeId;

namespace {

size_t BytesOf(const duckdb::LogicalType& type) {
  switch (type.InternalType()) {
    case duckdb::PhysicalType::STRUCT: {
      size_t bytes = 0;
      for (auto& [name, field] : duckdb::StructType::GetChildTypes(type)) bytes += BytesOf(field);
      return bytes;
    }
    case duckdb::PhysicalType::ARRAY:
      return duckdb::ArrayType::GetSize(type) * BytesOf(duckdb::ArrayType::GetChildType(type));
    default: return duckdb::GetTypeIdSize(type.InternalType());
  }
}

// More brackets opened than closed, in quotes or not, than any value needs.
bool IsDeep(std::string_view text) {
  constexpr int kMost = 500;
  int depth = 0;
  for (char c : text) {
    depth += (c == '[' || c == '{' || c == '(') - (c == ']' || c == '}' || c == ')');
    if (depth > kMost) return true;
  }
  return false;
}

}  // namespace

void ColumnWriter::MakeChildren() {
  auto add = [&](const std::string& name, const duckdb::LogicalType& type) {
    Column column;
    column.name = name;
    column.type = type;
    children_.emplace_back(column);
    children_.back().inside_ = true;
  };
  auto& type = column_.type;
  switch (reader_) {
    case Reader::kList: add("", duckdb::ListType::GetChildType(type)); break;
    case Reader::kArray: add("", duckdb::ArrayType::GetChildType(type)); break;
    case Reader::kMap:
      add("key", duckdb::MapType::KeyType(type));
      add("value", duckdb::MapType::ValueType(type));
      break;
    case Reader::kStruct:
      for (auto& [name, field] : duckdb::StructType::GetChildTypes(type)) add(name, field);
      written_.resize(children_.size());
      break;
    default: return;
  }
  if (reader_ == Reader::kList || reader_ == Reader::kMap) {
    element_bytes_ = BytesOf(duckdb::ListType::GetChildType(type));
  }
}

void ColumnWriter::OpenChildren() {
  switch (reader_) {
    case Reader::kList: return children_[0].Open(duckdb::ListVector::GetEntry(*vector_), memory_);
    case Reader::kArray: return children_[0].Open(duckdb::ArrayVector::GetEntry(*vector_), memory_);
    default: {
      auto& parts = duckdb::StructVector::GetEntries(
          reader_ == Reader::kMap ? duckdb::ListVector::GetEntry(*vector_) : *vector_);
      for (size_t i = 0; i < children_.size(); i++) children_[i].Open(*parts[i], memory_);
    }
  }
}

// The vector got more room: its values stand elsewhere, and those of parts as many as it has.  The
// elements of a list are of another number, and stay.
void ColumnWriter::Moved() {
  values_ = duckdb::FlatVector::GetData(*vector_);
  validity_ = &duckdb::FlatVector::Validity(*vector_);
  if (reader_ != Reader::kStruct && reader_ != Reader::kArray) return;
  for (auto& child : children_) child.Moved();
}

// Room for so many elements in all.
void ColumnWriter::MakeRoom(idx_t elements) {
  idx_t before = duckdb::ListVector::GetListCapacity(*vector_);
  if (elements <= before) return;
  if (memory_) memory_->Add(std::max(elements, 2 * before) * element_bytes_);
  duckdb::ListVector::Reserve(*vector_, elements);
  for (auto& child : children_) child.Moved();
}

std::string ColumnWriter::WriteNested(idx_t row, TokenKind kind, std::string_view text) {
  if (kind == TokenKind::kString) {
    // DuckDB's casts of nested texts go down by recursion.
    return IsDeep(text) ? "nested too deeply" : WriteCast(row, kind, text);
  }
  bool object = reader_ == Reader::kStruct || reader_ == Reader::kMap;
  if (kind != (object ? TokenKind::kObject : TokenKind::kArray)) return NoValue();
  JsonScanner in(text.data(), text.data() + text.size());
  in.MoveTo(text.data() + 1);  // behind the bracket
  switch (reader_) {
    case Reader::kStruct: return WriteFields(row, in);
    case Reader::kMap: return WriteEntries(row, in);
    default: return WriteElements(row, in);
  }
}

// One value at the scanner's place, which moves behind it.
std::string ColumnWriter::WriteChild(size_t child, idx_t place, JsonScanner& in) {
  if (const char* after = children_[child].WriteQuick(place, in.at())) {
    in.MoveTo(after);
    return {};
  }
  JsonScanner::Token token{};
  if (const char* wrong = in.ReadValue(token)) return wrong;
  return children_[child].Write(place, token.kind, token.text);
}

std::string ColumnWriter::WriteElements(idx_t row, JsonScanner& in) {
  bool list = reader_ == Reader::kList;
  idx_t most = list ? 0 : duckdb::ArrayType::GetSize(column_.type);
  idx_t first = list ? duckdb::ListVector::GetListSize(*vector_) : row * most;
  idx_t count = 0;
  in.SkipSpace();
  for (bool more = !in.Take(']'); more; more = !in.Take(']')) {
    if (count > 0 && !in.Take(',')) return "not JSON";
    in.SkipSpace();
    if (list) {
      MakeRoom(first + count + 1);
    } else if (count == most) {
      return NoValue();
    }
    auto reason = WriteChild(0, first + count, in);
    count++;
    if (!reason.empty()) return "element " + std::to_string(count) + ": " + reason;
    in.SkipSpace();
  }
  if (list) {
    Put(row, duckdb::list_entry_t(first, count));
    duckdb::ListVector::SetListSize(*vector_, first + count);
  } else if (count < most) {
    return NoValue();
  }
  SetValid(row);
  return {};
}

// As with columns, the case of a name does not matter, and the last of equal ones counts.
int ColumnWriter::FieldOf(std::string_view name) const {
  if (next_field_ < children_.size() && children_[next_field_].name() == name) {
    return static_cast<int>(next_field_);
  }
  for (size_t i = 0; i < children_.size(); i++) {
    if (children_[i].name() == name) return static_cast<int>(i);
  }
  std::string text(name);
  for (size_t i = 0; i < children_.size(); i++) {
    if (duckdb::StringUtil::CIEquals(children_[i].name(), text)) return static_cast<int>(i);
  }
  return -1;
}

std::string ColumnWriter::WriteFields(idx_t row, JsonScanner& in) {
  std::fill(written_.begin(), written_.end(), 0);
  next_field_ = 0;
  in.SkipSpace();
  bool first = true;
  for (bool more = !in.Take('}'); more; more = !in.Take('}')) {
    if (!std::exchange(first, false) && !in.Take(',')) return "not JSON";
    in.SkipSpace();
    std::string_view name;
    if (const char* wrong = in.ReadString(name)) return wrong;
    int field = FieldOf(name);
    in.SkipSpace();
    if (!in.Take(':')) return "not JSON";
    in.SkipSpace();
    if (field < 0) {
      JsonScanner::Token ignored{};
      if (const char* wrong = in.ReadValue(ignored)) return wrong;
    } else {
      auto index = static_cast<size_t>(field);
      auto reason = WriteChild(index, row, in);
      if (!reason.empty()) return "field \"" + children_[index].name() + "\": " + reason;
      written_[index] = 1;
      next_field_ = index + 1;
    }
    in.SkipSpace();
  }
  for (size_t i = 0; i < children_.size(); i++) {
    if (!written_[i]) children_[i].WriteNull(row);
  }
  SetValid(row);
  return {};
}

std::string ColumnWriter::WriteEntries(idx_t row, JsonScanner& in) {
  idx_t first = duckdb::ListVector::GetListSize(*vector_), count = 0;
  in.SkipSpace();
  for (bool more = !in.Take('}'); more; more = !in.Take('}')) {
    if (count > 0 && !in.Take(',')) return "not JSON";
    in.SkipSpace();
    MakeRoom(first + count + 1);
    std::string_view key;
    if (const char* wrong = in.ReadString(key)) return wrong;
    std::string name(key);
    auto reason = children_[0].Write(first + count, TokenKind::kString, name);
    in.SkipSpace();
    if (!in.Take(':')) return "not JSON";
    in.SkipSpace();
    if (reason.empty()) reason = WriteChild(1, first + count, in);
    if (!reason.empty()) return "key \"" + name + "\": " + reason;
    count++;
    in.SkipSpace();
  }
  if (auto key = KeyTwice(first, count)) return "key \"" + *key + "\": there twice";
  Put(row, duckdb::list_entry_t(first, count));
  duckdb::ListVector::SetListSize(*vector_, first + count);
  SetValid(row);
  return {};
}

// One of the keys of a map that are there more than once.
std::optional<std::string> ColumnWriter::KeyTwice(idx_t first, idx_t count) const {
  if (count < 2) return std::nullopt;
  auto& keys = *children_[0].vector_;
  if (keys.GetType().InternalType() == duckdb::PhysicalType::VARCHAR) {
    auto* texts = duckdb::FlatVector::GetDataUnsafe<duckdb::string_t>(keys) + first;
    std::vector<std::string_view> sorted;
    for (idx_t i = 0; i < count; i++) sorted.emplace_back(texts[i].GetData(), texts[i].GetSize());
    std::sort(sorted.begin(), sorted.end());
    auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    return twice == sorted.end() ? std::nullopt : std::optional<std::string>(*twice);
  }
  duckdb::value_set_t seen;
  for (idx_t i = 0; i < count; i++) {
    auto key = keys.GetValue(first + i);
    if (!seen.insert(key).second) return key.ToString();
  }
  return std::nullopt;
}

}  // namespace weir
