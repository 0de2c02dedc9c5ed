#include "sql/grouped_windows.h"

#include <map>
#include <optional>

#include "base/quoted.h"
#include "duck/errors.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/parser/expression/cast_expression.hpp"
#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/expression/constant_expression.hpp"
#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/query_node/recursive_cte_node.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/query_node/set_operation_node.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"
#include "duckdb/parser/tableref/joinref.hpp"
#include "duckdb/parser/tableref/subqueryref.hpp"

namespace weir {
namespace {

using duckdb::ExpressionClass;
using duckdb::ParsedExpression;
using duckdb::StringUtil;
using duckdb::TableReferenceType;
using RefPlace = duckdb::unique_ptr<duckdb::TableRef>*;

struct Bounds {
  std::string start, end;
};

// Where a unit of date_trunc ends that begins at `start`.
std::optional<std::string> EndOfUnit(const std::string& unit, const std::string& start) {
  struct Unit {
    const char *length, *offset;  // no offset: hours and less are no matter of the calendar
  };
  static const std::map<std::string, Unit> units = {
      {"millisecond", {"1 millisecond", nullptr}},
      {"second", {"1 second", nullptr}},
      {"minute", {"1 minute", nullptr}},
      {"hour", {"1 hour", nullptr}},
      {"day", {"1 day", "0 days"}},
      {"week", {"7 days", "4 days"}},  // 1970-01-05 was a Monday
      {"month", {"1 month", "0 days"}},
      {"quarter", {"3 months", "0 days"}},
      {"year", {"1 year", "0 days"}}};
  auto found = units.find(StringUtil::Lower(unit));
  if (found == units.end()) return std::nullopt;
  std::string length = "INTERVAL '" + std::string(found->second.length) + "'";
  if (!found->second.offset) return start + " + " + length;
  return "weir_window_end(" + start + ", " + length + ", INTERVAL '" + found->second.offset +
         "', " + length + ")";
}

// Whether an expression says something of a row of the stream called `alias` alone, and not of rows
// around a subquery, or in one.
bool IsAbout(const ParsedExpression& expression, const Stream& stream, const std::string& alias) {
  if (expression.GetExpressionClass() == ExpressionClass::SUBQUERY) return false;
  if (expression.GetExpressionClass() == ExpressionClass::COLUMN_REF) {
    auto& names = expression.Cast<duckdb::ColumnRefExpression>().column_names;
    bool is_qualified = names.size() > 1 && StringUtil::CIEquals(names[0], alias);
    auto& column = names[is_qualified ? 1 : 0];
    return stream.Find(column) || column == "_offset" || column == "_arrival_time";
  }
  bool all = true;
  duckdb::ParsedExpressionIterator::EnumerateChildren(
      expression,
      [&](const ParsedExpression& child) { all = all && IsAbout(child, stream, alias); });
  return all;
}

// A window written by hand over the watermark's column of the stream called `alias`.
class WindowReader {
 public:
  WindowReader(const Stream& stream, const std::string& alias) : stream_(stream), alias_(alias) {}

  std::optional<Bounds> Read(const ParsedExpression& expression) const {
    std::string time = QuotedName(stream_.watermark->column);
    if (expression.GetExpressionClass() == ExpressionClass::CAST) {
      auto& cast = expression.Cast<duckdb::CastExpression>();
      // The parser leaves the type unbound: a name, in quotes when it may be something else, too.
      bool to_date = StringUtil::CIEquals(cast.cast_type.ToString(), "\"DATE\"") ||
                     StringUtil::CIEquals(cast.cast_type.ToString(), "DATE");
      if (!to_date || !IsTime(*cast.child)) return std::nullopt;
      std::string day = "CAST(" + time + " AS DATE)";
      auto type = stream_.columns[*stream_.Find(stream_.watermark->column)].type.ToString();
      auto as_time = [&](const std::string& date) { return "CAST(" + date + " AS " + type + ")"; };
      return Bounds{as_time(day), as_time("(" + day + " + INTERVAL '1 day')")};
    }
    if (expression.GetExpressionClass() != ExpressionClass::FUNCTION) return std::nullopt;
    auto& call = expression.Cast<duckdb::FunctionExpression>();
    if (call.children.size() < 2 || !IsTime(*call.children[1])) return std::nullopt;
    std::string start = call.function_name + "(" + call.children[0]->ToString() + ", " + time;
    for (size_t i = 2; i < call.children.size(); i++) start += ", " + call.children[i]->ToString();
    start += ")";
    if (StringUtil::CIEquals(call.function_name, "date_trunc")) {
      if (call.children[0]->GetExpressionClass() != ExpressionClass::CONSTANT) return std::nullopt;
      auto& unit = call.children[0]->Cast<duckdb::ConstantExpression>().value;
      auto end = EndOfUnit(unit.IsNull() ? "" : unit.ToString(), start);
      if (!end) return std::nullopt;
      return Bounds{start, *end};
    }
    if (!StringUtil::CIEquals(call.function_name, "time_bucket")) return std::nullopt;
    return Bounds{start, start + " + (" + call.children[0]->ToString() + ")"};
  }

