#pragma once
#include <string>

namespace weir {
struct ShellOptions {
  std::string url, sql, format;
};
// 0, or 1 when a statement failed (and input is no terminal).
int RunShell(const ShellOptions& options);
}  // namespace weir
