#include "query/verify.h"

#include <fmt/format.h>

#include <future>

#include "duck/errors.h"
#include "formats/json_value.h"
#include "formats/results.h"
#include "query/row_difference.h"
#include "sql/total_order.h"

namespace weir {
namespace {

constexpr size_t kRowsShown = 20;

std::string RowsToJson(const std::vector<TextRow>& rows) {
  std::string json = "[";
  for (auto& row : rows) {
    if (json.size() > 1) json += ", ";
    json += "[";
    for (size_t i = 0; i < row.size(); i++) {
      if (i > 0) json += ", ";
      json += row[i] ? QuoteJson(*row[i]) : "null";
    }
    json += "]";
  }
  return json + "]";
}

std::string ToJson(const ViewVerdict& verdict) {
  std::string json = fmt::format(
      "{{\"name\": {}, \"equal\": {}, \"rows\": {}, \"offset\": {}, \"as_of\": \"{}\", ",
      QuoteJson(verdict.name), verdict.equal, verdict.rows, verdict.offset.value,
      IsoTime(verdict.as_of));
  json += "\"columns\": [" + JsonColumns(verdict.columns);
  json += fmt::format(
      "], \"missing\": {}, \"unexpected\": {}, \"missing_rows\": {}, "
      "\"unexpected_rows\": {}, \"error\": ",
      RowsToJson(verdict.missing), RowsToJson(verdict.unexpected), verdict.missing_rows,
      verdict.unexpected_rows);
  if (verdict.error) {
    json += fmt::format("{{\"code\": \"{}\", \"message\": {}, \"hint\": {}}}",
                        ToString(verdict.error->code), QuoteJson(verdict.error->message),
                        QuoteJson(verdict.error->hint));
  } else {
    json += "null";
  }
  return json + "}";
}

}  // namespace

ViewVerdict Verify::Check(const View& view) {
  ViewVerdict verdict;
  verdict.name = view.name;
  try {
    Snapshot snapshot = std::move(views_.Read({view.name}).at(0));
    verdict.offset = snapshot.offset;
    verdict.as_of = snapshot.as_of;
    verdict.rows = snapshot.rows.rows;
    verdict.columns = snapshot.columns;
    auto promise = std::make_shared<std::promise<BatchResult>>();
    auto answer = promise->get_future();
    batch_.Run(
        {WithTotalOrder(view.query, snapshot.columns.size()), snapshot.offset, snapshot.as_of},
        [promise](BatchResult result) { promise->set_value(std::move(result)); });
    BatchResult result = answer.get();
    if (result.error) std::rethrow_exception(result.error);
    std::vector<duckdb::LogicalType> types;
    for (auto& column : snapshot.columns) types.push_back(column.type);
    if (result.columns.size() != types.size()) {
      throw Error(ErrorCode::kInternal,
                  fmt::format("view \"{}\" has {} columns, its query {}", view.name, types.size(),
                              result.columns.size()));
    }
    auto difference = CompareRows(result.rows, snapshot.rows, types, kRowsShown);
    verdict.missing = std::move(difference.missing);
    verdict.unexpected = std::move(difference.unexpected);
    verdict.missing_rows = difference.missing_rows;
    verdict.unexpected_rows = difference.unexpected_rows;
    verdict.equal = verdict.missing_rows == 0 && verdict.unexpected_rows == 0;
  } catch (...) {
    verdict.error = CurrentError();
  }
  return verdict;
}

VerifyReport Verify::Run(const std::string& name) {
  auto catalog = catalog_.Current();
  VerifyReport report;
  if (!name.empty()) {
    auto view = catalog->GetView(name);
    if (!view->materialized) {
      throw Error(ErrorCode::kInvalidRequest,
                  "view \"" + view->name + "\" is not materialized: it is its query",
                  "Only materialized views keep an answer that could differ.");
    }
    report.views.push_back(Check(*view));
  } else {
    for (auto& [key, view] : catalog->views) {
      if (view->materialized) report.views.push_back(Check(*view));
    }
  }
  for (auto& verdict : report.views) report.equal = report.equal && verdict.equal;
  return report;
}

std::string ToJson(const VerifyReport& report) {
  std::string json = fmt::format("{{\"equal\": {}, \"views\": [", report.equal);
  for (size_t i = 0; i < report.views.size(); i++) {
    if (i > 0) json += ",\n";
    json += ToJson(report.views[i]);
  }
  return json + "]}\n";
}

}  // namespace weir
