// Which objects a query reads, by the names it says.
#pragma once

#include <string>
#include <vector>

#include "base/kernel_sql.h"

namespace weir {

// The tables, streams and views a query names in FROM: lower-case, sorted, each once.
std::vector<std::string> NamesIn(const KernelSql& query);

}  // namespace weir
