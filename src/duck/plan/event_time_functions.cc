#include "duck/plan/event_time_functions.h"

#include "base/error.h"
#include "duck/plan/translator.h"
#include "duckdb/catalog/catalog.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/function/scalar_function.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/parser/parsed_data/create_scalar_function_info.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::ExpressionClass;

constexpr const char* kOnTime = "weir_on_time";
constexpr const char* kClosed = "weir_closed";

// Rows without an end or before the first watermark are never late.
void RunOnTime(duckdb::DataChunk& arguments, duckdb::ExpressionState&, duckdb::Vector& result) {
  duckdb::UnifiedVectorFormat ends, watermarks;
  arguments.data[0].ToUnifiedFormat(arguments.size(), ends);
  arguments.data[2].ToUnifiedFormat(arguments.size(), watermarks);
  auto lateness = arguments.data[1].GetValue(0).GetValue<int64_t>();
  auto* end = duckdb::UnifiedVectorFormat::GetDataUnsafe<int64_t>(ends);
  auto* watermark = duckdb::UnifiedVectorFormat::GetDataUnsafe<int64_t>(watermarks);
  result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
  auto* on_time = duckdb::FlatVector::GetDataUnsafe<bool>(result);
  for (duckdb::idx_t row = 0; row < arguments.size(); row++) {
    auto e = ends.sel->get_index(row), w = watermarks.sel->get_index(row);
    on_time[row] = !ends.validity.RowIsValid(e) || !watermarks.validity.RowIsValid(w) ||
                   !duckdb::Timestamp::IsFinite(duckdb::timestamp_t(end[e])) ||
                   end[e] > watermark[w] - lateness;
  }
}

void NotRun(duckdb::DataChunk&, duckdb::ExpressionState&, duckdb::Vector&) {
  throw Error(ErrorCode::kInvalidSql, "weir_closed stands in a WHERE only");
}

std::optional<OnTime> Read(const Expression& predicate, const char* name, size_t stream) {
  if (predicate.GetExpressionClass() != ExpressionClass::BOUND_FUNCTION) return std::nullopt;
  auto& call = predicate.Cast<duckdb::BoundFunctionExpression>();
  if (call.function.name != name) return std::nullopt;
  auto constant = [&](size_t i) -> const duckdb::Value* {
    if (call.children[i]->GetExpressionClass() != ExpressionClass::BOUND_CONSTANT) return nullptr;
    return &call.children[i]->Cast<duckdb::BoundConstantExpression>().value;
  };
  auto *lateness = constant(1), *named = constant(stream);
  if (!lateness || !named) return std::nullopt;
  return OnTime{CopyOf(*call.children[0]), lateness->GetValue<int64_t>(), named->ToString()};
}

const duckdb::BoundFunctionExpression* AsSum(const Expression& expression) {
  if (expression.GetExpressionClass() != ExpressionClass::BOUND_FUNCTION) return nullptr;
  auto& call = expression.Cast<duckdb::BoundFunctionExpression>();
  bool sum = (call.function.name == "+" || call.function.name == "-") && call.children.size() == 2;
  return sum ? &call : nullptr;
}

// What an interval adds to a time of this type, when that is always the same.
std::optional<Micros> LengthOf(const Expression& expression, const duckdb::LogicalType& time) {
  if (expression.GetExpressionClass() != ExpressionClass::BOUND_CONSTANT ||
      expression.return_type.id() != duckdb::LogicalTypeId::INTERVAL) {
    return std::nullopt;
  }
  auto& value = expression.Cast<duckdb::BoundConstantExpression>().value;
  if (value.IsNull()) return std::nullopt;
  auto interval = value.GetValue<duckdb::interval_t>();
  bool local_days = interval.days != 0 && time.id() != duckdb::LogicalTypeId::TIMESTAMP;
  if (interval.months != 0 || local_days) return std::nullopt;
  return interval.days * duckdb::Interval::MICROS_PER_DAY + interval.micros;
}

