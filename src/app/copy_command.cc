#include "app/copy_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "app/send.h"
#include "base/error.h"
#include "duckdb.hpp"
#include "lake/storage.h"

namespace weir {
namespace {

namespace fs = std::filesystem;

// A file that goes when this does.
class TemporaryFile {
 public:
  TemporaryFile() {
    std::string pattern = (fs::temp_directory_path() / "weir-copy-XXXXXX").string();
    int fd = mkstemp(pattern.data());
    if (fd < 0) throw Error(ErrorCode::kUnavailable, "cannot write a temporary file");
    close(fd);
    path_ = pattern;
  }
  ~TemporaryFile() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string FormatOf(const CopyFrom& copy) {
  if (!copy.format.empty()) return copy.format;
  auto ending = fs::path(copy.path).extension();
  if (ending == ".parquet") return "parquet";
  if (ending == ".csv") return "csv";
  if (ending == ".json" || ending == ".ndjson" || ending == ".jsonl") return "json";
  throw Error(ErrorCode::kInvalidRequest,
              "the name \"" + copy.path + "\" does not say what the file is",
              "Say COPY ... (FORMAT csv), parquet or json.");
}

// One array, or an object on each line.
bool IsJsonArray(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  int c = ' ';
  while (file && (c = std::fgetc(file)) != EOF && std::isspace(c)) {
  }
  if (file) std::fclose(file);
  return c == '[';
}

void Run(duckdb::Connection& connection, const std::string& sql) {
  auto result = connection.Query(sql);
  if (result->HasError())
    throw Error(ErrorCode::kInvalidData, result->GetErrorObject().RawMessage());
}

}  // namespace

int RunCopy(const std::string& url, const CopyFrom& copy) {
  if (!fs::is_regular_file(copy.path)) {
    throw Error(ErrorCode::kInvalidRequest, "there is no file \"" + copy.path + "\" here",
                "COPY in `weir sql` reads files where it runs.");
  }
  std::string format = FormatOf(copy);
  SendOptions send;
  send.url = url;
  send.stream = copy.table;
  send.file = copy.path;
  send.format = format;
  if (format == "json") {
    send.format = IsJsonArray(copy.path) ? "json" : "ndjson";
    return RunSend(send);
  }
  bool plain = format == "csv" && copy.header && copy.delimiter == "," && copy.columns.empty();
  if (plain) return RunSend(send);

  // Read by DuckDB, and written as what the API takes.
  if (format == "csv" && !copy.header && copy.columns.empty()) {
    throw Error(ErrorCode::kInvalidRequest, "a CSV file without a header needs column names",
                "Say COPY " + copy.table + " (column, ...) FROM ...");
  }
  TemporaryFile converted;
  duckdb::DuckDB database(nullptr);
  duckdb::Connection connection(database);
  std::string names, path = QuotedText(copy.path);
  for (auto& name : copy.columns) names += (names.empty() ? "" : ", ") + QuotedName(name);
  std::string rows;
  if (format == "parquet") {
    rows = "read_parquet(" + path + ")";
  } else {
    rows = fmt::format(
        "read_csv({}, header = {}, delim = {}, quote = '\"', escape = '\"', all_varchar = true, "
        "allow_quoted_nulls = false)",
        path, copy.header, QuotedText(copy.delimiter));
  }
  if (!names.empty()) rows = "(SELECT * FROM " + rows + ") AS file(" + names + ")";
  send.file = converted.path();
  send.format = format == "parquet" ? "ndjson" : "csv";
  Run(connection, "COPY (SELECT * FROM " + rows + ") TO " + QuotedText(send.file) +
                      (format == "parquet" ? " (FORMAT json)" : " (FORMAT csv, HEADER)"));
  return RunSend(send);
}

}  // namespace weir
