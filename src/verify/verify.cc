#include "verify/verify.h"

#include <fmt/format.h>

#include <future>

#include "duck/errors.h"
#include "duckdb/common/types/hugeint.hpp"
#include "duckdb/parser/keyword_helper.hpp"
#include "formats/json_value.h"
#include "formats/results.h"
#include "sql/estimates.h"
#include "sql/left_open.h"
#include "sql/names_in.h"
#include "sql/total_order.h"
#include "verify/row_difference.h"

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
      "{{\"name\": {}, \"equal\": {}, \"comparable\": {}, \"rows\": {}, \"error_rows\": {}, "
      "\"offset\": {}, \"as_of\": \"{}\", ",
      QuoteJson(verdict.name), verdict.equal, verdict.comparable, verdict.rows, verdict.error_rows,
      verdict.offset.value, IsoTime(verdict.as_of));
  json += "\"columns\": [" + JsonColumns(verdict.columns);
  json += fmt::format(
      "], \"missing\": {}, \"unexpected\": {}, \"missing_rows\": {}, "
      "\"unexpected_rows\": {}, \"left_open\": {}, \"error\": ",
      RowsToJson(verdict.missing), RowsToJson(verdict.unexpected), verdict.missing_rows,
      verdict.unexpected_rows, verdict.left_open.empty() ? "null" : QuoteJson(verdict.left_open));
  if (verdict.error) {
    json += fmt::format("{{\"code\": \"{}\", \"message\": {}, \"hint\": {}}}",
                        ToString(verdict.error->code), QuoteJson(verdict.error->message),
                        QuoteJson(verdict.error->hint));
  } else {
    json += "null";
  }
  return json + "}";
}

// Call inside a catch block.
Error BatchFailure(uint64_t error_rows) {
  Error error = CurrentError();
  error.message = fmt::format("{} error rows, cannot be compared: the batch query fails with: {}",
                              error_rows, error.message);
  return error;
}

// Whether a view that the query reads, near or far, says estimates.
bool ReadsEstimates(const CatalogState& catalog, const KernelSql& query, int depth = 0) {
  constexpr int kViewDepth = 64;
  if (depth == kViewDepth) return false;
  for (auto& name : NamesIn(query)) {
    auto view = catalog.FindView(name);
    if (!view) continue;
    if (NamesEstimate(view->kernel_sql.text) ||
        ReadsEstimates(catalog, view->kernel_sql, depth + 1))
      return true;
  }
  return false;
}

std::vector<bool> ColumnsThatEstimate(const CatalogState& catalog, const View& view,
                                      size_t columns) {
  if (ReadsEstimates(catalog, view.kernel_sql)) return std::vector<bool>(columns, true);
  return EstimatedColumns(view.kernel_sql, columns);
}

}  // namespace

BatchResult Verify::Ask(KernelSql sql, const InputMark& at) {
  auto promise = std::make_shared<std::promise<BatchResult>>();
  auto answer = promise->get_future();
  BatchRequest request{std::move(sql), at.offset, at.clock, at.log_time};
  request.work = BatchRequest::Work::kVerify;
  batch_.Run(std::move(request),
             [promise](BatchResult result) { promise->set_value(std::move(result)); });
  BatchResult result = answer.get();
  if (result.error) std::rethrow_exception(result.error);
  return result;
}

ViewVerdict Verify::Check(const View& view) {
  ViewVerdict verdict;
  verdict.name = view.name;
  try {
    ReadOptions options;
    options.count_errors = true;
    Snapshot snapshot = std::move(views_.Read({view.name}, options).at(0));
    verdict.offset = snapshot.offset;
    verdict.as_of = snapshot.as_of;
    verdict.rows = snapshot.rows.rows;
    verdict.error_rows = snapshot.error_rows;
    verdict.columns = snapshot.columns;
    BatchResult result;
    try {
      result = Ask(WithTotalOrder(view.Planned(), snapshot.columns.size()),
                   {snapshot.offset, snapshot.as_of, snapshot.log_time});
    } catch (...) {
      if (snapshot.error_rows == 0) throw;
      verdict.comparable = false;
      verdict.error = BatchFailure(snapshot.error_rows);
      return verdict;
    }
    std::vector<duckdb::LogicalType> types;
    for (auto& column : snapshot.columns) types.push_back(column.type);
    if (result.columns.size() != types.size()) {
      throw Error(ErrorCode::kInternal,
                  fmt::format("view \"{}\" has {} columns, its query {}", view.name, types.size(),
                              result.columns.size()));
    }
    auto estimated = ColumnsThatEstimate(*catalog_.Current(), view, types.size());
    auto difference = CompareRows(result.rows, snapshot.rows, types, kRowsShown, estimated);
    verdict.missing = std::move(difference.missing);
    verdict.unexpected = std::move(difference.unexpected);
    verdict.missing_rows = difference.missing_rows;
    verdict.unexpected_rows = difference.unexpected_rows;
    verdict.equal = verdict.missing_rows == 0 && verdict.unexpected_rows == 0;
    if (!verdict.equal) verdict.left_open = LeftOpen(view.Planned());
  } catch (...) {
    verdict.error = CurrentError();
  }
  return verdict;
}

