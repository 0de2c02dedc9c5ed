#include "app/shell.h"

#include <fmt/format.h>
#include <histedit.h>
#include <strings.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <optional>
#include <sstream>

#include "app/api_client.h"
#include "app/copy_command.h"
#include "app/follow.h"
#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "io/net/url.h"
#include "sql/statement.h"
#include "sql/tokens.h"

namespace weir {
namespace {

constexpr const char* kHelp = R"(SQL ends with a semicolon.  Besides:
  \d          streams, tables and views
  \d NAME     columns of one
  \timing     show how long statements take, or not
  \?          this
  \q          leave (also Ctrl-D)
)";

std::optional<CopyFrom> AsCopy(const std::string& sql) {
  auto tokens = TokenizeSql(sql, "");
  if (!duckdb::StringUtil::CIEquals(tokens.at(0).text, "COPY")) return std::nullopt;
  auto statements = ParseStatements(sql);
  if (auto* copy = std::get_if<CopyFrom>(&statements.at(0).body)) return *copy;
  return std::nullopt;
}

bool IsSubscribe(const std::string& sql) {
  auto tokens = TokenizeSql(sql, "");
  return !tokens.empty() && tokens[0].kind == SqlToken::Kind::kWord &&
         duckdb::StringUtil::CIEquals(tokens[0].text, "SUBSCRIBE");
}

class Shell {
 public:
  explicit Shell(const ShellOptions& options) : options_(options), client_(options.url) {}

  // False when the statement failed.
  bool Run(const std::string& sql) {
    auto started = std::chrono::steady_clock::now();
    try {
      if (auto copy = AsCopy(sql)) {
        if (RunCopy(options_.url, *copy) != 0) return false;
        return Done(started);
      }
      if (IsSubscribe(sql)) {
        FollowQuery(options_.url, sql, options_.format);
        return true;
      }
      std::string target = "/v1/sql?exact=true";
      if (options_.format == "csv") target += "&format=csv";
      auto answer = client_.Request("POST", target, {{"Content-Type", "text/plain"}}, sql);
      CheckAnswer(answer);
      Print(answer.body);
      TellReplaced(answer.Header("Weir-Replaced-By"));
    } catch (const Error& error) {
      fmt::print(stderr, "error: {}\n", error.message);
      if (!error.hint.empty()) fmt::print(stderr, "{}\n", error.hint);
      if (error.code == ErrorCode::kUnavailable) unreachable_ = true;
      failed_ = true;
      return false;
    }
    return Done(started);
  }

  // A whole script, stopping at the first that fails.  A line that starts with a backslash between
  // statements is a command.
  int RunScript(const std::string& text) {
    std::string statements;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      auto last = statements.find_last_not_of(" \t\r\n");
      bool between = last == std::string::npos || statements[last] == ';';
      if (!between || !line.starts_with('\\')) {
        statements += line + '\n';
        continue;
      }
      if (int code = RunStatements(statements)) return code;
      statements.clear();
      failed_ = false;
      if (!Command(line)) return 0;
      if (failed_) return unreachable_ ? 3 : 1;
    }
    return RunStatements(statements);
  }

  int RunPrompt();

 private:
  // "NAME; version=...; progress=...", several separated by commas: views that answered as they
  // were defined before.
  static void TellReplaced(const std::string& header) {
    std::istringstream views(header);
    for (std::string view; std::getline(views, view, ',');) {
      std::string name;
      DecodeUrl(view.substr(view.find_first_not_of(' '), view.find(';')), name);
      auto progress = view.find("progress=");
      double part = progress == std::string::npos ? 0 : std::atof(view.c_str() + progress + 9);
      fmt::print(stderr,
                 "note: view \"{}\" answered as it was defined before; its new definition is being "
                 "filled ({:.0f} %)\n",
                 name.substr(0, name.find(';')), std::floor(part * 100));
    }
  }

  int RunStatements(const std::string& text) {
    size_t begin = 0;
    for (auto& token : TokenizeSql(text, "")) {
      bool ends = token.kind == SqlToken::Kind::kEnd ||
                  (token.kind == SqlToken::Kind::kSymbol && token.text == ";");
      if (!ends) continue;
      auto sql = text.substr(begin, token.position - begin);
      begin = std::min(token.position + 1, text.size());
      if (sql.find_first_not_of(" \t\r\n") == std::string::npos) continue;
      if (!Run(sql)) return unreachable_ ? 3 : 1;
    }
    return 0;
  }

  void Print(const std::string& body) {
    if (options_.format != "box") {
      fmt::print("{}", body);
      if (!body.empty() && body.back() != '\n') fmt::print("\n");
      return;
    }
    auto document = ParseJson(body);
    auto table = ReadTable(duckdb_yyjson::yyjson_doc_get_root(document.get()));
    if (!table.notice.empty()) fmt::print("{}\n", table.notice);
    if (!table.columns.empty()) fmt::print("{}", DrawTable(table));
  }

  bool Done(std::chrono::steady_clock::time_point started) const {
    if (timing_) {
      std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - started;
      fmt::print("{:.1f} ms\n", took.count());
    }
    return true;
  }

