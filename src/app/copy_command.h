// COPY name FROM 'file' in `weir sql`: the file is read here, where the user is, and sent like any
// other rows.
#pragma once

#include <string>

#include "sql/write_statement.h"

namespace weir {

// 0: all accepted; 4: rows were refused.  Throws what keeps it from reading or sending.
int RunCopy(const std::string& url, const CopyFrom& copy);

}  // namespace weir
