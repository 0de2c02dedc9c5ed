#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <random>

#include "duck/batch_plan.h"
#include "duck/plan/plan_node.h"
#include "duck/row_function.h"
#include "duckdb/common/serializer/binary_serializer.hpp"
#include "duckdb/common/serializer/memory_stream.hpp"
#include "duckdb/common/types/blob.hpp"
#include "duckdb/planner/expression/bound_aggregate_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace weir {
namespace {

// Functions whose hidden parameters follow from their arguments, types and the time zone.
constexpr std::array<std::string_view, 14> kPlain = {
    "date_trunc", "+",         "-",      "*",  "/",     "struct_extract", "struct_extract_at",
    "strftime",   "date_part", "concat", "||", "round", "time_bucket",    "strptime"};

constexpr std::array<std::string_view, 8> kPlainAggregates = {
    "count_star", "count", "sum", "sum_no_overflow", "avg", "mean", "min", "max"};

bool HidesParameters(const std::string& function, bool has_bind_info) {
  return has_bind_info && std::find(kPlain.begin(), kPlain.end(), function) == kPlain.end();
}

std::string Unique() {
  // Unlike any other, also in what an earlier process saved.
  static const uint64_t process = std::random_device()() * 0x100000000ull + std::random_device()();
  static std::atomic<uint64_t> next{0};
  return "!" + std::to_string(process) + "." + std::to_string(next++);
}

// Hidden parameters as DuckDB writes them into a saved plan; nothing where it cannot.
template <class Function>
std::optional<std::string> Written(const Function& function, duckdb::FunctionData& parameters) {
  if (!function.HasSerializationCallbacks()) return std::nullopt;
  try {
    duckdb::MemoryStream stream;
    duckdb::BinarySerializer serializer(stream);
    serializer.Begin();
    function.GetSerializeCallback()(serializer, &parameters, function);
    serializer.End();
    std::string bytes(reinterpret_cast<const char*>(stream.GetData()), stream.GetPosition());
    return duckdb::Blob::ToString(duckdb::string_t(bytes));
  } catch (const std::exception&) {  // it says so of some of its functions only when they are asked
    return std::nullopt;
  }
}

// Of an aggregate that DuckDB does not write them of, it makes them anew from the arguments when it
// reads a plan: they say nothing more, unless one was taken from among the arguments.
std::string ParametersOf(const duckdb::BoundAggregateExpression& aggregate) {
  bool plain = std::find(kPlainAggregates.begin(), kPlainAggregates.end(),
                         aggregate.function.name) != kPlainAggregates.end();
  if (!aggregate.bind_info || plain) return "";
  if (auto written = Written(aggregate.function, *aggregate.bind_info)) return "{" + *written + "}";
  bool from_arguments = !aggregate.function.HasSerializationCallbacks() &&
                        aggregate.function.original_arguments.empty();
  return from_arguments ? "{}" : Unique();
}

std::string ParametersOf(const duckdb::BoundFunctionExpression& function) {
  if (!HidesParameters(function.function.name, function.bind_info != nullptr)) return "";
  auto written = Written(function.function, *function.bind_info);
  return written ? "{" + *written + "}" : Unique();
}

}  // namespace

std::string Fingerprint(const duckdb::Expression& expression) {
  using duckdb::ExpressionClass;
  std::string text =
      std::to_string(static_cast<int>(expression.type)) + ":" + expression.return_type.ToString();
  switch (expression.GetExpressionClass()) {
    case ExpressionClass::BOUND_REF:
      return text + "#" + std::to_string(expression.Cast<duckdb::BoundReferenceExpression>().index);
    case ExpressionClass::BOUND_CONSTANT:
      return text + "=" + expression.Cast<duckdb::BoundConstantExpression>().value.ToSQLString();
    case ExpressionClass::BOUND_FUNCTION: {
      auto& function = expression.Cast<duckdb::BoundFunctionExpression>();
      text += function.function.name + ParametersOf(function);
      break;
    }
    case ExpressionClass::BOUND_AGGREGATE: {
      auto& aggregate = expression.Cast<duckdb::BoundAggregateExpression>();
      text += aggregate.function.name + (aggregate.IsDistinct() ? " distinct" : "");
      text += ParametersOf(aggregate);
      // Calls have their order beside them (AggregateCall).
      if (aggregate.order_bys) text += Unique();
      break;
    }
    case ExpressionClass::BOUND_COMPARISON: {
      // a < b is b > a.
      auto& comparison = expression.Cast<duckdb::BoundComparisonExpression>();
      std::string left = Fingerprint(*comparison.left), right = Fingerprint(*comparison.right);
      auto type = expression.type;
      if (right < left) {
        left.swap(right);
        type = duckdb::FlipComparisonExpression(type);
      }
      return std::to_string(static_cast<int>(type)) + ":(" + left + "," + right + ")";
    }
    case ExpressionClass::BOUND_CONJUNCTION: {
      std::vector<std::string> children;
      duckdb::ExpressionIterator::EnumerateChildren(
          expression,
          [&](const duckdb::Expression& child) { children.push_back(Fingerprint(child)); });
      std::sort(children.begin(), children.end());
      for (auto& child : children) text += "(" + child + ")";
      return text;
    }
    case ExpressionClass::BOUND_OPERATOR:
    case ExpressionClass::BOUND_CASE:
    case ExpressionClass::BOUND_CAST:
    case ExpressionClass::BOUND_BETWEEN:
      text += expression.ToString();  // TRY_CAST, inclusive bounds
      break;
    default: text += Unique();
  }
  text += "(";
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](const duckdb::Expression& child) { text += Fingerprint(child) + ","; });
  return text + ")";
}

