// A view's content, as it came over the socket, as something SQL can scan.
#pragma once

#include <memory>

#include "catalog/catalog.h"
#include "duck/row_source.h"
#include "formats/columns.h"
#include "query/messages.h"

namespace weir {

ViewData PackView(const std::string& name, const std::vector<Column>& columns, const Columns& rows);
std::shared_ptr<RowSource> MakeViewRows(const ViewData& view);

// Types as bytes, for the messages.
std::string SaveType(const duckdb::LogicalType& type);
duckdb::LogicalType LoadType(const std::string& bytes);

}  // namespace weir
