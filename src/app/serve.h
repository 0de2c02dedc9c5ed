// `weir serve`: builds every part, in the order they depend on each other, and runs until told to
// stop.
#pragma once

#include <string>
#include <vector>

namespace weir {

struct ServeOptions {
  std::string project;
  std::string data;                  // "": PROJECT/data, or what weir.toml says
  std::string listen;                // "": 127.0.0.1:7070, or what weir.toml says
  std::string memory_limit;          // "": 80 % of what there is, or what weir.toml says
  bool allow_drop = false;           // streams, tables and pumps that the project lacks may go
  std::vector<std::string> without;  // files of the data folder to do without (kMayBeWithout)
};

// Returns the process's exit code.
int RunServe(const ServeOptions& options);

// `weir check`: parses, binds and explains a project without starting it.
int RunCheck(const std::string& project);

}  // namespace weir
