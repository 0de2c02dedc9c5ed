// Just enough of the FlatBuffers format to write Arrow's metadata.  Built from the last byte to the
// first, as the format wants: what is referred to is written before what refers to it.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir {

class FlatBuffer {
 public:
  // Where something starts, counted from the end of the buffer.
  using Ref = uint32_t;

  Ref String(std::string_view text) {
    Pad(4, text.size() + 1);
    Prepend("\0", 1);
    Prepend(text.data(), text.size());
    return Scalar(static_cast<uint32_t>(text.size()));
  }

  Ref References(const std::vector<Ref>& refs) {
    Pad(4, 4 * refs.size());
    for (size_t i = refs.size(); i-- > 0;) Reference(refs[i]);
    return Scalar(static_cast<uint32_t>(refs.size()));
  }

  // A vector of structs of two 64-bit numbers.
  Ref Pairs(const std::vector<std::pair<int64_t, int64_t>>& pairs) {
    Pad(8, 16 * pairs.size());
    for (size_t i = pairs.size(); i-- > 0;) {
      Scalar(pairs[i].second);
      Scalar(pairs[i].first);
    }
    return Scalar(static_cast<uint32_t>(pairs.size()));
  }

  void BeginTable() {
    fields_.clear();
    table_end_ = Size();
  }
  template <typename T>
  void Field(size_t id, T value) {
    Note(id, Scalar(value));
  }
  void ReferenceField(size_t id, Ref to) { Note(id, Reference(to)); }
  Ref EndTable() {
    Ref table = Scalar(int32_t{0});
    std::vector<uint16_t> entries(2);
    for (auto& [id, place] : fields_) {
      if (entries.size() < id + 3) entries.resize(id + 3);
      entries[id + 2] = static_cast<uint16_t>(table - place);
    }
    entries[0] = static_cast<uint16_t>(entries.size() * 2);
    entries[1] = static_cast<uint16_t>(table - table_end_);
    Prepend(entries.data(), entries[0]);
    auto distance = static_cast<int32_t>(Size() - table);
    std::memcpy(bytes_.data() + (Size() - table), &distance, sizeof(distance));
    return table;
  }

  std::string Finish(Ref root) {
    Pad(8, 4);
    Reference(root);
    return std::move(bytes_);
  }

 private:
  Ref Size() const { return static_cast<Ref>(bytes_.size()); }
  void Prepend(const void* bytes, size_t size) {
    bytes_.insert(0, static_cast<const char*>(bytes), size);
  }
  // So that what follows, `size` bytes long, starts at a multiple of `alignment`.
  void Pad(size_t alignment, size_t size) {
    bytes_.insert(0, (alignment - (bytes_.size() + size) % alignment) % alignment, '\0');
  }
  template <typename T>
  Ref Scalar(T value) {
    Pad(sizeof(T), sizeof(T));
    Prepend(&value, sizeof(T));
    return Size();
  }
  Ref Reference(Ref to) {
    Pad(4, 4);
    return Scalar(static_cast<uint32_t>(Size() + 4 - to));
  }
  void Note(size_t id, Ref place) { fields_.emplace_back(id, place); }

  std::string bytes_;
  std::vector<std::pair<size_t, Ref>> fields_;
  Ref table_end_ = 0;
};

}  // namespace weir
