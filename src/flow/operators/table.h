// The current rows of a table, above the source of its changes.
#pragma once

#include <memory>
#include <vector>

#include "flow/operator.h"

namespace weir {

struct TableSpec {
  RowTypes changes;          // the source's rows: columns, whether the row is gone, the hidden two
  size_t columns = 0;        // how many columns the table has
  std::vector<size_t> key;   // which of them
  bool with_hidden = false;  // whether _offset and _arrival_time (of the last change) follow
};
std::unique_ptr<Operator> MakeTable(TableSpec spec);

}  // namespace weir
