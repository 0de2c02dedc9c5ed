#include "sql/plain_query.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "duckdb/common/string_util.hpp"
#include "duckdb/common/type_visitor.hpp"
#include "duckdb/parser/expression/cast_expression.hpp"
#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/expression/star_expression.hpp"
#include "duckdb/parser/expression/type_expression.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/result_modifier.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"

namespace weir {
namespace {

constexpr size_t kPlainTextMax = 2048, kPlainNestedMax = 64, kPlainNodesMax = 200,
                 kPlainDepthMax = 24;

// Of bounded work, with results that are no longer than their arguments and some hundred bytes.
constexpr std::string_view kFunctions[] = {
    "!~~",       "%",       "*",     "+",           "-",          "/",          "//",
    "abs",       "avg",     "ceil",  "count",       "count_star", "date_diff",  "date_part",
    "date_sub",  "dayname", "epoch", "date_trunc",  "epoch_ms",   "epoch_us",   "floor",
    "greatest",  "least",   "lower", "length",      "max",        "min",        "now",
    "monthname", "round",   "sum",   "time_bucket", "trim",       "upper",      "||",
    "~~",        "ltrim",   "rtrim", "starts_with", "strftime",   "stddev_pop", "stddev_samp",
    "var_pop",   "var_samp"};

// Not made of other types: of one that is, a NULL may have many elements.
bool IsScalarType(const duckdb::LogicalType& type) {
  if (!type.IsUnbound()) return !type.IsNested();
  auto& expression = *duckdb::UnboundType::GetTypeExpression(type);
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::TYPE) return false;
  auto& children = expression.Cast<duckdb::TypeExpression>().GetChildren();
  return std::all_of(children.begin(), children.end(), [](auto& child) {
    return child->GetExpressionClass() == duckdb::ExpressionClass::CONSTANT;
  });
}

class PlainReader {
 public:
  PlainReader(const CatalogState& state, duckdb::SelectNode& node) : state_(state), node_(node) {}

  bool IsPlain() {
    if (!node_.cte_map.map.empty() || node_.qualify || node_.sample) return false;
    if (node_.groups.grouping_sets.size() > 1 || !IsOfOneStream()) return false;
    for (auto& column : node_.select_list) {
      if (!column->GetAlias().empty())
        aliases_.insert(duckdb::StringUtil::Lower(column->GetAlias()));
    }
    bool plain = std::all_of(node_.select_list.begin(), node_.select_list.end(), [&](auto& column) {
      return IsAllColumns(*column) || Is(*column, 0, true);
    });
    plain = plain && (!node_.where_clause || Is(*node_.where_clause, 0, false));
    plain = plain && (!node_.having || Is(*node_.having, 0, false));
    for (auto& group : node_.groups.group_expressions) plain = plain && Is(*group, 0, false);
    for (auto& modifier : node_.modifiers) plain = plain && Is(*modifier);
    return plain;
  }

 private:
  bool IsOfOneStream() const {
    if (node_.from_table->type != duckdb::TableReferenceType::BASE_TABLE) return false;
    auto& table = node_.from_table->Cast<duckdb::BaseTableRef>();
    if (!table.catalog_name.empty() || !table.schema_name.empty() || table.sample) return false;
    auto stream = state_.streams.find(duckdb::StringUtil::Lower(table.table_name));
    if (stream == state_.streams.end()) return false;
    // A NULL of such a type has all its elements.
    auto is_array = [](auto& type) { return type.id() == duckdb::LogicalTypeId::ARRAY; };
    return std::none_of(
        stream->second->columns.begin(), stream->second->columns.end(),
        [&](auto& column) { return duckdb::TypeVisitor::Contains(column.type, is_array); });
  }

  bool IsAllColumns(const duckdb::ParsedExpression& column) {
    if (column.GetExpressionClass() != duckdb::ExpressionClass::STAR) return false;
    auto& star = column.Cast<duckdb::StarExpression>();
    if (std::exchange(has_star_, true)) return false;  // of many columns, twice is twice as many
    return !star.columns && !star.expr && star.replace_list.empty();
  }