bool Replace(duckdb::unique_ptr<Expression>& expression,
             const std::vector<std::pair<std::string, duckdb::LogicalType>>& projected) {
  std::string print = Fingerprint(*expression);
  for (size_t i = 0; i < projected.size(); i++) {
    if (projected[i].first != print) continue;
    expression = duckdb::make_uniq<duckdb::BoundReferenceExpression>(projected[i].second, i);
    return true;
  }
  if (expression->GetExpressionClass() == ExpressionClass::BOUND_REF) return false;
  bool all = true;
  duckdb::ExpressionIterator::EnumerateChildren(
      *expression,
      [&](duckdb::unique_ptr<Expression>& child) { all = all && Replace(child, projected); });
  return all;
}

void Substitute(duckdb::unique_ptr<Expression>& expression,
                const std::vector<ExpressionPtr>& projected) {
  if (expression->GetExpressionClass() == ExpressionClass::BOUND_REF) {
    expression = projected.at(expression->Cast<duckdb::BoundReferenceExpression>().index)->Copy();
    return;
  }
  duckdb::ExpressionIterator::EnumerateChildren(
      *expression, [&](duckdb::unique_ptr<Expression>& child) { Substitute(child, projected); });
}

}  // namespace

void InstallEventTimeFunctions(duckdb::DuckDB& database) {
  using duckdb::LogicalType;
  duckdb::ScalarFunctionSet on_time(kOnTime), closed(kClosed);
  for (auto& time : {LogicalType::TIMESTAMP, LogicalType::TIMESTAMP_TZ}) {
    duckdb::ScalarFunction one({time, LogicalType::BIGINT, time, LogicalType::VARCHAR},
                               LogicalType::BOOLEAN, RunOnTime);
    one.SetNullHandling(duckdb::FunctionNullHandling::SPECIAL_HANDLING);
    on_time.AddFunction(one);
    duckdb::ScalarFunction other({time, LogicalType::BIGINT, LogicalType::VARCHAR},
                                 LogicalType::BOOLEAN, NotRun);
    other.SetVolatile();
    closed.AddFunction(other);
  }
  duckdb::Connection connection(database);
  connection.BeginTransaction();
  auto& catalog = duckdb::Catalog::GetSystemCatalog(*connection.context);
  for (auto* set : {&on_time, &closed}) {
    duckdb::CreateScalarFunctionInfo info(*set);
    catalog.CreateFunction(*connection.context, info);
  }
  connection.Commit();
}

std::optional<OnTime> AsOnTime(const ExpressionPtr& predicate) {
  return Read(*predicate, kOnTime, 3);
}
std::optional<OnTime> AsClosed(const Expression& predicate) { return Read(predicate, kClosed, 2); }

std::vector<ShiftedTime> InTermsOf(const ExpressionPtr& time,
                                   const std::vector<ExpressionPtr>& projected) {
  std::vector<ShiftedTime> ways;
  auto wanted = AsShiftedTime(time);
  std::string print = Fingerprint(*wanted.time);
  std::vector<std::pair<std::string, duckdb::LogicalType>> prints;
  for (size_t i = 0; i < projected.size(); i++) {
    auto& type = projected[i]->return_type;
    prints.emplace_back(Fingerprint(*projected[i]), type);
    auto there = AsShiftedTime(projected[i]);
    bool same = there.time->return_type == time->return_type && Fingerprint(*there.time) == print;
    if (same) ways.push_back({ColumnReference(i, type), wanted.shift - there.shift});
  }
  if (!ways.empty()) return ways;
  auto copy = time->Copy();
  if (Replace(copy, prints)) ways.push_back({Own(std::move(copy)), 0});
  return ways;
}

ExpressionPtr BelowProjection(const ExpressionPtr& expression,
                              const std::vector<ExpressionPtr>& projected) {
  auto copy = expression->Copy();
  Substitute(copy, projected);
  return Own(std::move(copy));
}

ShiftedTime AsShiftedTime(const ExpressionPtr& expression) {
  if (auto* sum = AsSum(*expression)) {
    auto& time = *sum->children[0];
    if (auto length = LengthOf(*sum->children[1], time.return_type)) {
      auto below = AsShiftedTime(CopyOf(time));
      below.shift += sum->function.name == "+" ? *length : -*length;
      return below;
    }
  }
  return {expression, 0};
}

}  // namespace weir
