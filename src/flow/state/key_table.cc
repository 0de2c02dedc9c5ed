#include "flow/state/key_table.h"

#include <algorithm>
#include <cstring>

#include "base/hash_bytes.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "flow/state/allocated.h"
#include "flow/state/large_array.h"
#include "flow/state/row_layout.h"
#include "flow/state/slot_index.h"

namespace weir {
namespace {

// Rows that are worked on together: so many that the memory is busy, and their keys stay near.
constexpr duckdb::idx_t kBlock = 512;

template <class Key>
class SlotKeys {
 public:
  uint32_t Add(Key key) {
    if (!free_.empty()) {
      uint32_t slot = free_.back();
      free_.pop_back();
      keys_[slot] = std::move(key);
      return slot;
    }
    keys_.Add(std::move(key));
    return static_cast<uint32_t>(keys_.size() - 1);
  }
  void Remove(uint32_t slot) {
    CHECK(free_.size() < keys_.size());
    keys_[slot] = Key();
    free_.push_back(slot);
  }
  const Key& operator[](uint32_t slot) const { return keys_[slot]; }
  size_t size() const { return keys_.size(); }
  const std::vector<uint32_t>& free() const { return free_; }
  void Clear() {
    keys_.Clear();
    free_.clear();
  }
  LargeArray<Key> keys_;
  std::vector<uint32_t> free_;
};

// Slots are taken or free, and those that are taken are where their hashes lead.  `hash_of` says by
// which hash a slot stands in the index.
template <class HashOf>
void CheckSlots(const SlotIndex& index, size_t slots, const std::vector<uint32_t>& free,
                size_t beside_index, HashOf hash_of) {
  CHECK(index.size() + beside_index + free.size() == slots);
  std::vector<bool> seen(slots, false);
  auto see = [&](uint32_t slot) {
    CHECK(slot < slots && !seen[slot]);
    seen[slot] = true;
  };
  for (uint32_t slot : free) see(slot);
  index.CheckInvariants([&](uint32_t slot, uint32_t half) {
    see(slot);
    CHECK(SlotIndex::Half(hash_of(slot)) == half);
  });
}

// Which slots got a key while a table is loaded slot by slot.
class LoadedSlots {
 public:
  void Begin(size_t slots) {
    if (slots >= KeyTable::kNone) StateReader::Bad();
    there_.assign(slots, false);
  }
  void Add(uint32_t slot) {
    if (slot >= there_.size() || there_[slot]) StateReader::Bad();
    there_[slot] = true;
  }
  // Calls `there` with the slots that have a key, in order; returns the others, the first last, as
  // they are to be used again.
  template <class There>
  std::vector<uint32_t> End(There there) {
    std::vector<uint32_t> free;
    for (uint32_t slot = 0; slot < there_.size(); slot++) {
      if (there_[slot]) {
        there(slot);
      } else {
        free.push_back(slot);
      }
    }
    std::reverse(free.begin(), free.end());
    std::vector<bool>().swap(there_);
    return free;
  }

 private:
  std::vector<bool> there_;
};

// A single fixed-width key as one word.  NULL has a slot of its own.
class WordTable : public KeyTable {
 public:
  explicit WordTable(duckdb::PhysicalType type) : type_(type) {}

  void Resolve(duckdb::DataChunk& keys, uint32_t* slots) override {
    Look(keys, slots, [&](uint64_t word, uint64_t hash) { return FindOrAdd(word, hash); });
    if (!saw_null_) return;
    if (null_slot_ == kNone) null_slot_ = keys_.Add(0);
    for (duckdb::idx_t row = 0; row < keys.size(); row++) {
      if (slots[row] == kNone) slots[row] = null_slot_;
    }
  }

  void Find(duckdb::DataChunk& keys, uint32_t* slots) override {
    Look(keys, slots, [&](uint64_t word, uint64_t hash) {
      return index_.Find(hash, [&](uint32_t slot) { return keys_[slot] == word; });
    });
  }

  void Erase(uint32_t slot) override {
    if (slot == null_slot_) {
      null_slot_ = kNone;
    } else {
      index_.Remove(slot, HashWord(keys_[slot]));
    }
    keys_.Remove(slot);
  }

