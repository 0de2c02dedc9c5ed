// Statements that write, as the queries that say which rows: run in a query worker at the position
// where the table is held.  Their columns are the table's own, cast to its types, with what
// TableWrites has to know behind (or before) them.
#pragma once

#include <string>

#include "catalog/catalog.h"
#include "sql/write_statement.h"

namespace weir {

// The visible columns, whatever more the query gave, and of a table whether its key is taken.
std::string InsertQuery(const Stream& stream, const Insert& insert);

// The key as it was, the visible columns as they become, and whether the new key is taken by a row
// (which may be one that is updated, too).
std::string UpdateQuery(const Stream& table, const Update& update);

// The keys of the rows that go, each once.
std::string DeleteQuery(const Stream& table, const Delete& erase);

// What has to change so that a table is a file (a relation of this name): the visible columns,
// whether the row goes, and how often its key stands in the file.
std::string DifferenceQuery(const Stream& table, const std::string& file);

}  // namespace weir
