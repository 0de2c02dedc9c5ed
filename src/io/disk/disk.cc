#include "io/disk/disk.h"

#include <fmt/format.h>

#include "io/disk/atomic_file.h"

namespace weir {

void File::WriteDurably(uint64_t position, std::span<const std::string_view> parts) {
  for (std::string_view part : parts) {
    Write(position, part);
    position += part.size();
  }
  Sync();
}

void WriteFileAtomically(Disk& disk, const std::string& path, std::string_view bytes) {
  AtomicFile file(disk, path);
  file.Append(bytes);
  file.Commit();
}

std::string ReadWholeFile(Disk& disk, const std::string& path) {
  std::unique_ptr<File> file = disk.TryOpen(path);
  return file ? ReadAll(*file, path) : "";
}

std::string ReadAll(File& file, const std::string& path) {
  std::string bytes(file.Size(), '\0');
  size_t read = file.Read(0, bytes);
  if (read != bytes.size()) {
    throw DiskFailure(
        fmt::format("cannot read \"{}\": {} of its {} bytes came", path, read, bytes.size()));
  }
  return bytes;
}

}  // namespace weir
