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
// The next piece of the rows, which are given up; the pieces together are all of them.
BlockMessage TakePiece(const std::vector<Column>& columns, Columns& rows);
std::shared_ptr<RowSource> MakeViewRows(ViewData view);

// Types as bytes, for the messages.
std::string SaveType(const duckdb::LogicalType& type);
duckdb::LogicalType LoadType(const std::string& bytes);

}  // namespace weir
