// From what was written to what the kernel parses.
#pragma once

#include <string>

#include "base/kernel_sql.h"
#include "catalog/catalog.h"
#include "sql/window_functions.h"

namespace weir {

// Functions of windows in time are spelled out.  Lines stay where they were, for errors.  Throws
// Error(kInvalidSql) for what cannot be; what does not parse otherwise comes back as it is.
KernelSql ToKernelSql(const std::string& written, const QueryPlace& place = {});

// For views and pumps of a stored catalog, which this version may translate in another way than
// that which stored them.  What cannot be translated any more is left as it was written: an error
// where it is planned.
void TranslateStored(CatalogState& state);

}  // namespace weir
