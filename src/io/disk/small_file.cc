#include "io/disk/small_file.h"

#include <fmt/format.h>

#include <charconv>

#include "base/crc32c.h"
#include "io/disk/atomic_file.h"

namespace weir {

namespace {

constexpr std::string_view kHeaderBegin = "{\"weir_file\": \"";
constexpr size_t kHeaderBytesMax = 200;

std::string HeaderOf(std::string_view kind, uint32_t version, std::string_view content) {
  std::string said = fmt::format("{}\", \"version\": {}, \"bytes\": {}, \"crc32c\": \"", kind,
                                 version, content.size());
  return fmt::format("{}{}{:08x}\"}}\n", kHeaderBegin, said, Crc32c(content, Crc32c(said)));
}

// The text or number behind `name` in a header line; whether it is right, its reader compares.
std::string_view FieldOf(std::string_view header, std::string_view name) {
  size_t at = header.find(name);
  if (at == std::string_view::npos) {
    return {};
  }
  header.remove_prefix(at + name.size());
  return header.substr(0, header.find_first_of("\",}"));
}

}  // namespace

SmallFile::SmallFile(Disk& disk, std::string path, SmallFileKind kind, OnUnknownOutcome on_unknown)
    : disk_(disk),
      path_(std::move(path)),
      kind_(std::move(kind)),
      on_unknown_(std::move(on_unknown)) {
  // The header line is not escaped, and a file of version 0 has none.
  ASSERT(!kind_.name.empty() && kind_.version > 0);
  ASSERT(kind_.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == std::string::npos);
}

std::optional<SmallFile::Content> SmallFile::Load() {
  std::lock_guard lock(mutex_);
  CheckUsable();
  std::unique_ptr<File> file = disk_.TryOpen(path_);
  if (!file) {
    return std::nullopt;
  }
  std::string bytes = ReadAll(*file, path_);
  if (bytes.empty()) {
    ThrowDamaged("it is empty");
  }
  if (kHeaderBegin.starts_with(bytes)) {
    ThrowDamaged("its first line is cut short");
  }
  if (!bytes.starts_with(kHeaderBegin)) {
    return Content{std::move(bytes), 0};
  }
  size_t end = bytes.find('\n');
  if (end == std::string::npos || end > kHeaderBytesMax) {
    ThrowDamaged("its first line is cut short");
  }
  std::string_view header = std::string_view(bytes).substr(0, end + 1);
  std::string_view content = std::string_view(bytes).substr(end + 1);
  std::string_view kind = FieldOf(header, kHeaderBegin);
  std::string_view number = FieldOf(header, "\"version\": ");
  uint32_t version = 0;
  std::from_chars(number.data(), number.data() + number.size(), version);
  if (header != HeaderOf(kind, version, content)) {
    ThrowDamaged("its checksum does not match");
  }
  if (kind != kind_.name) {
    ThrowDamaged(fmt::format("it is a file of kind \"{}\", not \"{}\"", kind, kind_.name));
  }
  if (version == 0 || version > kind_.version) {
    throw Error(ErrorCode::kCorruption,
                fmt::format("\"{}\" is of version {}, and this Weir reads up to {}", path_, version,
                            kind_.version),
                "Start the Weir that wrote it, or a newer one.");
  }
  bytes.erase(0, end + 1);
  return Content{std::move(bytes), version};
}

void SmallFile::Save(std::string_view bytes) {
  std::lock_guard lock(mutex_);
  CheckUsable();
  std::string header = HeaderOf(kind_.name, kind_.version, bytes);
  // What Load looks for: one line, and no longer.
  ASSERT(header.find('\n') == header.size() - 1 && header.size() - 1 <= kHeaderBytesMax);
  ASSERT(header.starts_with(kHeaderBegin) && FieldOf(header, kHeaderBegin) == kind_.name);
  AtomicFile file(disk_, path_);
  file.Append(header);
  file.Append(bytes);
  try {
    file.Commit();
  } catch (const OutcomeUnknown& unknown) {
    failure_ = unknown.message;
    ASSERT(!failure_.empty());  // it is what keeps everybody out
    if (on_unknown_) {
      on_unknown_(
          fmt::format("whether \"{}\" was replaced is not known: {}", path_, unknown.message));
    }
    throw;
  }
}

void SmallFile::ThrowDamaged(const std::string& reason) const {
  throw Error(ErrorCode::kCorruption, fmt::format("\"{}\" is damaged: {}", path_, reason),
              kind_.when_lost);
}

void SmallFile::CheckUsable() const {
  if (!failure_.empty()) {
    throw OutcomeUnknown(
        fmt::format("whether \"{}\" was replaced is not known: {}", path_, failure_));
  }
}

}  // namespace weir