  void Key(uint32_t slot, duckdb::DataChunk& rows, duckdb::idx_t row) const override {
    auto& column = rows.data[0];
    if (slot == null_slot_) {
      duckdb::FlatVector::SetNull(column, row, true);
      return;
    }
    size_t width = duckdb::GetTypeIdSize(type_);
    std::memcpy(duckdb::FlatVector::GetData(column) + row * width, &keys_[slot], width);
  }

  void Clear() override {
    index_.Clear();
    keys_.Clear();
    null_slot_ = kNone;
  }
  size_t KeysThere() const override { return keys_.size() - keys_.free().size(); }
  void CheckInvariants() const override {
    CHECK(null_slot_ == kNone || null_slot_ < keys_.size());
    CheckSlots(index_, keys_.size(), keys_.free(), null_slot_ != kNone,
               [&](uint32_t slot) { return HashWord(keys_[slot]); });
  }
  size_t Slots() const override { return keys_.size(); }
  size_t Bytes() const override { return index_.Bytes() + keys_.keys_.Bytes(); }

  void SaveKey(uint32_t slot, StateWriter& writer) const override {
    writer.Put(slot == null_slot_);
    writer.Put(keys_[slot]);
  }
  void BeginLoad(size_t slots) override {
    CHECK(keys_.size() == 0);
    keys_.keys_.Resize(slots);
    loaded_.Begin(slots);
  }
  void LoadKey(uint32_t slot, StateReader& reader) override {
    loaded_.Add(slot);
    if (reader.Get<bool>()) null_slot_ = slot;
    keys_.keys_[slot] = reader.Get<uint64_t>();
  }
  void EndLoad() override {
    keys_.free_ = loaded_.End([&](uint32_t slot) {
      if (slot == null_slot_) return;
      index_.MakeRoom();
      index_.FindOrAdd(
          HashWord(keys_[slot]), [](uint32_t) { return false; }, [&] { return slot; });
    });
  }

 private:
  // Where NULLs are, the slot there is for them.
  template <class Finder>
  void Look(duckdb::DataChunk& keys, uint32_t* slots, Finder find) {
    switch (duckdb::GetTypeIdSize(type_)) {
      case 1: return LookAs<uint8_t>(keys, slots, find);
      case 2: return LookAs<uint16_t>(keys, slots, find);
      case 4: return LookAs<uint32_t>(keys, slots, find);
      default: return LookAs<uint64_t>(keys, slots, find);
    }
  }

  template <class Word, class Finder>
  void LookAs(duckdb::DataChunk& keys, uint32_t* slots, Finder find) {
    duckdb::UnifiedVectorFormat format;
    keys.data[0].ToUnifiedFormat(keys.size(), format);
    auto* words = duckdb::UnifiedVectorFormat::GetDataUnsafe<Word>(format);
    bool all_valid = format.validity.AllValid();
    saw_null_ = false;
    // Events come in time order: the key is most often the one before.
    uint64_t last_word = 0;
    uint32_t last_slot = kNone;
    uint64_t block[kBlock], hashes[kBlock];
    for (duckdb::idx_t begin = 0; begin < keys.size(); begin += kBlock) {
      auto count = std::min<duckdb::idx_t>(kBlock, keys.size() - begin);
      uint32_t* found = slots + begin;
      for (duckdb::idx_t i = 0; i < count; i++) {
        block[i] = words[format.sel->get_index(begin + i)];
        hashes[i] = HashWord(block[i]);
      }
      index_.Candidates(hashes, count, found, [&](uint32_t slot) { return &keys_[slot]; });
      for (duckdb::idx_t i = 0; i < count; i++) {
        if (!all_valid && !format.validity.RowIsValid(format.sel->get_index(begin + i))) {
          found[i] = null_slot_;
          saw_null_ = true;
          continue;
        }
        if (found[i] != kNone && keys_[found[i]] == block[i]) continue;
        if (block[i] != last_word || last_slot == kNone) {
          last_slot = find(block[i], hashes[i]);
          last_word = block[i];
        }
        found[i] = last_slot;
      }
    }
  }

  uint32_t FindOrAdd(uint64_t word, uint64_t hash) {
    index_.MakeRoom();
    return index_.FindOrAdd(
        hash, [&](uint32_t slot) { return keys_[slot] == word; }, [&] { return keys_.Add(word); });
  }

