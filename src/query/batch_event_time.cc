#include "query/batch_event_time.h"

#include "base/quoted.h"

namespace weir {
namespace {

std::string WithGaps(const Stream& stream, const std::string& relation) {
  std::string gap = "0";
  if (auto idle = stream.watermark->idle_timeout) {
    gap =
        "greatest(0, epoch_us(_arrival_time) - lag(epoch_us(_arrival_time)) OVER (ORDER BY "
        "_offset) - " +
        std::to_string(*idle) + ")";
  }
  return "(SELECT *, CAST(sum(weir_gap) OVER (ORDER BY _offset ROWS BETWEEN UNBOUNDED PRECEDING "
         "AND CURRENT ROW) AS BIGINT) AS weir_gaps FROM (SELECT *, " +
         gap + " AS weir_gap FROM " + relation + "))";
}

std::string Reached(const Stream& stream) {
  std::string time = QuotedName(stream.watermark->column);
  return "max(CASE WHEN isfinite(" + time + ") THEN epoch_us(" + time + ") - " +
         std::to_string(stream.watermark->delay) + " - weir_gaps END)";
}

}  // namespace

std::string RowsWithWatermark(const Stream& stream, const std::string& relation) {
  auto& type = stream.columns[*stream.Find(stream.watermark->column)].type;
  std::string micros = "weir_gaps + " + Reached(stream) +
                       " OVER (ORDER BY _offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)";
  std::string time = "make_timestamp(CAST(" + micros + " AS BIGINT))";
  if (type.id() == duckdb::LogicalTypeId::TIMESTAMP_TZ) time += " AT TIME ZONE 'UTC'";
  return "SELECT * EXCLUDE (weir_gap, weir_gaps), " + time + " AS _watermark FROM " +
         WithGaps(stream, relation);
}

std::string WatermarkAt(const Stream& stream, const std::string& relation, Micros log_time) {
  std::string idle = "0";
  if (auto timeout = stream.watermark->idle_timeout) {
    idle = "greatest(0, " + std::to_string(log_time) + " - max(epoch_us(_arrival_time)) - " +
           std::to_string(*timeout) + ")";
  }
  return "SELECT CAST(" + Reached(stream) + " + max(weir_gaps) + " + idle + " AS BIGINT) FROM " +
         WithGaps(stream, relation);
}

std::string OnTimeMacro() {
  return "CREATE OR REPLACE MACRO weir_on_time(weir_end, lateness, watermark, stream) AS "
         "coalesce(epoch_us(weir_end) + lateness > epoch_us(watermark), true)";
}

std::string ClosedMacro(const std::map<std::string, std::optional<Micros>>& watermarks) {
  std::string of_stream = "CASE stream";
  for (auto& [name, watermark] : watermarks) {
    of_stream += " WHEN " + QuotedText(name) + " THEN " +
                 (watermark ? std::to_string(*watermark) : "CAST(NULL AS BIGINT)");
  }
  of_stream += watermarks.empty() ? " WHEN '' THEN CAST(NULL AS BIGINT) END" : " END";
  return "CREATE OR REPLACE MACRO weir_closed(weir_end, lateness, stream) AS "
         "coalesce(epoch_us(weir_end) + lateness <= " +
         of_stream + ", false)";
}

}  // namespace weir
