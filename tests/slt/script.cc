#include "script.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "duck/errors.h"
#include "duckdb/common/types/interval.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/common/types/value.hpp"
#include "support.h"
#include "world.h"

namespace weir {
namespace {

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (auto& line : lines) text += line + "\n";
  return text;
}

struct Mismatch {
  std::string what;
};

void Expect(bool holds, const std::string& what) {
  if (!holds) throw Mismatch{what};
}

class ScriptRunner {
 public:
  void Run(const ScriptCommand& command) {
    auto& verb = command.words[0];
    if (verb == "statement") return Statement(command);
    if (verb == "ingest") return Ingest(command);
    if (verb == "clock") return world_.SetClock(Time(command.first.substr(6)));
    if (verb == "advance") return world_.Advance(Span(command.first.substr(8)));
    if (verb == "land") return world_.Land();
    if (verb == "restart") {
      world_.Restart();
      return CompareAll();
    }
    if (verb == "crash") {
      world_.Crash(random_);
      return CompareAll();
    }
    if (verb == "view") return View(command);
    if (verb == "batch") return Batch(command);
    if (verb == "errors") return Errors(command);
    if (verb == "changes") return Changes(command);
    if (verb == "parked") return Parked(command);
    if (verb == "explain") return Explain(command);
    if (verb == "pump") return Pump(command);
    throw Mismatch{"there is no command \"" + verb + "\""};
  }

  void CompareAll() {
    world_.Settle();
    for (auto& verdict : world_.VerifyViews().views) {
      if (verdict.error && world_.Info(verdict.name).status == ViewStatus::kParked) continue;
      Expect(verdict.equal || !verdict.comparable, DescribeVerdict(verdict));
    }
  }

 private:
  static Micros Time(const std::string& text) {
    return duckdb::Timestamp::FromString(text, false).value;
  }
  static Micros Span(const std::string& text) {
    auto span = duckdb::Value(text).DefaultCastAs(duckdb::LogicalType::INTERVAL);
    return duckdb::Interval::GetMicro(span.GetValue<duckdb::interval_t>());
  }

  void Statement(const ScriptCommand& command) {
    std::string wanted = command.words.size() > 2 ? command.first.substr(16) : "";
    bool ok = command.words.at(1) == "ok";
    try {
      world_.Execute(Joined(command.body));
    } catch (...) {
      Error error = CurrentError();
      std::string said = error.message + "\n" + error.hint;
      Expect(!ok, said);
      Expect(said.find(wanted) != std::string::npos, "the error says: " + said);
      return;
    }
    Expect(ok, "the statement went through");
  }

  void Ingest(const ScriptCommand& command) {
    RowFormat format = RowFormat::kNdjson;
    uint64_t rejected = 0, duplicates = 0;
    std::string key;
    for (size_t i = 2; i < command.words.size(); i++) {
      auto& word = command.words[i];
      if (word == "csv")
        format = RowFormat::kCsv;
      else if (word == "json")
        format = RowFormat::kJson;
      else if (word == "key")
        key = command.words.at(++i);
      else if (word == "rejected")
        rejected = std::stoul(command.words.at(++i));
      else if (word == "duplicates")
        duplicates = std::stoul(command.words.at(++i));
      else
        throw Mismatch{"ingest knows no \"" + word + "\""};
    }
    auto answer = world_.Ingest(command.words.at(1), format, Joined(command.body), key);
    std::string reason = answer.rejected.empty() ? "" : ": " + answer.rejected[0].reason;
    Expect(answer.rejected_total == rejected,
           std::to_string(answer.rejected_total) + " rows were rejected" + reason);
    Expect(answer.duplicates == duplicates,
           std::to_string(answer.duplicates) + " rows were duplicates");
  }

  void View(const ScriptCommand& command) {
    auto& name = command.words.at(1);
    world_.Settle();
    auto& info = world_.Info(name);
    if (info.error) throw Mismatch{"view " + name + " is parked: " + info.error->message};
    for (size_t i = 2; i < command.words.size(); i++) {
      bool incremental = info.rung == Rung::kIncremental;
      if (command.words[i] == "incremental" && !incremental) {
        throw Mismatch{world_.engine().ExplainView(name, false)};
      }
      Expect(command.words[i] != "recompute" || !incremental, "the view is incremental");
    }
    auto actual = RowsAsText(world_.Read(name).rows);
    auto expected = command.body;
    if (info.ordered_by.empty()) {
      std::sort(actual.begin(), actual.end());
      std::sort(expected.begin(), expected.end());
    }
    Expect(actual == expected,
           "expected\n" + Joined(expected) + "but the view has\n" + Joined(actual));
    for (auto& verdict : world_.VerifyViews(name).views) {
      Expect(verdict.equal || !verdict.comparable, DescribeVerdict(verdict));
    }
  }

