// A view's operators as text, for EXPLAIN, and as figures, for the catalog.
#pragma once

#include <string>

#include "views/live_view.h"

namespace weir {

// `analyze`: with rows in and out, state and time of each operator.
std::string ExplainCircuit(Operator& output, const CatalogState& state, bool analyze);
// The same of what is asked again from scratch.
std::string ExplainRecomputed(const std::string& why, const std::string& hint);
// The rung, why it is no better one, and what would help.
std::string OneLine(const Upkeep& upkeep);

// Without the names of its views.
OperatorInfo Describe(Operator& op);

}  // namespace weir
