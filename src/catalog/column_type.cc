// Types of columns, as SQL writes them.
//
// DuckDB's parser leaves a type as an expression, to be bound with its catalog at hand: JSON and
// ENUM are bound by nothing else, at whatever depth they stand.  Here all of it is bound by itself.
#include <set>

#include "base/error.h"
#include "catalog/catalog.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/parser/column_list.hpp"
#include "duckdb/parser/expression/constant_expression.hpp"
#include "duckdb/parser/expression/type_expression.hpp"
#include "duckdb/parser/parser.hpp"

namespace weir {
namespace {

using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::TypeExpression;

LogicalType Bind(const duckdb::ParsedExpression& expression);

// ENUM('a', 'b')
LogicalType BindEnum(const TypeExpression& type) {
  auto& children = type.GetChildren();
  duckdb::Vector values(LogicalType::VARCHAR, std::max<size_t>(children.size(), 1));
  std::set<std::string> seen;
  for (size_t i = 0; i < children.size(); i++) {
    auto& value = children[i]->Cast<duckdb::ConstantExpression>().value;
    bool is_new = seen.insert(value.ToString()).second;
    if (value.IsNull() || !is_new) throw Error(ErrorCode::kInvalidSql, "an ENUM's values differ");
    values.SetValue(i, duckdb::Value(value.ToString()));
  }
  if (seen.empty()) throw Error(ErrorCode::kInvalidSql, "an ENUM has values");
  return LogicalType::ENUM(values, children.size());
}

duckdb::child_list_t<LogicalType> BindFields(const TypeExpression& type) {
  duckdb::child_list_t<LogicalType> fields;
  for (auto& child : type.GetChildren()) fields.emplace_back(child->GetAlias(), Bind(*child));
  return fields;
}

bool IsNested(const std::string& name) {
  return name == "list" || name == "array" || name == "struct" || name == "map" || name == "union";
}

LogicalType Bind(const duckdb::ParsedExpression& expression) {
  auto& type = expression.Cast<TypeExpression>();
  auto& children = type.GetChildren();
  std::string name = duckdb::StringUtil::Lower(type.GetTypeName());
  if (name == "json" && children.empty()) return LogicalType::JSON();
  if (name == "enum") return BindEnum(type);
  LogicalType bound;
  // DuckDB checks the form (how many parts, whether they have names); the parts are bound here.
  if (IsNested(name)) {
    if (name == "struct" || name == "union") {
      auto fields = BindFields(type);
      std::set<std::string> names;
      for (auto& [field, field_type] : fields) {
        if (!names.insert(duckdb::StringUtil::Lower(field)).second) {
          throw Error(ErrorCode::kInvalidSql, "field \"" + field + "\" is there twice");
        }
      }
      bound = name == "struct" ? LogicalType::STRUCT(fields) : LogicalType::UNION(fields);
    } else if (name == "map") {
      bound = LogicalType::MAP(Bind(*children.at(0)), Bind(*children.at(1)));
    } else if (name == "list") {
      bound = LogicalType::LIST(Bind(*children.at(0)));
    } else {
      auto& size = children.at(1)->Cast<duckdb::ConstantExpression>().value;
      auto whole = size.DefaultCastAs(LogicalType::UBIGINT).GetValue<uint64_t>();
      if (whole == 0 || whole > duckdb::ArrayType::MAX_ARRAY_SIZE) {
        throw Error(ErrorCode::kInvalidSql, "an ARRAY has 1 to 100,000 elements");
      }
      bound = LogicalType::ARRAY(Bind(*children.at(0)), whole);
    }
    return bound;
  }
  bound = duckdb::UnboundType::TryDefaultBind(LogicalType::UNBOUND(expression.Copy()));
  if (bound.IsUnbound()) throw Error(ErrorCode::kInvalidSql, "no such type");
  return bound;
}

// Throws when values of the type cannot go all the way from the door to a view's answer.
void CheckUsable(const LogicalType& type, bool in_union = false) {
  auto refuse = [&](const std::string& instead) {
    throw Error(ErrorCode::kInvalidSql,
                "a column cannot be of type " + type.ToString() + (in_union ? " in a UNION" : ""),
                instead);
  };
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN:
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::SMALLINT:
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::BIGINT:
    case LogicalTypeId::HUGEINT:
    case LogicalTypeId::UTINYINT:
    case LogicalTypeId::USMALLINT:
    case LogicalTypeId::UINTEGER:
    case LogicalTypeId::UBIGINT:
    case LogicalTypeId::UHUGEINT:
    case LogicalTypeId::FLOAT:
    case LogicalTypeId::DOUBLE:
    case LogicalTypeId::DECIMAL:
    case LogicalTypeId::BIGNUM:
    case LogicalTypeId::VARCHAR:
    case LogicalTypeId::BLOB:
    case LogicalTypeId::BIT:
    case LogicalTypeId::UUID:
    case LogicalTypeId::DATE:
    case LogicalTypeId::TIME:
    case LogicalTypeId::TIME_TZ:
    case LogicalTypeId::TIME_NS:
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_TZ:
    case LogicalTypeId::TIMESTAMP_SEC:
    case LogicalTypeId::TIMESTAMP_MS:
    case LogicalTypeId::TIMESTAMP_NS:
    case LogicalTypeId::INTERVAL:
    case LogicalTypeId::ENUM:
      if (in_union && type.IsJSONType()) refuse("Use VARCHAR for it.");
      return;
    case LogicalTypeId::LIST: return CheckUsable(duckdb::ListType::GetChildType(type), in_union);
    case LogicalTypeId::ARRAY: return CheckUsable(duckdb::ArrayType::GetChildType(type), in_union);
    case LogicalTypeId::MAP:
      CheckUsable(duckdb::MapType::KeyType(type), in_union);
      return CheckUsable(duckdb::MapType::ValueType(type), in_union);
    case LogicalTypeId::STRUCT:
      for (auto& [name, field] : duckdb::StructType::GetChildTypes(type)) {
        CheckUsable(field, in_union);
      }
      return;
    case LogicalTypeId::UNION:
      for (size_t i = 0; i < duckdb::UnionType::GetMemberCount(type); i++) {
        CheckUsable(duckdb::UnionType::GetMemberType(type, i), true);
      }
      return;
    case LogicalTypeId::VARIANT: refuse("Use JSON for it."); return;
    default: refuse("");
  }
}

}  // namespace

duckdb::LogicalType ParseColumnType(const std::string& text) {
  LogicalType type;
  try {
    auto columns = duckdb::Parser::ParseColumnList("x " + text);
    type = columns.GetColumn(duckdb::LogicalIndex(0)).Type();
    if (type.IsUnbound()) type = Bind(*duckdb::UnboundType::GetTypeExpression(type));
  } catch (const std::exception&) {
    throw Error(ErrorCode::kInvalidSql, "there is no type \"" + text + "\"");
  }
  CheckUsable(type);
  return type;
}

}  // namespace weir
