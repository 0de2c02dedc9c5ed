// Group keys to slots: small dense numbers under which operators keep their state in arrays.
//
// Open addressing over slots.  Keys of fixed-width values are kept as words, those with texts as
// the bytes of RowLayout, and where equal values have several forms as those of RowCodec.  A slot
// of an erased key is used again.  Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "duck/row_codec.h"
#include "flow/state/row_types.h"
#include "flow/state/state_io.h"

namespace weir {

class KeyTable {
 public:
  // Whether forms of one value ('1 month', '30 days') are one key, which then is neither.
  enum class Forms { kOne, kApart };
  static std::unique_ptr<KeyTable> Make(const RowTypes& types, Forms forms = Forms::kOne);
  // Values of the type are told apart by their bits, of which there are 64 at most.
  static bool IsWord(const duckdb::LogicalType& type);
  virtual ~KeyTable() = default;

  // The slot of each row's key, made when it is new.
  virtual void Resolve(duckdb::DataChunk& keys, uint32_t* slots) = 0;
  // The same without making any: kNone where there is none.
  static constexpr uint32_t kNone = UINT32_MAX;
  virtual void Find(duckdb::DataChunk& keys, uint32_t* slots) = 0;
  // REQUIRES, as all that takes a slot: it has a key.
  virtual void Erase(uint32_t slot) = 0;
  // Writes the key of a slot into the first columns of `rows` at `row`.
  virtual void Key(uint32_t slot, duckdb::DataChunk& rows, duckdb::idx_t row) const = 0;
  // The same for several, into rows 0, 1, ...
  virtual void Keys(const uint32_t* slots, size_t count, duckdb::DataChunk& rows) const {
    for (size_t i = 0; i < count; i++) Key(slots[i], rows, i);
  }
  // Forgets all keys and keeps the room.
  virtual void Clear() = 0;
  // All slots are below this.
  virtual size_t Slots() const = 0;
  virtual size_t Bytes() const = 0;
  // How many have a key.
  virtual size_t KeysThere() const = 0;
  // Each key is found under its slot, and no other slot is taken or free.
  virtual void CheckInvariants() const = 0;
  // A snapshot, slot by slot: SaveKey of those that have a key, in any order; BeginLoad of a new
  // table with room for all, LoadKey of each, EndLoad.
  virtual void SaveKey(uint32_t slot, StateWriter& writer) const = 0;
  virtual void BeginLoad(size_t slots) = 0;
  virtual void LoadKey(uint32_t slot, StateReader& reader) = 0;
  virtual void EndLoad() = 0;
};

}  // namespace weir
