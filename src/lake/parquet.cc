#include "lake/parquet.h"

#include <fmt/format.h>

#include "duck/errors.h"
#include "duckdb/main/config.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "lake/disk_file_system.h"
#include "lake/storage.h"

namespace weir {
namespace {

// DuckDB's own row groups, so that its scans split files evenly between threads.
constexpr int kRowGroupRows = 122'880;

std::vector<std::string> Prefixed(const std::vector<std::string>& paths) {
  std::vector<std::string> result;
  for (auto& path : paths) result.push_back(kDiskPrefix + path);
  return result;
}

// What a failed query says, as our error; a full disk stays a full disk.
[[noreturn]] void Fail(duckdb::QueryResult& result) {
  Error error(ErrorCode::kInternal, "");
  try {
    result.ThrowError();
  } catch (...) {
    error = CurrentError();
  }
  throw error;
}

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
  database_->GetFileSystem().RegisterSubSystem(MakeDiskFileSystem(disk));
  connection_ = std::make_unique<duckdb::Connection>(*database_);
  RegisterRowSources(*connection_->context, sources_);
}

Parquet::~Parquet() = default;

void Parquet::Copy(const std::string& query, const std::string& path) {
  auto result = connection_->Query(
      fmt::format("COPY ({}) TO {} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {}, "
                  "USE_TMP_FILE false)",
                  query, QuotedText(kDiskPrefix + path), kRowGroupRows));
  if (result->HasError()) Fail(*result);
  disk_.Open(path, OpenMode::kReadWrite)->Sync();
}

void Parquet::Write(const std::string& path, const Stream& stream,
                    std::shared_ptr<RowSource> source) {
  sources_.Set("tail", std::move(source));
  try {
    Copy("SELECT " + WriteList(stream) + " FROM weir_rows('tail')", path);
  } catch (...) {
    sources_.Clear();
    throw;
  }
  sources_.Clear();
}

void Parquet::Merge(const std::vector<std::string>& from, const std::string& to) {
  Copy("SELECT * FROM " + ReadParquet(Prefixed(from)), to);
}

void Parquet::Read(const std::vector<std::string>& paths, const Stream& stream,
                   const std::vector<size_t>& columns,
                   const std::function<bool(std::unique_ptr<duckdb::DataChunk>)>& sink) {
  auto result = connection_->SendQuery("SELECT " + ReadList(stream, columns) + " FROM " +
                                       ReadParquet(Prefixed(paths)));
  if (result->HasError()) Fail(*result);
  for (;;) {
    auto chunk = result->Fetch();
    if (result->HasError()) Fail(*result);
    if (!chunk || chunk->size() == 0) return;
    if (!sink(std::move(chunk))) return;
  }
}

}  // namespace weir
