#include "duck/rounding.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <string>

#include "duck/functions/clock_functions.h"
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

struct Length {
  int64_t shortest = 0, longest = 0;
};

// How long each unit can be: a day, or what has days, may lack an hour or have one more.
Length LengthOf(const std::string& unit) {
  auto days = [](int64_t fewest, int64_t most) {
    return Length{fewest * kDay - kHour, most * kDay + kHour};
  };
  static const std::map<std::string, Length> lengths = {
      {"second", {kSecond, kSecond}}, {"minute", {60 * kSecond, 60 * kSecond}},
      {"hour", {kHour, kHour}},       {"day", days(1, 1)},
      {"week", days(7, 7)},           {"month", days(28, 31)},
      {"quarter", days(90, 92)},      {"year", days(365, 366)}};
  auto found = lengths.find(unit);
  return found == lengths.end() ? Length{} : found->second;
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

// How long what rounds alike can be; 0: no rounding that keeps order.
Length LengthOf(const duckdb::BoundFunctionExpression& call) {
  if (IsRounding(call)) {
    auto* unit = KnownValue(*call.children[0]);
    return unit ? LengthOf(duckdb::StringUtil::Lower(unit->ToString())) : Length{};
  }
  // time_bucket(width, time), and with the origin as a time.
  if (call.function.name != "time_bucket" || call.children.size() < 2) return {};
  auto* width = KnownValue(*call.children[0]);
  if (!width || width->type().id() != duckdb::LogicalTypeId::INTERVAL) return {};
  auto interval = duckdb::IntervalValue::Get(*width);
  // A day may lack an hour where clocks change; of fixed length is what has none.
  if (interval.months != 0 || interval.days != 0) return {};
  if (interval.micros < kSecond || interval.micros > 10'000 * kDay) return {};
  if (call.children.size() == 3) {
    auto* origin = KnownValue(*call.children[2]);
    if (!origin || !IsTime(origin->type())) return {};
    auto micros = origin->GetValueUnsafe<int64_t>();
    if (micros <= -kFar || micros >= kFar) return {};
  }
  return call.children.size() <= 3 ? Length{interval.micros, interval.micros} : Length{};
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
  auto length = LengthOf(call);
  if (length.shortest == 0) return nullptr;
  auto& time = *call.children[1];
  if (time.GetExpressionClass() != duckdb::ExpressionClass::BOUND_REF ||
      !IsTime(time.return_type) || !IsTime(expression.return_type)) {
    return nullptr;
  }
  std::unique_ptr<Rounding> rounding(new Rounding);
  rounding->column_ = time.Cast<duckdb::BoundReferenceExpression>().index;
  rounding->shortest_ = length.shortest;
  rounding->longest_ = length.longest;
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
          asked_ += count;
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
  asked_ += count;
  executor_->questions.SetCardinality(count);
  executor_->executor.SetChunk(&executor_->questions);
  executor_->answers.Reset();
  executor_->executor.ExecuteExpression(executor_->answers.data[0]);
  executor_->answers.data[0].Flatten(count);
  return duckdb::FlatVector::GetDataUnsafe<int64_t>(executor_->answers.data[0]);
}

// Finds what rounds as `time` does: from its rounding on, for as long as a unit may last.  Each
// question costs microseconds.
void Rounding::Learn(int64_t time) {
  auto* questions = duckdb::FlatVector::GetDataUnsafe<int64_t>(executor_->questions.data[0]);
  questions[0] = time;
  int64_t rounded = Ask(1)[0];
  Interval interval{time, time, rounded};
  auto ask = [&](std::initializer_list<int64_t> times) {
    std::copy(times.begin(), times.end(), questions);
    auto* answers = Ask(times.size());
    for (size_t i = 0; i < times.size(); i++) {
      if (answers[i] != rounded) continue;
      interval.from = std::min(interval.from, questions[i]);
      interval.to = std::max(interval.to, questions[i]);
    }
    return answers[times.size() - 1];
  };
  if (time > -kFar && time < kFar) {
    // What may be longer ends where the next one begins.  Hours and less are no longer than their
    // shortest, but for one when clocks go back, which is learnt as two.
    int64_t shortest_end = rounded + shortest_ - 1;
    if (longest_ == shortest_) {
      ask({rounded, shortest_end});
    } else {
      int64_t next = ask({rounded, shortest_end, rounded + longest_});
      if (next > rounded) ask({next - 1});
    }
  }
  Place(time) = interval;
}

}  // namespace weir