  bool Is(duckdb::ResultModifier& modifier) {
    switch (modifier.type) {
      case duckdb::ResultModifierType::DISTINCT_MODIFIER: {
        auto& on = modifier.Cast<duckdb::DistinctModifier>().distinct_on_targets;
        return std::all_of(on.begin(), on.end(), [&](auto& by) { return Is(*by, 0, false); });
      }
      case duckdb::ResultModifierType::ORDER_MODIFIER: {
        auto& orders = modifier.Cast<duckdb::OrderModifier>().orders;
        return std::all_of(orders.begin(), orders.end(),
                           [&](auto& by) { return Is(*by.expression, 0, false); });
      }
      case duckdb::ResultModifierType::LIMIT_MODIFIER: {
        auto& limit = modifier.Cast<duckdb::LimitModifier>();
        return (!limit.limit || Is(*limit.limit, 0, false)) &&
               (!limit.offset || Is(*limit.offset, 0, false));
      }
      default: return false;
    }
  }

  // `selected`: where a name may stand for another selected expression, which may do the same, so
  // that each level may double the one before.
  bool Is(duckdb::ParsedExpression& expression, size_t depth, bool selected) {
    using duckdb::ExpressionClass;
    if (++nodes_ > kPlainNodesMax || depth > kPlainDepthMax) return false;
    switch (expression.GetExpressionClass()) {
      case ExpressionClass::BETWEEN:
      case ExpressionClass::CASE:
      case ExpressionClass::COMPARISON:
      case ExpressionClass::CONJUNCTION:
      case ExpressionClass::CONSTANT:
      case ExpressionClass::OPERATOR: break;
      case ExpressionClass::CAST:
        if (!IsScalarType(expression.Cast<duckdb::CastExpression>().cast_type)) return false;
        break;
      case ExpressionClass::COLUMN_REF: {
        auto& names = expression.Cast<duckdb::ColumnRefExpression>().column_names;
        bool is_alias = std::any_of(names.begin(), names.end(), [&](auto& name) {
          return aliases_.contains(duckdb::StringUtil::Lower(name));
        });
        if (selected && is_alias) return false;
        break;
      }
      case ExpressionClass::FUNCTION: {
        auto& call = expression.Cast<duckdb::FunctionExpression>();
        auto name = duckdb::StringUtil::Lower(call.function_name);
        bool known =
            std::find(std::begin(kFunctions), std::end(kFunctions), name) != std::end(kFunctions);
        if (!known || !call.catalog.empty() || !call.schema.empty()) return false;
        break;
      }
      default: return false;
    }
    bool plain = true;
    duckdb::ParsedExpressionIterator::EnumerateChildren(
        expression, [&](duckdb::unique_ptr<duckdb::ParsedExpression>& child) {
          plain = plain && Is(*child, depth + 1, selected);
        });
    return plain;
  }

  const CatalogState& state_;
  duckdb::SelectNode& node_;
  std::set<std::string> aliases_;  // of what is selected
  size_t nodes_ = 0;
  bool has_star_ = false;
};

}  // namespace

bool IsPlain(const CatalogState& state, const KernelSql& query) {
  // Before the parser: so much is safe on any stack.
  if (query.text.size() > kPlainTextMax) return false;
  auto opens = [](char c) { return c == '(' || c == '[' || c == '{'; };
  auto nested = std::count_if(query.text.begin(), query.text.end(), opens);
  if (static_cast<size_t>(nested) > kPlainNestedMax) return false;
  try {
    duckdb::Parser parser;
    parser.ParseQuery(query.text);
    if (parser.statements.size() != 1 ||
        parser.statements[0]->type != duckdb::StatementType::SELECT_STATEMENT) {
      return false;
    }
    auto& node = *parser.statements[0]->Cast<duckdb::SelectStatement>().node;
    if (node.type != duckdb::QueryNodeType::SELECT_NODE) return false;
    return PlainReader(state, node.Cast<duckdb::SelectNode>()).IsPlain();
  } catch (const std::exception&) {
    return false;  // whoever plans it says what is wrong
  }
}

}  // namespace weir
