// Rows that operators keep: each as one run of bytes in pages, found by a 4-byte reference.
//
// A row is a header (its weight, the links of the list it stands in) and the bytes of RowLayout.
// Memory of removed rows is used again.
// With `indexed` equal rows are kept once, with their weights added, and found in constant time;
// without it each row is an entry of its own.  A store that is `kUnlisted` keeps no lists: its
// header is only as long as its rows need, and its owner has arrays by NumberOf.  Not thread-safe.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "base/hash_bytes.h"
#include "flow/state/page_memory.h"
#include "flow/state/row_layout.h"
#include "flow/state/slot_index.h"
#include "flow/state/state_io.h"
#include "io/disk/lost_pages.h"

namespace weir {

using RowRef = uint32_t;
inline constexpr RowRef kNoRow = 0;

class RowStore {
 public:
  // What stands before a row's bytes.
  struct Entry {
    int32_t weight = 0;
    uint32_t size = 0;
    RowRef next = kNoRow, previous = kNoRow;
  };
  enum class Lists { kListed, kUnlisted };

  RowStore(RowTypes types, bool indexed, Lists lists = Lists::kListed);
  ~RowStore();
  RowStore(const RowStore&) = delete;

  // Where pages come from.  Without it, from the heap.  REQUIRES: there was no row yet.
  void UseMemory(PageMemory* memory) {
    CHECK(blocks_.empty());
    memory_ = memory;
  }
  // Rows go even though they are not indexed.  REQUIRES: there was no row yet.
  void ExpectRemovals() {
    CHECK(blocks_.empty());
    rows_go_ = true;
  }
  // Puts pages into the memory's file, the oldest first, until so many bytes have moved; returns
  // how many did.  References and what Gather gave stay valid.
  size_t MoveToFile(size_t bytes);

  // The rows of a chunk as bytes; views that live until the next call.
  const std::vector<std::string_view>& Encode(duckdb::DataChunk& rows) {
    return layout_.Encode(rows);
  }
  // To be called before FindOrAdd of many rows: has their places fetched into the caches.
  void Prefetch(const std::vector<std::string_view>& rows);
  // The entry of an encoded row: a new one at the front of the list at `head`, or the one there is.
  RowRef FindOrAdd(std::string_view row, RowRef& head);
  // REQUIRES: the row is there, and in that list.  Of a store that expects no rows to go it is
  // alone in it, for there is no way back from one to the one before.
  void Remove(RowRef ref, RowRef& head);
  // Puts a row that was loaded without a list into one.
  void PutInFront(RowRef ref, RowRef& head);
  // As the first, without a list; a new row has weight 0.
  RowRef FindOrAdd(std::string_view row);
  // The same for all rows of a chunk, and which are new.
  void FindOrAdd(duckdb::DataChunk& rows, RowRef* refs, bool* is_new);
  void Remove(RowRef ref);

  Entry& At(RowRef ref) { return *reinterpret_cast<Entry*>(Address(ref)); }
  const Entry& At(RowRef ref) const { return *reinterpret_cast<const Entry*>(Address(ref)); }
  int32_t& WeightOf(RowRef ref) { return *reinterpret_cast<int32_t*>(Address(ref)); }
  int32_t WeightOf(RowRef ref) const { return *reinterpret_cast<const int32_t*>(Address(ref)); }
  void PrefetchRow(RowRef ref) const { __builtin_prefetch(Address(ref)); }
  std::string_view Bytes(RowRef ref) const {
    return {reinterpret_cast<const char*>(Address(ref)) + header_bytes_,
            fixed_size_ ? fixed_size_ : At(ref).size};
  }

  // A small number for each row that is there, for arrays beside it: of a store without lists as
  // small as can be, else one for the least room a row takes.  A row that comes may get that of one
  // that went.
  size_t NumberOf(RowRef ref) const {
    if (has_numbers_) return Header(ref).number;
    if (least_units_ == 1) return ref;
    __extension__ using Wide = unsigned __int128;
    return static_cast<size_t>((Wide{ref} * reciprocal_) >> 64);
  }
  size_t Numbers() const {  // all are below
    return has_numbers_ ? numbers_ : next_free_ / least_units_ + 1;
  }

  // Calls `row` with each row.
  template <class Row>
  void ForEach(Row row) const {
    for (RowRef ref = 1; ref < next_free_;) {
      int32_t weight = WeightOf(ref);
      ThrowIfRowsAreLost();
      if (weight == kFree) {
        ref += At(ref).size;
      } else {
        row(ref);
        ref += static_cast<RowRef>(UnitsOf(fixed_size_ ? fixed_size_ : At(ref).size));
      }
    }
  }

  // Goes on with the row at `from` until `row` returns false or `end` is reached; returns where to
  // go on.  kFirst stands before all, End() behind.  Rows may come and go between two calls.
  static constexpr RowRef kFirst = 1;
  RowRef End() const { return next_free_; }
  template <class Row>
  RowRef ForEachFrom(RowRef from, RowRef end, Row row) const {
    bool more = true;
    while (more && from < end) {
      int32_t weight = WeightOf(from);
      ThrowIfRowsAreLost();
      if (weight == kFree) {
        from += At(from).size;
      } else {
        more = row(from);
        from += static_cast<RowRef>(UnitsOf(fixed_size_ ? fixed_size_ : At(from).size));
      }
    }
    return from;
  }

