// Functions of time by the calendar of the session's zone, in the kernel and in query workers
// alike.
//
// DuckDB's own, corrected where clocks are set back:
//
//   date_trunc(unit, TIMESTAMPTZ)   the second of two equal hours is one of its own (DuckDB 1.5 has
//                                   both begin where the second does); a day, and what is longer,
//                                   begins at the first of two midnights, so never after its times
//   date_diff(unit, TIMESTAMPTZ, TIMESTAMPTZ)   counts these
//
// and of windows (sql/window_functions), for TIMESTAMP and TIMESTAMPTZ; lengths are INTERVALs:
//
//   weir_window_start(time, length, offset)        where the window of `time` begins
//   weir_window_end(start, slide, offset, length)  where one ends that begins at `start`
//   weir_hop_starts(time, slide, length, offset)   where all windows begin that `time` is in
//   weir_cumulate_ends(time, step, length, offset) where all windows end that `time` is in
#pragma once

namespace duckdb {
class DatabaseInstance;
}

namespace weir {

// Called once for each database, before it runs queries.
void InstallCalendarFunctions(duckdb::DatabaseInstance& database);

}  // namespace weir
