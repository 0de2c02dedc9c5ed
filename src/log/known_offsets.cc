#include "log/known_offsets.h"

#include <fmt/format.h>

#include "base/error.h"

namespace weir {

void CheckLogReaches(Offset end, const std::string& log_folder,
                     const std::vector<KnownOffset>& known) {
  std::string more;
  for (const KnownOffset& one : known) {
    if (one.offset > end) {
      more += fmt::format("{}\"{}\" knows of offset {}", more.empty() ? "" : ", ", one.file,
                          one.offset.value);
    }
  }
  if (more.empty()) {
    return;
  }
  throw Error(
      ErrorCode::kCorruption,
      fmt::format("the log in \"{}\" was cut back: it ends at offset {}, but {}", log_folder,
                  end.value, more),
      "Nothing was changed. Restore the data folder as a whole, all of it from one backup.");
}

}  // namespace weir
