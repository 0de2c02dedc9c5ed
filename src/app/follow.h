// SUBSCRIBE on the command line: prints a query's answer and then each change, until Ctrl-C.
#pragma once

#include <string>

namespace weir {

// `format`: "box" (rows with + and - in front), "csv" or "json" (one event a line).  Returns when
// the server ends it; throws what it answers.
void FollowQuery(const std::string& url, const std::string& sql, const std::string& format);

}  // namespace weir
