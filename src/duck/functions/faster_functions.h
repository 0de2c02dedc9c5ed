// Functions of DuckDB whose work on event streams can be saved, with the same results.
//
//  - split_part(text, 'c', n), which is string_split(text, 'c')[n]: no list is made; the part is a
//    view into the text.
//  - regexp_extract(text, 'pattern', n) of a simple pattern (simple_pattern): a view, too.
//  - a text that is compared with constants: once (text_choices, choice_case).
//  - a time and an interval of fixed length, added, and series of such steps (time_steps).
//  - length(text), and of a text in which something is replaced (text_lengths).
//  - lower(text) of ASCII, in place where texts are short.
//  - strftime(timestamp, 'format') without seconds: events come in time order, so the minute is
//    most often that of the row before.
//  - regexp_extract and regexp_replace of a text with constants: streams repeat themselves (the
//    same addresses, agents, messages), so results are remembered by text; no longer, once texts
//    turn out to differ mostly.
#pragma once

#include "duckdb/planner/expression.hpp"

namespace weir {

// Puts these into an expression, which is then evaluated by one thread at a time.
void UseFasterFunctions(duckdb::unique_ptr<duckdb::Expression>& expression);

}  // namespace weir
