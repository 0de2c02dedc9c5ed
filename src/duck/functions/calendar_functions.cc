#include "duck/functions/calendar_functions.h"

#include <optional>

#include "base/error.h"
#include "duck/functions/calendar_grid.h"
#include "duck/functions/civil_time.h"
#include "duck/functions/zone.h"
#include "duckdb/catalog/catalog.hpp"
#include "duckdb/catalog/catalog_entry/scalar_function_catalog_entry.hpp"
#include "duckdb/common/enums/date_part_specifier.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/execution/expression_executor_state.hpp"
#include "duckdb/function/scalar_function.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/parser/parsed_data/create_scalar_function_info.hpp"

namespace weir {
namespace {

using duckdb::interval_t;
using duckdb::LogicalType;
using duckdb::timestamp_t;
using Unit = duckdb::DatePartSpecifier;

constexpr Micros kHour = 3'600'000'000;
// Windows of more rows than memory has are a mistake.
constexpr size_t kMostWindows = 1 << 20;

// ---- units of the calendar ----------------------------------------------------------------------

std::optional<Unit> UnitIn(const duckdb::Vector& units) {
  if (units.GetVectorType() != duckdb::VectorType::CONSTANT_VECTOR ||
      duckdb::ConstantVector::IsNull(units)) {
    return std::nullopt;
  }
  Unit unit;
  auto name = duckdb::ConstantVector::GetData<duckdb::string_t>(units)->GetString();
  if (!duckdb::TryGetDatePartSpecifier(name, unit)) return std::nullopt;
  return unit;
}

// How many months, and otherwise days, a unit of the calendar is; nothing: it is no such unit.
struct CalendarUnit {
  int64_t months = 0, days = 0, first_day = 0;
};
std::optional<CalendarUnit> AsCalendarUnit(Unit unit) {
  constexpr int64_t kMonday = 4;  // 1970-01-05
  switch (unit) {
    case Unit::DAY: return CalendarUnit{0, 1, 0};
    case Unit::WEEK: return CalendarUnit{0, 7, kMonday};
    case Unit::MONTH: return CalendarUnit{1, 0, 0};
    case Unit::QUARTER: return CalendarUnit{3, 0, 0};
    case Unit::YEAR: return CalendarUnit{12, 0, 0};
    default: return std::nullopt;
  }
}

interval_t LengthOf(const CalendarUnit& unit) {
  return {static_cast<int32_t>(unit.months), static_cast<int32_t>(unit.days), 0};
}
interval_t OffsetOf(const CalendarUnit& unit) {
  return {0, static_cast<int32_t>(unit.first_day), 0};
}

// Where an hour begins that is told by the clock as it stands at the time.
Micros StartOfHour(const Zone& zone, Micros time) {
  Micros offset = zone.OffsetAt(time);
  return FloorTo(time + offset, kHour) - offset;
}

// Times that the zone's table does not reach are DuckDB's, row by row: `ours` says the value of a
// row of known times, or nothing.
template <typename Ours>
void OursOrDuckDbs(duckdb::DataChunk& arguments, duckdb::ExpressionState& state,
                   duckdb::Vector& result, const duckdb::scalar_function_t& duckdbs, Ours ours) {
  auto count = arguments.size();
  std::vector<duckdb::UnifiedVectorFormat> times(arguments.ColumnCount() - 1);
  for (size_t i = 0; i < times.size(); i++) {
    arguments.data[i + 1].ToUnifiedFormat(count, times[i]);
  }
  bool is_constant = arguments.AllConstant();
  std::vector<int64_t> row_times(times.size());
  // Whether all times of a row are known; NULL counts as such.
  auto read = [&](duckdb::idx_t row, bool& is_null) {
    is_null = false;
    bool all = true;
    for (size_t i = 0; i < times.size(); i++) {
      auto at = times[i].sel->get_index(row);
      if (!times[i].validity.RowIsValid(at)) {
        is_null = true;
        return true;
      }
      row_times[i] = duckdb::UnifiedVectorFormat::GetDataUnsafe<int64_t>(times[i])[at];
      all = all && Zone::Knows(row_times[i]);
    }
    return all;
  };
  bool all_known = true, is_null;
  for (duckdb::idx_t row = 0; row < count && all_known; row++) all_known = read(row, is_null);
  if (all_known) {
    result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
  } else {
    duckdbs(arguments, state, result);
    result.Flatten(count);
  }
  auto* values = duckdb::FlatVector::GetDataUnsafe<int64_t>(result);
  for (duckdb::idx_t row = 0; row < count; row++) {
    bool is_known = read(row, is_null);
    if (is_null) {
      duckdb::FlatVector::SetNull(result, row, true);
    } else if (is_known) {
      values[row] = ours(row_times);
    }
  }
  if (is_constant) result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
}

// A grid of a unit, or none for an hour; nothing for a unit that is DuckDB's.
class UnitOfZone {
 public:
  static std::optional<UnitOfZone> In(const duckdb::Vector& units, duckdb::ExpressionState& state) {
    auto unit = UnitIn(units);
    auto of_calendar = unit ? AsCalendarUnit(*unit) : std::nullopt;
    if (!of_calendar && (!unit || *unit != Unit::HOUR)) return std::nullopt;
    UnitOfZone found;
    found.zone_ = Zone::Of(state.GetContext());
    if (of_calendar) {
      found.grid_.emplace(found.zone_.get(), LengthOf(*of_calendar), OffsetOf(*of_calendar));
    }
    return found;
  }
  Micros StartOf(Micros time) const {
    return grid_ ? grid_->BeginningOf(grid_->NumberAt(time)) : StartOfHour(*zone_, time);
  }
  int64_t Between(Micros from, Micros to) const {
    if (grid_) return grid_->NumberAt(to) - grid_->NumberAt(from);
    return (StartOfHour(*zone_, to) - StartOfHour(*zone_, from)) / kHour;
  }

