// Rows as an Arrow IPC stream (https://arrow.apache.org/docs/format/Columnar.html): a schema, then
// a record batch for each vector of rows.  Types Arrow has no like of travel as text.
#pragma once

#include <memory>

#include "query/answer.h"

namespace weir {

std::unique_ptr<AnswerWriter> MakeArrowWriter(duckdb::ClientContext& context, AnswerOut out);

}  // namespace weir
