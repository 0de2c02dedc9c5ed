// The longer statements, each read behind its first words; used by sql/statement.cc alone.
#pragma once

#include <string>

#include "sql/statement.h"
#include "sql/statement_reader.h"

namespace weir {

// create_stream.cc
CreateStream ReadCreateStream(StatementReader& in);
CreateStream ReadCreateTable(StatementReader& in);

// create_view.cc
CreateView ReadCreateView(StatementReader& in, bool materialized, bool or_replace);
// All that is left, as a query: as written, and for the kernel.
struct ReadText {
  std::string written;
  KernelSql kernel_sql;
};
ReadText ReadQuery(StatementReader& in, const char* what);
// Of a query at `position` only the grammar is checked; what the names mean is looked at when it is
// planned.
KernelSql CheckedQuery(StatementReader& in, const std::string& query, size_t position,
                       const char* what);

// write_rows.cc
StatementBody ReadWrite(StatementReader& in);  // at INSERT, UPDATE, DELETE or TRUNCATE
CopyFrom ReadCopy(StatementReader& in);
CreatePump ReadCreatePump(StatementReader& in);
// start = 'now' | 'beginning'
bool IsStartNow(StatementReader& in, const StatementReader::Option& option);

}  // namespace weir
