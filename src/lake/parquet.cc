#include "lake/parquet.h"

#include <fmt/format.h>

#include <algorithm>

#include "duck/errors.h"
#include "duck/union_structs.h"
#include "duckdb/main/config.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "lake/disk_file_system.h"
#include "lake/storage.h"

namespace weir {
namespace {

// DuckDB's own row groups, so that its scans split files evenly between threads.
constexpr uint64_t kRowGroupRows = 122'880;
// A row group is in memory while it is written, uncompressed: of wide rows there are fewer in it.
constexpr uint64_t kRowGroupBytes = 16 << 20;

}  // namespace

Parquet::Parquet(Disk& disk) : disk_(disk) {
  duckdb::DBConfig config;
  config.SetOptionByName("threads", duckdb::Value::INTEGER(1));
  config.SetOptionByName("memory_limit", duckdb::Value("512MB"));
  config.SetOptionByName("autoinstall_known_extensions", duckdb::Value::BOOLEAN(false));
  config.SetOptionByName("autoload_known_extensions", duckdb::Value::BOOLEAN(false));
  config.SetOptionByName("enable_external_file_cache", duckdb::Value::BOOLEAN(false));
  config.SetOptionByName("temp_directory", duckdb::Value(""));
  database_ = std::make_unique<duckdb::DuckDB>(nullptr, &config);
  database_->GetFileSystem().RegisterSubSystem(MakeDiskFileSystem(disk, files_));
  connection_ = std::make_unique<duckdb::Connection>(*database_);
  RegisterRowSources(*connection_->context, sources_);
  RegisterUnionStructs(*connection_->context);
}

Parquet::~Parquet() = default;

// What a failed query says, as our error; a full disk stays a full disk.
void Parquet::Fail(duckdb::QueryResult& result) {
  if (auto failure = files_.TakeFailure()) std::rethrow_exception(failure);
  Error error(ErrorCode::kInternal, "");
  try {
    result.ThrowError();
  } catch (...) {
    error = CurrentError();
  }
  throw error;
}

// The paths as the file system knows them, which is told what to expect there.
std::vector<std::string> Parquet::Expect(const std::vector<ParquetFile>& files) {
  files_.Forget();
  files_.TakeFailure();
  std::vector<std::string> paths;
  for (auto& file : files) {
    files_.Expect(file);
    paths.push_back(kDiskPrefix + file.path);
  }
  return paths;
}

Parquet::Written Parquet::Copy(const std::string& query, const std::string& path,
                               uint64_t group_rows) {
  CHECK(group_rows > 0);
  auto result = connection_->Query(
      fmt::format("COPY ({}) TO {} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {}, "
                  "USE_TMP_FILE false)",
                  query, QuotedText(kDiskPrefix + path), group_rows));
  if (result->HasError()) Fail(*result);
  Written written;
  written.rows = result->GetValue(0, 0).GetValue<uint64_t>();
  auto file = disk_.Open(path, OpenMode::kReadWrite);
  written.seal = SealFile(*file, path);
  file->Sync();
  return written;
}

Parquet::Written Parquet::Write(const std::string& path, const Stream& stream,
                                std::shared_ptr<RowSource> source) {
  Expect({});
  sources_.Set("tail", std::move(source));
  try {
    auto written =
        Copy("SELECT " + WriteList(stream) + " FROM weir_rows('tail')", path, kRowGroupRows);
    sources_.Clear();
    return written;
  } catch (...) {
    sources_.Clear();
    throw;
  }
}

Parquet::Written Parquet::Merge(const std::vector<ParquetFile>& from, const std::string& to,
                                uint64_t row_bytes) {
  uint64_t fitting = std::max<uint64_t>(kRowGroupBytes / (row_bytes + 1), STANDARD_VECTOR_SIZE);
  return Copy("SELECT * FROM " + ReadParquet(Expect(from)), to, std::min(kRowGroupRows, fitting));
}

Parquet::Extent Parquet::ExtentOf(const ParquetFile& file) {
  auto result = connection_->Query(
      "SELECT coalesce(sum(row_group_num_rows), 0)::UBIGINT, "
      "coalesce(min(stats_min_value::UBIGINT), 0), coalesce(max(stats_max_value::UBIGINT), 0) "
      "FROM parquet_metadata(" +
      QuotedText(Expect({file})[0]) +
      ") WHERE path_in_schema = " + QuotedText(std::string(kOffsetName)));
  if (result->HasError()) Fail(*result);
  auto number = [&](size_t column) { return result->GetValue(column, 0).GetValue<uint64_t>(); };
  return {number(0), {number(1)}, {number(2)}};
}

duckdb::unique_ptr<duckdb::DataChunk> Parquet::Fetch(duckdb::QueryResult& result) {
  try {
    auto chunk = result.Fetch();
    if (result.HasError()) Fail(result);
    return chunk;
  } catch (...) {
    if (auto failure = files_.TakeFailure()) std::rethrow_exception(failure);
    throw;
  }
}

void Parquet::Read(const std::vector<ParquetFile>& files, const Stream& stream,
                   const std::vector<size_t>& columns,
                   const std::function<bool(std::unique_ptr<duckdb::DataChunk>)>& sink) {
  for (auto& file : files) CHECK(file.seal.has_value() == files[0].seal.has_value());
  auto result =
      connection_->SendQuery("SELECT " + ReadList(stream, columns, files.at(0).seal.has_value()) +
                             " FROM " + ReadParquet(Expect(files)));
  if (result->HasError()) Fail(*result);
  for (;;) {
    auto chunk = Fetch(*result);
    if (!chunk || chunk->size() == 0) return;
    if (!sink(std::move(chunk))) return;
  }
}

}  // namespace weir
