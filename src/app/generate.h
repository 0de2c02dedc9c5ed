// Example events: a sign-in service with a daily and a weekly rhythm, the same for the same seed.
#pragma once
#include <cstdint>
#include <string>

namespace weir {
struct GenerateOptions {
  double rate = 11.6;
  uint64_t count = 0;  // 0: no limit
  std::string history = "0d";
  double per_day = 1'000'000;
  uint64_t seed = 1;
  std::string to, stream, state_file;
};
int RunGenerate(const GenerateOptions& options);

// Events of the Nexmark benchmark (nexmark.h) into the streams person, auction and bid.
struct GenerateNexmarkOptions {
  double rate = 10'000;  // 0: as fast as it goes
  uint64_t count = 0;    // 0: no limit
  uint64_t seed = 1;
  std::string to;
};
int RunGenerateNexmark(const GenerateNexmarkOptions& options);
}  // namespace weir
