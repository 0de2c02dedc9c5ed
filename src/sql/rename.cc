#include "sql/rename.h"

#include <algorithm>

#include "duckdb/common/string_util.hpp"
#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/keyword_helper.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"
#include "sql/tokens.h"

namespace weir {
namespace {

using duckdb::StringUtil;

struct Reference {
  size_t position;
  bool has_alias;
};

// Finds what names a table in FROM, and whether some WITH has the name, too.
class References {
 public:
  explicit References(const std::string& name) : name_(name) {}

  void Visit(duckdb::QueryNode& node) {
    for (auto& cte : node.cte_map.map) {
      if (StringUtil::CIEquals(cte.first, name_)) shadowed = true;
    }
    duckdb::ParsedExpressionIterator::EnumerateQueryNodeChildren(
        node, [&](duckdb::unique_ptr<duckdb::ParsedExpression>& child) { Visit(*child); },
        [&](duckdb::TableRef& ref) {
          if (ref.type != duckdb::TableReferenceType::BASE_TABLE) return;
          auto& table = ref.Cast<duckdb::BaseTableRef>();
          if (!StringUtil::CIEquals(table.table_name, name_)) return;
          if (!ref.query_location.IsValid() || !table.schema_name.empty()) {
            unplaced = true;
          } else {
            found.push_back({ref.query_location.GetIndex(), !ref.alias.empty()});
          }
        });
  }

  std::vector<Reference> found;
  bool shadowed = false, unplaced = false;

 private:
  void Visit(duckdb::ParsedExpression& expression) {
    if (expression.GetExpressionClass() == duckdb::ExpressionClass::SUBQUERY) {
      Visit(*expression.Cast<duckdb::SubqueryExpression>().subquery->node);
    }
    duckdb::ParsedExpressionIterator::EnumerateChildren(
        expression, [&](duckdb::ParsedExpression& child) { Visit(child); });
  }
  const std::string& name_;
};

bool IsName(const SqlToken& token, const std::string& name) {
  return (token.kind == SqlToken::Kind::kWord || token.kind == SqlToken::Kind::kQuotedName) &&
         StringUtil::CIEquals(token.text, name);
}

std::string Quoted(const std::string& name) {
  return duckdb::KeywordHelper::WriteOptionallyQuoted(name);
}

}  // namespace

std::optional<std::string> RenameIn(const std::string& query, const KernelSql& kernel_sql,
                                    const std::string& from, const std::string& to,
                                    std::string& why) {
  if (kernel_sql.text != query) {
    why = "it uses functions of windows in time";
    return std::nullopt;
  }
  duckdb::Parser parser;
  parser.ParseQuery(query);
  References references(from);
  references.Visit(*parser.statements.at(0)->Cast<duckdb::SelectStatement>().node);
  if (references.shadowed) {
    why = "it has a WITH of that name";
    return std::nullopt;
  }
  auto tokens = TokenizeSql(query, "");
  std::vector<std::pair<const SqlToken*, bool>> places;
  for (auto& reference : references.found) {
    auto token = std::find_if(tokens.begin(), tokens.end(), [&](auto& candidate) {
      return candidate.position == reference.position;
    });
    if (token == tokens.end() || !IsName(*token, from)) references.unplaced = true;
    if (!references.unplaced) places.emplace_back(&*token, reference.has_alias);
  }
  if (references.unplaced) {
    why = "its text does not show where the name stands";
    return std::nullopt;
  }
  std::sort(places.begin(), places.end(),
            [](auto& a, auto& b) { return a.first->position > b.first->position; });
  places.erase(std::unique(places.begin(), places.end()), places.end());
  std::string renamed = query;
  for (auto& [token, has_alias] : places) {
    std::string text = Quoted(to) + (has_alias ? "" : " AS " + Quoted(from));
    renamed.replace(token->position, token->length, text);
  }
  return renamed;
}

std::string RenameCreated(const std::string& sql, const std::string& from, const std::string& to) {
  auto tokens = TokenizeSql(sql, "");
  // After CREATE and what it creates, which may be called like its name.
  for (size_t i = 2; i < tokens.size(); i++) {
    if (!IsName(tokens[i], from)) continue;
    std::string renamed = sql;
    return renamed.replace(tokens[i].position, tokens[i].length, Quoted(to));
  }
  return sql;
}

}  // namespace weir
