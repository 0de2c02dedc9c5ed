#include "flow/state/row_store.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "base/error.h"
#include "base/make_room.h"

namespace weir {
namespace {

size_t UnitsFor(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit; }

}  // namespace

RowStore::RowStore(RowTypes types, bool indexed, Lists lists)
    : layout_(std::move(types)),
      indexed_(indexed),
      rows_go_(indexed),
      header_bytes_(sizeof(Entry)),
      is_listed_(lists == Lists::kListed) {
  if (!is_listed_ && layout_.IsFixed()) {
    fixed_size_ = layout_.FixedBytes();
    header_bytes_ = offsetof(ShortEntry, size);
  } else if (!is_listed_) {
    header_bytes_ = sizeof(ShortEntry);
    has_numbers_ = true;
  }
  least_units_ = UnitsFor(header_bytes_ + layout_.FixedBytes(), kUnit);
  reciprocal_ = UINT64_MAX / least_units_ + 1;
}

RowStore::~RowStore() {
  for (auto& block : blocks_) {
    if (memory_) {
      memory_->Free(block.begin, block.bytes, block.in_file);
    } else {
      delete[] block.begin;
    }
  }
}

size_t RowStore::MoveToFile(size_t bytes) {
  size_t moved = 0;
  while (moved < bytes && first_in_memory_ < blocks_.size()) {
    Block& block = blocks_[first_in_memory_];
    CHECK(!block.in_file);
    if (!memory_ || !memory_->MoveToFile(block.begin, block.bytes)) break;
    block.in_file = true;
    first_in_memory_++;
    file_bytes_ += block.bytes;
    moved += block.bytes;
  }
  return moved;
}

// What a removed row leaves is used again by rows of the same size.  Large ones come in steps of an
// eighth, so that a row that grows from change to change does not leave a trail of odd sizes.
size_t RowStore::UnitsOf(size_t row_bytes) const {
  constexpr size_t kExact = 64;
  size_t units = UnitsFor(header_bytes_ + row_bytes, kUnit);
  if (!rows_go_ || units <= kExact) return units;
  size_t step = std::bit_floor(units) / 8;
  return UnitsFor(units, step) * step;
}

RowRef RowStore::Allocate(size_t units) {
  DEBUG_ASSERT(units >= least_units_);
  // Where no row has gone, only ends of pages are free: not worth a look.
  auto found = !rows_went_ || is_loading_ ? free_.end() : free_.find(units);
  if (found != free_.end() && !found->second.empty()) {
    RowRef ref = found->second.back();
    found->second.pop_back();
    free_count_--;
    DEBUG_ASSERT(ref < next_free_);
    return ref;
  }
  if (next_free_ + units > end_free_) {
    // A row larger than a page gets pages that follow one another in one allocation.
    size_t pages = UnitsFor(units, kPageUnits);
    if (pages_.size() + pages > UINT32_MAX / kPageUnits) {
      throw Error(ErrorCode::kTooLarge, "an operator keeps more than 32 GB of rows");
    }
    size_t bytes = pages * kPageUnits * kUnit;
    // Makes room for what comes: the oldest rows are the least likely to be asked for.
    if (memory_ && memory_->IsShort()) MoveToFile(bytes);
    if (next_free_ < end_free_) {
      Free(next_free_, end_free_ - next_free_);
      next_free_ = end_free_;
    }
    MakeRoom(blocks_, 1);
    MakeRoom(pages_, pages);
    blocks_.push_back({memory_ ? memory_->Allocate(bytes) : new std::byte[bytes], bytes, false});
    pages_bytes_ += bytes;
    next_free_ = static_cast<RowRef>(pages_.size() * kPageUnits);
    for (size_t i = 0; i < pages; i++) {
      pages_.push_back(blocks_.back().begin + i * kPageUnits * kUnit);
    }
    end_free_ = static_cast<RowRef>(pages_.size() * kPageUnits);
    if (next_free_ == 0) next_free_ = 1;  // 0 is no row
    if (next_free_ + units > end_free_) return Allocate(units);
  }
  RowRef ref = next_free_;
  next_free_ += static_cast<RowRef>(units);
  return ref;
}

void RowStore::Free(RowRef ref, size_t units) {
  free_[units].push_back(ref);
  free_count_++;
  At(ref).weight = kFree;
  At(ref).size = static_cast<uint32_t>(units);
}

RowRef RowStore::AddPlace(size_t row_bytes) {
  RowRef ref = Allocate(UnitsOf(row_bytes));
  WeightOf(ref) = 0;
  if (!fixed_size_) At(ref).size = static_cast<uint32_t>(row_bytes);
  if (has_numbers_) {
    if (free_numbers_.empty()) {
      Header(ref).number = numbers_++;
    } else {
      Header(ref).number = free_numbers_.back();
      free_numbers_.pop_back();
    }
  }
  rows_++;
  return ref;
}

RowRef RowStore::Add(std::string_view row) {
  DEBUG_ASSERT(row.size() <= UINT32_MAX && (!fixed_size_ || row.size() == fixed_size_));
  RowRef ref = AddPlace(row.size());
  std::memcpy(Address(ref) + header_bytes_, row.data(), row.size());
  return ref;
}

RowRef RowStore::Add(std::string_view row, RowRef& head) {
  RowRef ref = Add(row);
  PutInFront(ref, head);
  return ref;
}

void RowStore::PutInFront(RowRef ref, RowRef& head) {
  DEBUG_ASSERT(is_listed_ && ref != head);
  At(ref).next = head;
  At(ref).previous = kNoRow;
  if (rows_go_ && head != kNoRow) At(head).previous = ref;  // rows that never go need no way back
  head = ref;
}

void RowStore::Prefetch(const std::vector<std::string_view>& rows) {
  if (indexed_ && index_.IsLarge()) HashAndPrefetch(rows);
}

// Fills hashes_.
void RowStore::HashAndPrefetch(const std::vector<std::string_view>& rows) {
  hashes_.resize(rows.size());
  for (size_t i = 0; i < rows.size(); i++) hashes_[i] = HashOf(rows[i]);
  if (!index_.IsLarge()) return;
  for (uint64_t hash : hashes_) index_.Prefetch(hash);
  for (uint64_t hash : hashes_) {
    uint32_t ref = index_.Candidate(hash);
    if (ref != UINT32_MAX) __builtin_prefetch(Address(ref));
  }
}

RowRef RowStore::FindOrAdd(std::string_view row, RowRef& head) {
  if (!indexed_) return Add(row, head);
  index_.MakeRoom();
  return index_.FindOrAdd(
      HashOf(row), [&](uint32_t ref) { return Bytes(ref) == row; }, [&] { return Add(row, head); });
}

RowRef RowStore::FindOrAdd(std::string_view row) {
  return indexed_ ? FindOrAdd(row, HashOf(row)) : Add(row);
}

RowRef RowStore::FindOrAdd(std::string_view row, uint64_t hash) {
  index_.MakeRoom();
  return index_.FindOrAdd(
      hash, [&](uint32_t ref) { return Bytes(ref) == row; }, [&] { return Add(row); });
}

void RowStore::FindOrAdd(duckdb::DataChunk& rows, RowRef* refs, bool* is_new) {
  auto count = rows.size();
  if (indexed_) {
    auto& encoded = layout_.Encode(rows);
    HashAndPrefetch(encoded);
    for (duckdb::idx_t i = 0; i < count; i++) {
      size_t before = rows_;
      refs[i] = FindOrAdd(encoded[i], hashes_[i]);
      is_new[i] = rows_ > before;
    }
    return;
  }
  // Rows that are not looked for are written where they stay.
  auto& sizes = layout_.Measure(rows);
  added_.resize(count);
  for (duckdb::idx_t i = 0; i < count; i++) {
    refs[i] = AddPlace(sizes[i]);
    added_[i] = reinterpret_cast<char*>(Address(refs[i])) + header_bytes_;
  }
  layout_.Write(added_.data());
  for (duckdb::idx_t i = 0; i < count; i++) {
    auto* begin = reinterpret_cast<char*>(Address(refs[i])) + header_bytes_;
    DEBUG_ASSERT(added_[i] == begin + sizes[i]);  // as much as there was room for
  }
  std::fill_n(is_new, count, true);
}

bool RowStore::HasLostRows() const {
  for (size_t i = 0; i < first_in_memory_; i++) {
    if (IsPageLost(blocks_[i].begin)) return true;
  }
  return false;
}

void RowStore::LookForLostRows() const {
  uint64_t lost = PagesLost();
  if (!HasLostRows()) {
    pages_lost_ = lost;
    return;
  }
  ThrowRowsAreLost();
}

void RowStore::ThrowRowsAreLost() {
  throw Error(ErrorCode::kUnavailable,
              "rows that went to a file for want of memory cannot be read again: the data folder's "
              "disk fails, or the file was cut short",
              "Look after the disk, then restart: the view is computed anew from the events.");
}

void RowStore::Remove(RowRef ref) {
  CHECK(rows_ > 0);
  DEBUG_ASSERT(ref != kNoRow && ref < next_free_ && WeightOf(ref) != kFree);
  if (indexed_) {
    uint64_t hash = HashOf(Bytes(ref));
    ThrowIfRowsAreLost();
    index_.Remove(ref, hash);
  }
  if (has_numbers_) free_numbers_.push_back(Header(ref).number);
  Free(ref, UnitsOf(Bytes(ref).size()));
  rows_went_ = true;
  rows_--;
}

void RowStore::Remove(RowRef ref, RowRef& head) {
  Entry& entry = At(ref);
  DEBUG_ASSERT(is_listed_ && (rows_go_ || (head == ref && entry.next == kNoRow)));
  if (entry.previous != kNoRow) {
    At(entry.previous).next = entry.next;
  } else {
    head = entry.next;
  }
  if (entry.next != kNoRow) At(entry.next).previous = entry.previous;
  Remove(ref);
}

void RowStore::SaveRow(StateWriter& writer, RowRef ref) const {
  DEBUG_ASSERT(!Bytes(ref).empty());  // which would be read as the end (LoadRows)
  writer.PutString(Bytes(ref));
  writer.Put(WeightOf(ref));
  writer.Put(static_cast<uint32_t>(NumberOf(ref)));
}

RowRef RowStore::LoadRow(StateReader& reader) {
  RowRef ref = FindOrAdd(reader.GetString());
  WeightOf(ref) = reader.Get<int32_t>();
  reader.Get<uint32_t>();
  return ref;
}

void RowStore::LoadRows(StateReader& reader,
                        const std::function<void(RowRef row, uint32_t number)>& row) {
  is_loading_ = true;
  for (auto bytes = reader.GetString(); !bytes.empty(); bytes = reader.GetString()) {
    RowRef ref = FindOrAdd(bytes);
    WeightOf(ref) = reader.Get<int32_t>();
    row(ref, reader.Get<uint32_t>());
  }
  is_loading_ = false;
}

void RowStore::CheckInvariants() const {
  size_t block_bytes = 0, file_bytes = 0;
  for (size_t i = 0; i < blocks_.size(); i++) {
    CHECK(blocks_[i].in_file == (i < first_in_memory_));
    block_bytes += blocks_[i].bytes;
    if (blocks_[i].in_file) file_bytes += blocks_[i].bytes;
  }
  CHECK(block_bytes == pages_bytes_ && file_bytes == file_bytes_);
  CHECK(pages_.size() * kPageUnits == end_free_ && next_free_ <= end_free_);

  size_t free = 0;
  for (auto& [units, refs] : free_) {
    for (RowRef ref : refs) CHECK(At(ref).weight == kFree && At(ref).size == units);
    free += refs.size();
  }
  CHECK(free == free_count_);

  // Places stand one behind the other, and each is a row or free.
  size_t rows = 0, free_places = 0;
  std::vector<bool> numbers(has_numbers_ ? numbers_ : 0, false);
  for (RowRef ref = kFirst; ref < next_free_;) {
    bool is_free = WeightOf(ref) == kFree;
    if (is_free) {
      free_places++;
      ref += At(ref).size;
      continue;
    }
    rows++;
    CHECK(NumberOf(ref) < Numbers());
    if (has_numbers_) {
      CHECK(!numbers[NumberOf(ref)]);
      numbers[NumberOf(ref)] = true;
    }
    if (indexed_) {
      CHECK(index_.Find(HashOf(Bytes(ref)), [&](uint32_t other) { return other == ref; }) == ref);
    }
    ref += static_cast<RowRef>(UnitsOf(Bytes(ref).size()));
    CHECK(ref <= next_free_);
  }
  CHECK(rows == rows_ && free_places == free_count_);
  CHECK(!indexed_ || index_.size() == rows_);
  CHECK(!has_numbers_ || rows_ + free_numbers_.size() == numbers_);
}

void MoveToFile(std::vector<RowStore*> stores, size_t bytes) {
  auto in_memory = [](const RowStore* store) {
    return store->Bytes() - std::min(store->Bytes(), store->BytesInFile());
  };
  std::sort(stores.begin(), stores.end(),
            [&](auto* a, auto* b) { return in_memory(a) > in_memory(b); });
  size_t moved = 0;
  for (RowStore* store : stores) {
    if (moved >= bytes) break;
    moved += store->MoveToFile(std::min(bytes - moved, in_memory(store)));
  }
}

void RowStore::Gather(const RowRef* refs, duckdb::idx_t count, duckdb::DataChunk& out,
                      size_t first_column) const {
  gathered_.resize(count);
  for (duckdb::idx_t i = 0; i < count; i++) {
    gathered_[i] = reinterpret_cast<const char*>(Address(refs[i])) + header_bytes_;
  }
  layout_.Gather(gathered_.data(), count, out, first_column);
}

}  // namespace weir
