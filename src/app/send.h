#pragma once
#include <cstdint>
#include <string>

namespace weir {
struct SendOptions {
  std::string url, stream, file, format;
  uint64_t batch_rows = 10000;
};
// 0: all accepted; 4: rows were refused; 3: could not connect.
int RunSend(const SendOptions& options);
}  // namespace weir
