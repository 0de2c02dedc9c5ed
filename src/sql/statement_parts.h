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
// All that is left, as a query.
std::string ReadQuery(StatementReader& in, const char* what);
// Only the grammar; what the names mean is looked at when the view is made.
void CheckQuery(StatementReader& in, const std::string& query, size_t position, const char* what);

// write_rows.cc
StatementBody ReadWrite(StatementReader& in);  // at INSERT, UPDATE, DELETE or TRUNCATE
CopyFrom ReadCopy(StatementReader& in);
CreatePump ReadCreatePump(StatementReader& in);
// start = 'now' | 'beginning'
bool IsStartNow(StatementReader& in, const StatementReader::Option& option);

}  // namespace weir