bool IsPlainTest(const duckdb::Expression& expression) {
  using duckdb::ExpressionClass;
  using duckdb::ExpressionType;
  switch (expression.GetExpressionClass()) {
    case ExpressionClass::BOUND_REF:
    case ExpressionClass::BOUND_CONSTANT: return true;
    case ExpressionClass::BOUND_COMPARISON:
    case ExpressionClass::BOUND_CONJUNCTION:
    case ExpressionClass::BOUND_BETWEEN: break;
    case ExpressionClass::BOUND_OPERATOR:
      switch (expression.type) {
        case ExpressionType::OPERATOR_NOT:
        case ExpressionType::OPERATOR_IS_NULL:
        case ExpressionType::OPERATOR_IS_NOT_NULL:
        case ExpressionType::COMPARE_IN:
        case ExpressionType::COMPARE_NOT_IN: break;
        default: return false;
      }
      break;
    default: return false;
  }
  bool plain = true;
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](const duckdb::Expression& child) { plain = plain && IsPlainTest(child); });
  return plain;
}

std::string Fingerprint(const std::vector<ExpressionPtr>& expressions) {
  std::string text;
  for (auto& expression : expressions) text += Fingerprint(*expression) + ";";
  return text;
}

std::string Describe(const ExpressionPtr& expression) {
  return expression ? expression->ToString() : "";
}

namespace {

std::string_view Symbol(Comparison comparison) {
  switch (comparison) {
    case Comparison::kEqual: return "=";
    case Comparison::kNotEqual: return "<>";
    case Comparison::kLess: return "<";
    case Comparison::kLessOrEqual: return "<=";
    case Comparison::kGreater: return ">";
    case Comparison::kGreaterOrEqual: return ">=";
  }
  return "?";
}

std::string List(const std::vector<ExpressionPtr>& expressions, const char* separator) {
  std::string text;
  for (auto& expression : expressions) {
    if (!text.empty()) text += separator;
    text += Describe(expression);
  }
  return text;
}

std::string DescribeJoin(const JoinCall& join) {
  static constexpr const char* kKinds[] = {"",     "left", "right", "full",
                                           "semi", "anti", "mark",  "single"};
  std::string text = kKinds[static_cast<size_t>(join.kind)];
  auto add = [&](const std::string& part) { text += (text.empty() ? "" : " ") + part; };
  for (size_t i = 0; i < join.left_keys.size(); i++) {
    if (i > 0) text += ",";
    add(Describe(join.left_keys[i]) + " = " + Describe(join.right_keys[i]));
  }
  if (join.condition) {
    if (!join.left_keys.empty()) text += " and";
    add(Describe(join.condition));
  } else if (join.left_keys.empty()) {
    add("all with all");
  }
  return text;
}

}  // namespace

std::string Describe(const PlanNode& node) {
  switch (node.kind) {
    case PlanNode::Kind::kSource: return node.scan.name;
    case PlanNode::Kind::kFilter: return List(node.expressions, " AND ");
    case PlanNode::Kind::kClockFilter:
      return Describe(node.clock->row) + " " + std::string(Symbol(node.clock->comparison)) + " " +
             Describe(node.clock->clock);
    case PlanNode::Kind::kProject:
    case PlanNode::Kind::kUnnest: return List(node.expressions, ", ");
    case PlanNode::Kind::kRowFunction: return node.row_function->name;
    case PlanNode::Kind::kAggregate: {
      std::string text = List(node.groups, ", ");
      for (auto& call : node.aggregates) text += (text.empty() ? "" : ", ") + Describe(call.call);
      return text;
    }
    case PlanNode::Kind::kTop: {
      std::string text;
      for (auto& key : node.order) {
        text += (text.empty() ? "" : ", ") + Describe(key.by) + (key.descending ? " DESC" : "");
      }
      if (node.limit) text += " LIMIT " + std::to_string(*node.limit);
      if (node.offset) text += " OFFSET " + std::to_string(node.offset);
      return text;
    }
    case PlanNode::Kind::kJoin: return DescribeJoin(node.join);
    case PlanNode::Kind::kGroupTop: {
      auto& call = node.group_top;
      static constexpr const char* kNames[] = {"row_number", "rank", "dense_rank"};
      std::string text = kNames[static_cast<size_t>(call.numbering)];
      text += " <= " + std::to_string(call.limit) + " of (" + List(call.groups, ", ") + ") by";
      for (auto& key : call.order) text += " " + Describe(key.by) + (key.descending ? " DESC" : "");
      return text;
    }
    case PlanNode::Kind::kSession:
      return "of (" + List(node.session.groups, ", ") + ") by " + Describe(node.session.time) +
             " gap " + std::to_string(node.session.gap / 1000) + " ms";
    case PlanNode::Kind::kWindowClose: {
      std::string text = Describe(node.window_close.end);
      auto millis = node.window_close.lateness / 1000;
      if (millis) text += " + " + std::to_string(millis) + " ms";
      text += " passed by the watermark of ";
      for (auto& stream : node.window_close.streams) {
        text += (text.ends_with(" of ") ? "" : ", ") + stream;
      }
      return text;
    }
    case PlanNode::Kind::kSetOperation:
      return std::string(node.is_except ? "EXCEPT" : "INTERSECT") +
             (node.keeps_copies ? " ALL" : "");
    case PlanNode::Kind::kBatch: return node.batch.pattern->name;
    case PlanNode::Kind::kWindow: return node.window.name;
    case PlanNode::Kind::kRecursion: return node.recursion.name;
    case PlanNode::Kind::kUnsupported: return node.reason;
    default: return "";
  }
}

}  // namespace weir
