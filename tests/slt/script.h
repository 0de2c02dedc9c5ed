// SQL text tests: a file of commands in the manner of sqllogictest, with verbs for streams.
//
//   statement ok                    statement error SOME TEXT OF THE MESSAGE
//   CREATE STREAM ...               CREATE ...
//
//   ingest STREAM [csv|json] [rejected N] [duplicates N] [key IDEMPOTENCY-KEY]
//   {"a": 1}
//
//   clock 2026-11-23 12:00:00       the wall clock, UTC
//   advance 90 minutes              time passes (any interval)
//   land | restart | crash          into Parquet; stop and start; as after a power cut
//
//   view NAME [incremental|recompute] [sorted]
//   expected rows, | between values (sorted unless the view has an ORDER BY)
//
//   pump NAME live | parked | SOME TEXT OF ITS ERROR
//
//   batch NAME                      the view is what this query says, run from scratch
//   SELECT ...
//
//   errors NAME                     its error rows: row | reason | count
//   expected rows
//
//   changes NAME                    parked NAME SOME TEXT OF THE ERROR
//   - row that went
//   + row that came
//
//   explain VIEW
//   text that is somewhere in its plan
//
// A blank line ends a command's body.  Each `view` also compares the view with its batch query, and
// each restart and crash compares all of them.
#pragma once

#include <string>
#include <vector>

namespace weir {

struct ScriptCommand {
  int line = 0;
  std::vector<std::string> words;  // of the first line
  std::string first;               // the first line
  std::vector<std::string> body;
};

std::vector<ScriptCommand> ReadScript(const std::string& path);

// Runs one file; returns what went wrong, "" when nothing did.
std::string RunScript(const std::string& path);

}  // namespace weir
