#include "io/disk.h"

#include <filesystem>

namespace weir {

void File::WriteDurably(uint64_t position, std::span<const std::string_view> parts) {
  for (std::string_view part : parts) {
    Write(position, part);
    position += part.size();
  }
  Sync();
}

void WriteFileAtomically(Disk& disk, const std::string& path, std::string_view bytes) {
  std::string temporary = path + ".tmp";
  if (disk.Exists(temporary)) {
    disk.Remove(temporary);
  }
  try {
    std::unique_ptr<File> file = disk.Open(temporary, OpenMode::kCreate);
    file->Write(0, bytes);
    file->Sync();
    disk.Rename(temporary, path);
  } catch (const DiskFailure&) {
    throw;
  } catch (const Error&) {  // full: give back what the half-written file holds
    if (disk.Exists(temporary)) {
      disk.Remove(temporary);
    }
    throw;
  }
  std::string folder = std::filesystem::path(path).parent_path().string();
  disk.SyncDirectory(folder.empty() ? "." : folder);
}

std::string ReadWholeFile(Disk& disk, const std::string& path) {
  if (!disk.Exists(path)) {
    return "";
  }
  std::unique_ptr<File> file = disk.Open(path, OpenMode::kRead);
  std::string bytes(file->Size(), '\0');
  bytes.resize(file->Read(0, bytes));
  return bytes;
}

}  // namespace weir