  duckdb::PhysicalType type_;
  SlotIndex index_;
  SlotKeys<uint64_t> keys_;
  LoadedSlots loaded_;
  uint32_t null_slot_ = kNone;
  bool saw_null_ = false;
};

// Where the types have one form for each value, a key's bytes are the value.
bool HasOneForm(const duckdb::LogicalType& type) {
  switch (type.InternalType()) {
    case duckdb::PhysicalType::FLOAT:
    case duckdb::PhysicalType::DOUBLE:
    case duckdb::PhysicalType::INTERVAL: return false;
    case duckdb::PhysicalType::VARCHAR: return true;
    default: return duckdb::TypeIsConstantSize(type.InternalType());
  }
}

bool TakesWords(const RowTypes& types) {
  if (types.empty() || types.size() > 64) return false;
  return std::all_of(types.begin(), types.end(), [](auto& type) {
    return HasOneForm(type) && duckdb::TypeIsConstantSize(type.InternalType());
  });
}

// Several fixed-width values: a bit for each NULL and the narrow values in the first words, then
// one word or two for each of the others.
struct WordsLayout {
  struct Column {
    size_t width, place;  // bytes
  };

  explicit WordsLayout(const RowTypes& types) : columns(types.size()) {
    size_t bytes = (types.size() + 7) / 8;
    auto place = [&](bool narrow) {
      for (size_t c = 0; c < types.size(); c++) {
        size_t width = duckdb::GetTypeIdSize(types[c].InternalType());
        if ((width < 8) != narrow) continue;
        columns[c] = {width, bytes};
        bytes += width;
      }
    };
    place(true);
    bytes = (bytes + 7) / 8 * 8;
    narrow_words = bytes / 8;
    place(false);
    words = bytes / 8;
  }

  std::vector<Column> columns;
  size_t words, narrow_words;  // the second: of the bits and the narrow values
};

// kWords: of a key; 0: as many as the layout says.
template <size_t kWords>
class WordsTable : public KeyTable {
 public:
  WordsTable(const RowTypes& types, WordsLayout layout)
      : columns_(std::move(layout.columns)),
        words_(layout.words),
        narrow_words_(layout.narrow_words),
        keys_(layout.words) {
    null_bits_ = types.size() == 64 ? UINT64_MAX : (uint64_t{1} << types.size()) - 1;
    CHECK(kWords == 0 || kWords == words_);
    CHECK(narrow_words_ > 0 && narrow_words_ <= words_);  // the bits of NULLs stand in the first
  }

  void Resolve(duckdb::DataChunk& keys, uint32_t* slots) override {
    Look(keys, slots, [&](const uint64_t* key, uint64_t hash) { return FindOrAdd(key, hash); });
  }
  void Find(duckdb::DataChunk& keys, uint32_t* slots) override {
    Look(keys, slots, [&](const uint64_t* key, uint64_t hash) {
      return index_.Find(hash, [&](uint32_t slot) { return Equal(At(slot), key); });
    });
  }

  template <class Finder>
  void Look(duckdb::DataChunk& keys, uint32_t* slots, Finder find) {
    formats_.resize(columns_.size());
    for (size_t c = 0; c < columns_.size(); c++) {
      keys.data[c].ToUnifiedFormat(keys.size(), formats_[c]);
    }
    encoded_.resize(kBlock * words());
    uint64_t hashes[kBlock];
    for (duckdb::idx_t begin = 0; begin < keys.size(); begin += kBlock) {
      auto count = std::min<duckdb::idx_t>(kBlock, keys.size() - begin);
      Encode(begin, count);
      const uint64_t* key = encoded_.data();
      for (duckdb::idx_t i = 0; i < count; i++) hashes[i] = Hash(key + i * words());
      uint32_t* found = slots + begin;
      index_.Candidates(hashes, count, found, [&](uint32_t slot) { return At(slot); });
      for (duckdb::idx_t i = 0; i < count; i++, key += words()) {
        if (found[i] != kNone && Equal(At(found[i]), key)) continue;
        bool as_before = i > 0 && hashes[i] == hashes[i - 1] && Equal(key, key - words());
        found[i] = as_before ? found[i - 1] : find(key, hashes[i]);
      }
    }
    formats_.clear();  // they hold on to the chunk
  }

