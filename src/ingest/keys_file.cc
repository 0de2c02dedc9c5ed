#include "ingest/keys_file.h"

#include <cstring>
#include <functional>

namespace weir {

KeysFile::KeysFile(Disk& disk, const KeysPlace& place)
    : file_(disk, place.path,
            {"idempotency-keys", 1,
             "Restore it from a backup of the data folder. Or start with `--start-without "
             "idempotency-keys`: bodies of the last day that are sent again may then count twice."},
            place.on_unknown) {}

KeysFile::Saved KeysFile::Load() {
  Saved saved;
  auto content = file_.Load();
  if (!content) {
    return saved;
  }
  saved.keys = std::move(content->bytes);
  if (content->version > 0) {
    if (saved.keys.size() < sizeof(saved.covered.value)) file_.ThrowDamaged("it is cut short");
    std::memcpy(&saved.covered.value, saved.keys.data(), sizeof(saved.covered.value));
    saved.keys.erase(0, sizeof(saved.covered.value));
  }
  return saved;
}

void KeysFile::Save(std::string_view keys, Offset covered) {
  size_t hash = std::hash<std::string_view>()(keys);
  if (last_ == hash) return;
  std::string bytes(reinterpret_cast<const char*>(&covered.value), sizeof(covered.value));
  bytes += keys;
  file_.Save(bytes);
  last_ = hash;
}

}  // namespace weir
