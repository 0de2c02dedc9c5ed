// Room for the texts of one column that are too long to stand in the vector itself, in the vector's
// own arena.  Text is copied in whole blocks of 16 bytes, so there is always room behind it.
#pragma once

#include <string_view>

#include "duckdb/common/types/vector.hpp"
#include "formats/text_blocks.h"

namespace weir {

class TextRoom {
 public:
  void Open(duckdb::Vector& vector) {
    vector_ = &vector;
    at_ = end_ = nullptr;
  }
  // A copy of `text`, of which up to 15 bytes past its end may be read.
  const char* CopyPadded(const char* text, size_t size) {
    if (static_cast<size_t>(end_ - at_) < size + 16) MakeRoom(size + 16);
    char* copy = at_;
    for (size_t done = 0; done < size; done += 16) Store16(copy + done, Load16(text + done));
    at_ += size;
    return copy;
  }
  const char* Copy(std::string_view text) {
    if (static_cast<size_t>(end_ - at_) < text.size() + 16) MakeRoom(text.size() + 16);
    char* copy = at_;
    std::memcpy(copy, text.data(), text.size());
    at_ += text.size();
    return copy;
  }

 private:
  void MakeRoom(size_t size) {
    auto& arena = duckdb::StringVector::GetStringBuffer(*vector_).GetStringAllocator();
    at_ = reinterpret_cast<char*>(arena.Allocate(size));
    // And what is left of the arena's block.
    auto* block = arena.GetHead();
    block->current_position = block->maximum_size;
    end_ = reinterpret_cast<char*>(block->data.get()) + block->maximum_size;
  }

  duckdb::Vector* vector_ = nullptr;
  char* at_ = nullptr;
  char* end_ = nullptr;
};

}  // namespace weir