  // Each line of the body is somewhere in the plan.
  void Explain(const ScriptCommand& command) {
    world_.Settle();
    auto plan = world_.engine().ExplainView(command.words.at(1), false);
    for (auto& line : command.body) {
      Expect(plan.find(line) != std::string::npos, "\"" + line + "\" is not in\n" + plan);
    }
  }

  void Changes(const ScriptCommand& command) {
    world_.Settle();
    auto actual = world_.Changes(command.words.at(1));
    Expect(actual == command.body,
           "expected\n" + Joined(command.body) + "but changed has\n" + Joined(actual));
  }

  void Pump(const ScriptCommand& command) {
    world_.Settle();
    std::string wanted = command.first.substr(6 + command.words.at(1).size());
    for (auto& row : world_.Execute("SHOW PUMPS").rows) {
      if (row[0] != command.words[1]) continue;
      return Expect(row[2].find(wanted) != std::string::npos, "the pump is " + row[2]);
    }
    throw Mismatch{"there is no such pump"};
  }

  void Batch(const ScriptCommand& command) {
    world_.Settle();
    auto expected = RowsAsText(world_.Batch(Joined(command.body)));
    auto actual = RowsAsText(world_.Read(command.words.at(1)).rows);
    std::sort(expected.begin(), expected.end());
    std::sort(actual.begin(), actual.end());
    Expect(actual == expected, "expected:\n" + Joined(expected) + "actual:\n" + Joined(actual));
  }

  void Errors(const ScriptCommand& command) {
    world_.Settle();
    auto& name = command.words.at(1);
    std::vector<std::string> actual;
    uint64_t count = 0;
    for (auto& chunk : world_.Read(name + "_errors").rows.chunks) {
      for (duckdb::idx_t row = 0; row < chunk->size(); row++) {
        auto copies = chunk->GetValue(4, row).GetValue<int64_t>();
        count += static_cast<uint64_t>(copies);
        actual.push_back(chunk->GetValue(1, row).ToString() + " | " +
                         chunk->GetValue(2, row).ToString() + " | " + std::to_string(copies));
      }
    }
    std::sort(actual.begin(), actual.end());
    auto expected = command.body;
    std::sort(expected.begin(), expected.end());
    Expect(actual == expected, "expected:\n" + Joined(expected) + "actual:\n" + Joined(actual));
    Expect(world_.Info(name).error_rows == count, "the catalog has another count");
  }

  void Parked(const ScriptCommand& command) {
    world_.Settle();
    auto& info = world_.Info(command.words.at(1));
    Expect(info.error.has_value(), "the view is not parked");
    auto wanted = command.words.size() > 2 ? command.first.substr(8 + command.words[1].size()) : "";
    Expect(info.error->message.find(wanted) != std::string::npos,
           "the error says: " + info.error->message);
  }

  World world_;
  SeededRandom random_{1};
};

}  // namespace

std::vector<ScriptCommand> ReadScript(const std::string& path) {
  std::ifstream file(path);
  std::vector<ScriptCommand> commands;
  std::string line;
  bool inside = false;
  for (int number = 1; std::getline(file, line); number++) {
    if (line.empty()) {
      inside = false;
    } else if (inside) {
      commands.back().body.push_back(line);
    } else if (line[0] != '#') {
      ScriptCommand command;
      command.line = number;
      command.first = line;
      std::istringstream words(line);
      for (std::string word; words >> word;) command.words.push_back(word);
      commands.push_back(std::move(command));
      inside = true;
    }
  }
  return commands;
}

std::string RunScript(const std::string& path) {
  auto commands = ReadScript(path);
  if (commands.empty()) return path + " has no commands";
  ScriptRunner runner;
  for (auto& command : commands) {
    std::string at = path + ":" + std::to_string(command.line) + ": ";
    try {
      runner.Run(command);
    } catch (const Mismatch& mismatch) {
      return at + command.first + "\n" + mismatch.what;
    } catch (...) {
      Error error = CurrentError();
      return at + command.first + "\n" + error.message + "\n" + error.hint;
    }
  }
  try {
    runner.CompareAll();
  } catch (const Mismatch& mismatch) {
    return path + ": at the end: " + mismatch.what;
  }
  return "";
}

}  // namespace weir
