#include "lake/storage.h"

#include "base/error.h"
#include "duck/union_structs.h"
#include "duckdb/common/types.hpp"

namespace weir {
namespace {

using duckdb::LogicalType;
using duckdb::LogicalTypeId;

// What a Parquet file hands back for a value of this type written to it.
LogicalType StorageType(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::LIST:
      return LogicalType::LIST(StorageType(duckdb::ListType::GetChildType(type)));
    case LogicalTypeId::ARRAY:
      return LogicalType::LIST(StorageType(duckdb::ArrayType::GetChildType(type)));
    case LogicalTypeId::MAP:
      return LogicalType::MAP(StorageType(duckdb::MapType::KeyType(type)),
                              StorageType(duckdb::MapType::ValueType(type)));
    case LogicalTypeId::STRUCT: {
      auto children = duckdb::StructType::GetChildTypes(type);
      for (auto& child : children) child.second = StorageType(child.second);
      return LogicalType::STRUCT(children);
    }
    case LogicalTypeId::BOOLEAN:
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::SMALLINT:
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::BIGINT:
    case LogicalTypeId::UTINYINT:
    case LogicalTypeId::USMALLINT:
    case LogicalTypeId::UINTEGER:
    case LogicalTypeId::UBIGINT:
    case LogicalTypeId::FLOAT:
    case LogicalTypeId::DOUBLE:
    case LogicalTypeId::DECIMAL:
    case LogicalTypeId::BLOB:
    case LogicalTypeId::UUID:
    case LogicalTypeId::DATE:
    case LogicalTypeId::TIME:
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_TZ:
    case LogicalTypeId::TIMESTAMP_NS: return type;
    case LogicalTypeId::VARCHAR: return type.IsJSONType() ? type : LogicalType::VARCHAR;
    default: return LogicalType::VARCHAR;
  }
}

// The expression, taken from type to type: each step is a cast or, from or to unions, a new label.
std::string Converted(std::string expression, const std::vector<LogicalType>& types) {
  for (size_t i = 1; i < types.size(); i++) {
    auto &from = types[i - 1], &to = types[i];
    if (from == to) continue;
    if (UnionsAsStructs(from) == UnionsAsStructs(to)) {
      expression = "weir_relabel(" + expression + ", CAST(NULL AS " + to.ToString() + "))";
    } else {
      expression = "CAST(" + expression + " AS " + to.ToString() + ")";
    }
  }
  return expression;
}

}  // namespace

std::vector<std::string> StoredNames(const Stream& stream) {
  std::vector<std::string> names;
  for (auto& column : stream.columns) names.push_back(column.name);
  names.emplace_back(kOffsetName);
  names.emplace_back(kArrivalTimeName);
  return names;
}

std::vector<LogicalType> StoredTypes(const Stream& stream) {
  std::vector<LogicalType> types;
  for (auto& column : stream.columns) types.push_back(column.type);
  types.push_back(LogicalType::UBIGINT);
  types.push_back(LogicalType::TIMESTAMP_TZ);
  return types;
}

std::vector<LogicalType> FileTypes(const Stream& stream) {
  auto types = StoredTypes(stream);
  for (auto& type : types) type = StorageType(UnionsAsStructs(type));
  return types;
}

std::string WriteList(const Stream& stream) {
  auto names = StoredNames(stream);
  auto types = StoredTypes(stream);
  std::string list;
  for (size_t i = 0; i < names.size(); i++) {
    if (i > 0) list += ", ";
    list += Converted(QuotedName(names[i]), {types[i], UnionsAsStructs(types[i]),
                                             StorageType(UnionsAsStructs(types[i]))});
    list += " AS " + QuotedName(names[i]);
  }
  return list;
}

std::string ReadList(const Stream& stream, const std::vector<size_t>& columns, bool sealed) {
  auto names = StoredNames(stream);
  auto types = StoredTypes(stream);
  std::string list;
  for (size_t column : columns) {
    CHECK(column < types.size());
    auto& type = types[column];
    if (!list.empty()) list += ", ";
    std::string name = QuotedName(names[column]);
    if (sealed) {
      list += Converted(name, {StorageType(UnionsAsStructs(type)), UnionsAsStructs(type), type});
    } else {
      list += StorageType(type) == type ? name : "CAST(" + name + " AS " + type.ToString() + ")";
    }
    list += " AS " + name;
  }
  return list;
}

std::string ReadParquet(const std::vector<std::string>& paths) {
  std::string list;
  for (auto& path : paths) {
    if (!list.empty()) list += ", ";
    list += QuotedText(path);
  }
  // Partition folders say what _arrival_time says better; they are for other readers.
  return "read_parquet([" + list + "], hive_partitioning = false)";
}

}  // namespace weir
