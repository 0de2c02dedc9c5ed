#include "formats/json_text.h"

#include "base/error.h"
#include "duckdb/common/types/vector.hpp"
#include "formats/json_scanner.h"

namespace weir {
namespace {

using duckdb::idx_t;
using duckdb::LogicalTypeId;
using duckdb::Vector;

constexpr size_t kPadding = 64;

// Whether a text that is JSON is nested too deeply.
bool IsTooDeep(std::string_view json) {
  int depth = 0;
  for (size_t i = 0; i < json.size(); i++) {
    char c = json[i];
    if (c == '"') {
      for (i++; i < json.size() && json[i] != '"'; i++) i += json[i] == '\\';
    } else if (c == '[' || c == '{') {
      if (++depth > kValueDepthMax) return true;
    } else if (c == ']' || c == '}') {
      depth--;
    }
  }
  return false;
}

bool HoldsTooDeep(Vector& vector, const duckdb::LogicalType& type, idx_t count) {
  if (count == 0 || !HoldsJson(type)) return false;
  vector.Flatten(count);
  switch (type.InternalType()) {
    case duckdb::PhysicalType::VARCHAR: {
      auto* texts = duckdb::FlatVector::GetDataUnsafe<duckdb::string_t>(vector);
      auto& validity = duckdb::FlatVector::Validity(vector);
      for (idx_t i = 0; i < count; i++) {
        if (!validity.RowIsValid(i) || texts[i].GetSize() <= kValueDepthMax) continue;
        if (IsTooDeep({texts[i].GetData(), texts[i].GetSize()})) return true;
      }
      return false;
    }
    case duckdb::PhysicalType::LIST:
      return HoldsTooDeep(duckdb::ListVector::GetEntry(vector),
                          duckdb::ListType::GetChildType(type),
                          duckdb::ListVector::GetListSize(vector));
    case duckdb::PhysicalType::ARRAY:
      return HoldsTooDeep(duckdb::ArrayVector::GetEntry(vector),
                          duckdb::ArrayType::GetChildType(type),
                          count * duckdb::ArrayType::GetSize(type));
    case duckdb::PhysicalType::STRUCT: {
      auto& fields = duckdb::StructVector::GetEntries(vector);
      for (size_t i = 0; i < fields.size(); i++) {
        if (HoldsTooDeep(*fields[i], duckdb::StructType::GetChildType(type, i), count)) return true;
      }
      return false;
    }
    default: return false;
  }
}

}  // namespace

std::string JsonTextProblem(std::string_view text) {
  std::string padded;
  padded.reserve(text.size() + kPadding);
  padded.append(text);
  padded.append(kPadding, '\0');
  JsonScanner scanner(padded.data(), padded.data() + text.size());
  scanner.SkipSpace();
  JsonScanner::Token token{};
  const char* wrong = scanner.ReadValue(token);
  if (scanner.too_deep()) return "JSON that is nested too deeply";
  scanner.SkipSpace();
  return wrong || !scanner.AtEnd() ? "not JSON" : "";
}

bool HoldsJson(const duckdb::LogicalType& type) {
  if (type.IsJSONType()) return true;
  switch (type.id()) {
    case LogicalTypeId::LIST: return HoldsJson(duckdb::ListType::GetChildType(type));
    case LogicalTypeId::ARRAY: return HoldsJson(duckdb::ArrayType::GetChildType(type));
    case LogicalTypeId::MAP:
      return HoldsJson(duckdb::MapType::KeyType(type)) ||
             HoldsJson(duckdb::MapType::ValueType(type));
    case LogicalTypeId::STRUCT:
      for (auto& [name, field] : duckdb::StructType::GetChildTypes(type)) {
        if (HoldsJson(field)) return true;
      }
      return false;
    default: return false;
  }
}

void CheckJsonDepth(const Columns& columns, const std::vector<duckdb::LogicalType>& types,
                    const std::vector<std::string>& names) {
  for (size_t i = 0; i < types.size(); i++) {
    if (!HoldsJson(types[i])) continue;
    for (auto& chunk : columns.chunks) {
      if (!HoldsTooDeep(chunk->data[i], types[i], chunk->size())) continue;
      throw Error(ErrorCode::kTooDeep,
                  (names.empty() ? "a column" : "column \"" + names[i] + "\"") +
                      " has JSON that is nested more than " + std::to_string(kValueDepthMax) +
                      " deep",
                  "Flatten it, or keep it as VARCHAR.");
    }
  }
}

}  // namespace weir
