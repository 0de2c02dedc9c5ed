#include "duck/functions/shallow_documents.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "duckdb/common/exception.hpp"
#include "duckdb/common/types/vector.hpp"
#include "duckdb/function/scalar_function.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"

namespace weir {
namespace {

constexpr std::array<std::string_view, 11> kDescending = {"from_json",
                                                          "from_json_strict",
                                                          "json_contains",
                                                          "json_deserialize_sql",
                                                          "json_group_structure",
                                                          "json_merge_patch",
                                                          "json_structure",
                                                          "json_transform",
                                                          "json_transform_strict",
                                                          "json_to_variant",
                                                          "variant_typeof"};

// Brackets in texts count as well: that only matters to a document with a thousand more of them
// opened than closed.
bool IsDeep(std::string_view document) {
  int depth = 0;
  bool in_text = false;
  for (size_t i = 0; i < document.size(); i++) {
    char c = document[i];
    if (in_text) {
      if (c == '\\') i++;
      in_text = c != '"';
    } else if (c == '"') {
      in_text = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDocumentDepthMax) return true;
    } else if (c == ']' || c == '}') {
      depth--;
    }
  }
  return false;
}

void CheckDepth(duckdb::DataChunk& arguments, duckdb::ExpressionState&, duckdb::Vector& result) {
  duckdb::UnifiedVectorFormat format;
  arguments.data[0].ToUnifiedFormat(arguments.size(), format);
  auto* documents = duckdb::UnifiedVectorFormat::GetData<duckdb::string_t>(format);
  for (duckdb::idx_t row = 0; row < arguments.size(); row++) {
    auto at = format.sel->get_index(row);
    if (!format.validity.RowIsValid(at)) continue;
    auto& document = documents[at];
    if (document.GetSize() > kDocumentDepthMax &&
        IsDeep({document.GetData(), document.GetSize()})) {
      throw duckdb::InvalidInputException("a JSON document is nested more than %d deep",
                                          kDocumentDepthMax);
    }
  }
  result.Reference(arguments.data[0]);
}

void Guard(duckdb::unique_ptr<duckdb::Expression>& child) {
  if (child->return_type.InternalType() != duckdb::PhysicalType::VARCHAR) return;
  auto type = child->return_type;
  duckdb::ScalarFunction function("weir_shallow", {type}, type, CheckDepth);
  duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> children;
  children.push_back(std::move(child));
  child = duckdb::make_uniq<duckdb::BoundFunctionExpression>(type, std::move(function),
                                                             std::move(children), nullptr);
}

}  // namespace

void GuardDeepDocuments(duckdb::Expression& expression) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_CAST) {
    auto& cast = expression.Cast<duckdb::BoundCastExpression>();
    if (cast.return_type.id() == duckdb::LogicalTypeId::VARIANT) Guard(cast.child);
    return;
  }
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_FUNCTION) return;
  auto& call = expression.Cast<duckdb::BoundFunctionExpression>();
  auto& name = call.function.name;
  if (std::find(kDescending.begin(), kDescending.end(), name) == kDescending.end()) return;
  for (auto& child : call.children) Guard(child);
}

}  // namespace weir