  void Erase(uint32_t slot) override {
    index_.Remove(slot, Hash(At(slot)));
    free_.push_back(slot);
  }

  void Key(uint32_t slot, duckdb::DataChunk& rows, duckdb::idx_t row) const override {
    auto* key = reinterpret_cast<const char*>(At(slot));
    uint64_t nulls = At(slot)[0] & null_bits_;
    for (size_t c = 0; c < columns_.size(); c++) {
      auto& column = rows.data[c];
      if (nulls >> c & 1) {
        duckdb::FlatVector::SetNull(column, row, true);
      } else {
        std::memcpy(duckdb::FlatVector::GetData(column) + row * columns_[c].width,
                    key + columns_[c].place, columns_[c].width);
      }
    }
  }

  void Keys(const uint32_t* slots, size_t count, duckdb::DataChunk& rows) const override {
    uint64_t nulls = 0;
    for (size_t i = 0; i < count; i++) nulls |= At(slots[i])[0] & null_bits_;
    for (size_t c = 0; c < columns_.size(); c++) {
      WithWidth(columns_[c].width, [&](auto value) {
        auto* values =
            reinterpret_cast<decltype(value)*>(duckdb::FlatVector::GetData(rows.data[c]));
        for (size_t i = 0; i < count; i++) {
          std::memcpy(&values[i], reinterpret_cast<const char*>(At(slots[i])) + columns_[c].place,
                      sizeof(value));
        }
      });
      if (!(nulls >> c & 1)) continue;
      for (size_t i = 0; i < count; i++) {
        if (At(slots[i])[0] >> c & 1) duckdb::FlatVector::SetNull(rows.data[c], i, true);
      }
    }
  }

  void Clear() override {
    index_.Clear();
    keys_.Clear();
    free_.clear();
  }
  size_t KeysThere() const override { return keys_.size() - free_.size(); }
  void CheckInvariants() const override {
    CheckSlots(index_, keys_.size(), free_, 0, [&](uint32_t slot) { return Hash(At(slot)); });
  }
  size_t Slots() const override { return keys_.size(); }
  size_t Bytes() const override { return index_.Bytes() + keys_.Bytes(); }

  void SaveKey(uint32_t slot, StateWriter& writer) const override {
    for (size_t i = 0; i < words(); i++) writer.Put(At(slot)[i]);
  }
  void BeginLoad(size_t slots) override {
    CHECK(keys_.size() == 0);
    keys_.Resize(slots);
    loaded_.Begin(slots);
  }
  void LoadKey(uint32_t slot, StateReader& reader) override {
    loaded_.Add(slot);
    for (size_t i = 0; i < words(); i++) keys_.At(slot)[i] = reader.Get<uint64_t>();
  }
  void EndLoad() override {
    free_ = loaded_.End([&](uint32_t slot) {
      index_.MakeRoom();
      index_.FindOrAdd(
          Hash(At(slot)), [](uint32_t) { return false; }, [&] { return slot; });
    });
  }

 private:
  size_t words() const { return kWords ? kWords : words_; }
  const uint64_t* At(uint32_t slot) const { return keys_.At(slot); }
  // Most keys are two or three words: a call of memcmp would cost more than the comparison.
  bool Equal(const uint64_t* a, const uint64_t* b) const {
    uint64_t difference = 0;
    for (size_t i = 0; i < words(); i++) difference |= a[i] ^ b[i];
    return difference == 0;
  }
  uint64_t Hash(const uint64_t* key) const {
    uint64_t hash = kHashSeeds.add;
    for (size_t i = 0; i < words(); i++) {
      hash = FoldedProduct(hash ^ key[i], kHashSeeds.multiply);
    }
    return HashWord(hash);
  }

  // Calls `work` with a value of that width.
  template <class Work>
  static void WithWidth(size_t width, Work work) {
    if (width == 1) return work(uint8_t());
    if (width == 2) return work(uint16_t());
    if (width == 4) return work(uint32_t());
    if (width == 8) return work(uint64_t());
    work(duckdb::uhugeint_t());
  }