 private:
  bool IsTime(const ParsedExpression& expression) const {
    if (expression.GetExpressionClass() != ExpressionClass::COLUMN_REF) return false;
    auto& names = expression.Cast<duckdb::ColumnRefExpression>().column_names;
    if (!StringUtil::CIEquals(names.back(), stream_.watermark->column)) return false;
    return names.size() == 1 || StringUtil::CIEquals(names[names.size() - 2], alias_);
  }

  const Stream& stream_;
  std::string alias_;
};

}  // namespace

struct GroupedWindows::Places {
  Places(const CatalogState& catalog, bool only_windows, std::vector<TimedUse>& uses)
      : catalog(catalog), only_windows(only_windows), uses(uses) {}

  void Node(duckdb::QueryNode& node) {
    for (auto& cte : node.cte_map.map) {
      ctes.push_back(cte.first);
      Node(*cte.second->query->node);
    }
    switch (node.type) {
      case duckdb::QueryNodeType::SELECT_NODE: Select(node.Cast<duckdb::SelectNode>()); break;
      case duckdb::QueryNodeType::SET_OPERATION_NODE:
        for (auto& child : node.Cast<duckdb::SetOperationNode>().children) Node(*child);
        break;
      case duckdb::QueryNodeType::RECURSIVE_CTE_NODE:
        Node(*node.Cast<duckdb::RecursiveCTENode>().left);
        Node(*node.Cast<duckdb::RecursiveCTENode>().right);
        break;
      default: break;
    }
  }

  void Select(duckdb::SelectNode& node) {
    for (auto& item : node.select_list) {
      // Rows that go into a window function already say when they came.
      bool says = item->GetExpressionClass() == ExpressionClass::COLUMN_REF &&
                  item->Cast<duckdb::ColumnRefExpression>().GetColumnName() == "_watermark";
      if (says) return;
    }
    auto expression = [&](duckdb::unique_ptr<ParsedExpression>& child) {
      if (child) Subqueries(*child);
    };
    for (auto& item : node.select_list) expression(item);
    for (auto& group : node.groups.group_expressions) expression(group);
    expression(node.where_clause);
    expression(node.having);
    expression(node.qualify);
    Table(node, node.from_table, true);
  }

  void Subqueries(ParsedExpression& expression) {
    if (expression.GetExpressionClass() == ExpressionClass::SUBQUERY) {
      Node(*expression.Cast<duckdb::SubqueryExpression>().subquery->node);
    }
    duckdb::ParsedExpressionIterator::EnumerateChildren(
        expression, [&](ParsedExpression& child) { Subqueries(child); });
  }

