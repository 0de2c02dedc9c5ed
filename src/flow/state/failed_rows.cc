#include "flow/state/failed_rows.h"

#include "flow/state/allocated.h"
#include "flow/state/weights.h"

namespace weir {
namespace {

constexpr size_t kTextMax = 1000;
constexpr size_t kRowsMax = 10'000;

// Stands for the rows of a place that are counted only.
FailedRow Others(const std::string& where) {
  return {"(and others)", "more rows failed than are kept one by one", where};
}

// At most so many bytes, and no half of a character.
void Cut(std::string& text) {
  if (text.size() <= kTextMax) return;
  size_t end = kTextMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) end--;
  text.resize(end);
  text += "...";
}

size_t FailedRowBytes(const FailedRow& row) {
  return TreeNodeBytes<std::pair<FailedRow, std::pair<Offset, int64_t>>>() +
         TextBytes(row.row.size()) + TextBytes(row.reason.size()) + TextBytes(row.where.size());
}

}  // namespace

void SaveFailed(StateWriter& writer, const FailedRow& row) {
  writer.PutString(row.row);
  writer.PutString(row.reason);
  writer.PutString(row.where);
}

FailedRow LoadFailed(StateReader& reader) {
  FailedRow row;
  row.row = reader.GetString();
  row.reason = reader.GetString();
  row.where = reader.GetString();
  return row;
}

void SaveFailedBySlot(StateWriter& writer, const std::map<uint32_t, FailedRow>& rows) {
  writer.Put<uint64_t>(rows.size());
  for (auto& [slot, row] : rows) {
    writer.Put(slot);
    SaveFailed(writer, row);
  }
}

std::map<uint32_t, FailedRow> LoadFailedBySlot(StateReader& reader) {
  std::map<uint32_t, FailedRow> rows;
  for (uint64_t left = reader.Get<uint64_t>(); left > 0; left--) {
    auto slot = reader.Get<uint32_t>();
    rows[slot] = LoadFailed(reader);
  }
  return rows;
}

void FailedRows::Add(FailedRow row, int64_t weight) {
  Cut(row.row);
  Cut(row.reason);
  Cut(row.where);
  if (!IsThere(row)) {
    auto others = Others(row.where);
    // One that goes and is not there was among the others.
    bool one_of_them = weight > 0 ? rows_.size() + changes_.size() >= kRowsMax : IsThere(others);
    if (one_of_them) row = std::move(others);
  }
  AddWeight(changes_[std::move(row)], weight);
}

bool FailedRows::IsThere(const FailedRow& row) const {
  return changes_.contains(row) || rows_.contains(row);
}

void FailedRows::WithdrawAll() {
  changes_.clear();
  for (auto& [row, kept] : rows_) changes_[row] = -kept.count;
}

void FailedRows::Keep(const FailedRow& row, Offset first, int64_t count) {
  auto [entry, added] = rows_.try_emplace(row, Kept{first, 0});
  DEBUG_ASSERT(added || entry->second.first == first);
  if (added) bytes_ += FailedRowBytes(row);
  entry->second.count += count;
  count_ += static_cast<uint64_t>(count);
  if (entry->second.count != 0) return;
  bytes_ -= FailedRowBytes(row);
  rows_.erase(entry);
}

const FailedRow* FailedRows::New() const {
  for (auto& [row, weight] : changes_) {
    if (weight > 0) return &row;
  }
  return nullptr;
}

void FailedRows::TakeChanges(Offset position, const Sink& sink) {
  for (auto& [row, weight] : changes_) {
    if (weight == 0) continue;
    auto found = rows_.find(row);
    Offset first = found == rows_.end() ? position : found->second.first;
    sink(row, first, weight);
    Keep(row, first, weight);
  }
  changes_.clear();
}

void FailedRows::CheckInvariants() const {
  uint64_t count = 0;
  size_t bytes = 0;
  for (auto& [row, kept] : rows_) {
    CHECK(kept.count != 0);
    count += static_cast<uint64_t>(kept.count);
    bytes += FailedRowBytes(row);
  }
  CHECK(count == count_ && bytes == bytes_);
}

void FailedRows::ForEach(const Sink& sink) const {
  for (auto& [row, kept] : rows_) sink(row, kept.first, kept.count);
}

void FailedRows::Save(StateWriter& writer) const {
  writer.Put<uint64_t>(rows_.size());
  for (auto& [row, kept] : rows_) {
    SaveFailed(writer, row);
    writer.Put(kept.first.value);
    writer.Put(kept.count);
  }
}

void FailedRows::Load(StateReader& reader) {
  for (uint64_t left = reader.Get<uint64_t>(); left > 0; left--) {
    FailedRow row = LoadFailed(reader);
    Offset first{reader.Get<uint64_t>()};
    Keep(row, first, reader.Get<int64_t>());
  }
}

}  // namespace weir
