#include "io/disk/reference_folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"

namespace weir {

namespace fs = std::filesystem;

std::string ReferenceFolder::Find(const std::string& name) const {
  if (path_.empty()) {
    throw Error(
        ErrorCode::kForbidden, "this Weir reads no files",
        "Files are read from the folder \"reference\" of a project; others can be sent with "
        "`weir send`, or with COPY in `weir sql`.");
  }
  fs::path path(name);
  bool outside = name.empty() || path.is_absolute() ||
                 name.find_first_of("*?[]{}") != std::string::npos;  // patterns name many
  for (auto& part : path) outside = outside || part == "..";
  std::error_code error;
  fs::path folder = fs::weakly_canonical(path_, error);
  fs::path real = fs::weakly_canonical(folder / path, error);
  auto [end, unused] = std::mismatch(folder.begin(), folder.end(), real.begin(), real.end());
  if (outside || error || end != folder.end()) {
    throw Error(ErrorCode::kForbidden, "\"" + name + "\" is no file of the reference folder",
                "Name a file of the project's folder \"reference\", without \"..\" or patterns.");
  }
  if (!fs::is_regular_file(real, error)) {
    throw Error(ErrorCode::kInvalidRequest,
                "there is no file \"" + name + "\" in the reference folder",
                "It is looked for in the folder reference/ of the project.");
  }
  return real.string();
}

FileStamp ReferenceFolder::StampOf(const std::string& name) const {
  struct stat status;
  if (stat(Find(name).c_str(), &status) != 0) {
    throw Error(ErrorCode::kInvalidRequest, "cannot look at file \"" + name + "\"");
  }
  return {status.st_mtim.tv_sec * 1'000'000 + status.st_mtim.tv_nsec / 1000,
          static_cast<uint64_t>(status.st_size)};
}

}  // namespace weir
