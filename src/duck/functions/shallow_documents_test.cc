#include "duck/functions/shallow_documents.h"

#include <gtest/gtest.h>

#include "base/memory_budget.h"
#include "duck/errors.h"
#include "duck/evaluator.h"
#include "duck/plan/plan.h"

namespace weir {
namespace {

// A stream of texts under the name t.
class OneStream : public Relations {
 public:
  std::optional<Source> FindSource(const std::string& name) const override {
    if (name != "t") return std::nullopt;
    Source source;
    source.names = {"x", "n"};
    source.types = {duckdb::LogicalType::VARCHAR, duckdb::LogicalType::BIGINT};
    source.is_stream = true;
    return source;
  }
  std::optional<std::string> FindPlainView(const std::string&) const override {
    return std::nullopt;
  }
  std::string NearestTo(const std::string&) const override { return ""; }
};

class Expressions : public testing::Test {
 protected:
  // Of one row of t.
  std::string Run(const std::string& expression, const std::string& x, int64_t n) {
    auto session = std::make_shared<Session>(kernel_, "UTC");
    auto plan = PlanQuery(*session, "SELECT " + expression + " AS y, x, n FROM t", OneStream());
    std::vector<ExpressionPtr> first = {plan.root->expressions.at(0)};
    Evaluator evaluator(session, first);
    duckdb::DataChunk rows;
    auto& inputs = plan.root->inputs.at(0)->types;
    rows.Initialize(duckdb::Allocator::DefaultAllocator(), {inputs.begin(), inputs.end()});
    for (size_t i = 0; i < inputs.size(); i++) {
      bool text = inputs[i].id() == duckdb::LogicalTypeId::VARCHAR;
      rows.SetValue(i, 0, text ? duckdb::Value(x) : duckdb::Value::BIGINT(n));
    }
    rows.SetCardinality(1);
    return evaluator.Run(rows).GetValue(0, 0).ToString();
  }

  Kernel kernel_;
};

TEST_F(Expressions, DocumentsThatAreTooDeepFailAndOthersDoNot) {
  auto deep = [](size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  for (auto* call : {"json_structure(x)", "json_contains(x, '1')", "x::JSON::VARIANT",
                     "json_merge_patch(x, '{}')"}) {
    EXPECT_THROW(Run(call, deep(1'000'000), 0), ExpressionFailed) << call;
    EXPECT_NO_THROW(Run(call, deep(500), 0)) << call;
  }
  EXPECT_EQ(Run("json_structure(x)", R"({"a[[[": 1})", 0), R"({"a[[[":"UBIGINT"})");
}

TEST_F(Expressions, OneRowThatWantsTooMuchFailsAsARow) {
  for (auto* call : {"len(range(n))", "length(repeat(x, n))", "list_sum(range(n))",
                     "format('{:' || n || 'd}', 1)", "regexp_replace(repeat(x, n), 'a', 'bb', 'g')",
                     "len(list_transform(range(n), lambda y: y + 1))"}) {
    EXPECT_THROW(Run(call, "a", 2'000'000'000), ExpressionFailed) << call;
  }
  EXPECT_EQ(Run("length(repeat(x, n))", "a", 100'000'000), "100000000");
}

}  // namespace
}  // namespace weir