  void Encode(duckdb::idx_t begin, duckdb::idx_t count) {
    for (duckdb::idx_t i = 0; i < count; i++) {
      std::fill_n(&encoded_[i * words()], narrow_words_, 0);  // the others are written whole
    }
    for (size_t c = 0; c < columns_.size(); c++) {
      WithWidth(columns_[c].width, [&](auto value) { EncodeAs<decltype(value)>(c, begin, count); });
    }
  }

  template <class Value>
  void EncodeAs(size_t c, duckdb::idx_t begin, duckdb::idx_t count) {
    auto& format = formats_[c];
    auto* values = reinterpret_cast<const Value*>(format.data);
    bool all_valid = format.validity.AllValid();
    auto* place = reinterpret_cast<char*>(encoded_.data()) + columns_[c].place;
    uint64_t* key = encoded_.data();
    for (duckdb::idx_t i = 0; i < count; i++, key += words(), place += words() * 8) {
      auto index = format.sel->get_index(begin + i);
      if (!all_valid && !format.validity.RowIsValid(index)) {
        key[0] |= uint64_t{1} << c;
        std::memset(place, 0, sizeof(Value));
      } else {
        std::memcpy(place, &values[index], sizeof(Value));
      }
    }
  }

  uint32_t FindOrAdd(const uint64_t* key, uint64_t hash) {
    index_.MakeRoom();
    return index_.FindOrAdd(
        hash, [&](uint32_t slot) { return Equal(At(slot), key); },
        [&] {
          if (free_.empty()) {
            keys_.Add(key);
            return static_cast<uint32_t>(Slots() - 1);
          }
          uint32_t slot = free_.back();
          free_.pop_back();
          std::copy(key, key + words(), keys_.At(slot));
          return slot;
        });
  }

  std::vector<WordsLayout::Column> columns_;
  size_t words_, narrow_words_;
  uint64_t null_bits_ = 0;  // of the first word: its first bytes, on a machine of little endian
  SlotIndex index_;
  LargeArray<uint64_t, kWords> keys_;
  std::vector<uint32_t> free_;
  LoadedSlots loaded_;
  // Of the chunk at hand, and of a block of it.
  std::vector<duckdb::UnifiedVectorFormat> formats_;
  std::vector<uint64_t> encoded_;
};

// The bytes of RowLayout, where they tell values apart.
class PackedKeys {
 public:
  explicit PackedKeys(const RowTypes& types) : layout_(types) {}
  const std::vector<std::string_view>& Encode(duckdb::DataChunk& keys) {
    return layout_.Encode(keys);
  }
  void Decode(std::string_view key, duckdb::DataChunk& rows, duckdb::idx_t row) const {
    layout_.Get(key.data(), rows, row);
  }

 private:
  RowLayout layout_;
};

// The bytes of RowCodec for values that are compared.
class ComparedKeys : public RowCodec {
 public:
  explicit ComparedKeys(const RowTypes& types) : RowCodec(types, Compared(types.size())) {}
};

template <class Codec>
class BytesTable : public KeyTable {
 public:
  explicit BytesTable(const RowTypes& types) : codec_(types) {}

  void Resolve(duckdb::DataChunk& keys, uint32_t* slots) override {
    Look(keys, slots, [&](std::string_view key, uint64_t hash) {
      index_.MakeRoom();
      return index_.FindOrAdd(
          hash, [&](uint32_t slot) { return keys_[slot] == key; },
          [&] {
            key_bytes_ += TextBytes(key.size());
            return keys_.Add(std::string(key));
          });
    });
  }
  void Find(duckdb::DataChunk& keys, uint32_t* slots) override {
    Look(keys, slots, [&](std::string_view key, uint64_t hash) {
      return index_.Find(hash, [&](uint32_t slot) { return keys_[slot] == key; });
    });
  }

  template <class Finder>
  void Look(duckdb::DataChunk& keys, uint32_t* slots, Finder find) {
    auto& encoded = codec_.Encode(keys);
    hashes_.resize(keys.size());
    for (duckdb::idx_t row = 0; row < keys.size(); row++) hashes_[row] = Hash(encoded[row]);
    index_.Candidates(hashes_.data(), keys.size(), slots,
                      [&](uint32_t slot) { return &keys_[slot]; });
    for (duckdb::idx_t row = 0; row < keys.size(); row++) {
      if (slots[row] != kNone) __builtin_prefetch(keys_[slots[row]].data());
    }
    for (duckdb::idx_t row = 0; row < keys.size(); row++) {
      std::string_view key = encoded[row];
      if (slots[row] != kNone && keys_[slots[row]] == key) continue;
      bool again = row > 0 && key == encoded[row - 1];
      slots[row] = again ? slots[row - 1] : find(key, hashes_[row]);
    }
  }

