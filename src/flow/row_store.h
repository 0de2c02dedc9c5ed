// Rows that operators keep: each as one run of bytes in pages, found by a 4-byte reference.
//
// A row is a header (links of the list it stands in, its weight) and the bytes of RowLayout. Memory
// of removed rows is used again.
// With `indexed` equal rows are kept once, with their weights added, and found in constant time;
// without it each row is an entry of its own.  Not thread-safe.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "flow/hash_bytes.h"
#include "flow/page_memory.h"
#include "flow/row_layout.h"
#include "flow/slot_index.h"
#include "flow/state_io.h"

namespace weir {

using RowRef = uint32_t;
inline constexpr RowRef kNoRow = 0;

class RowStore {
 public:
  // What stands before a row's bytes.  `note` and `counts` are the owner's.
  struct Entry {
    RowRef next = kNoRow, previous = kNoRow;
    int32_t weight = 0;
    uint32_t size = 0;
  };
  // Follows the Entry when the store was made with notes.
  struct Note {
    uint32_t touched = 0;
    int32_t matches = 0;
    int32_t unknowns = 0;
    uint32_t reserved = 0;
  };

  RowStore(RowTypes types, bool indexed, bool with_notes);
  ~RowStore();
  RowStore(const RowStore&) = delete;

  // Before the first row: where pages come from.  Without it, from the heap.
  void UseMemory(PageMemory* memory) { memory_ = memory; }
  // Before the first row: rows go even though they are not indexed.
  void ExpectRemovals() { rows_go_ = true; }
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
  void Remove(RowRef ref, RowRef& head);

  Entry& At(RowRef ref) { return *reinterpret_cast<Entry*>(Address(ref)); }
  const Entry& At(RowRef ref) const { return *reinterpret_cast<const Entry*>(Address(ref)); }
  bool has_notes() const { return header_bytes_ > sizeof(Entry); }
  Note& NoteOf(RowRef ref) { return *reinterpret_cast<Note*>(Address(ref) + sizeof(Entry)); }
  const Note& NoteOf(RowRef ref) const {
    return *reinterpret_cast<const Note*>(Address(ref) + sizeof(Entry));
  }
  std::string_view Bytes(RowRef ref) const {
    return {reinterpret_cast<const char*>(Address(ref)) + header_bytes_, At(ref).size};
  }

  // Writes rows into columns [first_column, ...) of `out`, from its row 0 on.  Texts point into
  // the store: they are valid until their row is removed.
  void Gather(const RowRef* refs, duckdb::idx_t count, duckdb::DataChunk& out,
              size_t first_column) const;

  // All rows of the lists, in order, with their weights and notes.
  void Save(StateWriter& writer, const std::vector<RowRef>& heads) const;
  void Load(StateReader& reader, std::vector<RowRef>& heads);

  size_t rows() const { return rows_; }
  size_t Bytes() const {
    return pages_bytes_ - static_cast<size_t>(end_free_ - next_free_) * kUnit + index_.Bytes() +
           free_count_ * sizeof(RowRef);
  }
  size_t BytesInFile() const { return file_bytes_; }
  const RowTypes& types() const { return layout_.types(); }

 private:
  static constexpr size_t kUnit = 8;             // a reference counts these
  static constexpr size_t kPageUnits = 1 << 15;  // 256 KiB

  std::byte* Address(RowRef ref) const {
    return pages_[ref / kPageUnits] + (ref % kPageUnits) * kUnit;
  }
  uint64_t HashOf(std::string_view row) const { return HashBytes(row); }
  size_t UnitsOf(size_t row_bytes) const;
  RowRef Allocate(size_t units);
  RowRef Add(std::string_view row, RowRef& head);

  RowLayout layout_;
  bool indexed_;
  bool rows_go_;
  size_t header_bytes_;

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
  SlotIndex index_;
  size_t rows_ = 0;
  std::vector<uint64_t> hashes_;

  mutable std::vector<const char*> gathered_;
};

// Puts pages into the file, those of the stores with the most in memory first, until so many bytes
// have moved.  On the thread that uses the stores.
void MoveToFile(std::vector<RowStore*> stores, size_t bytes);

}  // namespace weir
