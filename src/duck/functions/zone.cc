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

// Times within which a zone's clocks are never set twice: the database of zones (2025b, all of its
// zones) has no two settings closer than 21 days before 1939, 4 until 1946 (Freetown in September
// 1939), 17 until 2000 (El Aaiun in 1976), 7 until 2005 (Recife in 2000), 21 until 2040 (Cairo in
// 2010) and 7 after (Gaza, whose summer time makes way for Ramadan).
struct Era {
  Micros end, apart;
};
constexpr Era kEras[] = {
    {-978'307'200 * kSecond, 20 * kDay},   // before 1939
    {-757'382'400 * kSecond, 3 * kDay},    // before 1946
    {946'684'800 * kSecond, 16 * kDay},    // before 2000
    {1'104'537'600 * kSecond, 6 * kDay},   // before 2005
    {2'208'988'800 * kSecond, 20 * kDay},  // before 2040
    {Zone::kEnd, 6 * kDay},
};

// When a zone's clocks are looked at first.
std::vector<Micros> FirstLooks() {
  std::vector<Micros> looks;
  Micros at = Zone::kFirst;
  for (auto& era : kEras) {
    for (; at < era.end; at += era.apart) looks.push_back(at);
    at = era.end;
  }
  looks.push_back(Zone::kEnd);
  return looks;
}

// One setting of a zone's clocks: after `low`, and not after `high`.
struct Setting {
  Micros low, high, before;  // before: the offset until then
};

// Halves the time of each until it is on a multiple of `unit`.
void Narrow(Clocks& clocks, std::vector<Setting*> settings, Micros unit) {
  while (true) {
    std::erase_if(settings, [&](auto* one) { return one->high - one->low <= unit; });
    if (settings.empty()) return;
    std::vector<Micros> middle;
    for (auto* one : settings) {
      middle.push_back(one->low + (one->high - one->low) / 2 / unit * unit);
    }
    auto there = clocks.OffsetsAt(middle);
    for (size_t i = 0; i < settings.size(); i++) {
      (there[i] == settings[i]->before ? settings[i]->low : settings[i]->high) = middle[i];
    }
  }
}

// Clocks are set on whole seconds, nearly always at an hour or a quarter of one.
void Narrow(Clocks& clocks, std::vector<Setting>& settings) {
  std::vector<Setting*> all, others;
  for (auto& one : settings) all.push_back(&one);
  Narrow(clocks, all, kHour / 4);
  std::vector<Micros> just_before;
  for (auto& one : settings) just_before.push_back(one.high - kSecond);
  auto there = clocks.OffsetsAt(just_before);
  for (size_t i = 0; i < settings.size(); i++) {
    (there[i] == settings[i].before ? settings[i].low : settings[i].high) = just_before[i];
    if (settings[i].high == just_before[i]) others.push_back(&settings[i]);
  }
  Narrow(clocks, others, kSecond);
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

std::shared_ptr<const Zone> Zone::Learn(duckdb::ClientContext& context, const std::string& name) {
  std::shared_ptr<Zone> zone(new Zone);
  if (name == "UTC" || name == "Etc/UTC") {
    zone->pieces_.push_back({kFirst, 0});
    return zone;
  }
  Clocks clocks(context, name);
  auto looks = FirstLooks();
  auto offsets = clocks.OffsetsAt(looks);
  std::vector<Setting> settings;
  for (size_t i = 1; i < looks.size(); i++) {
    if (offsets[i] != offsets[i - 1]) settings.push_back({looks[i - 1], looks[i], offsets[i - 1]});
  }
  Narrow(clocks, settings);
  std::vector<Micros> at;
  for (auto& setting : settings) at.push_back(setting.high);
  auto after = clocks.OffsetsAt(at);
  zone->pieces_.push_back({kFirst, offsets[0]});
  for (size_t i = 0; i < at.size(); i++) zone->pieces_.push_back({at[i], after[i]});
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
