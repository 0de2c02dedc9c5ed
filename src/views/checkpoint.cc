#include "views/checkpoint.h"

#include <algorithm>

#include "base/crc32c.h"
#include "flow/state/state_io.h"

namespace weir {
namespace {

constexpr size_t kTailBytes = sizeof(uint32_t) + sizeof(uint64_t) + kCheckpointMagic.size();

std::string ReadAt(File& file, uint64_t position, uint64_t size) {
  std::string bytes(size, '\0');
  bytes.resize(file.Read(position, bytes));
  if (bytes.size() != size) StateReader::Bad();
  return bytes;
}

// Throws when the file does not end as it should.
CheckpointIndex ReadIndex(File& file) {
  uint64_t size = file.Size();
  if (size < kCheckpointMagic.size() + kTailBytes) StateReader::Bad();
  std::string end = ReadAt(file, size - kTailBytes, kTailBytes);
  StateReader tail(end);
  auto checksum = tail.Get<uint32_t>();
  auto length = tail.Get<uint64_t>();
  if (!std::string_view(end).ends_with(kCheckpointMagic)) StateReader::Bad();
  if (length > size - kTailBytes - kCheckpointMagic.size()) StateReader::Bad();
  std::string index = ReadAt(file, size - kTailBytes - length, length);
  if (Crc32c(index) != checksum) StateReader::Bad();
  return CheckpointIndex::Decode(index);
}

}  // namespace

uint64_t CheckpointIndex::Section::Bytes() const {
  uint64_t bytes = 0;
  for (auto& part : parts) bytes += part.size;
  return bytes;
}

std::string CheckpointIndex::Encode() const {
  StateWriter writer;
  writer.Put(at.offset.value);
  writer.Put(at.clock);
  writer.Put(at.log_time);
  writer.Put<uint64_t>(sections.size());
  for (auto& section : sections) {
    writer.PutString(section.fingerprint);
    writer.Put(section.is_whole);
    writer.PutVector(section.parts);
  }
  writer.Put<uint64_t>(failed_rows.size());
  for (auto& [fingerprint, rows] : failed_rows) {
    writer.PutString(fingerprint);
    writer.PutString(rows);
  }
  writer.Put<uint64_t>(views.size());
  for (auto& [id, view] : views) {
    writer.Put(id);
    writer.PutString(view.query);
    writer.Put(view.section);
    writer.Put(view.rows);
  }
  writer.Put<uint64_t>(pumps.size());
  for (uint32_t pump : pumps) writer.Put(pump);
  return std::move(writer.bytes());
}

CheckpointIndex CheckpointIndex::Decode(std::string_view bytes) {
  StateReader reader(bytes);
  CheckpointIndex index;
  index.at.offset.value = reader.Get<uint64_t>();
  index.at.clock = reader.Get<Micros>();
  index.at.log_time = reader.Get<Micros>();
  for (uint64_t left = reader.GetCount(sizeof(uint64_t)); left; left--) {
    auto& section = index.sections.emplace_back();
    section.fingerprint = reader.GetString();
    section.is_whole = reader.Get<bool>();
    reader.GetVector(section.parts);
  }
  for (uint64_t left = reader.GetCount(sizeof(uint64_t)); left; left--) {
    std::string fingerprint(reader.GetString());
    index.failed_rows[std::move(fingerprint)] = reader.GetString();
  }
  for (uint64_t left = reader.GetCount(sizeof(uint32_t)); left; left--) {
    auto& view = index.views[reader.Get<uint32_t>()];
    view.query = reader.GetString();
    view.section = reader.Get<uint32_t>();
    view.rows = reader.Get<uint64_t>();
    if (view.section >= index.sections.size()) StateReader::Bad();
  }
  for (uint64_t left = reader.GetCount(sizeof(uint32_t)); left; left--) {
    index.pumps.insert(reader.Get<uint32_t>());
  }
  return index;
}

Checkpoint::Checkpoint(std::unique_ptr<File> file, CheckpointIndex index)
    : file_(std::move(file)), index_(std::move(index)) {
  for (uint32_t i = 0; i < index_.sections.size(); i++) {
    auto& section = index_.sections[i];
    if (section.is_whole && !section.fingerprint.empty()) by_fingerprint_[section.fingerprint] = i;
  }
}

std::optional<Checkpoint> Checkpoint::Open(Disk& disk, const std::string& path) {
  try {
    if (!disk.Exists(path)) return std::nullopt;
    auto file = disk.Open(path, OpenMode::kRead);
    auto index = ReadIndex(*file);
    return Checkpoint(std::move(file), std::move(index));
  } catch (const Error&) {  // a start without one reads history
    return std::nullopt;
  }
}

bool Checkpoint::CoversOperators(const Kept& kept) const {
  return std::all_of(kept.operators.begin(), kept.operators.end(), [&](Operator* op) {
    if (!op->HasState()) return true;
    auto inner = op->Inner();
    return by_fingerprint_.contains(op->fingerprint) &&
           std::all_of(inner.begin(), inner.end(), [&](Operator* inside) {
             return !inside->HasState() || by_fingerprint_.contains(InnerSection(*op, *inside));
           });
  });
}

bool Checkpoint::Covers(const LivePump& pump) const {
  return index_.pumps.contains(pump.definition->id) && CoversOperators(pump);
}

bool Checkpoint::Covers(const LiveView& view) const {
  auto saved = index_.views.find(view.definition->id);
  return saved != index_.views.end() && saved->second.query == view.definition->Definition() &&
         index_.sections[saved->second.section].is_whole && CoversOperators(view);
}

StateReader Checkpoint::Read(const CheckpointIndex::Section& section) const {
  return StateReader(section.Bytes(), [this, &section, next = size_t{0}]() mutable -> std::string {
    if (next == section.parts.size()) return "";
    auto& part = section.parts[next++];
    std::string bytes = ReadAt(*file_, part.position, part.size);
    if (Crc32c(bytes) != part.checksum) StateReader::Bad();
    return bytes;
  });
}

void Checkpoint::Load(Operator& op, const std::string& section) const {
  auto saved = by_fingerprint_.find(section);
  if (!op.HasState() || saved == by_fingerprint_.end()) return;
  auto reader = Read(index_.sections[saved->second]);
  op.Load(reader);
  if (!reader.AtEnd()) throw Error(ErrorCode::kCorruption, "saved operator state is too long");
}

void Checkpoint::Restore(Circuit& circuit, const std::vector<LiveViewPtr>& views) const {
  for (auto& op : circuit.operators()) {
    auto failed = index_.failed_rows.find(op->fingerprint);
    if (failed != index_.failed_rows.end()) {
      StateReader reader(failed->second);
      op->LoadFailedRows(reader);
    }
    Load(*op, op->fingerprint);
    for (Operator* inner : op->Inner()) Load(*inner, InnerSection(*op, *inner));
  }
  for (auto& op : circuit.operators()) op->Loaded();
  for (auto& view : views) {
    auto& saved = index_.views.at(view->definition->id);
    auto reader = Read(index_.sections[saved.section]);
    for (uint64_t left = saved.rows; left; left--) {
      std::string_view row = reader.GetString();
      auto copies = reader.Get<int64_t>();
      if (copies <= 0) StateReader::Bad();
      view->content.Change(row, copies, 0);
    }
    if (!reader.AtEnd()) throw Error(ErrorCode::kCorruption, "a saved view has more than its rows");
  }
}

}  // namespace weir
