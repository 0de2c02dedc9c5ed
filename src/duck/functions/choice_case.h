// CASE WHEN x = 'a' THEN 1 WHEN x = 'b' THEN 2 ... ELSE e END as a function of x and of the columns
// that e reads.  DuckDB selects, slices and fills for each WHEN; here a row's text is looked up
// once, its result is one copy, and e is worked out for the rows that are left, and no others: they
// may be those it would fail on.
#pragma once

#include "duck/functions/choices.h"
#include "duckdb/planner/expression.hpp"

namespace weir {

// Of which type a result can be.
bool CanBeChosen(const duckdb::LogicalType& type);

// `results`: a constant for each choice.
duckdb::unique_ptr<duckdb::Expression> MakeChoiceCase(duckdb::unique_ptr<duckdb::Expression> text,
                                                      Choices choices,
                                                      const std::vector<duckdb::Value>& results,
                                                      duckdb::unique_ptr<duckdb::Expression> rest);

}  // namespace weir
