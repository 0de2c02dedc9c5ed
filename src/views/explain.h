// A view's operators as text, for EXPLAIN.
#pragma once

#include <string>

#include "views/live_view.h"

namespace weir {

// `analyze`: with rows in and out, state and time of each operator.
std::string ExplainCircuit(const Operator& output, const CatalogState& state, bool analyze);

}  // namespace weir
