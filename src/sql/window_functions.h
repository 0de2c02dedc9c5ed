// Windowing table functions, as Flink has them: TUMBLE, HOP, CUMULATE and SESSION over a table and
// its time column, rewritten into the subquery that means the same to the batch engine.
//
//   FROM TUMBLE(TABLE bids, DESCRIPTOR(at), INTERVAL '10' SECOND [, offset])
//   FROM HOP(TABLE bids, DESCRIPTOR(at), slide, size [, offset])
//   FROM CUMULATE(TABLE bids, DESCRIPTOR(at), step, size [, offset])
//   FROM SESSION(TABLE bids [PARTITION BY bidder], DESCRIPTOR(at), gap)
//
// also within TABLE( ), with named arguments (DATA => TABLE bids, TIMECOL => DESCRIPTOR(at), SIZE
// => ...), and over a query in place of the name.  Each row comes with window_start, window_end
// and window_time (the last millisecond of the window); a row without a time is in no window.
// Windows begin at multiples of their size from 1970-01-01: those of hours and less from midnight
// UTC, those of days and more by the calendar (of the project's time zone, over a TIMESTAMPTZ).
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace weir {

// Where a query stands in a longer text, for errors.
struct QueryPlace {
  std::string_view text, file;
  size_t position = 0;
};

// What sql/event_time adds to windows: `before` may change the rows that go into them and give a
// condition on those, `after` what comes out, a query in parentheses.
struct WindowInput {
  std::string data;  // a name, or a query in parentheses
  std::string time;  // the column, quoted
  bool is_session = false;
  std::string condition;
};
struct WindowRule {
  std::function<void(WindowInput&)> before;
  std::function<std::string(const WindowInput&, const std::string& windows)> after;
};

// The query with these functions spelled out; others come back as they are, to the byte.  Lines
// stay where they were.  Throws Error(kInvalidSql) for arguments that make no window.
std::string ExpandWindowFunctions(const std::string& query, const QueryPlace& place = {},
                                  const WindowRule* rule = nullptr);

}  // namespace weir
