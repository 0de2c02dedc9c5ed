#include "statements/table_writes.h"

#include <atomic>
#include <chrono>
#include <future>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "duck/constant.h"
#include "duck/row_codec.h"
#include "duckdb/common/string_util.hpp"
#include "ingest/table_gate.h"
#include "statements/write_queries.h"

namespace weir {
namespace {

constexpr uint64_t kBytesMax = uint64_t{768} << 20;  // one record of the log is below 1 GiB
// How long a statement waits for its turn, and how long it may run while others wait for its table.
constexpr std::chrono::seconds kTurnWait{10};
constexpr Micros kHeldTimeout = 30'000'000;
constexpr const char* kFile = "weir file";  // no query can say this name by chance

using Chunk = duckdb::DataChunk;

bool IsTrue(const Chunk& chunk, size_t column, duckdb::idx_t row) {
  return chunk.data[column].GetValue(row).GetValue<bool>();
}

// "(id, day) = (1, 2026-01-01)"
std::string KeyText(const Stream& table, const Chunk& row, duckdb::idx_t at, size_t first = 0) {
  std::string names, values;
  for (size_t key : table.primary_key) {
    names += (names.empty() ? "" : ", ") + table.columns[key].name;
    values += (values.empty() ? "" : ", ") + row.data[first + key].GetValue(at).ToString();
  }
  return "(" + names + ") = (" + values + ")";
}

Error KeyTaken(const Stream& table, const std::string& key) {
  return Error(ErrorCode::kConflict, "table \"" + table.name + "\" has a row " + key + " already",
               "Say ON CONFLICT DO UPDATE SET ..., ON CONFLICT DO NOTHING or INSERT OR REPLACE for "
               "what should become of it.");
}
Error KeyTwice(const Stream& table, const std::string& key) {
  return Error(ErrorCode::kConflict,
               "the statement gives table \"" + table.name + "\" two rows " + key);
}

Error Surplus(const Stream& stream, const Insert& insert, const BatchResult& result,
              size_t surplus) {
  if (insert.by_name) {
    return Error(ErrorCode::kInvalidSql, "\"" + stream.name + "\" has no column \"" +
                                             result.columns[stream.VisibleColumns()].name + "\"");
  }
  size_t named = insert.columns.empty() ? stream.VisibleColumns() : insert.columns.size();
  return Error(ErrorCode::kInvalidSql, "the statement gives " + std::to_string(named + surplus) +
                                           " values for " + std::to_string(named) +
                                           " columns of \"" + stream.name + "\"");
}

// The keys of a chunk's rows, as bytes.
class Keys {
 public:
  explicit Keys(const Stream& table) : table_(table), codec_(Types(table)) {
    chunk_.InitializeEmpty({codec_.types().begin(), codec_.types().end()});
  }
  // `columns`: where the key stands, in its order.
  const std::vector<std::string_view>& Of(Chunk& rows, const std::vector<size_t>& columns) {
    for (size_t i = 0; i < columns.size(); i++) chunk_.data[i].Reference(rows.data[columns[i]]);
    chunk_.SetCardinality(rows.size());
    return codec_.Encode(chunk_);
  }
  const std::vector<std::string_view>& Of(Chunk& rows, size_t first = 0) {
    auto columns = table_.primary_key;
    for (auto& column : columns) column += first;
    return Of(rows, columns);
  }

