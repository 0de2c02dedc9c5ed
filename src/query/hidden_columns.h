// Hidden columns (_offset, _arrival_time, _watermark) in a query worker.  Where a query names one,
// DuckDB sees them as plain columns of its streams; so that `*` leaves them out there as
// everywhere, each `*` over a stream says which columns it does not mean.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace duckdb {
class SelectStatement;
}

namespace weir {

// The hidden columns that a relation of this lower-case name has; none when it is no stream.
using HiddenColumnsOf = std::function<std::vector<std::string>(const std::string&)>;

void LeaveOutHiddenColumns(duckdb::SelectStatement& select, const HiddenColumnsOf& hidden);

}  // namespace weir