  void Table(duckdb::SelectNode& node, duckdb::unique_ptr<duckdb::TableRef>& ref, bool alone) {
    if (!ref) return;
    if (ref->type == TableReferenceType::JOIN) {
      Table(node, ref->Cast<duckdb::JoinRef>().left, false);
      Table(node, ref->Cast<duckdb::JoinRef>().right, false);
      return;
    }
    if (ref->type == TableReferenceType::SUBQUERY) {
      return Node(*ref->Cast<duckdb::SubqueryRef>().subquery->node);
    }
    if (ref->type != TableReferenceType::BASE_TABLE) return;
    auto& table = ref->Cast<duckdb::BaseTableRef>();
    auto stream = catalog.FindStream(table.table_name);
    bool is_cte = false;
    for (auto& cte : ctes) is_cte = is_cte || StringUtil::CIEquals(cte, table.table_name);
    if (!stream || !stream->watermark || is_cte || !table.column_name_alias.empty()) return;
    TimedUse use;
    use.stream = stream;
    WindowReader reader(*stream, table.alias.empty() ? table.table_name : table.alias);
    for (auto* group : GroupsOf(node)) {
      auto bounds = reader.Read(*group);
      if (!bounds) continue;
      // Of windows within one another the one that closes first decides.
      use.start =
          use.start.empty() ? bounds->start : "greatest(" + use.start + ", " + bounds->start + ")";
      use.end = use.end.empty() ? bounds->end : "least(" + use.end + ", " + bounds->end + ")";
    }
    if (use.end.empty() && only_windows) return;
    use.from_where = QuotedName(stream->name);
    if (alone) {
      if (!table.alias.empty()) use.from_where += " AS " + QuotedName(table.alias);
      auto& name = table.alias.empty() ? table.table_name : table.alias;
      if (node.where_clause && IsAbout(*node.where_clause, *stream, name)) {
        use.from_where += " WHERE " + node.where_clause->ToString();
      }
    }
    uses.push_back(std::move(use));
    refs.push_back(&ref);
  }

  // What a SELECT groups by: its own expressions, those of the list by name or number, or ALL.
  static std::vector<const ParsedExpression*> GroupsOf(const duckdb::SelectNode& node) {
    std::vector<const ParsedExpression*> groups;
    if (node.aggregate_handling == duckdb::AggregateHandling::FORCE_AGGREGATES) {
      for (auto& item : node.select_list) groups.push_back(item.get());
    }
    for (auto& group : node.groups.group_expressions) {
      const ParsedExpression* found = group.get();
      if (group->GetExpressionClass() == ExpressionClass::CONSTANT) {
        auto& number = group->Cast<duckdb::ConstantExpression>().value;
        if (number.type().IsIntegral() && !number.IsNull()) {
          auto at = number.GetValue<int64_t>();
          bool fits = at >= 1 && at <= static_cast<int64_t>(node.select_list.size());
          if (fits) found = node.select_list[static_cast<size_t>(at) - 1].get();
        }
      } else if (group->GetExpressionClass() == ExpressionClass::COLUMN_REF) {
        auto& name = group->Cast<duckdb::ColumnRefExpression>().GetColumnName();
        for (auto& item : node.select_list) {
          if (StringUtil::CIEquals(item->GetAlias(), name)) found = item.get();
        }
      }
      groups.push_back(found);
    }
    return groups;
  }

  const CatalogState& catalog;
  bool only_windows;
  std::vector<TimedUse>& uses;
  std::vector<RefPlace> refs;
  std::vector<std::string> ctes;
};

GroupedWindows::GroupedWindows(std::string query, const CatalogState& catalog, bool only_windows)
    : query_(std::move(query)), parser_(std::make_unique<duckdb::Parser>()) {
  try {
    parser_->ParseQuery(query_);
  } catch (...) {
    throw SqlErrorFromDuck(query_);
  }
  Places places(catalog, only_windows, uses_);
  for (auto& statement : parser_->statements) {
    if (statement->type != duckdb::StatementType::SELECT_STATEMENT) continue;
    places.Node(*statement->Cast<duckdb::SelectStatement>().node);
  }
  places_ = std::make_unique<Places>(std::move(places));
}

GroupedWindows::~GroupedWindows() = default;
GroupedWindows::GroupedWindows(GroupedWindows&&) noexcept = default;
GroupedWindows& GroupedWindows::operator=(GroupedWindows&& other) noexcept {
  query_ = std::move(other.query_);
  places_ = std::move(other.places_);
  parser_ = std::move(other.parser_);
  uses_ = std::move(other.uses_);
  return *this;
}

std::string GroupedWindows::Replaced(const std::function<std::string(const TimedUse&)>& select) {
  if (uses_.empty()) return query_;
  for (size_t i = 0; i < uses_.size(); i++) {
    auto& place = *places_->refs[i];
    std::string alias = place->alias.empty() ? uses_[i].stream->name : place->alias;
    duckdb::Parser parser;
    parser.ParseQuery(select(uses_[i]));
    auto subquery = duckdb::make_uniq<duckdb::SubqueryRef>(
        duckdb::unique_ptr_cast<duckdb::SQLStatement, duckdb::SelectStatement>(
            std::move(parser.statements[0])),
        alias);
    place = std::move(subquery);
  }
  return parser_->statements[0]->ToString();
}

}  // namespace weir