 private:
  std::shared_ptr<const Zone> zone_;
  std::optional<CalendarGrid> grid_;
};

duckdb::scalar_function_t Truncate(duckdb::scalar_function_t duckdbs) {
  return [duckdbs = std::move(duckdbs)](duckdb::DataChunk& arguments,
                                        duckdb::ExpressionState& state, duckdb::Vector& result) {
    auto unit = UnitOfZone::In(arguments.data[0], state);
    if (!unit) return duckdbs(arguments, state, result);
    OursOrDuckDbs(arguments, state, result, duckdbs,
                  [&](const std::vector<int64_t>& times) { return unit->StartOf(times[0]); });
  };
}

duckdb::scalar_function_t Difference(duckdb::scalar_function_t duckdbs) {
  return [duckdbs = std::move(duckdbs)](duckdb::DataChunk& arguments,
                                        duckdb::ExpressionState& state, duckdb::Vector& result) {
    auto unit = UnitOfZone::In(arguments.data[0], state);
    if (!unit) return duckdbs(arguments, state, result);
    OursOrDuckDbs(arguments, state, result, duckdbs, [&](const std::vector<int64_t>& times) {
      return unit->Between(times[0], times[1]);
    });
  };
}

// ---- windows ------------------------------------------------------------------------------------

// The arguments of a call: a time, then lengths, which are mostly constant.
class Arguments {
 public:
  Arguments(duckdb::DataChunk& arguments, duckdb::ExpressionState& state) {
    if (arguments.data[0].GetType() == LogicalType::TIMESTAMP_TZ) {
      zone_ = Zone::Of(state.GetContext());
    }
    formats_.resize(arguments.ColumnCount());
    for (size_t i = 0; i < formats_.size(); i++) {
      arguments.data[i].ToUnifiedFormat(arguments.size(), formats_[i]);
    }
  }
  bool IsNull(duckdb::idx_t row) const {
    for (auto& format : formats_) {
      if (!format.validity.RowIsValid(format.sel->get_index(row))) return true;
    }
    return false;
  }
  Micros Time(duckdb::idx_t row) const { return Get<int64_t>(0, row); }
  interval_t Length(size_t argument, duckdb::idx_t row) const {
    return Get<interval_t>(argument, row);
  }
  // Kept from row to row while lengths are the same.
  const CalendarGrid& Grid(interval_t length, interval_t offset) {
    auto same = [](interval_t a, interval_t b) {
      return a.months == b.months && a.days == b.days && a.micros == b.micros;
    };
    if (!grid_ || !same(length, length_) || !same(offset, offset_)) {
      grid_.emplace(zone_.get(), length, offset);
      length_ = length;
      offset_ = offset;
    }
    return *grid_;
  }

