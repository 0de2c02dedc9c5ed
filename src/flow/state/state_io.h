// Operator state as bytes, for checkpoints: little-endian numbers and length-prefixed strings.  The
// reader checks every length and throws Error(kCorruption) at the first that does not fit.
//
// Much state passes through in parts: a writer hands a part over as soon as it is large enough, and
// a reader asks for the next one when it has read the last, so neither holds more than a few of
// them. One thread at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"

namespace weir {

inline constexpr size_t kStatePartBytes = 256 << 10;

class StateWriter {
 public:
  // Takes what is in `part` and leaves it empty; the room it leaves is used for the next.
  using Take = std::function<void(std::string& part)>;

  // Keeps everything: bytes().
  StateWriter() = default;
  // Hands parts of so many bytes over; the last one when HandOver is called.
  // REQUIRES: 0 < part_bytes; a part is never empty, for "" is what a reader gets at the end.
  explicit StateWriter(Take take, size_t part_bytes = kStatePartBytes)
      : take_(std::move(take)), part_bytes_(part_bytes) {
    CHECK(take_ && part_bytes_ > 0);
  }

  template <class Number>
  requires std::is_trivially_copyable_v<Number>
  void Put(const Number& number) {
    if (take_) MakePart(sizeof(number));
    bytes_.append(reinterpret_cast<const char*>(&number), sizeof(number));
  }
  void PutString(std::string_view text) {
    Put<uint64_t>(text.size());
    Append(text);
  }
  template <class Number, class Memory>
  requires std::is_trivially_copyable_v<Number>
  void PutVector(const std::vector<Number, Memory>& numbers) {
    Put<uint64_t>(numbers.size());
    Append({reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number)});
  }
  // As they are; whoever reads them knows how many there are.
  void PutBytes(std::string_view bytes) { Append(bytes); }
  std::string& bytes() { return bytes_; }

  void HandOver() {
    if (bytes_.empty()) return;
    take_(bytes_);
    CHECK(bytes_.empty());
  }

 private:
  void Append(std::string_view text) {
    while (take_ && !text.empty()) {
      MakePart(1);
      size_t some = std::min(text.size(), part_bytes_ - std::min(bytes_.size(), part_bytes_));
      bytes_.append(text.substr(0, some));
      text.remove_prefix(some);
    }
    bytes_.append(text);
  }
  // Room for so many bytes more in the part, or in the next.  A part gets all of its room at once:
  // growing, it would take twice that.
  void MakePart(size_t bytes) {
    if (bytes_.size() + bytes > part_bytes_) HandOver();
    if (bytes_.capacity() < part_bytes_) bytes_.reserve(part_bytes_);
  }

  Take take_;
  size_t part_bytes_ = kStatePartBytes;
  std::string bytes_;
};

class StateReader {
 public:
  // The next part; "" when there is none.
  using Next = std::function<std::string()>;

  explicit StateReader(std::string_view bytes) : bytes_(bytes), left_(bytes.size()) {}
  // `size` bytes that come in parts.
  StateReader(uint64_t size, Next next) : next_(std::move(next)), left_(size) {}

  template <class Number>
  requires std::is_trivially_copyable_v<Number> Number Get() {
    Number number;
    std::memcpy(&number, Take(sizeof(number)).data(), sizeof(number));
    return number;
  }
  // How many items of that size follow; they are there.
  uint64_t GetCount(size_t item_bytes) {
    DEBUG_ASSERT(item_bytes > 0);
    uint64_t count = Get<uint64_t>();
    if (count > left_ / item_bytes) Bad();
    return count;
  }
  // Valid until a few more strings have been read.
  std::string_view GetString() { return Take(Get<uint64_t>()); }
  template <class Number>
  requires std::is_trivially_copyable_v<Number> std::vector<Number> GetVector() {
    std::vector<Number> numbers;
    GetVector(numbers);
    return numbers;
  }
  template <class Number, class Memory>
  requires std::is_trivially_copyable_v<Number>
  void GetVector(std::vector<Number, Memory>& numbers) {
    constexpr size_t kAtOnce = kStatePartBytes / sizeof(Number) + 1;
    uint64_t count = GetCount(sizeof(Number));
    numbers.assign(count, Number());
    for (uint64_t done = 0; done < count;) {
      auto some = std::min<uint64_t>(count - done, kAtOnce);
      std::memcpy(&numbers[done], Take(some * sizeof(Number)).data(), some * sizeof(Number));
      done += some;
    }
  }
  bool AtEnd() const { return left_ == 0; }
  [[noreturn]] static void Bad() {
    throw Error(ErrorCode::kCorruption, "saved operator state is damaged");
  }

 private:
  std::string_view Take(uint64_t size) {
    if (size > left_) Bad();
    if (size > bytes_.size()) Refill(size);
    auto taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    left_ -= size;
    return taken;
  }
  // What is left of the parts read and those that follow, as far as they are needed, in one piece.
  void Refill(uint64_t size) {
    constexpr size_t kKept = 8;
    std::string joined(bytes_);
    while (joined.size() < size) {
      std::string part = next_ ? next_() : "";
      if (part.empty()) Bad();
      joined += part;
    }
    if (parts_.size() == kKept) parts_.pop_front();
    bytes_ = parts_.emplace_back(std::move(joined));
    CHECK(bytes_.size() >= size && bytes_.size() <= left_);
  }

  std::string_view bytes_;
  Next next_;
  uint64_t left_;
  std::deque<std::string> parts_;  // the last few, which strings handed out point into
};

}  // namespace weir
