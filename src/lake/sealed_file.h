// A Parquet file with checksums of its own, so that rotten bytes are found before they are read as
// values.
//
//   data ... | CRC-32C of each 64 KiB of it | trailer | the Parquet footer
//
// Parquet finds its footer from the end and its data from the front, so what stands between them is
// no reader's business but ours.  The manifest keeps the CRC-32C of all that follows the data (the
// seal): who knows it can trust the checksums, and with them every byte.  Layout: docs/internals/
// lake.md.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "io/disk/disk.h"

namespace weir {

// What must be known of a file to trust it.
struct Seal {
  uint64_t bytes = 0;
  uint32_t crc = 0;
  bool operator==(const Seal&) const = default;
};

// Thrown for a file whose bytes are not what was written.
struct LakeFileDamaged : Error {
  // `file`: as its reader named it, in quotes where it is to have them.
  LakeFileDamaged(std::string path, const std::string& file, std::string reason);
  std::string path;
  std::string reason;  // without the file
};

// A file to be read: where it is, how an error names it, and how its bytes are checked, if they can
// be.
struct ParquetFile {
  std::string path;
  std::string name;
  std::optional<Seal> seal;
};

// Puts the checksums into a Parquet file that is written; nothing is synced.  Throws
// LakeFileDamaged for a file that has no footer.
Seal SealFile(File& file, const std::string& path);

// The file, for reading: each byte that Read returns is checked before, when there is a seal.
// Throws, as its Read does, LakeFileDamaged.  May be read from many threads.
std::unique_ptr<File> OpenSealed(Disk& disk, const ParquetFile& file);

}  // namespace weir
