#include "sql/left_open.h"

#include <set>

#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/expression/window_expression.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/result_modifier.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/joinref.hpp"
#include "duckdb/parser/tableref/subqueryref.hpp"

namespace weir {
namespace {

const std::set<std::string> kRandom = {"random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7"};
// Aggregates whose result depends on the order in which they see rows.
const std::set<std::string> kOrdered = {"first",
                                        "last",
                                        "any_value",
                                        "arg_min",
                                        "arg_max",
                                        "min_by",
                                        "max_by",
                                        "list",
                                        "array_agg",
                                        "string_agg",
                                        "listagg",
                                        "group_concat",
                                        "arbitrary",
                                        "mode",
                                        "approx_top_k",
                                        "json_group_array",
                                        "json_group_object",
                                        "json_group_structure"};

// Aggregates that add up floats as they come (sum and avg do not), and what is made of their
// digits.
const std::set<std::string> kRounded = {
    "stddev",       "stddev_pop",     "stddev_samp", "variance",   "var_pop",
    "var_samp",     "corr",           "covar_pop",   "covar_samp", "regr_avgx",
    "regr_avgy",    "regr_intercept", "regr_r2",     "regr_slope", "regr_sxx",
    "regr_sxy",     "regr_syy",       "skewness",    "kurtosis",   "sem",
    "kurtosis_pop", "entropy",        "product",     "geomean",    "geometric_mean"};

class Finder {
 public:
  // The node, and all that stand inside it.
  void Look(duckdb::QueryNode& node) {
    LookAtItself(node);
    duckdb::ParsedExpressionIterator::EnumerateQueryNodeChildren(
        node, [&](duckdb::unique_ptr<duckdb::ParsedExpression>& child) { Look(*child); },
        [&](duckdb::TableRef& ref) {
          if (ref.sample) Say("which rows a SAMPLE picks");
          if (ref.type == duckdb::TableReferenceType::JOIN &&
              ref.Cast<duckdb::JoinRef>().ref_type == duckdb::JoinRefType::ASOF) {
            Say("which of the rows that tie an ASOF JOIN takes");
          }
          if (ref.type != duckdb::TableReferenceType::SUBQUERY) return;
          LookAtItself(*ref.Cast<duckdb::SubqueryRef>().subquery->node);
        });
  }

  std::string open;

 private:
  void Say(std::string what) {
    if (open.empty()) open = std::move(what);
  }

  void LookAtItself(duckdb::QueryNode& node) {
    for (auto& modifier : node.modifiers) {
      if (modifier->type == duckdb::ResultModifierType::DISTINCT_MODIFIER &&
          !modifier->Cast<duckdb::DistinctModifier>().distinct_on_targets.empty()) {
        Say("which of the rows that tie in its ORDER BY DISTINCT ON keeps");
      }
      if (modifier->type == duckdb::ResultModifierType::LIMIT_MODIFIER) {
        Say("which of the rows that tie in its ORDER BY a LIMIT keeps");
      }
    }
    for (auto& [name, table] : node.cte_map.map) LookAtItself(*table->query->node);
    if (node.type == duckdb::QueryNodeType::SELECT_NODE && node.Cast<duckdb::SelectNode>().sample) {
      Say("which rows a SAMPLE picks");
    }
  }

  void Look(duckdb::ParsedExpression& expression) {
    switch (expression.GetExpressionClass()) {
      case duckdb::ExpressionClass::SUBQUERY:
        Look(*expression.Cast<duckdb::SubqueryExpression>().subquery->node);
        break;
      case duckdb::ExpressionClass::WINDOW: {
        auto& window = expression.Cast<duckdb::WindowExpression>();
        Say("which of the rows that tie in the ORDER BY of " + window.function_name +
            " OVER (...) comes first");
        break;
      }
      case duckdb::ExpressionClass::COLLATE:
        Say("which of the texts that are equal under a COLLATE stands for them");
        break;
      case duckdb::ExpressionClass::FUNCTION: {
        auto& function = expression.Cast<duckdb::FunctionExpression>();
        if (kRandom.contains(function.function_name)) {
          Say("what " + function.function_name + "() says");
        } else if (kOrdered.contains(function.function_name)) {
          Say("in which order " + function.function_name + " takes rows that tie");
        } else if (kRounded.contains(function.function_name)) {
          Say("the last digits of " + function.function_name +
              ", which depend on the order of its rows, and what is rounded or compared by them");
        }
        break;
      }
      default: break;
    }
    duckdb::ParsedExpressionIterator::EnumerateChildren(
        expression, [&](duckdb::ParsedExpression& child) { Look(child); });
  }
};

}  // namespace

std::string LeftOpen(const KernelSql& query) {
  Finder finder;
  try {
    duckdb::Parser parser;
    parser.ParseQuery(query.text);
    for (auto& statement : parser.statements) {
      if (statement->type != duckdb::StatementType::SELECT_STATEMENT) continue;
      finder.Look(*statement->Cast<duckdb::SelectStatement>().node);
    }
  } catch (const std::exception&) {
    // What does not parse says nothing.
  }
  return finder.open;
}

}  // namespace weir
