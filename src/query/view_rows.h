// A view's content on its way over the socket, in pieces, and there as something SQL can scan.
#pragma once

#include <memory>

#include "catalog/catalog.h"
#include "duck/row_source.h"
#include "formats/columns.h"
#include "query/messages.h"

namespace weir {

// What is said of a view before its rows come.
ViewData DescribeView(const std::string& name, const std::vector<Column>& columns,
                      const Columns& rows);
// The next piece of a view's rows, which are given up; the pieces together are all of them.
BlockMessage TakePiece(Snapshot& snapshot);
std::shared_ptr<RowSource> MakeViewRows(ViewData view);

// Whether `column = value` of a view's reader (ReadOptions::equals) is what the batch engine says
// of the column and a literal: a text in quotes, or a whole number.
bool IsEqualityExact(const duckdb::LogicalType& column, const std::string& value, bool is_text);

// Types as bytes, for the messages.
std::string SaveType(const duckdb::LogicalType& type);
duckdb::LogicalType LoadType(const std::string& bytes);

}  // namespace weir
