#include "duck/functions/interval_forms.h"

#include <set>

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/common/type_visitor.hpp"
#include "duckdb/common/types/interval.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "duckdb/function/scalar_function.hpp"
#include "duckdb/main/config.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/optimizer/optimizer.hpp"
#include "duckdb/optimizer/optimizer_extension.hpp"
#include "duckdb/parser/parsed_data/create_scalar_function_info.hpp"
#include "duckdb/planner/expression/bound_aggregate_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression/bound_window_expression.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"
#include "duckdb/planner/operator/logical_order.hpp"
#include "duckdb/planner/operator/logical_top_n.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::LogicalOperator;
using duckdb::LogicalOperatorType;
using duckdb::LogicalTypeId;
using duckdb::Vector;
using ExpressionOwner = duckdb::unique_ptr<Expression>;

constexpr const char* kOneForm = "weir_one_form";

// Of a flat vector, with all that stands below its values.
void Normalize(Vector& values, duckdb::idx_t count) {
  auto& type = values.GetType();
  if (!HasIntervals(type)) return;
  switch (type.InternalType()) {
    case duckdb::PhysicalType::INTERVAL: {
      auto* intervals = duckdb::FlatVector::GetDataUnsafe<duckdb::interval_t>(values);
      auto& validity = duckdb::FlatVector::Validity(values);
      for (duckdb::idx_t i = 0; i < count; i++) {
        if (validity.RowIsValid(i)) intervals[i] = intervals[i].Normalize();
      }
      break;
    }
    case duckdb::PhysicalType::LIST: {
      auto& child = duckdb::ListVector::GetEntry(values);
      auto size = duckdb::ListVector::GetListSize(values);
      child.Flatten(size);
      Normalize(child, size);
      break;
    }
    case duckdb::PhysicalType::ARRAY: {
      auto& child = duckdb::ArrayVector::GetEntry(values);
      auto size = count * duckdb::ArrayType::GetSize(type);
      child.Flatten(size);
      Normalize(child, size);
      break;
    }
    case duckdb::PhysicalType::STRUCT:
      for (auto& child : duckdb::StructVector::GetEntries(values)) {
        child->Flatten(count);
        Normalize(*child, count);
      }
      break;
    default: break;
  }
}

void RunOneForm(duckdb::DataChunk& arguments, duckdb::ExpressionState&, Vector& result) {
  bool constant = arguments.AllConstant();
  auto copy = IntervalsInOneForm(arguments.data[0], arguments.size());
  result.Reference(copy);
  if (constant) result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
}

duckdb::unique_ptr<duckdb::FunctionData> BindOneForm(duckdb::ClientContext&,
                                                     duckdb::ScalarFunction& function,
                                                     duckdb::vector<ExpressionOwner>& arguments) {
  function.arguments[0] = arguments[0]->return_type;
  function.return_type = arguments[0]->return_type;
  return nullptr;
}

bool IsNested(const duckdb::LogicalType& type) { return type.id() != LogicalTypeId::INTERVAL; }

class Forms : public duckdb::LogicalOperatorVisitor {
 public:
  explicit Forms(duckdb::Optimizer& optimizer) : optimizer_(optimizer) {}

  void VisitOperator(LogicalOperator& op) override {
    if (op.type == LogicalOperatorType::LOGICAL_ORDER_BY) {
      Orders(op.Cast<duckdb::LogicalOrder>().orders);
    } else if (op.type == LogicalOperatorType::LOGICAL_TOP_N) {
      Orders(op.Cast<duckdb::LogicalTopN>().orders);
    }
    LogicalOperatorVisitor::VisitOperator(op);
  }

 protected:
  ExpressionOwner VisitReplace(duckdb::BoundAggregateExpression& call, ExpressionOwner*) override {
    Arguments(call.function.name, call.children);
    if (call.order_bys) Orders(call.order_bys->orders);
    return nullptr;
  }
  ExpressionOwner VisitReplace(duckdb::BoundWindowExpression& call, ExpressionOwner*) override {
    if (call.aggregate) Arguments(call.aggregate->name, call.children);
    Orders(call.orders);
    Orders(call.arg_orders);
    return nullptr;
  }
  ExpressionOwner VisitReplace(duckdb::BoundFunctionExpression& call, ExpressionOwner*) override {
    if (call.function.name == "greatest" || call.function.name == "least") {
      for (auto& child : call.children) Put(child);
    }
    return nullptr;
  }

 private:
  void Put(ExpressionOwner& expression) {
    if (!HasIntervals(expression->return_type)) return;
    auto alias = expression->alias;
    expression = optimizer_.BindScalarFunction(kOneForm, std::move(expression));
    expression->alias = alias;
  }
  // What an order is by is in one form where it is an INTERVAL itself.
  void Orders(duckdb::vector<duckdb::BoundOrderByNode>& orders) {
    for (auto& order : orders) {
      if (IsNested(order.expression->return_type)) Put(order.expression);
    }
  }
  void Arguments(const std::string& function, duckdb::vector<ExpressionOwner>& children) {
    static const std::set<std::string> by_second = {
        "arg_min",           "argmin",       "min_by",
        "arg_max",           "argmax",       "max_by",
        "arg_min_null",      "arg_max_null", "arg_min_nulls_last",
        "arg_max_nulls_last"};
    if (by_second.contains(function) && children.size() >= 2) Put(children[1]);
    bool is_extreme = function == "min" || function == "max";
    bool is_compared = !children.empty() &&
                       children[0]->return_type.id() == LogicalTypeId::INTERVAL &&
                       children.size() == 1;
    if (is_extreme && !children.empty() && !is_compared) Put(children[0]);
  }

  duckdb::Optimizer& optimizer_;
};

}  // namespace

bool HasIntervals(const duckdb::LogicalType& type) {
  return duckdb::TypeVisitor::Contains(type, LogicalTypeId::INTERVAL);
}

Vector IntervalsInOneForm(Vector& values, duckdb::idx_t count) {
  Vector copy(values.GetType(), std::max<duckdb::idx_t>(count, 1));
  duckdb::VectorOperations::Copy(values, copy, count, 0, 0);
  Normalize(copy, count);
  return copy;
}

void InstallIntervalForms(duckdb::DuckDB& database) {
  duckdb::ScalarFunction one_form(kOneForm, {duckdb::LogicalType::ANY}, duckdb::LogicalType::ANY,
                                  RunOneForm, BindOneForm);
  one_form.null_handling = duckdb::FunctionNullHandling::SPECIAL_HANDLING;
  duckdb::CreateScalarFunctionInfo info(one_form);
  duckdb::Connection connection(database);
  connection.BeginTransaction();
  duckdb::Catalog::GetSystemCatalog(*connection.context).CreateFunction(*connection.context, info);
  connection.Commit();
  duckdb::OptimizerExtension rule;
  rule.optimize_function = [](duckdb::OptimizerExtensionInput& input,
                              duckdb::unique_ptr<LogicalOperator>& plan) {
    Forms(input.optimizer).VisitOperator(*plan);
  };
  duckdb::OptimizerExtension::Register(duckdb::DBConfig::GetConfig(*database.instance), rule);
}

}  // namespace weir
