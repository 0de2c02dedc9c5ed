// `weir top`: views and operators of a running Weir with their rates, state and share of time.
#pragma once

#include <string>

namespace weir {

struct TopOptions {
  std::string url;
  bool once = false;  // one look, as plain text
  bool json = false;  // one look, as JSON
};
// Refreshes each second until it is stopped, unless told to look once.
int RunTop(const TopOptions& options);

}  // namespace weir
