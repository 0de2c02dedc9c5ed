#include "duck/functions/zone.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "base/error.h"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/function/function_binder.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"

namespace weir {
namespace {

constexpr Micros kSecond = 1'000'000;
constexpr Micros kHour = 3600 * kSecond;
constexpr Micros kDay = 24 * kHour;
constexpr Micros kMostAhead = 16 * kHour;

// Asks DuckDB what clocks show.
class Clocks {
 public:
  Clocks(duckdb::ClientContext& context, const std::string& zone) : executor_(context) {
    duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> arguments;
    arguments.push_back(duckdb::make_uniq<duckdb::BoundConstantExpression>(duckdb::Value(zone)));
    arguments.push_back(
        duckdb::make_uniq<duckdb::BoundReferenceExpression>(duckdb::LogicalType::TIMESTAMP_TZ, 0));
    duckdb::FunctionBinder binder(context);
    duckdb::ErrorData error;
    call_ = binder.BindScalarFunction(DEFAULT_SCHEMA, "timezone", std::move(arguments), error);
    if (error.HasError()) error.Throw();
    executor_.AddExpression(*call_);
    auto& allocator = duckdb::Allocator::DefaultAllocator();
    instants_.Initialize(allocator, {duckdb::LogicalType::TIMESTAMP_TZ});
    locals_.Initialize(allocator, {call_->return_type});
  }

  std::vector<Micros> OffsetsAt(const std::vector<Micros>& instants) {
    std::vector<Micros> offsets(instants.size());
    for (size_t done = 0; done < instants.size();) {
      size_t some = std::min<size_t>(STANDARD_VECTOR_SIZE, instants.size() - done);
      instants_.Reset();
      locals_.Reset();
      auto* asked = duckdb::FlatVector::GetDataUnsafe<int64_t>(instants_.data[0]);
      std::copy_n(&instants[done], some, asked);
      instants_.SetCardinality(some);
      executor_.Execute(instants_, locals_);
      locals_.data[0].Flatten(some);
      auto* shown = duckdb::FlatVector::GetDataUnsafe<int64_t>(locals_.data[0]);
      for (size_t i = 0; i < some; i++) offsets[done + i] = shown[i] - instants[done + i];
      done += some;
    }
    return offsets;
  }

 private:
  duckdb::unique_ptr<duckdb::Expression> call_;
  duckdb::ExpressionExecutor executor_;
  duckdb::DataChunk instants_, locals_;
};

// Days between two looks at a zone's clocks, in which they are never set twice: in the database of
// zones the shortest time between two settings is four days (Freetown in September 1939), and a
// week after that.
Micros ApartAt(Micros instant) {
  constexpr Micros kIn1940 = -946'771'200 * kSecond;  // 1940-01-01
  return (instant < kIn1940 ? 3 : 6) * kDay;
}

}  // namespace

std::shared_ptr<const Zone> Zone::Of(duckdb::ClientContext& context) {
  duckdb::Value name;
  return Named(context, context.TryGetCurrentSetting("TimeZone", name) ? name.ToString() : "UTC");
}

std::shared_ptr<const Zone> Zone::Named(duckdb::ClientContext& context, const std::string& name) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<const Zone>> zones;
  {
    std::lock_guard lock(mutex);
    auto found = zones.find(name);
    if (found != zones.end()) return found->second;
  }
  auto zone = Learn(context, name);
  std::lock_guard lock(mutex);
  return zones.emplace(name, std::move(zone)).first->second;
}

// Clocks are set on whole seconds.
std::shared_ptr<const Zone> Zone::Learn(duckdb::ClientContext& context, const std::string& name) {
  std::shared_ptr<Zone> zone(new Zone);
  if (name == "UTC" || name == "Etc/UTC") {
    zone->pieces_.push_back({kFirst, 0});
    return zone;
  }
  Clocks clocks(context, name);
  std::vector<Micros> days;
  for (Micros day = kFirst; day < kEnd; day += ApartAt(day)) days.push_back(day);
  days.push_back(kEnd);
  auto offsets = clocks.OffsetsAt(days);
  // Each is set after `low` and not after `high`.
  std::vector<Micros> low, high, before;
  for (size_t i = 1; i < days.size(); i++) {
    if (offsets[i] == offsets[i - 1]) continue;
    low.push_back(days[i - 1]);
    high.push_back(days[i]);
    before.push_back(offsets[i - 1]);
  }
  for (Micros width = ApartAt(kEnd); width > kSecond; width = (width / kSecond + 1) / 2 * kSecond) {
    std::vector<Micros> middle(low.size());
    for (size_t i = 0; i < low.size(); i++) {
      middle[i] = low[i] + (high[i] - low[i]) / kSecond / 2 * kSecond;
    }
    auto there = clocks.OffsetsAt(middle);
    for (size_t i = 0; i < low.size(); i++) {
      if (high[i] - low[i] <= kSecond) continue;
      (there[i] == before[i] ? low : high)[i] = middle[i];
    }
  }
  auto after = clocks.OffsetsAt(high);
  zone->pieces_.push_back({kFirst, offsets[0]});
  for (size_t i = 0; i < high.size(); i++) zone->pieces_.push_back({high[i], after[i]});
  return zone;
}

const Zone::Piece& Zone::At(Micros instant) const {
  auto after = std::upper_bound(pieces_.begin(), pieces_.end(), instant,
                                [](Micros time, const Piece& piece) { return time < piece.from; });
  return after == pieces_.begin() ? *after : *(after - 1);
}

Micros Zone::InstantOf(Micros local) const {
  // No clock is so far ahead: pieces before this one end below `local`.
  const Piece* piece = &At(local - kMostAhead);
  const Piece* last = &pieces_.back();
  while (piece != last && (piece + 1)->from + piece->offset <= local) piece++;
  Micros instant = local - piece->offset;
  return piece == &pieces_.front() ? instant : std::max(piece->from, instant);
}

Micros Zone::Spread(Micros since) const {
  const Piece* first = &At(since);
  Micros least = first->offset, greatest = first->offset;
  for (auto* piece = first; piece <= &pieces_.back(); piece++) {
    least = std::min(least, piece->offset);
    greatest = std::max(greatest, piece->offset);
  }
  return greatest - least;
}

bool Zone::IsSetByHours(Micros since) const {
  for (auto* piece = &At(since) + 1; piece <= &pieces_.back(); piece++) {
    if ((piece->offset - (piece - 1)->offset) % kHour != 0) return false;
  }
  return true;
}

}  // namespace weir
