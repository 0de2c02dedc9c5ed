// What the tests of this folder share: settings from the environment, files, and verdicts as text.
#pragma once

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "base/error.h"
#include "base/ids.h"
#include "verify/verify.h"

namespace weir {

constexpr Micros kMinute = 60'000'000;

inline uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::stoull(text) : otherwise;
}

// Whether tests look at what operators and contents keep (EngineForTests::CheckInvariants) again
// and again: it takes time.
inline bool ChecksInvariants() {
  return FromEnvironment("WEIR_CHECK_INVARIANTS", kDebugChecks) != 0;
}

// "" where there is none.
inline std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// What a view that is not its query has too few and too many.
inline std::string DescribeVerdict(const ViewVerdict& verdict) {
  std::string text = "view " + verdict.name + " is not its query";
  if (verdict.error) return text + ": " + verdict.error->message + " " + verdict.error->hint;
  for (auto* rows : {&verdict.missing, &verdict.unexpected}) {
    for (auto& row : *rows) {
      text += rows == &verdict.missing ? "\n  missing   " : "\n  unexpected";
      for (auto& value : row) text += " | " + value.value_or("NULL");
    }
  }
  return text;
}

}  // namespace weir
