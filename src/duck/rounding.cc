#include "duck/rounding.h"

#include <algorithm>
#include <map>
#include <string>

#include "duck/clock_functions.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"

namespace weir {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kHour = 3600 * kSecond;
constexpr int64_t kDay = 24 * kHour;
// Infinities and the far past stand at the ends of the type; nothing is learnt there.
constexpr int64_t kFar = INT64_MAX / 4;

// The shortest each unit can be: a day, or what has days, may lack an hour.
int64_t ShortestOf(const std::string& unit) {
  static const std::map<std::string, int64_t> lengths = {{"second", kSecond},
                                                         {"minute", 60 * kSecond},
                                                         {"hour", kHour},
                                                         {"day", kDay - kHour},
                                                         {"week", 7 * kDay - kHour},
                                                         {"month", 28 * kDay - kHour},
                                                         {"quarter", 90 * kDay - kHour},
                                                         {"year", 365 * kDay - kHour}};
  auto found = lengths.find(unit);
  return found == lengths.end() ? 0 : found->second;
}

bool IsTime(const duckdb::LogicalType& type) {
  return type.id() == duckdb::LogicalTypeId::TIMESTAMP ||
         type.id() == duckdb::LogicalTypeId::TIMESTAMP_TZ;
}

const duckdb::Value* KnownValue(const duckdb::Expression& expression) {
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT) return nullptr;
  auto& value = expression.Cast<duckdb::BoundConstantExpression>().value;
  return value.IsNull() ? nullptr : &value;
}

// How long what rounds alike is at least; 0: no rounding that keeps order.
int64_t ShortestOf(const duckdb::BoundFunctionExpression& call) {
  if (IsRounding(call)) {
    auto* unit = KnownValue(*call.children[0]);
    return unit ? ShortestOf(duckdb::StringUtil::Lower(unit->ToString())) : 0;
  }
  // time_bucket(width, time), and with the origin as a time.
  if (call.function.name != "time_bucket" || call.children.size() < 2) return 0;
  auto* width = KnownValue(*call.children[0]);
  if (!width || width->type().id() != duckdb::LogicalTypeId::INTERVAL) return 0;
  auto interval = duckdb::IntervalValue::Get(*width);
  // A day may lack an hour where clocks change; of fixed length is what has none.
  if (interval.months != 0 || interval.days != 0) return 0;
  if (interval.micros < kSecond || interval.micros > 10'000 * kDay) return 0;
  if (call.children.size() == 3) {
    auto* origin = KnownValue(*call.children[2]);
    if (!origin || !IsTime(origin->type())) return 0;
    auto micros = origin->GetValueUnsafe<int64_t>();
    if (micros <= -kFar || micros >= kFar) return 0;
  }
  return call.children.size() <= 3 ? interval.micros : 0;
}

}  // namespace

struct Rounding::Executor {
  explicit Executor(std::shared_ptr<Session> session)
      : session(std::move(session)), executor(this->session->context()) {}
  std::shared_ptr<Session> session;
  duckdb::unique_ptr<duckdb::Expression> expression;  // over column 0
  duckdb::ExpressionExecutor executor;
  duckdb::DataChunk questions, answers;
};

Rounding::Rounding() = default;
Rounding::~Rounding() = default;

std::unique_ptr<Rounding> Rounding::Make(std::shared_ptr<Session> session,
                                         const duckdb::Expression& expression) {
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_FUNCTION) return nullptr;
  auto& call = expression.Cast<duckdb::BoundFunctionExpression>();
  int64_t shortest = ShortestOf(call);
  if (shortest == 0) return nullptr;
  auto& time = *call.children[1];
  if (time.GetExpressionClass() != duckdb::ExpressionClass::BOUND_REF ||
      !IsTime(time.return_type) || !IsTime(expression.return_type)) {
    return nullptr;
  }
  std::unique_ptr<Rounding> rounding(new Rounding);
  rounding->column_ = time.Cast<duckdb::BoundReferenceExpression>().index;
  rounding->unit_ = shortest;
  auto& executor = *(rounding->executor_ = std::make_unique<Executor>(std::move(session)));
  executor.expression = expression.Copy();
  executor.expression->Cast<duckdb::BoundFunctionExpression>().children[1] =
      duckdb::make_uniq<duckdb::BoundReferenceExpression>(time.return_type, 0);
  executor.executor.AddExpression(*executor.expression);
  executor.questions.Initialize(duckdb::Allocator::DefaultAllocator(), {time.return_type});
  executor.answers.Initialize(duckdb::Allocator::DefaultAllocator(), {expression.return_type});
  return rounding;
}

void Rounding::Run(duckdb::Vector& times, duckdb::idx_t count, duckdb::Vector& out) {
  duckdb::UnifiedVectorFormat format;
  times.ToUnifiedFormat(count, format);
  auto* values = duckdb::UnifiedVectorFormat::GetDataUnsafe<int64_t>(format);
  out.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
  auto* rounded = duckdb::FlatVector::GetDataUnsafe<int64_t>(out);
  const Interval* last = &intervals_[0];
  size_t learned = 0;
  for (duckdb::idx_t i = 0; i < count; i++) {
    auto index = format.sel->get_index(i);
    if (!format.validity.RowIsValid(index)) {
      duckdb::FlatVector::SetNull(out, i, true);
      continue;
    }
    int64_t time = values[index];
    if (time < last->from || time > last->to) {
      last = &Place(time);
      if (time < last->from || time > last->to) {
        if (learned++ == kLearnedAtOnce) {  // too varied for intervals: DuckDB does them all
          duckdb::DataChunk rows;
          rows.InitializeEmpty({times.GetType()});
          rows.data[0].Reference(times);
          rows.SetCardinality(count);
          executor_->executor.ExecuteExpression(rows, out);
          return;
        }
        Learn(time);
      }
    }
    rounded[i] = last->rounded;
  }
}

const int64_t* Rounding::Ask(size_t count) {
  executor_->questions.SetCardinality(count);
  executor_->executor.SetChunk(&executor_->questions);
  executor_->answers.Reset();
  executor_->executor.ExecuteExpression(executor_->answers.data[0]);
  executor_->answers.data[0].Flatten(count);
  return duckdb::FlatVector::GetDataUnsafe<int64_t>(executor_->answers.data[0]);
}

// Finds what rounds as `time` does: from its rounding on, for as long as a unit may last.
void Rounding::Learn(int64_t time) {
  auto* questions = duckdb::FlatVector::GetDataUnsafe<int64_t>(executor_->questions.data[0]);
  questions[0] = time;
  int64_t rounded = Ask(1)[0];
  Interval interval{time, time, rounded};
  if (time > -kFar && time < kFar) {
    // Each question costs microseconds; hours and less are no longer than their shortest, but for
    // one when clocks go back, which is learnt as two.
    int64_t ends[] = {rounded, rounded + unit_ - 1, rounded + unit_ + kHour - 1,
                      rounded + unit_ + 2 * kHour - 1};
    size_t count = unit_ <= kHour ? 2 : std::size(ends);
    std::copy_n(ends, count, questions);
    auto* answers = Ask(count);
    for (size_t i = 0; i < count; i++) {
      if (answers[i] != rounded) continue;
      interval.from = std::min(interval.from, ends[i]);
      interval.to = std::max(interval.to, ends[i]);
    }
  }
  Place(time) = interval;
}

}  // namespace weir
