#include "app/verify_command.h"

#include <fmt/format.h>

#include "app/api_client.h"
#include "base/error.h"
#include "io/net/url.h"

namespace weir {
namespace {

using namespace duckdb_yyjson;  // NOLINT: a C library in a namespace

void PrintRows(yyjson_val* view, const char* key, const char* title) {
  auto* rows = yyjson_obj_get(view, key);
  if (yyjson_arr_size(rows) == 0) return;
  fmt::print("  {}:\n", title);
  size_t index, count;
  yyjson_val* row;
  yyjson_arr_foreach(rows, index, count, row) {
    std::string line;
    size_t column, columns;
    yyjson_val* cell;
    yyjson_arr_foreach(row, column, columns, cell) {
      line += column ? " | " : "";
      line += yyjson_is_str(cell) ? yyjson_get_str(cell) : "NULL";
    }
    fmt::print("    {}\n", line);
  }
}

}  // namespace

int RunVerify(const VerifyOptions& options) {
  HttpClient client(options.url);
  std::string target = "/v1/verify";
  if (!options.view.empty()) target += "?view=" + EncodeUrl(options.view);
  auto answer = client.Request("POST", target);
  CheckAnswer(answer);
  auto document = ParseJson(answer.body);
  auto* root = yyjson_doc_get_root(document.get());
  bool all_equal = true, all_comparable = true;
  size_t index, count;
  yyjson_val* view;
  yyjson_arr_foreach(yyjson_obj_get(root, "views"), index, count, view) {
    bool equal = yyjson_get_bool(yyjson_obj_get(view, "equal"));
    bool comparable = yyjson_get_bool(yyjson_obj_get(view, "comparable"));
    all_equal &= equal || !comparable;
    all_comparable &= comparable;
    auto* error = yyjson_obj_get(view, "error");
    if (yyjson_is_obj(error)) {
      fmt::print("{}: {}: {}\n", JsonText(view, "name"),
                 comparable ? "FAILED, not compared" : "NOT COMPARED", JsonText(error, "message"));
      continue;
    }
    fmt::print("{}: {} ({} rows at offset {})\n", JsonText(view, "name"),
               equal ? "equal" : "DIFFERENT", JsonNumber(view, "rows"), JsonNumber(view, "offset"));
    PrintRows(view, "missing", "in the query, not here");
    PrintRows(view, "unexpected", "here, not in the query");
    if (auto open = JsonText(view, "left_open"); !open.empty()) {
      fmt::print("  Both may be right: the query leaves open {}.\n", open);
    }
  }
  if (!all_equal) return 4;
  return all_comparable ? 0 : 5;
}

}  // namespace weir