namespace {

// Rows as a multiset in two numbers, so that streams of any length can be compared.
KernelSql Summary(const KernelSql& query, size_t columns) {
  std::string names;
  for (size_t i = 0; i < columns; i++) names += (i ? ", c" : "c") + std::to_string(i);
  return KernelSql("SELECT count(*), coalesce(sum(hash(" + names +
                   ")::HUGEINT), 0)::HUGEINT FROM (" + query.text + "\n) AS q(" + names + ")");
}

struct Sum {
  duckdb::hugeint_t rows{0}, hashes{0};
  void Add(const BatchResult& result) {
    rows += duckdb::hugeint_t(result.rows.chunks.at(0)->GetValue(0, 0).GetValue<int64_t>());
    hashes += result.rows.chunks.at(0)->GetValue(1, 0).GetValue<duckdb::hugeint_t>();
  }
  bool operator==(const Sum&) const = default;
};

void Append(Columns& rows, Columns more) {
  for (auto& chunk : more.chunks) rows.chunks.push_back(std::move(chunk));
  rows.rows += more.rows;
}

}  // namespace

// What the stream holds, and what its pumps' queries had said before the pumps began, together are
// what the queries say now.  Events that producers sent, or pumps that are no more, are no fault.
ViewVerdict Verify::Check(const CatalogState& catalog, const Stream& stream) {
  constexpr uint64_t kRowsCompared = 2'000'000;
  ViewVerdict verdict;
  verdict.name = stream.name;
  try {
    EmittedMarks marks = views_.Emitted();
    verdict.offset = marks.at;
    verdict.columns = stream.columns;
    std::string list;
    for (auto& column : stream.columns) {
      list += (list.empty() ? "" : ", ") + duckdb::KeywordHelper::WriteQuoted(column.name, '"');
    }
    auto quoted = duckdb::KeywordHelper::WriteQuoted(stream.name, '"');
    KernelSql content("SELECT " + list + " FROM " + quoted);
    struct Part {
      KernelSql query;
      InputMark mark;
    };
    std::vector<Part> expected, actual{{content, {marks.at, 0}}};
    for (auto& pump : catalog.PumpsInto(stream.id)) {
      auto mark = marks.by_pump.find(pump->id);
      if (mark == marks.by_pump.end()) continue;  // made a moment ago
      KernelSql query = PumpQuery(*pump, stream);
      expected.push_back({query, mark->second});
      if (auto& start = pump->start) {
        actual.push_back({query, {start->offset, start->clock, start->log_time}});
      }
      verdict.as_of = std::max(verdict.as_of, mark->second.clock);
    }
    auto sum = [&](const std::vector<Part>& parts) {
      Sum all;
      for (auto& part : parts) {
        all.Add(Ask(Summary(part.query, stream.columns.size()), part.mark));
      }
      return all;
    };
    Sum want = sum(expected), have = sum(actual);
    verdict.rows = static_cast<uint64_t>(duckdb::Hugeint::Cast<int64_t>(have.rows));
    verdict.equal = want == have;
    if (verdict.equal) return verdict;
    if (want.rows > duckdb::hugeint_t(kRowsCompared) ||
        have.rows > duckdb::hugeint_t(kRowsCompared)) {
      if (!stream.derived && want.rows <= have.rows) {
        throw Error(ErrorCode::kLimitExceeded,
                    "too many rows to tell those of the pumps from those of producers");
      }
      verdict.missing_rows = static_cast<uint64_t>(duckdb::Hugeint::Cast<int64_t>(want.rows));
      throw Error(ErrorCode::kLimitExceeded,
                  "the rows differ, and are too many to say which of them");
    }
    auto rows = [&](const std::vector<Part>& parts) {
      Columns all;
      for (auto& part : parts) {
        Append(all, std::move(Ask(part.query, part.mark).rows));
      }
      return all;
    };
    auto difference = CompareRows(rows(expected), rows(actual), stream.Types(), kRowsShown);
    verdict.missing = std::move(difference.missing);
    verdict.missing_rows = difference.missing_rows;
    if (stream.derived) {
      verdict.unexpected = std::move(difference.unexpected);
      verdict.unexpected_rows = difference.unexpected_rows;
    }
    verdict.equal = verdict.missing_rows == 0 && verdict.unexpected_rows == 0;
  } catch (...) {
    verdict.error = CurrentError();
  }
  return verdict;
}

VerifyReport Verify::Run(const std::string& name) {
  auto catalog = catalog_.Current();
  VerifyReport report;
  auto stream = name.empty() ? nullptr : catalog->FindStream(name);
  if (auto pump = name.empty() || stream ? nullptr : catalog->FindPump(name)) {
    stream = catalog->FindStream(pump->stream);
  }
  if (stream) {
    if (catalog->PumpsInto(stream->id).empty()) {
      throw Error(ErrorCode::kInvalidRequest, "stream \"" + stream->name + "\" is fed by no query",
                  "What producers sent is what it is.");
    }
    report.views.push_back(Check(*catalog, *stream));
  } else if (!name.empty()) {
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
    for (auto& [key, fed] : catalog->streams) {
      if (!catalog->PumpsInto(fed->id).empty()) report.views.push_back(Check(*catalog, *fed));
    }
  }
  for (auto& verdict : report.views) {
    report.equal = report.equal && (verdict.equal || !verdict.comparable);
    report.comparable = report.comparable && verdict.comparable;
  }
  return report;
}

std::string ToJson(const VerifyReport& report) {
  std::string json = fmt::format("{{\"equal\": {}, \"comparable\": {}, \"views\": [", report.equal,
                                 report.comparable);
  for (size_t i = 0; i < report.views.size(); i++) {
    if (i > 0) json += ",\n";
    json += ToJson(report.views[i]);
  }
  return json + "]}\n";
}

}  // namespace weir
