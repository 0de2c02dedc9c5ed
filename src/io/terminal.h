// The terminal at standard output.
#pragma once

#include <cstddef>

namespace weir {

struct Terminal {
  bool is_there = false;
  size_t columns = 100, rows = 40;  // as good a guess as any where there is none
};
Terminal TerminalNow();

}  // namespace weir
