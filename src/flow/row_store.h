// Rows that operators keep: each as one run of bytes in pages, found by a 4-byte reference.
//
// A row is a header (links of the list it stands in, its weight), a bitmap of NULLs, the
// fixed-width values packed, and the bytes of the others.  Memory of removed rows is used again.
// With `indexed` equal rows are kept once, with their weights added, and found in constant time;
// without it each row that comes is an entry of its own, and none can go.  Not thread-safe.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "duck/row_codec.h"
#include "flow/operator.h"
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

  // The rows of a chunk as bytes; views that live until the next call.
  const std::vector<std::string_view>& Encode(duckdb::DataChunk& rows);
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
  size_t Bytes() const { return pages_bytes_ + index_.Bytes(); }
  const RowTypes& types() const { return types_; }

 private:
  static constexpr size_t kUnit = 8;             // a reference counts these
  static constexpr size_t kPageUnits = 1 << 15;  // 256 KiB
  struct ColumnPlace {
    bool fixed = false;
    size_t width = 0;                 // of a fixed one; of the length of another
    size_t offset = 0;                // in the row
    std::unique_ptr<RowCodec> codec;  // of nested values
  };

  std::byte* Address(RowRef ref) const {
    return pages_[ref / kPageUnits] + (ref % kPageUnits) * kUnit;
  }
  uint64_t HashOf(std::string_view row) const { return std::hash<std::string_view>()(row); }
  RowRef Allocate(size_t units);
  RowRef Add(std::string_view row, RowRef& head);

  RowTypes types_;
  bool indexed_;
  size_t header_bytes_;
  size_t bitmap_bytes_, fixed_bytes_;  // fixed_bytes_: the bitmap and all fixed places
  std::vector<ColumnPlace> places_;

  std::vector<std::unique_ptr<std::byte[]>> owned_;
  std::vector<std::byte*> pages_;
  size_t pages_bytes_ = 0;
  RowRef next_free_ = 1, end_free_ = 0;
  std::map<size_t, std::vector<RowRef>> free_;  // by units
  SlotIndex index_;
  size_t rows_ = 0;

  std::string scratch_;
  std::vector<std::string_view> encoded_;
  std::vector<size_t> sizes_, offsets_;
  std::vector<std::vector<std::string_view>> nested_;
  mutable std::vector<const char*> cursor_;
};

}  // namespace weir
