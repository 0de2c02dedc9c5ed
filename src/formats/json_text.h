// JSON texts as values of columns: whether a text is one, and is not nested too deeply for whoever
// reads it later by recursion.  Thread-safe: no state.
#pragma once

#include <string>
#include <string_view>

#include "duckdb/common/types.hpp"
#include "formats/columns.h"

namespace weir {

// How many arrays and objects a value may stand in, itself among them: as many as in a row that
// comes as JSON, where the row is one more.
inline constexpr int kValueDepthMax = 63;

// "" or what is wrong with a text that should be one JSON value.
std::string JsonTextProblem(std::string_view text);

// Whether JSON stands in a type, at any depth.
bool HoldsJson(const duckdb::LogicalType& type);

// Throws Error(kTooDeep) when a JSON value in `columns`, which holds JSON texts already, is nested
// too deeply.  `names` may be empty.
void CheckJsonDepth(const Columns& columns, const std::vector<duckdb::LogicalType>& types,
                    const std::vector<std::string>& names);

}  // namespace weir
