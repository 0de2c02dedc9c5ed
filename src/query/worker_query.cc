#include "query/worker_query.h"

#include <algorithm>

#include "base/text.h"
#include "duck/errors.h"
#include "duck/functions/calendar_functions.h"
#include "duck/functions/decimal_casts.h"
#include "duck/functions/exact_sums.h"
#include "duck/functions/interval_forms.h"
#include "duck/functions/transaction_time.h"
#include "duck/plan/asof_joins.h"
#include "duck/plan/row_marks.h"
#include "duck/plan/row_subqueries.h"
#include "duck/plan/subquery_joins.h"
#include "duck/union_structs.h"
#include "duckdb/common/error_data.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/config.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/main/prepared_statement.hpp"
#include "duckdb/parser/query_node.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "lake/storage.h"
#include "lake/tail.h"
#include "query/answer_file.h"
#include "query/batch_event_time.h"
#include "query/fitted_rows.h"
#include "query/hidden_columns.h"
#include "query/params.h"
#include "query/table_rows.h"
#include "query/view_rows.h"
#include "views/views.h"

namespace weir {
namespace {

// Views over views deeper than this are a mistake, or a cycle.
constexpr int kViewDepth = 64;

std::string UnknownRelation(const CatalogState& catalog, const std::string& name,
                            std::string& hint) {
  std::string nearest = catalog.NearestRelation(name);
  if (!nearest.empty()) hint = "Did you mean \"" + nearest + "\"?";
  return "there is no stream, table or view \"" + name + "\"";
}

// A query that does not bind.  By now DuckDB has put the place into the text of its message, as
// "LINE 1: ..." with a caret below: that is our hint.
Error PlaceOf(duckdb::ErrorData& data) {
  std::string place;
  auto line = data.RawMessage().find("\n\nLINE ");
  if (line != std::string::npos) place = data.RawMessage().substr(line + 2);
  try {
    data.Throw();
  } catch (...) {
    Error error = CurrentError();
    if (!place.empty()) error.hint = std::move(place);
    return error;
  }
}

// Reads the segments one after the other.
NextRecord ReadSegments(std::shared_ptr<const std::vector<SegmentInfo>> segments, Offset after,
                        Offset up_to) {
  return
      [segments = std::move(segments), after, up_to, next = size_t{0},
       reader = std::shared_ptr<LogReader>()]() mutable -> std::shared_ptr<const CommittedRecord> {
        for (;;) {
          if (reader) {
            if (auto record = reader->Next()) return record;
          }
          if (next == segments->size()) return nullptr;
          reader = ReadSegmentFile((*segments)[next++], after, up_to);
        }
      };
}

}  // namespace

WorkerEngine::WorkerEngine(const HelloMessage& hello)
    : disk_(MakeRealDisk()), answer_file_(std::make_unique<AnswerFile>()) {
  duckdb::DBConfig config;
  config.SetOptionByName("threads", duckdb::Value::INTEGER(1));
  config.SetOptionByName("memory_limit",
                         duckdb::Value(std::to_string(hello.memory_bytes >> 20) + "MiB"));
  config.SetOptionByName("autoinstall_known_extensions", duckdb::Value::BOOLEAN(false));
  config.SetOptionByName("autoload_known_extensions", duckdb::Value::BOOLEAN(false));
  config.SetOptionByName("temp_directory", duckdb::Value(""));
  database_ = std::make_unique<duckdb::DuckDB>(nullptr, &config);
  database_->GetFileSystem().RegisterSubSystem(answer_file_->MakeFileSystem());
  database_->GetFileSystem().RegisterSubSystem(MakeDiskFileSystem(*disk_, lake_files_));
  auto& settings = duckdb::DBConfig::GetConfig(*database_->instance);
  settings.replacement_scans.clear();  // FROM 'file' is never a file
  InstallSubqueryJoins(*database_, true);
  InstallRowMarks(*database_);
  InstallRowSubqueries(*database_);
  InstallAsofJoins(*database_);
  InstallIntervalForms(*database_);
  InstallDecimalCasts(*database_);
  InstallExactSums(*database_);
  InstallCalendarFunctions(*database_->instance);
}

void WorkerEngine::ShutIn(const HelloMessage& hello) {
  duckdb::Connection connection(*database_);
  RegisterRowSources(*connection.context, sources_);
  RegisterKnownFiles(*connection.context, known_files_);
  RegisterUnionStructs(*connection.context);
  std::string folders;
  for (auto& folder : hello.readable) {
    for (auto& prefix : {std::string(), std::string(kDiskPrefix)}) {
      folders += (folders.empty() ? "" : ", ") + QuotedText(prefix + folder + "/");
    }
  }
  for (auto& statement : {"SET threads = " + std::to_string(hello.threads),
                          "SET GLOBAL TimeZone = " + QuotedText(hello.time_zone),
                          std::string("SET GLOBAL parquet_metadata_cache = true"),
                          "SET allowed_directories = [" + folders + "]",
                          "SET allowed_paths = [" + QuotedText(kAnswerPath) + "]",
                          std::string("SET enable_external_access = false"),
                          std::string("SET lock_configuration = true")}) {
    auto result = connection.Query(statement);
    if (result->HasError()) {
      throw Error(ErrorCode::kInternal,
                  "a query worker could not set itself up: " + result->GetError());
    }
  }
}

WorkerEngine::~WorkerEngine() = default;

WorkerQuery::WorkerQuery(WorkerEngine& engine, QueryMessage query)
    : engine_(engine), query_(std::move(query)), catalog_(LoadCatalog(query_.catalog)) {
  connection_ = std::make_unique<duckdb::Connection>(engine_.database());
  parsed_ = ParseShutIn(*connection_, KernelSql(query_.sql));
  Resolve(parsed_, 0);
  need_.whole = whole_;
  need_.columns.assign(names_.begin(), names_.end());
  // Conditions of the query itself, where it reads the view and no other that reads it.
  if (need_.streams.empty() && need_.views.size() == 1 && views_ == need_.views) {
    need_.equals = parsed_.equals;
  }
  // DuckDB 1.5.5 pushes a join's keys as a filter below an ORDER BY ... LIMIT on its other side,
  // which then keeps other rows than it should; and below a LIMIT under a DISTINCT it drops joins
  // that multiply rows.
  auto& disabled =
      duckdb::DBConfig::GetConfig(*engine_.database().instance).options.disabled_optimizers;
  disabled.clear();
  // It leaves out rows of partitions with more than one value in the order (ORDER BY NULL).
  disabled.insert(duckdb::OptimizerType::TOP_N_WINDOW_ELIMINATION);
  if (!limited_) return;
  disabled.insert(duckdb::OptimizerType::JOIN_FILTER_PUSHDOWN);
  disabled.insert(duckdb::OptimizerType::JOIN_ELIMINATION);
}

WorkerQuery::~WorkerQuery() {
  fitted_.reset();
  engine_.sources().Clear();
  connection_.reset();
  engine_.answer_file().Direct(nullptr);
  engine_.lake_files().Forget();
  engine_.known_files().Forget();
}

// Finds the streams and kept answers the query stands on, through views.
void WorkerQuery::Resolve(const ShutInQuery& query, int depth) {
  if (depth > kViewDepth) throw Error(ErrorCode::kInvalidSql, "views are nested too deeply");
  hidden_columns_ |= query.hidden_columns;
  event_time_ |= query.event_time;
  limited_ |= query.limited;
  whole_ |= query.whole;
  names_.insert(query.names.begin(), query.names.end());
  auto add = [](std::vector<std::string>& list, const std::string& name) {
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
  };
  for (auto& name : query.relations) {
    if (auto stream = catalog_.FindStream(name)) {
      add(need_.streams, Lower(stream->name));
    } else if (auto view = catalog_.FindView(name)) {
      std::string key = Lower(view->name);
      if (std::find(views_.begin(), views_.end(), key) != views_.end()) continue;
      auto& behind = query_.recomputed;
      bool kept =
          !query_.expand_views && std::find(behind.begin(), behind.end(), key) == behind.end();
      if (view->materialized && kept) {
        add(need_.views, key);
      } else {
        Resolve(ParseShutIn(*connection_, view->Planned()), depth + 1);
      }
      views_.push_back(key);
    } else if (auto view = ViewOfErrors(name); view && !query.ctes.contains(name)) {
      if (query_.expand_views) {
        throw Error(ErrorCode::kInvalidSql,
                    "\"" + name + "\" can only be read as of now, and not in a view");
      }
      add(need_.views, Lower(name));
      add(errors_, Lower(name));
    } else if ((!query.ctes.contains(name) && !IsFile(name)) || IsBuiltIn(name)) {
      std::string hint;
      std::string message = UnknownRelation(catalog_, name, hint);
      throw Error(ErrorCode::kInvalidSql, std::move(message), std::move(hint));
    }
  }
}

bool WorkerQuery::IsFile(const std::string& name) const {
  return std::any_of(query_.files.begin(), query_.files.end(),
                     [&](auto& file) { return file.name == name; });
}

// The view whose error rows NAME_errors names; null when there is none.
std::shared_ptr<const View> WorkerQuery::ViewOfErrors(const std::string& name) const {
  std::string lower = Lower(name);
  if (!lower.ends_with(kErrorsSuffix)) return nullptr;
  auto view = catalog_.FindView(lower.substr(0, lower.size() - kErrorsSuffix.size()));
  return view && view->materialized ? view : nullptr;
}

void WorkerQuery::Define(const std::string& name, const std::string& select) {
  auto result = connection_->Query("CREATE VIEW " + QuotedName(name) + " AS " + select);
  if (!result->HasError()) return;
  try {
    result->ThrowError();
  } catch (...) {
    Error error = CurrentError();
    error.message = "\"" + name + "\": " + error.message;
    throw error;
  }
}

// Selects over the files, in order: those that are read in the same way together.
std::vector<std::string> WorkerQuery::ReadFiles(const weir::Stream& stream,
                                                const std::vector<size_t>& columns,
                                                const std::vector<FileData>& files, Offset at) {
  std::vector<std::string> selects;
  auto stored =
      std::make_shared<const FileColumns>(FileColumns{StoredNames(stream), FileTypes(stream)});
  for (size_t begin = 0; begin < files.size();) {
    bool sealed = files[begin].sealed, whole = files[begin].whole;
    std::vector<std::string> paths;
    size_t end = begin;
    for (; end < files.size() && files[end].sealed == sealed && files[end].whole == whole; end++) {
      auto& file = files[end];
      ParquetFile readable{file.path, file.name, {}};
      if (sealed) readable.seal = Seal{file.bytes, file.seal};
      engine_.lake_files().Expect(readable);
      paths.push_back(kDiskPrefix + file.path);
      engine_.known_files().Know(
          paths.back(), {file.first, file.last, file.arrived_first, file.arrived_last, file.rows,
                         sealed ? stored : nullptr});
    }
    selects.push_back("SELECT " + ReadList(stream, columns, sealed) + " FROM " +
                      ReadKnownFiles(paths));
    if (!whole) selects.back() += " WHERE _offset <= " + std::to_string(at.value);
    begin = end;
  }
  return selects;
}

// Lake files and the log's tail as one relation.  A part with nothing in it is left out, so that
// the batch engine sees plain Parquet wherever it can.
void WorkerQuery::DefineStream(const weir::Stream& stream, const DataMessage& data) {
  std::string key = Lower(stream.name);
  bool with_hidden = hidden_columns_ || stream.IsTable();  // a table's changes are in their order
  std::vector<size_t> columns(stream.columns.size() + (with_hidden ? 2 : 0));
  for (size_t i = 0; i < columns.size(); i++) columns[i] = i;
  std::vector<std::string> parts;
  Offset landed;
  for (auto& part : data.streams) {
    if (part.name != key) continue;
    landed = std::min(part.landed, data.at);
    parts = ReadFiles(stream, columns, part.files, data.at);
  }
  if (landed < data.at || parts.empty()) {
    auto segments = std::make_shared<const std::vector<SegmentInfo>>(data.segments);
    uint64_t most = data.at.value - landed.value;
    auto source = std::make_shared<TailSource>(
        std::make_shared<const weir::Stream>(stream), landed, data.at, most,
        [segments, landed, up_to = data.at] { return ReadSegments(segments, landed, up_to); });
    engine_.sources().Set("stream " + key, source);
    std::string names;
    for (size_t column : columns) {
      names += (names.empty() ? "" : ", ") + QuotedName(source->Names()[column]);
    }
    parts.push_back("SELECT " + names + " FROM weir_rows(" + QuotedText("stream " + key) + ")");
  }
  std::string select;
  for (auto& part : parts) select += (select.empty() ? "" : " UNION ALL ") + part;
  if (event_time_ && stream.watermark) {
    std::string rows = "rows of " + key;  // no query may name it
    Define(rows, select);
    return Define(stream.name, RowsWithWatermark(stream, QuotedName(rows)));
  }
  if (!stream.IsTable()) return Define(stream.name, select);
  std::string changes = "changes of " + key;  // no query may name it
  Define(changes, select);
  Define(stream.name, LatestRows(stream, changes, hidden_columns_));
}

// What windows are late and closed: asked of all rows, once, before the query.
void WorkerQuery::DefineEventTime(const DataMessage& data) {
  std::map<std::string, std::optional<Micros>> watermarks;
  for (auto& name : need_.streams) {
    auto stream = catalog_.GetStream(name);
    if (!stream->watermark) continue;
    auto result = connection_->Query(
        WatermarkAt(*stream, QuotedName("rows of " + Lower(stream->name)), data.log_time));
    if (result->HasError()) result->ThrowError();
    auto value = result->GetValue(0, 0);
    auto& watermark = watermarks[stream->name];
    if (!value.IsNull()) watermark = value.GetValue<int64_t>();
  }
  for (auto& macro : {OnTimeMacro(), ClosedMacro(watermarks)}) {
    auto result = connection_->Query(macro);
    if (result->HasError()) result->ThrowError();
  }
}

// What was read of a view (or of its error rows) as a relation; false: nothing was.
bool WorkerQuery::DefineKept(const std::string& name, DataMessage& data) {
  std::string key = Lower(name);
  for (auto& content : data.views) {
    if (content.name != key) continue;
    engine_.sources().Set("view " + key, MakeViewRows(std::move(content)));
    Define(name, "SELECT * FROM weir_rows(" + QuotedText("view " + key) + ")");
    return true;
  }
  return false;
}

void WorkerQuery::DefineView(const View& view, DataMessage& data) {
  if (DefineKept(view.name, data)) return;
  auto parsed = ParseShutIn(*connection_, view.Planned());
  bool compared = CompareRows(*parsed.statement);
  if (!hidden_columns_ && !compared) {
    return Define(view.name, view.Planned().text);
  }
  LeaveOutHidden(*parsed.statement);
  Define(view.name, parsed.statement->ToString());
}

// What DefineStream adds to a stream's columns is not meant by a `*`.
void WorkerQuery::LeaveOutHidden(duckdb::SelectStatement& select) const {
  if (!hidden_columns_) return;
  LeaveOutHiddenColumns(select, [this](const std::string& name) {
    auto stream = catalog_.FindStream(name);
    std::vector<std::string> columns;
    if (!stream) return columns;
    columns = {std::string(kOffsetName), std::string(kArrivalTimeName)};
    if (event_time_ && stream->watermark) columns.emplace_back("_watermark");
    return columns;
  });
}

// What the query reads is defined by now.
bool WorkerQuery::CompareRows(duckdb::SelectStatement& select) const {
  auto& context = *connection_->context;
  bool changed = false;
  context.RunFunctionInTransaction([&] { changed = RewriteRowSubqueries(context, select); });
  return changed;
}

std::unique_ptr<duckdb::QueryResult> WorkerQuery::Start() {
  CompareRows(*parsed_.statement);
  duckdb::unique_ptr<duckdb::SQLStatement> statement(parsed_.statement.release());
  std::shared_ptr<duckdb::PreparedStatement> prepared = connection_->Prepare(std::move(statement));
  if (prepared->HasError()) throw PlaceOf(prepared->error);
  auto values = ParseParams(query_.params_json);
  if (values.size() != prepared->named_param_map.size()) {
    throw Error(ErrorCode::kInvalidRequest,
                "the query has " + std::to_string(prepared->named_param_map.size()) +
                    " parameters but " + std::to_string(values.size()) + " values came with it");
  }
  auto ask = [prepared, values]() mutable -> std::unique_ptr<duckdb::QueryResult> {
    auto result = prepared->Execute(values, true);
    if (result->HasError()) result->ThrowError();
    return result;
  };
  bool typed = query_.format == AnswerFormat::kParquet || query_.format == AnswerFormat::kArrow;
  return typed ? StartFitted(ask) : ask();
}

// The same rows in types that the format keeps, from a connection beside the one they come from.
std::unique_ptr<duckdb::QueryResult> WorkerQuery::StartFitted(
    const std::function<std::unique_ptr<duckdb::QueryResult>()>& ask) {
  const std::string name = "answer";
  engine_.sources().Set(name,
                        MakeFittedSource(std::make_shared<FittedRows>(*connection_->context, ask)));
  std::string sql = "SELECT * FROM weir_rows(" + QuotedText(name) + ")";
  if (query_.format == AnswerFormat::kParquet) {
    sql = "COPY (" + sql + ") TO " + QuotedText(kAnswerPath) +
          " (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)";
  }
  fitted_ = std::make_unique<duckdb::Connection>(engine_.database());
  return fitted_->SendQuery(sql);
}

// A file of the project, as it is: every value a text where the format has no types of its own.
void WorkerQuery::DefineFile(const FileRelation& file) {
  std::string path = QuotedText(file.path);
  std::string read;
  if (file.format == "parquet") {
    read = "read_parquet(" + path + ")";
  } else if (file.format == "json") {
    read = "read_json(" + path + ", sample_size = -1)";
  } else {
    read = "read_csv(" + path + ", header = " + (file.header ? "true" : "false") +
           ", delim = " + QuotedText(file.delimiter) +
           ", quote = '\"', escape = '\"', all_varchar = true, allow_quoted_nulls = false)";
  }
  Define(file.name, "SELECT * FROM " + read);
}

// DuckDB tells of damaged files in words of its own.
bool WorkerQuery::Run(DataMessage& data, const AnswerOut& out) {
  engine_.lake_files().TakeFailure();
  try {
    return RunOn(data, out);
  } catch (...) {
    if (auto failure = engine_.lake_files().TakeFailure()) std::rethrow_exception(failure);
    throw;
  }
}

bool WorkerQuery::RunOn(DataMessage& data, const AnswerOut& out) {
  connection_->BeginTransaction();
  for (auto& file : query_.files) DefineFile(file);
  SetTransactionTime(*connection_->context, data.as_of);
  for (auto& name : need_.streams) DefineStream(*catalog_.GetStream(name), data);
  if (event_time_) DefineEventTime(data);
  for (auto& name : views_) DefineView(*catalog_.GetView(name), data);
  for (auto& name : errors_) DefineKept(name, data);
  LeaveOutHidden(*parsed_.statement);
  uint64_t sent = 0;
  AnswerOut counted = [&](std::string bytes) {
    sent += bytes.size();
    if (sent > query_.bytes_max) {
      throw Error(ErrorCode::kLimitExceeded,
                  "the answer is larger than " + std::to_string(query_.bytes_max) + " bytes",
                  "Aggregate, choose fewer columns, or add a LIMIT.");
    }
    out(std::move(bytes));
  };
  engine_.answer_file().Direct(counted);
  auto result = Start();
  if (result->HasError()) result->ThrowError();
  if (query_.format != AnswerFormat::kParquet) return Stream(*result, data, counted);
  uint64_t written = 0;  // COPY says how many rows it was
  while (auto chunk = result->Fetch()) {
    if (chunk->size() > 0) written = chunk->GetValue(0, 0).GetValue<uint64_t>();
  }
  if (result->HasError()) result->ThrowError();
  CheckRows(written);
  engine_.answer_file().Flush();
  return false;
}

void WorkerQuery::CheckRows(uint64_t rows) const {
  if (rows <= query_.rows_max) return;
  throw Error(ErrorCode::kLimitExceeded,
              "the answer has more than " + std::to_string(query_.rows_max) + " rows",
              "Aggregate, add a LIMIT, or allow more with rows_max.");
}

bool WorkerQuery::Stream(duckdb::QueryResult& result, const DataMessage& data,
                         const AnswerOut& out) {
  std::vector<Column> columns;
  for (size_t i = 0; i < result.names.size(); i++) {
    columns.push_back({result.names[i], result.types[i]});
  }
  auto writer = MakeAnswerWriter(query_.format, {data.at, data.as_of, query_.exact},
                                 *connection_->context, out);
  writer->Begin(columns);
  uint64_t rows = 0;
  bool more = false;
  while (!more) {
    auto chunk = result.Fetch();
    if (result.HasError()) result.ThrowError();
    if (!chunk || chunk->size() == 0) break;
    more = query_.limit > 0 && rows + chunk->size() > query_.limit;
    if (more) chunk->SetCardinality(query_.limit - rows);
    rows += chunk->size();
    CheckRows(rows);
    if (chunk->size() > 0) writer->Rows(*chunk);
  }
  writer->End(more);
  return more;
}

}  // namespace weir
