#include "duck/functions/exact_sums.h"

#include <algorithm>
#include <array>
#include <optional>

#include "duck/functions/float_sum.h"
#include "duckdb/catalog/catalog.hpp"
#include "duckdb/common/exception.hpp"
#include "duckdb/common/types/hugeint.hpp"
#include "duckdb/function/aggregate_function.hpp"
#include "duckdb/main/config.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/optimizer/optimizer_extension.hpp"
#include "duckdb/parser/parsed_data/create_aggregate_function_info.hpp"
#include "duckdb/planner/expression/bound_aggregate_expression.hpp"
#include "duckdb/planner/expression/bound_window_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"

namespace weir {
namespace {

using duckdb::AggregateFunction;
using duckdb::Expression;
using duckdb::LogicalOperator;
using Int128 = __int128;

constexpr std::array<std::string_view, 4> kFloatSums = {"sum", "fsum", "kahan_sum", "sumkahan"};
constexpr std::array<std::string_view, 3> kFloatAverages = {"avg", "mean", "favg"};
constexpr const char* kOwnSum = "weir_sum";
constexpr const char* kOwnAverage = "weir_avg";

template <size_t N>
bool Contains(const std::array<std::string_view, N>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// States are DuckDB's memory, moved as bytes.
struct FloatState {
  FloatSum sum;
  WideSum* wide;  // owned; null as long as the sum does without
};

template <bool kAverage>
struct FloatOperation {
  static bool IgnoreNull() { return true; }
  template <class State>
  static void Initialize(State& state) {
    state.sum = FloatSum();
    state.wide = nullptr;
  }
  static void AddSlowly(FloatState& state, double value, int64_t copies) {
    state.sum.AddSlowly(value, copies, [&]() -> WideSum& {
      if (!state.wide) state.wide = new WideSum();
      return *state.wide;
    });
  }
  template <class Input, class State, class Self>
  static void Operation(State& state, const Input& value, duckdb::AggregateUnaryInput&) {
    state.sum.count++;
    if (!state.sum.TryAdd(value)) AddSlowly(state, value, 1);
  }
  template <class Input, class State, class Self>
  static void ConstantOperation(State& state, const Input& value, duckdb::AggregateUnaryInput&,
                                duckdb::idx_t count) {
    if (value == 0 || count == 0) {
      state.sum.count += static_cast<int64_t>(count);
      return;
    }
    state.sum.count += static_cast<int64_t>(count);
    AddSlowly(state, value, static_cast<int64_t>(count));
    Narrow(state);
  }
  template <class State, class Self>
  static void Combine(const State& source, State& target, duckdb::AggregateInputData&) {
    target.sum.count += source.sum.count;
    target.sum.infinities += source.sum.infinities;
    target.sum.negative_infinities += source.sum.negative_infinities;
    target.sum.nans += source.sum.nans;
    if (!source.sum.IsWide()) {
      for (double part : {source.sum.total, source.sum.lost}) {
        if (!target.sum.TryAdd(part)) AddSlowly(target, part, 1);
      }
      return;
    }
    if (!target.wide) target.wide = new WideSum();
    if (!target.sum.IsWide()) target.sum.Widen(*target.wide);
    target.wide->Add(*source.wide);
  }
  template <class Result, class State>
  static void Finalize(State& state, Result& target, duckdb::AggregateFinalizeData& data) {
    if (state.sum.count == 0) return data.ReturnNull();
    double value = state.sum.Value(state.sum.IsWide() ? state.wide : nullptr);
    target = kAverage ? value / static_cast<double>(state.sum.count) : value;
  }
  template <class State>
  static void Destroy(State& state, duckdb::AggregateInputData&) {
    delete state.wide;
    state.wide = nullptr;
  }

 private:
  static void Narrow(FloatState& state) {
    if (!state.sum.IsWide() || !state.sum.TryNarrow(*state.wide)) return;
    delete state.wide;
    state.wide = nullptr;
  }
};

template <bool kAverage>
AggregateFunction FloatFunction(const std::string& name) {
  auto function =
      AggregateFunction::UnaryAggregateDestructor<FloatState, double, double,
                                                  FloatOperation<kAverage>,
                                                  duckdb::AggregateDestructorType::LEGACY>(
          duckdb::LogicalType::DOUBLE, duckdb::LogicalType::DOUBLE);
  function.name = name;
  function.order_dependent = duckdb::AggregateOrderDependent::NOT_ORDER_DEPENDENT;
  return function;
}

// The sum is `total` + `beyond` * 2^128: what counts is where it ends, not where it passes.
struct WideIntegerState {
  uint64_t low;  // of the total: states stand at multiples of eight bytes
  int64_t high;
  int64_t beyond;
  bool is_set;

  Int128 Total() const {
    auto bits = static_cast<unsigned __int128>(static_cast<uint64_t>(high)) << 64;
    return static_cast<Int128>(bits | low);
  }
  void Add(Int128 value) {
    Int128 total;
    if (__builtin_add_overflow(Total(), value, &total)) beyond += value > 0 ? 1 : -1;
    low = static_cast<uint64_t>(total);
    high = static_cast<int64_t>(total >> 64);
  }
};

template <bool kDecimal>
struct WideIntegerOperation {
  static bool IgnoreNull() { return true; }
  template <class State>
  static void Initialize(State& state) {
    state.low = 0;
    state.high = 0;
    state.beyond = 0;
    state.is_set = false;
  }
  template <class Input, class State, class Self>
  static void Operation(State& state, const Input& value, duckdb::AggregateUnaryInput&) {
    auto high = static_cast<unsigned __int128>(static_cast<uint64_t>(value.upper)) << 64;
    state.Add(static_cast<Int128>(high | value.lower));
    state.is_set = true;
  }
  template <class Input, class State, class Self>
  static void ConstantOperation(State& state, const Input& value,
                                duckdb::AggregateUnaryInput& input, duckdb::idx_t count) {
    for (duckdb::idx_t i = 0; i < count; i++) {
      Operation<Input, State, Self>(state, value, input);
    }
  }
  template <class State, class Self>
  static void Combine(const State& source, State& target, duckdb::AggregateInputData&) {
    target.Add(source.Total());
    target.beyond += source.beyond;
    target.is_set |= source.is_set;
  }
  template <class Result, class State>
  static void Finalize(State& state, Result& target, duckdb::AggregateFinalizeData& data) {
    if (!state.is_set) return data.ReturnNull();
    duckdb::hugeint_t sum(state.high, state.low);
    auto limit = duckdb::Hugeint::POWERS_OF_TEN[38];
    if (state.beyond != 0 || (kDecimal && (sum >= limit || sum <= -limit))) {
      throw duckdb::OutOfRangeException("a sum does not fit its type");
    }
    target = sum;
  }
};

template <bool kDecimal>
AggregateFunction WideIntegerFunction(const duckdb::LogicalType& input,
                                      const duckdb::LogicalType& result) {
  auto function =
      AggregateFunction::UnaryAggregate<WideIntegerState, duckdb::hugeint_t, duckdb::hugeint_t,
                                        WideIntegerOperation<kDecimal>>(input, result);
  function.name = "sum";
  function.order_dependent = duckdb::AggregateOrderDependent::NOT_ORDER_DEPENDENT;
  return function;
}

// What a call is taken for; nothing where it stays as it is.  `own`: only what has a name of its
// own.
std::optional<AggregateFunction> Exact(const AggregateFunction& function,
                                       const duckdb::vector<duckdb::unique_ptr<Expression>>& values,
                                       bool own) {
  if (values.size() != 1) return std::nullopt;
  auto& type = values[0]->return_type;
  auto& result = function.return_type;
  if (type.id() == duckdb::LogicalTypeId::DOUBLE && result.id() == duckdb::LogicalTypeId::DOUBLE) {
    if (Contains(kFloatSums, function.name)) {
      return FloatFunction<false>(own ? kOwnSum : function.name);
    }
    if (Contains(kFloatAverages, function.name)) {
      return FloatFunction<true>(own ? kOwnAverage : function.name);
    }
  }
  bool wide = type.InternalType() == duckdb::PhysicalType::INT128 &&
              result.InternalType() == duckdb::PhysicalType::INT128;
  if (own || !wide || function.name != "sum") return std::nullopt;
  if (type.id() == duckdb::LogicalTypeId::DECIMAL && result.id() == type.id()) {
    return WideIntegerFunction<true>(type, result);
  }
  if (type.id() == duckdb::LogicalTypeId::HUGEINT && result.id() == type.id()) {
    return WideIntegerFunction<false>(type, result);
  }
  return std::nullopt;
}

class Replacer : public duckdb::LogicalOperatorVisitor {
 public:
  explicit Replacer(bool own) : own_(own) {}

 protected:
  duckdb::unique_ptr<Expression> VisitReplace(duckdb::BoundAggregateExpression& call,
                                              duckdb::unique_ptr<Expression>*) override {
    if (auto exact = Exact(call.function, call.children, own_)) {
      call.function = std::move(*exact);
      call.bind_info.reset();
    }
    return nullptr;
  }
  duckdb::unique_ptr<Expression> VisitReplace(duckdb::BoundWindowExpression& call,
                                              duckdb::unique_ptr<Expression>*) override {
    if (!call.aggregate) return nullptr;
    if (auto exact = Exact(*call.aggregate, call.children, own_)) {
      *call.aggregate = std::move(*exact);
      call.bind_info.reset();
    }
    return nullptr;
  }

 private:
  bool own_;
};

}  // namespace

bool IsFloatSum(const std::string& function) { return Contains(kFloatSums, function); }

void InstallExactSums(duckdb::DuckDB& database) {
  duckdb::OptimizerExtension rule;
  rule.optimize_function = [](duckdb::OptimizerExtensionInput&,
                              duckdb::unique_ptr<LogicalOperator>& plan) {
    Replacer(false).VisitOperator(*plan);
  };
  duckdb::OptimizerExtension::Register(duckdb::DBConfig::GetConfig(*database.instance), rule);
}

void RegisterExactSums(duckdb::DuckDB& database) {
  duckdb::Connection connection(database);
  connection.BeginTransaction();
  auto& catalog = duckdb::Catalog::GetSystemCatalog(*connection.context);
  for (auto& function : {FloatFunction<false>(kOwnSum), FloatFunction<true>(kOwnAverage)}) {
    duckdb::CreateAggregateFunctionInfo info(function);
    catalog.CreateFunction(*connection.context, info);
  }
  connection.Commit();
}

void UseExactSums(LogicalOperator& plan) { Replacer(true).VisitOperator(plan); }

}  // namespace weir