 private:
  template <typename T>
  T Get(size_t argument, duckdb::idx_t row) const {
    auto& format = formats_[argument];
    return duckdb::UnifiedVectorFormat::GetDataUnsafe<T>(format)[format.sel->get_index(row)];
  }

  std::shared_ptr<const Zone> zone_;
  std::vector<duckdb::UnifiedVectorFormat> formats_;
  std::optional<CalendarGrid> grid_;
  interval_t length_{}, offset_{};
};

bool IsFinite(Micros time) { return duckdb::Timestamp::IsFinite(timestamp_t(time)); }

// `one` of each row's arguments; of an infinite time, that time.
template <typename One>
void EachTime(duckdb::DataChunk& chunk, duckdb::ExpressionState& state, duckdb::Vector& result,
              One one) {
  Arguments arguments(chunk, state);
  result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
  auto* times = duckdb::FlatVector::GetDataUnsafe<int64_t>(result);
  for (duckdb::idx_t row = 0; row < chunk.size(); row++) {
    if (arguments.IsNull(row)) {
      duckdb::FlatVector::SetNull(result, row, true);
    } else {
      Micros time = arguments.Time(row);
      times[row] = IsFinite(time) ? one(arguments, row, time) : time;
    }
  }
  if (chunk.AllConstant()) result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
}

void WindowStart(duckdb::DataChunk& chunk, duckdb::ExpressionState& state, duckdb::Vector& result) {
  EachTime(chunk, state, result, [](Arguments& arguments, duckdb::idx_t row, Micros time) {
    auto& grid = arguments.Grid(arguments.Length(1, row), arguments.Length(2, row));
    return grid.BeginningOf(grid.NumberAt(time));
  });
}

void WindowEnd(duckdb::DataChunk& chunk, duckdb::ExpressionState& state, duckdb::Vector& result) {
  EachTime(chunk, state, result, [](Arguments& arguments, duckdb::idx_t row, Micros start) {
    auto& grid = arguments.Grid(arguments.Length(1, row), arguments.Length(2, row));
    return grid.After(grid.NumberAt(start), arguments.Length(3, row));
  });
}

// A list for each row, to which `add` adds; none for an infinite time.
template <typename Add>
void EachList(duckdb::DataChunk& chunk, duckdb::ExpressionState& state, duckdb::Vector& result,
              Add add) {
  Arguments arguments(chunk, state);
  result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
  auto* lists = duckdb::FlatVector::GetDataUnsafe<duckdb::list_entry_t>(result);
  std::vector<Micros> all;
  for (duckdb::idx_t row = 0; row < chunk.size(); row++) {
    size_t first = all.size();
    bool is_null = arguments.IsNull(row);
    if (is_null) duckdb::FlatVector::SetNull(result, row, true);
    if (!is_null && IsFinite(arguments.Time(row))) add(arguments, row, arguments.Time(row), all);
    lists[row] = {first, all.size() - first};
  }
  duckdb::ListVector::Reserve(result, all.size());
  std::copy(all.begin(), all.end(),
            duckdb::FlatVector::GetDataUnsafe<int64_t>(duckdb::ListVector::GetEntry(result)));
  duckdb::ListVector::SetListSize(result, all.size());
  if (chunk.AllConstant()) result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
}

[[noreturn]] void TooManyWindows() {
  throw duckdb::OutOfRangeException("a time is in more than a million windows");
}

void AddWindow(std::vector<Micros>& all, size_t first, Micros time) {
  if (all.size() - first >= kMostWindows) TooManyWindows();
  all.push_back(time);
}

void HopStarts(duckdb::DataChunk& chunk, duckdb::ExpressionState& state, duckdb::Vector& result) {
  auto add = [](Arguments& arguments, duckdb::idx_t row, Micros time, std::vector<Micros>& all) {
    auto length = arguments.Length(2, row);
    auto& grid = arguments.Grid(arguments.Length(1, row), arguments.Length(3, row));
    auto first = all.size();
    for (auto number = grid.NumberAt(time); grid.After(number, length) > time; number--) {
      if (!grid.IsEmpty(number)) AddWindow(all, first, grid.BeginningOf(number));
    }
    std::reverse(all.begin() + static_cast<int64_t>(first), all.end());
  };
  EachList(chunk, state, result, add);
}

void CumulateEnds(duckdb::DataChunk& chunk, duckdb::ExpressionState& state,
                  duckdb::Vector& result) {
  auto add = [](Arguments& arguments, duckdb::idx_t row, Micros time, std::vector<Micros>& all) {
    auto step = arguments.Length(1, row), length = arguments.Length(2, row);
    if (!IsWholeSteps(length, step)) {
      throw duckdb::InvalidInputException("the size of CUMULATE is no multiple of its step");
    }
    auto& grid = arguments.Grid(length, arguments.Length(3, row));
    auto number = grid.NumberAt(time);
    Micros end = grid.BeginningOf(number + 1);
    auto first = all.size();
    for (int32_t steps = 1;; steps++) {
      if (static_cast<size_t>(steps) > kMostWindows) TooManyWindows();
      interval_t so_far{step.months * steps, step.days * steps, step.micros * steps};
      Micros at = std::min(grid.After(number, so_far), end);
      bool is_new = all.size() == first || all.back() != at;
      if (at > time && is_new) AddWindow(all, first, at);
      if (at >= end) break;
    }
  };
  EachList(chunk, state, result, add);
}

// ---- where they go ------------------------------------------------------------------------------

void Correct(duckdb::ClientContext& context, const char* name, size_t arguments,
             duckdb::scalar_function_t (*corrected)(duckdb::scalar_function_t)) {
  auto& catalog = duckdb::Catalog::GetSystemCatalog(context);
  auto& entry = catalog.GetEntry<duckdb::ScalarFunctionCatalogEntry>(context, DEFAULT_SCHEMA, name);
  bool found = false;
  for (auto& function : entry.functions.functions) {
    auto& types = function.arguments;
    bool is_it = types.size() == arguments && types[0].id() == duckdb::LogicalTypeId::VARCHAR &&
                 types.back().id() == duckdb::LogicalTypeId::TIMESTAMP_TZ;
    if (!is_it) continue;
    function.SetFunctionCallback(corrected(function.GetFunctionCallback()));
    found = true;
  }
  CHECK(found);
}

}  // namespace

void InstallCalendarFunctions(duckdb::DatabaseInstance& database) {
  duckdb::Connection connection(database);
  connection.BeginTransaction();
  auto& context = *connection.context;
  for (auto* name : {"date_trunc", "datetrunc"}) Correct(context, name, 2, Truncate);
  for (auto* name : {"date_diff", "datediff"}) Correct(context, name, 3, Difference);
  duckdb::ScalarFunctionSet start("weir_window_start"), end("weir_window_end"),
      hops("weir_hop_starts"), cumulated("weir_cumulate_ends");
  auto length = LogicalType::INTERVAL;
  for (auto& time : {LogicalType::TIMESTAMP, LogicalType::TIMESTAMP_TZ}) {
    auto times = LogicalType::LIST(time);
    start.AddFunction(duckdb::ScalarFunction({time, length, length}, time, WindowStart));
    end.AddFunction(duckdb::ScalarFunction({time, length, length, length}, time, WindowEnd));
    hops.AddFunction(duckdb::ScalarFunction({time, length, length, length}, times, HopStarts));
    cumulated.AddFunction(
        duckdb::ScalarFunction({time, length, length, length}, times, CumulateEnds));
  }
  auto& catalog = duckdb::Catalog::GetSystemCatalog(context);
  for (auto* set : {&start, &end, &hops, &cumulated}) {
    for (auto& function : set->functions) function.SetFallible();
    duckdb::CreateScalarFunctionInfo info(*set);
    catalog.CreateFunction(context, info);
  }
  connection.Commit();
}

}  // namespace weir