  // False: leave.
  bool Command(std::string line) {
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) line.pop_back();
    if (line == "\\q") return false;
    if (line == "\\d") {
      Run("SHOW ALL");
    } else if (line.starts_with("\\d ")) {
      Run("DESCRIBE " + line.substr(3));
    } else if (line == "\\timing") {
      timing_ = !timing_;
      fmt::print("timing is {}\n", timing_ ? "on" : "off");
    } else {
      fmt::print("{}", kHelp);
    }
    return true;
  }

  ShellOptions options_;
  HttpClient client_;
  bool timing_ = false, unreachable_ = false, failed_ = false;
};

// Words to complete: names of the catalog and the commonest of SQL.
std::vector<std::string>& Completions() {
  static std::vector<std::string> words = {
      "SELECT",        "FROM",         "WHERE",       "GROUP BY",
      "ORDER BY",      "LIMIT",        "count(*)",    "CREATE MATERIALIZED VIEW",
      "CREATE STREAM", "DESCRIBE",     "EXPLAIN",     "SHOW STREAMS",
      "SHOW TABLES",   "CREATE TABLE", "INSERT INTO", "SHOW VIEWS",
      "SHOW PUMPS",    "SUBSCRIBE"};
  return words;
}

unsigned char Complete(EditLine* editor, int) {
  const LineInfo* line = el_line(editor);
  const char* start = line->cursor;
  while (start > line->buffer &&
         (std::isalnum(static_cast<unsigned char>(start[-1])) || start[-1] == '_')) {
    start--;
  }
  std::string prefix(start, static_cast<size_t>(line->cursor - start));
  if (prefix.empty()) return CC_ERROR;
  std::vector<std::string> fitting;
  for (auto& word : Completions()) {
    if (word.size() >= prefix.size() &&
        strncasecmp(word.c_str(), prefix.c_str(), prefix.size()) == 0) {
      fitting.push_back(word);
    }
  }
  if (fitting.empty()) return CC_ERROR;
  if (fitting.size() > 1) {
    fmt::print("\n");
    for (auto& word : fitting) fmt::print("{}  ", word);
    fmt::print("\n");
    return CC_REDISPLAY;
  }
  el_deletestr(editor, static_cast<int>(prefix.size()));
  el_insertstr(editor, fitting[0].c_str());
  return CC_REFRESH;
}

bool in_statement = false;
const char* Prompt(EditLine*) { return in_statement ? "  ... " : "weir> "; }

int Shell::RunPrompt() {
  try {
    auto answer = client_.Request("GET", "/v1/catalog");
    CheckAnswer(answer);
    auto document = ParseJson(answer.body);
    auto* root = duckdb_yyjson::yyjson_doc_get_root(document.get());
    for (const char* kind : {"streams", "tables", "views"}) {
      size_t index, count;
      duckdb_yyjson::yyjson_val* entry;
      yyjson_arr_foreach(duckdb_yyjson::yyjson_obj_get(root, kind), index, count, entry) {
        Completions().push_back(JsonText(entry, "name"));
      }
    }
  } catch (const Error& error) {
    fmt::print(stderr, "weir: {}\n{}\n", error.message, error.hint);
    return 3;
  }
  fmt::print("Weir {} at {}; \\? for help\n", WEIR_VERSION, options_.url);

  EditLine* editor = el_init("weir", stdin, stdout, stderr);
  ::History* past = history_init();
  HistEvent event;
  std::string history_file = std::string(getenv("HOME") ? getenv("HOME") : ".") + "/.weir_history";
  ::history(past, &event, H_SETSIZE, 1000);
  ::history(past, &event, H_LOAD, history_file.c_str());
  el_set(editor, EL_PROMPT, Prompt);
  el_set(editor, EL_EDITOR, "emacs");
  el_set(editor, EL_HIST, ::history, past);
  el_set(editor, EL_ADDFN, "complete", "completes a name", Complete);
  el_set(editor, EL_BIND, "^I", "complete", nullptr);
  std::string statement;
  int length = 0;
  while (const char* line = el_gets(editor, &length)) {
    if (length <= 0) break;
    std::string text(line, static_cast<size_t>(length));
    if (statement.empty() && text[0] == '\\') {
      if (!Command(text)) break;
      continue;
    }
    statement += text;
    bool blank = statement.find_first_not_of(" \t\r\n") == std::string::npos;
    if (blank) statement.clear();
    in_statement = !statement.empty();
    auto last = statement.find_last_not_of(" \t\r\n");
    if (last == std::string::npos || statement[last] != ';') continue;
    ::history(past, &event, H_ENTER, statement.c_str());
    ::history(past, &event, H_SAVE, history_file.c_str());
    try {
      RunScript(statement);
    } catch (const Error& error) {
      fmt::print(stderr, "error: {}\n{}\n", error.message, error.hint);
    }
    statement.clear();
    in_statement = false;
  }
  fmt::print("\n");
  history_end(past);
  el_end(editor);
  return 0;
}

}  // namespace

int RunShell(const ShellOptions& options) {
  Shell shell(options);
  if (!options.sql.empty()) return shell.RunScript(options.sql);
  if (!isatty(STDIN_FILENO)) {
    return shell.RunScript(std::string(std::istreambuf_iterator<char>(std::cin), {}));
  }
  return shell.RunPrompt();
}

}  // namespace weir
