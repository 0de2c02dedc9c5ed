#include "app/follow.h"

#include <fmt/format.h>

#include <cstdio>

#include "app/api_client.h"
#include "base/error.h"

namespace weir {
namespace {

using namespace duckdb_yyjson;  // NOLINT: a C library in a namespace

std::string AsCsv(const std::string& cell) {
  if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
  std::string quoted = "\"";
  for (char c : cell) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

class Follower {
 public:
  explicit Follower(const std::string& format) : format_(format) {}

  // Server-Sent Events, in pieces as they come.
  void Take(std::string_view piece) {
    pending_ += piece;
    size_t end;
    while ((end = pending_.find("\n\n")) != std::string::npos) {
      Event(pending_.substr(0, end));
      pending_.erase(0, end + 2);
    }
    std::fflush(stdout);
  }

 private:
  void Event(const std::string& text) {
    std::string name, data;
    size_t begin = 0;
    while (begin < text.size()) {
      size_t end = std::min(text.find('\n', begin), text.size());
      std::string_view line(text.data() + begin, end - begin);
      if (line.starts_with("event: ")) name = line.substr(7);
      if (line.starts_with("data: ")) data = line.substr(6);
      begin = end + 1;
    }
    if (data.empty()) return;  // a heartbeat
    auto document = ParseJson(data);
    auto* root = yyjson_doc_get_root(document.get());
    if (name == "error") {
      auto* error = yyjson_obj_get(root, "error");
      throw Error(ErrorCode::kQueryFailed, JsonText(error, "message"), JsonText(error, "hint"));
    }
    if (format_ == "json") {
      fmt::print("{{\"event\":\"{}\",{}\n", name, data.substr(1));
      return;
    }
    if (name == "snapshot") {
      auto table = ReadTable(root);
      if (format_ == "csv") {
        Rows(root, "rows", table.columns.empty() ? "" : "+");
      } else {
        fmt::print("{}", DrawTable(table));
      }
    } else if (name == "change") {
      Rows(root, "removed", "-");
      Rows(root, "added", "+");
    }
  }

  void Rows(yyjson_val* root, const char* key, const char* sign) {
    for (auto& row : ReadRows(yyjson_obj_get(root, key))) {
      std::string line = sign;
      for (auto& cell : row) {
        if (format_ == "csv") {
          line += "," + AsCsv(cell);
        } else {
          line += (&cell == &row.front() ? " " : " | ") + cell;
        }
      }
      fmt::print("{}\n", line);
    }
  }

  std::string format_, pending_;
};

}  // namespace

void FollowQuery(const std::string& url, const std::string& sql, const std::string& format) {
  HttpClient client(url);
  Follower follower(format);
  auto answer = client.Follow("POST", "/v1/subscribe?exact=true", {{"Content-Type", "text/plain"}},
                              sql, [&](std::string_view piece) {
                                follower.Take(piece);
                                return true;
                              });
  CheckAnswer(answer);
}

}  // namespace weir
