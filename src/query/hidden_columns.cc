#include "query/hidden_columns.h"

#include <set>

#include "base/text.h"
#include "duckdb/parser/expression/star_expression.hpp"
#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/query_node/recursive_cte_node.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/query_node/set_operation_node.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"
#include "duckdb/parser/tableref/joinref.hpp"
#include "duckdb/parser/tableref/pivotref.hpp"
#include "duckdb/parser/tableref/subqueryref.hpp"

namespace weir {
namespace {

using duckdb::ParsedExpression;
using duckdb::QueryNode;
using duckdb::QueryNodeType;
using duckdb::TableRef;
using duckdb::TableReferenceType;

class Stars {
 public:
  explicit Stars(const HiddenColumnsOf& hidden) : hidden_(hidden) {}

  void Node(QueryNode& node) {
    auto outside = ctes_;
    for (auto& cte : node.cte_map.map) {
      // Its own name is known inside only of a recursive one, which a stream cannot be either.
      Node(*cte.second->query->node);
      ctes_.insert(Lower(cte.first));
    }
    switch (node.type) {
      case QueryNodeType::SELECT_NODE: Select(node.Cast<duckdb::SelectNode>()); break;
      case QueryNodeType::SET_OPERATION_NODE:
        for (auto& child : node.Cast<duckdb::SetOperationNode>().children) Node(*child);
        break;
      case QueryNodeType::RECURSIVE_CTE_NODE: {
        auto& recursive = node.Cast<duckdb::RecursiveCTENode>();
        ctes_.insert(Lower(recursive.ctename));
        Node(*recursive.left);
        Node(*recursive.right);
        break;
      }
      default: break;
    }
    ctes_ = std::move(outside);
  }

 private:
  struct Hidden {
    std::string relation, column;
  };

  void Select(duckdb::SelectNode& select) {
    std::vector<Hidden> hidden;
    if (select.from_table) Table(*select.from_table, hidden);
    for (auto& expression : select.select_list) Expression(*expression, hidden);
    for (auto* condition : {&select.where_clause, &select.having, &select.qualify}) {
      if (*condition) Expression(**condition, hidden);
    }
    for (auto& expression : select.groups.group_expressions) Expression(*expression, hidden);
  }

  void Table(TableRef& ref, std::vector<Hidden>& hidden) {
    switch (ref.type) {
      case TableReferenceType::BASE_TABLE: {
        auto name = ref.Cast<duckdb::BaseTableRef>().table_name;
        if (ctes_.contains(Lower(name))) break;
        for (auto& column : hidden_(Lower(name))) {
          hidden.push_back({ref.alias.empty() ? name : ref.alias, column});
        }
        break;
      }
      case TableReferenceType::JOIN: {
        auto& join = ref.Cast<duckdb::JoinRef>();
        Table(*join.left, hidden);
        Table(*join.right, hidden);
        if (join.condition) Expression(*join.condition, hidden);
        break;
      }
      case TableReferenceType::SUBQUERY:
        Node(*ref.Cast<duckdb::SubqueryRef>().subquery->node);
        break;
      case TableReferenceType::PIVOT: {
        std::vector<Hidden> inside;
        Table(*ref.Cast<duckdb::PivotRef>().source, inside);
        break;
      }
      default: break;
    }
  }

  void Expression(ParsedExpression& expression, const std::vector<Hidden>& hidden) {
    if (expression.GetExpressionClass() == duckdb::ExpressionClass::STAR) {
      Star(expression.Cast<duckdb::StarExpression>(), hidden);
    } else if (expression.GetExpressionClass() == duckdb::ExpressionClass::SUBQUERY) {
      Node(*expression.Cast<duckdb::SubqueryExpression>().subquery->node);
    }
    duckdb::ParsedExpressionIterator::EnumerateChildren(
        expression, [&](ParsedExpression& child) { Expression(child, hidden); });
  }

  static void Star(duckdb::StarExpression& star, const std::vector<Hidden>& hidden) {
    if (star.expr) return;  // names that were asked for
    for (auto& [relation, column] : hidden) {
      bool is_of = star.relation_name.empty() || Lower(star.relation_name) == Lower(relation);
      bool is_left_out = star.exclude_list.count(duckdb::QualifiedColumnName(column)) > 0;
      if (!is_of || is_left_out || star.replace_list.count(column) > 0) continue;
      star.exclude_list.insert(duckdb::QualifiedColumnName(relation, column));
    }
  }

  const HiddenColumnsOf& hidden_;
  std::set<std::string> ctes_;  // that hide a stream of their name here
};

}  // namespace

void LeaveOutHiddenColumns(duckdb::SelectStatement& select, const HiddenColumnsOf& hidden) {
  Stars(hidden).Node(*select.node);
}

}  // namespace weir