  // The same with the rows as chunks; those of weight 0 are left out.
  template <class Rows>
  void ForEachChunk(Rows take) const {
    duckdb::DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), {types().begin(), types().end()});
    std::vector<RowRef> refs;
    auto hand_over = [&] {
      if (refs.empty()) return;
      chunk.Reset();
      Gather(refs.data(), refs.size(), chunk, 0);
      chunk.SetCardinality(refs.size());
      take(chunk, refs.data());
      refs.clear();
    };
    ForEach([&](RowRef ref) {
      if (WeightOf(ref) == 0) return;
      refs.push_back(ref);
      if (refs.size() == STANDARD_VECTOR_SIZE) hand_over();
    });
    hand_over();
  }

  // Writes rows into columns [first_column, ...) of `out`, from its row 0 on.  Texts point into
  // the store: they are valid until their row is removed.
  void Gather(const RowRef* refs, duckdb::idx_t count, duckdb::DataChunk& out,
              size_t first_column) const;

  // A row with its weight, and rows in any order, told one by one with the number they had; they
  // are in no list.
  void SaveRow(StateWriter& writer, RowRef ref) const;
  RowRef LoadRow(StateReader& reader);
  static void SaveEnd(StateWriter& writer) { writer.PutString(""); }  // no row is empty
  void LoadRows(StateReader& reader, const std::function<void(RowRef row, uint32_t number)>& row);

  size_t rows() const { return rows_; }
  size_t Bytes() const {
    return pages_bytes_ - static_cast<size_t>(end_free_ - next_free_) * kUnit + index_.Bytes() +
           free_count_ * sizeof(RowRef) + free_numbers_.capacity() * sizeof(uint32_t);
  }
  size_t BytesInFile() const { return file_bytes_; }
  // Looks at every place.  REQUIRES: no row was lost.
  void CheckInvariants() const;
  // True when rows that went to the file cannot be read any more (io/lost_pages.h): they are zeros,
  // and so is all that was made of them.
  bool HasLostRows() const;
  // Throws in that case; a look costs nothing.  To be called before what was read of rows is
  // followed further than zeros lead.
  void ThrowIfRowsAreLost() const {
    if (PagesLost() != pages_lost_) [[unlikely]]
      LookForLostRows();
  }
  [[noreturn]] static void ThrowRowsAreLost();
  const RowTypes& types() const { return layout_.types(); }

 private:
  static constexpr size_t kUnit = 8;             // a reference counts these
  static constexpr size_t kPageUnits = 1 << 15;  // 256 KiB
  // Before the bytes of a row without a list; where all are of one size, only the weight.
  struct ShortEntry {
    int32_t weight;
    uint32_t size, number;
  };
  ShortEntry& Header(RowRef ref) { return *reinterpret_cast<ShortEntry*>(Address(ref)); }
  const ShortEntry& Header(RowRef ref) const {
    return *reinterpret_cast<const ShortEntry*>(Address(ref));
  }
  // The weight of a free place, whose size counts units.
  static constexpr int32_t kFree = INT32_MIN;

  std::byte* Address(RowRef ref) const {
    return pages_[ref / kPageUnits] + (ref % kPageUnits) * kUnit;
  }
  uint64_t HashOf(std::string_view row) const { return HashBytes(row); }
  void HashAndPrefetch(const std::vector<std::string_view>& rows);
  size_t UnitsOf(size_t row_bytes) const;
  RowRef Allocate(size_t units);
  void Free(RowRef ref, size_t units);
  RowRef FindOrAdd(std::string_view row, uint64_t hash);
  RowRef AddPlace(size_t row_bytes);  // for a row that is still to be written
  RowRef Add(std::string_view row);
  RowRef Add(std::string_view row, RowRef& head);

  RowLayout layout_;
  bool indexed_;
  bool rows_go_;             // are expected to
  bool rows_went_ = false;   // some have
  bool is_loading_ = false;  // rows stand in the order in which they come
  size_t header_bytes_;
  size_t fixed_size_ = 0;  // of every row of a store without lists; 0: each has its own
  uint64_t least_units_ = 1, reciprocal_ = 0;  // that a row takes, and 2^64 by them
  bool is_listed_, has_numbers_ = false;       // rows have numbers of their own
  uint32_t numbers_ = 0;                       // given so far
  std::vector<uint32_t> free_numbers_;         // of rows that went

  struct Block {
    std::byte* begin;
    size_t bytes;
    bool in_file;
  };

  PageMemory* memory_ = nullptr;
  std::vector<Block> blocks_;   // in the order they were made
  size_t first_in_memory_ = 0;  // blocks before it are in the file
  std::vector<std::byte*> pages_;
  size_t pages_bytes_ = 0, file_bytes_ = 0;
  RowRef next_free_ = 0, end_free_ = 0;
  std::map<size_t, std::vector<RowRef>> free_;  // by units
  size_t free_count_ = 0;
  SlotIndex index_{SlotIndex::Room::kTight};  // of rows that go
  size_t rows_ = 0;
  std::vector<uint64_t> hashes_;
  std::vector<char*> added_;

  mutable std::vector<const char*> gathered_;
  mutable uint64_t pages_lost_ = PagesLost();  // of which none was ours

  void LookForLostRows() const;
};

// Puts pages into the file, those of the stores with the most in memory first, until so many bytes
// have moved.  On the thread that uses the stores.
void MoveToFile(std::vector<RowStore*> stores, size_t bytes);

}  // namespace weir
