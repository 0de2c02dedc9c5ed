#include "formats/json_value.h"

#include <cmath>
#include <memory>

#include "duckdb/common/string_util.hpp"
#include "duckdb/common/types/value_map.hpp"
#include "formats/text_scan.h"
#include "simdjson.h"
#include "yyjson.hpp"

namespace weir {
namespace {

using namespace duckdb_yyjson;  // NOLINT: a C library in a namespace
using duckdb::LogicalTypeId;
using duckdb::Value;

std::string Read(yyjson_val* json, const duckdb::LogicalType& type, Value& value);

std::string TextOf(yyjson_val* json) {
  if (yyjson_is_str(json)) return std::string(yyjson_get_str(json), yyjson_get_len(json));
  size_t size = 0;
  std::unique_ptr<char, decltype(&free)> text(yyjson_val_write(json, YYJSON_WRITE_NOFLAG, &size),
                                              free);
  return std::string(text.get(), size);
}

std::string ReadElements(yyjson_val* json, const duckdb::LogicalType& element,
                         duckdb::vector<Value>& values) {
  size_t index, count;
  yyjson_val* entry;
  yyjson_arr_foreach(json, index, count, entry) {
    Value value;
    auto reason = Read(entry, element, value);
    if (!reason.empty()) return "element " + std::to_string(index + 1) + ": " + reason;
    values.push_back(std::move(value));
  }
  return "";
}

// As with columns, the case of a name does not matter.
yyjson_val* FieldOf(yyjson_val* json, const std::string& name) {
  if (auto* exact = yyjson_obj_getn(json, name.data(), name.size())) return exact;
  size_t index, count;
  yyjson_val *key, *entry;
  yyjson_obj_foreach(json, index, count, key, entry) {
    if (duckdb::StringUtil::CIEquals(TextOf(key), name)) return entry;
  }
  return nullptr;
}

std::string ReadStruct(yyjson_val* json, const duckdb::LogicalType& type, Value& value) {
  duckdb::child_list_t<Value> fields;
  for (auto& [name, field_type] : duckdb::StructType::GetChildTypes(type)) {
    Value field{field_type};
    if (auto* entry = FieldOf(json, name)) {
      auto reason = Read(entry, field_type, field);
      if (!reason.empty()) return "field \"" + name + "\": " + reason;
    }
    fields.emplace_back(name, std::move(field));
  }
  value = Value::STRUCT(std::move(fields));
  return "";
}

std::string ReadMap(yyjson_val* json, const duckdb::LogicalType& type, Value& value) {
  auto& key_type = duckdb::MapType::KeyType(type);
  auto& value_type = duckdb::MapType::ValueType(type);
  duckdb::vector<Value> keys, values;
  duckdb::value_set_t seen;
  size_t index, count;
  yyjson_val *key, *entry;
  yyjson_obj_foreach(json, index, count, key, entry) {
    Value map_key, map_value;
    auto reason = Read(key, key_type, map_key);
    if (reason.empty()) reason = Read(entry, value_type, map_value);
    if (!reason.empty()) return "key \"" + TextOf(key) + "\": " + reason;
    if (!seen.insert(map_key).second) return "key \"" + TextOf(key) + "\": there twice";
    keys.push_back(std::move(map_key));
    values.push_back(std::move(map_value));
  }
  value = Value::MAP(key_type, value_type, std::move(keys), std::move(values));
  return "";
}

std::string Read(yyjson_val* json, const duckdb::LogicalType& type, Value& value) {
  if (yyjson_is_null(json)) {
    value = Value(type);
    return "";
  }
  if (type.IsJSONType()) {
    size_t size = 0;
    std::unique_ptr<char, decltype(&free)> text(yyjson_val_write(json, YYJSON_WRITE_NOFLAG, &size),
                                                free);
    value = Value(std::string(text.get(), size)).DefaultCastAs(duckdb::LogicalType::VARCHAR);
    value.Reinterpret(type);
    return "";
  }
  std::string mismatch = NotA(type);
  duckdb::vector<Value> elements;
  switch (type.id()) {
    case LogicalTypeId::LIST: {
      if (!yyjson_is_arr(json)) return mismatch;
      auto& element = duckdb::ListType::GetChildType(type);
      auto reason = ReadElements(json, element, elements);
      if (reason.empty()) value = Value::LIST(element, std::move(elements));
      return reason;
    }
    case LogicalTypeId::ARRAY: {
      if (!yyjson_is_arr(json)) return mismatch;
      if (yyjson_arr_size(json) != duckdb::ArrayType::GetSize(type)) return mismatch;
      auto& element = duckdb::ArrayType::GetChildType(type);
      auto reason = ReadElements(json, element, elements);
      if (reason.empty()) value = Value::ARRAY(element, std::move(elements));
      return reason;
    }
    case LogicalTypeId::STRUCT:
      return yyjson_is_obj(json) ? ReadStruct(json, type, value) : mismatch;
    case LogicalTypeId::MAP: return yyjson_is_obj(json) ? ReadMap(json, type, value) : mismatch;
    default: {
      bool nested = yyjson_is_arr(json) || yyjson_is_obj(json);
      if (nested && type.id() != LogicalTypeId::VARCHAR) return mismatch;
      // What columns take by other means than a cast of text, and as they do.
      if (type.id() == LogicalTypeId::TIMESTAMP && yyjson_is_str(json)) {
        if (auto time = ReadTime(TextOf(json))) {  // with its zone, which the cast ignores
          value = Value::TIMESTAMP(duckdb::timestamp_t(time->micros));
          return "";
        }
      }
      std::string message;
      if (type.IsIntegral() && yyjson_is_real(json)) {
        double number = yyjson_get_real(json);
        if (number != std::floor(number)) return mismatch;
        return Value::DOUBLE(number).DefaultTryCastAs(type, value, &message, true) ? "" : mismatch;
      }
      return Value(TextOf(json)).DefaultTryCastAs(type, value, &message, true) ? "" : mismatch;
    }
  }
}

}  // namespace

std::string JsonToValue(std::string_view json, const duckdb::LogicalType& type, Value& value) {
  std::unique_ptr<yyjson_doc, decltype(&yyjson_doc_free)> document(
      yyjson_read(json.data(), json.size(), YYJSON_READ_BIGNUM_AS_RAW), yyjson_doc_free);
  if (!document) return "not JSON";
  return Read(yyjson_doc_get_root(document.get()), type, value);
}

std::string NotA(const duckdb::LogicalType& type) {
  std::string name = type.ToString();
  bool vowel = std::string_view("AEIO").find(name[0]) != std::string_view::npos;
  return (vowel ? "not an " : "not a ") + name;
}

bool IsJson(std::string_view text) {
  std::unique_ptr<yyjson_doc, decltype(&yyjson_doc_free)> document(
      yyjson_read(text.data(), text.size(), YYJSON_READ_BIGNUM_AS_RAW), yyjson_doc_free);
  return document != nullptr;
}

std::string ValidUtf8(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    auto c = static_cast<unsigned char>(text[i]);
    size_t length = c < 0x80                ? 1
                    : c >= 0xc2 && c < 0xe0 ? 2
                    : c >= 0xe0 && c < 0xf0 ? 3
                    : c >= 0xf0 && c < 0xf5 ? 4
                                            : 0;
    auto part = text.substr(i, length);
    if (length > 0 && part.size() == length && simdjson::validate_utf8(part.data(), length)) {
      out += part;
      i += length;
    } else {
      out += "\xef\xbf\xbd";
      i++;
    }
  }
  return out;
}

void AppendQuotedJson(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  size_t plain = 0;
  for (size_t i = 0; i < text.size(); i++) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default:
        out += "\\u00";
        out += kHex[c >> 4];
        out += kHex[c & 15];
    }
  }
  out.append(text, plain, text.size() - plain);
  out += '"';
}

std::string QuoteJson(std::string_view text) {
  std::string out;
  AppendQuotedJson(out, text);
  return out;
}

}  // namespace weir
