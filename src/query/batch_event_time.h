// Event time for the batch engine, as SQL over all rows of a stream: the same that sources and
// window operators of the circuit decide row by row, said in one piece.
//
// With gap(r) = how long no row came before r beyond the idle timeout, and G(r) the sum of all gaps
// up to r, the watermark before r is G(r) + max over the rows q before it of (time(q) - delay -
// G(q)).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "catalog/catalog.h"

namespace weir {

// The rows of `relation` (as SQL: the columns of a stream that has a watermark, _offset and
// _arrival_time) with _watermark behind them.
std::string RowsWithWatermark(const Stream& stream, const std::string& relation);

// One BIGINT: the stream's watermark when the time of the log is `log_time`, or NULL.
std::string WatermarkAt(const Stream& stream, const std::string& relation, Micros log_time);

// CREATE MACRO statements of weir_on_time and weir_closed; watermarks by stream.
std::string OnTimeMacro();
std::string ClosedMacro(const std::map<std::string, std::optional<Micros>>& watermarks);

}  // namespace weir
