#include "io/memory/memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace weir {
namespace {

constexpr std::pair<std::string_view, double> kUnits[] = {{"b", 1},
                                                          {"kb", 1e3},
                                                          {"mb", 1e6},
                                                          {"gb", 1e9},
                                                          {"tb", 1e12},
                                                          {"kib", 1024.0},
                                                          {"mib", 1024.0 * 1024},
                                                          {"gib", 1024.0 * 1024 * 1024},
                                                          {"tib", 1024.0 * 1024 * 1024 * 1024}};

std::string ReadSmall(const std::string& path) {
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return "";
  char text[4096];
  auto size = read(file, text, sizeof(text));
  close(file);
  return std::string(text, size > 0 ? static_cast<size_t>(size) : 0);
}

// The number a text begins with; "max" and the like are as much as there is.
uint64_t Number(std::string_view text) {
  uint64_t number = UINT64_MAX;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Control groups are nested: the least of all limits on the way up holds.
uint64_t GroupLimit() {
  uint64_t limit = UINT64_MAX;
  auto groups = ReadSmall("/proc/self/cgroup");
  auto own = groups.find("0::");
  std::string path =
      own == std::string::npos ? "" : groups.substr(own + 3, groups.find('\n', own) - own - 3);
  while (true) {
    limit = std::min(limit, Number(ReadSmall("/sys/fs/cgroup" + path + "/memory.max")));
    if (path.empty() || path == "/") break;
    path.resize(path.rfind('/'));
  }
  return std::min(limit, Number(ReadSmall("/sys/fs/cgroup/memory/memory.limit_in_bytes")));
}

}  // namespace

uint64_t MemoryThereIs() {
  auto machine =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return std::min(machine, GroupLimit());
}

uint64_t MemoryInUse() {
  static const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  auto text = ReadSmall("/proc/self/statm");  // size, resident, of files and shared, ...
  uint64_t resident = 0, of_files = 0;
  const char* at = text.c_str();
  const char* end = at + text.size();
  auto skip = [&] { at = std::find(at, end, ' ') + (std::find(at, end, ' ') != end); };
  skip();
  std::from_chars(at, end, resident);
  skip();
  std::from_chars(at, end, of_files);
  return (resident - std::min(resident, of_files)) * page;
}

uint64_t BytesFrom(const std::string& setting, const std::string& text, uint64_t all) {
  if (text == "none") return 0;
  char* end = nullptr;
  double number = std::strtod(text.c_str(), &end);
  std::string unit;
  for (; *end; end++) {
    if (*end != ' ') unit += static_cast<char>(std::tolower(static_cast<unsigned char>(*end)));
  }
  bool begins_well = !text.empty() && std::isdigit(static_cast<unsigned char>(text[0]));
  if (begins_well && number > 0) {
    if (unit == "%" && number <= 100) {
      return static_cast<uint64_t>(static_cast<double>(all) * number / 100);
    }
    auto* found = std::find_if(std::begin(kUnits), std::end(kUnits),
                               [&](auto& known) { return known.first == unit; });
    if (found != std::end(kUnits) && number * found->second < 1e18) {
      return static_cast<uint64_t>(number * found->second);
    }
  }
  throw Error(ErrorCode::kInvalidRequest, setting + " \"" + text + "\" is no amount of memory",
              "Write it as in 2GB, 512MiB, 70% or none.");
}

}  // namespace weir