  void Erase(uint32_t slot) override {
    index_.Remove(slot, Hash(keys_[slot]));
    key_bytes_ -= TextBytes(keys_[slot].size());
    keys_.Remove(slot);
  }

  void Key(uint32_t slot, duckdb::DataChunk& rows, duckdb::idx_t row) const override {
    codec_.Decode(keys_[slot], rows, row);
  }

  void Clear() override {
    index_.Clear();
    keys_.Clear();
    key_bytes_ = 0;
  }
  size_t KeysThere() const override { return keys_.size() - keys_.free().size(); }
  void CheckInvariants() const override {
    size_t bytes = 0;
    CheckSlots(index_, keys_.size(), keys_.free(), 0, [&](uint32_t slot) {
      bytes += TextBytes(keys_[slot].size());
      return Hash(keys_[slot]);
    });
    CHECK(bytes == key_bytes_);
  }
  size_t Slots() const override { return keys_.size(); }
  size_t Bytes() const override { return index_.Bytes() + keys_.keys_.Bytes() + key_bytes_; }

  void SaveKey(uint32_t slot, StateWriter& writer) const override { writer.PutString(keys_[slot]); }
  void BeginLoad(size_t slots) override {
    CHECK(keys_.size() == 0);
    keys_.keys_.Resize(slots);
    loaded_.Begin(slots);
  }
  void LoadKey(uint32_t slot, StateReader& reader) override {
    loaded_.Add(slot);
    keys_.keys_[slot] = reader.GetString();
    key_bytes_ += TextBytes(keys_[slot].size());
  }
  void EndLoad() override {
    keys_.free_ = loaded_.End([&](uint32_t slot) {
      index_.MakeRoom();
      index_.FindOrAdd(
          Hash(keys_[slot]), [](uint32_t) { return false; }, [&] { return slot; });
    });
  }

 private:
  static uint64_t Hash(std::string_view key) { return HashBytes(key); }

  Codec codec_;
  SlotIndex index_;
  SlotKeys<std::string> keys_;
  LoadedSlots loaded_;
  size_t key_bytes_ = 0;
  std::vector<uint64_t> hashes_;
};

}  // namespace

bool KeyTable::IsWord(const duckdb::LogicalType& type) {
  switch (type.InternalType()) {
    case duckdb::PhysicalType::BOOL:
    case duckdb::PhysicalType::INT8:
    case duckdb::PhysicalType::INT16:
    case duckdb::PhysicalType::INT32:
    case duckdb::PhysicalType::INT64:
    case duckdb::PhysicalType::UINT8:
    case duckdb::PhysicalType::UINT16:
    case duckdb::PhysicalType::UINT32:
    case duckdb::PhysicalType::UINT64: return true;
    default: return false;  // floats: -0 equals 0 and NaN equals NaN, which words do not know
  }
}

std::unique_ptr<KeyTable> KeyTable::Make(const RowTypes& types, Forms forms) {
  if (types.size() == 1 && IsWord(types[0]))
    return std::make_unique<WordTable>(types[0].InternalType());
  if (TakesWords(types)) {
    WordsLayout layout(types);
    switch (layout.words) {
      case 2: return std::make_unique<WordsTable<2>>(types, std::move(layout));
      case 3: return std::make_unique<WordsTable<3>>(types, std::move(layout));
      case 4: return std::make_unique<WordsTable<4>>(types, std::move(layout));
      default: return std::make_unique<WordsTable<0>>(types, std::move(layout));
    }
  }
  if (std::all_of(types.begin(), types.end(), HasOneForm)) {
    return std::make_unique<BytesTable<PackedKeys>>(types);
  }
  if (forms == Forms::kApart) return std::make_unique<BytesTable<RowCodec>>(types);
  return std::make_unique<BytesTable<ComparedKeys>>(types);
}

}  // namespace weir