 private:
  static std::vector<duckdb::LogicalType> Types(const Stream& table) {
    std::vector<duckdb::LogicalType> types;
    for (size_t key : table.primary_key) types.push_back(table.columns[key].type);
    return types;
  }
  const Stream& table_;
  RowCodec codec_;
  Chunk chunk_;
};

void CheckNotNull(const Stream& stream, const Chunk& rows, duckdb::idx_t row, size_t first = 0) {
  for (size_t i = 0; i < stream.VisibleColumns(); i++) {
    if (!stream.columns[i].not_null || !rows.data[first + i].GetValue(row).IsNull()) continue;
    throw Error(ErrorCode::kInvalidData, "column \"" + stream.columns[i].name + "\" of \"" +
                                             stream.name + "\" must not be NULL");
  }
}

// Some rows of a chunk, from column `first` on, as rows of the stream that stay or go as `gone`
// (a column of the chunk, or null for none) says.
std::unique_ptr<Chunk> RowsOf(const Stream& stream, Chunk& from, size_t first,
                              const duckdb::SelectionVector& chosen, duckdb::idx_t count,
                              duckdb::Vector* gone = nullptr) {
  auto types = stream.Types();
  auto rows = std::make_unique<Chunk>();
  rows->InitializeEmpty({types.begin(), types.end()});
  for (size_t i = 0; i < stream.VisibleColumns(); i++) {
    rows->data[i].Slice(from.data[first + i], chosen, count);
  }
  if (stream.IsTable()) {
    if (gone) {
      rows->data.back().Slice(*gone, chosen, count);
    } else {
      SetNull(rows->data.back());
    }
  }
  rows->SetCardinality(count);
  rows->Flatten();
  return rows;
}

void AddChunk(Columns& columns, std::unique_ptr<Chunk> chunk) {
  if (chunk->size() == 0) return;
  columns.rows += chunk->size();
  columns.chunks.push_back(std::move(chunk));
}

}  // namespace

BatchResult TableWrites::Ask(const Question& question, Offset at, Micros timeout) {
  struct Turn {
    std::promise<BatchResult> answer;
    std::atomic<bool> decided{false};  // by whoever comes first: its turn, or giving up
  };
  auto turn = std::make_shared<Turn>();
  auto answer = turn->answer.get_future();
  BatchRequest request;
  request.sql = KernelSql(question.sql);
  request.at = at;
  request.as_of = parts_.clock.Now();
  request.params_json = question.params_json;
  request.files = question.files;
  request.bytes_max = kBytesMax;
  request.timeout = timeout;
  request.work = question.small ? BatchRequest::Work::kValues : BatchRequest::Work::kWrite;
  request.start = [turn] { return !turn->decided.exchange(true); };
  parts_.batch.Run(std::move(request),
                   [turn](BatchResult result) { turn->answer.set_value(std::move(result)); });
  if (answer.wait_for(kTurnWait) == std::future_status::timeout && !turn->decided.exchange(true)) {
    throw Error(ErrorCode::kTooManyRequests, "other statements that write are running",
                "Try again after the time in Retry-After.");
  }
  BatchResult result = answer.get();
  if (result.error) std::rethrow_exception(result.error);
  return result;
}

TableWrites::Meant TableWrites::Find(const Stream& stream, const Question& question) {
  Meant meant;
  if (!stream.IsTable() || !question.small) {
    uint64_t changes = stream.IsTable() ? parts_.ingest.TableChanges(stream) : 0;
    meant.at = parts_.log.End();
    meant.rows = Ask(question, meant.at, 0);
    if (!stream.IsTable()) return meant;
    meant.hold = parts_.ingest.HoldTable(stream);
    if (parts_.ingest.TableChanges(stream) == changes) return meant;
  } else {
    meant.hold = parts_.ingest.HoldTable(stream);
  }
  meant.at = parts_.log.End();
  meant.rows = Ask(question, meant.at, kHeldTimeout);
  return meant;
}

std::shared_ptr<const Stream> TableWrites::Writable(const std::string& name, bool table) const {
  auto state = parts_.catalog.Current();
  auto stream = table ? state->GetTable(name) : state->GetStream(name);
  CheckWritable(*stream);
  return stream;
}

WriteResult TableWrites::Append(const Stream& stream, std::shared_ptr<Columns> rows, Offset at) {
  if (rows->rows == 0) return {0, at};
  uint64_t count = rows->rows;
  auto answer = parts_.ingest.Append(stream, std::move(rows));
  return {count - answer.duplicates, answer.offset};
}

WriteResult TableWrites::Run(const Insert& insert, const std::string& params_json) {
  return InsertRows(insert, params_json, {}, false);
}

WriteResult TableWrites::InsertRows(const Insert& insert, const std::string& params_json,
                                    std::vector<FileRelation> files, bool ignore_surplus) {
  auto stream = Writable(insert.table, false);
  bool small = insert.query.empty() && files.empty();
  Meant meant = Find(*stream, {InsertQuery(*stream, insert), params_json, std::move(files), small});
  BatchResult& result = meant.rows;
  size_t width = stream->VisibleColumns() + stream->IsTable();
  if (result.columns.size() > width && !ignore_surplus) {
    throw Surplus(*stream, insert, result, result.columns.size() - width);
  }
  auto rows = std::make_shared<Columns>();
  std::unordered_set<std::string> seen;
  std::optional<Keys> keys;
  if (stream->IsTable()) keys.emplace(*stream);
  for (auto& chunk : result.rows.chunks) {
    chunk->Flatten();
    duckdb::SelectionVector chosen(chunk->size());
    duckdb::idx_t count = 0;
    for (duckdb::idx_t row = 0; row < chunk->size(); row++) CheckNotNull(*stream, *chunk, row);
    const std::vector<std::string_view>* encoded = keys ? &keys->Of(*chunk) : nullptr;
    for (duckdb::idx_t row = 0; row < chunk->size(); row++) {
      if (keys && insert.on_conflict != Insert::OnConflict::kReplace) {
        bool again = !seen.emplace((*encoded)[row]).second;
        bool taken = IsTrue(*chunk, result.columns.size() - 1, row);
        bool update = insert.on_conflict == Insert::OnConflict::kUpdate;
        if (insert.on_conflict == Insert::OnConflict::kNothing) {
          if (again || taken) continue;
        } else if (again) {
          throw KeyTwice(*stream, KeyText(*stream, *chunk, row));
        } else if (taken && !update) {
          throw KeyTaken(*stream, KeyText(*stream, *chunk, row));
        }
      }
      chosen.set_index(count++, row);
    }
    AddChunk(*rows, RowsOf(*stream, *chunk, 0, chosen, count));
  }
  return Append(*stream, rows, meant.at);
}

WriteResult TableWrites::Run(const Update& update, const std::string& params_json) {
  auto table = Writable(update.table, true);
  Meant meant = Find(*table, {UpdateQuery(*table, update), params_json});
  BatchResult& result = meant.rows;
  size_t first = table->primary_key.size();  // the old key stands before the columns
  size_t taken = result.columns.size() - 1;
  std::vector<size_t> old_columns(first);
  for (size_t i = 0; i < first; i++) old_columns[i] = i;

  Keys keys(*table);
  std::unordered_set<std::string> old_keys, new_keys;
  for (auto& chunk : result.rows.chunks) {
    chunk->Flatten();
    for (auto key : keys.Of(*chunk, old_columns)) old_keys.emplace(key);
  }
  auto rows = std::make_shared<Columns>();
  std::unordered_set<std::string> done;
  for (auto& chunk : result.rows.chunks) {
    duckdb::SelectionVector chosen(chunk->size());
    duckdb::idx_t count = 0;
    // A row that FROM joins to several is changed once.
    std::vector<bool> first_of_row;
    for (auto key : keys.Of(*chunk, old_columns)) {
      first_of_row.push_back(done.emplace(key).second);
    }
    for (duckdb::idx_t row = 0; row < chunk->size(); row++) {
      CheckNotNull(*table, *chunk, row, first);
    }
    auto& encoded = keys.Of(*chunk, first);
    for (duckdb::idx_t row = 0; row < chunk->size(); row++) {
      if (!first_of_row[row]) continue;
      std::string key(encoded[row]);
      if (IsTrue(*chunk, taken, row) && !old_keys.contains(key)) {
        throw KeyTaken(*table, KeyText(*table, *chunk, row, first));
      }
      if (!new_keys.insert(key).second) {
        throw KeyTwice(*table, KeyText(*table, *chunk, row, first));
      }
      chosen.set_index(count++, row);
    }
    AddChunk(*rows, RowsOf(*table, *chunk, first, chosen, count));
  }
  uint64_t changed = rows->rows;
  // Keys that no row has any more go first: the last change of a key counts.
  Columns left;
  for (auto& chunk : result.rows.chunks) {
    auto& encoded = keys.Of(*chunk, old_columns);
    duckdb::SelectionVector chosen(chunk->size());
    duckdb::idx_t count = 0;
    for (duckdb::idx_t row = 0; row < chunk->size(); row++) {
      if (!new_keys.contains(std::string(encoded[row]))) chosen.set_index(count++, row);
    }
    if (count == 0) continue;
    auto part = std::make_unique<Chunk>();
    duckdb::vector<duckdb::LogicalType> types;
    for (size_t i = 0; i < first; i++) types.push_back(chunk->data[i].GetType());
    part->InitializeEmpty(types);
    for (size_t i = 0; i < first; i++) part->data[i].Slice(chunk->data[i], chosen, count);
    part->SetCardinality(count);
    AddChunk(left, std::move(part));
  }
  auto deleted = DeletedRows(*table, left);
  for (auto& chunk : rows->chunks) AddChunk(*deleted, std::move(chunk));
  auto written = Append(*table, deleted, meant.at);
  return {changed, written.offset};
}

WriteResult TableWrites::Run(const Delete& erase, const std::string& params_json) {
  auto table = Writable(erase.table, true);
  Meant meant = Find(*table, {DeleteQuery(*table, erase), params_json});
  for (auto& chunk : meant.rows.rows.chunks) chunk->Flatten();
  return Append(*table, DeletedRows(*table, meant.rows.rows), meant.at);
}

namespace {

std::string FormatOf(const std::string& path) {
  auto dot = path.rfind('.');
  auto ending = duckdb::StringUtil::Lower(dot == std::string::npos ? "" : path.substr(dot + 1));
  if (ending == "parquet" || ending == "csv") return ending;
  if (ending == "json" || ending == "ndjson" || ending == "jsonl") return "json";
  throw Error(ErrorCode::kInvalidRequest, "the name \"" + path + "\" does not say what the file is",
              "Names end in .csv, .parquet, .json, .ndjson or .jsonl.");
}

}  // namespace

WriteResult TableWrites::Run(const CopyFrom& copy) {
  FileRelation file{kFile, files_.Find(copy.path), copy.format, copy.header, copy.delimiter};
  if (file.format.empty()) file.format = FormatOf(copy.path);
  auto stream = Writable(copy.table, false);
  Insert insert;
  insert.table = copy.table;
  insert.columns = copy.columns;
  insert.by_name = copy.columns.empty() && (file.format != "csv" || copy.header);
  insert.query = std::string("SELECT * FROM \"") + kFile + "\"";
  insert.on_conflict =
      stream->IsTable() ? Insert::OnConflict::kReplace : Insert::OnConflict::kError;
  bool ignore = insert.by_name && stream->unknown_fields == UnknownFields::kIgnore;
  return InsertRows(insert, "", {file}, ignore);
}

WriteResult TableWrites::Refresh(const Stream& table) {
  ASSERT(table.reference);
  FileRelation file{kFile, files_.Find(table.reference->path), FormatOf(table.reference->path)};
  auto hold = parts_.ingest.HoldTable(table);
  Offset at = parts_.log.End();
  BatchResult result = Ask({DifferenceQuery(table, kFile), "", {file}}, at, 0);
  size_t gone = table.VisibleColumns(), copies = gone + 1;
  auto rows = std::make_shared<Columns>();
  for (auto& chunk : result.rows.chunks) {
    chunk->Flatten();
    duckdb::SelectionVector all(chunk->size());
    for (duckdb::idx_t row = 0; row < chunk->size(); row++) {
      all.set_index(row, row);
      if (chunk->data[copies].GetValue(row).GetValue<int64_t>() > 1) {
        throw Error(ErrorCode::kConflict, "file \"" + table.reference->path +
                                              "\" has more than one row " +
                                              KeyText(table, *chunk, row));
      }
      if (!IsTrue(*chunk, gone, row)) CheckNotNull(table, *chunk, row);
    }
    AddChunk(*rows, RowsOf(table, *chunk, 0, all, chunk->size(), &chunk->data[gone]));
  }
  return Append(table, rows, at);
}

}  // namespace weir
