// Operator state as bytes, for checkpoints: little-endian numbers and length-prefixed strings.  The
// reader checks every length and throws Error(kCorruption) at the first that does not fit.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"

namespace weir {

class StateWriter {
 public:
  template <class Number>
  requires std::is_trivially_copyable_v<Number>
  void Put(const Number& number) {
    bytes_.append(reinterpret_cast<const char*>(&number), sizeof(number));
  }
  void PutString(std::string_view text) {
    Put<uint64_t>(text.size());
    bytes_.append(text);
  }
  template <class Number, class Memory>
  requires std::is_trivially_copyable_v<Number>
  void PutVector(const std::vector<Number, Memory>& numbers) {
    Put<uint64_t>(numbers.size());
    bytes_.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number));
  }
  std::string& bytes() { return bytes_; }

 private:
  std::string bytes_;
};

class StateReader {
 public:
  explicit StateReader(std::string_view bytes) : bytes_(bytes) {}
  template <class Number>
  requires std::is_trivially_copyable_v<Number> Number Get() {
    Number number;
    std::memcpy(&number, Take(sizeof(number)).data(), sizeof(number));
    return number;
  }
  // How many items of that size follow; they are there.
  uint64_t GetCount(size_t item_bytes) {
    uint64_t count = Get<uint64_t>();
    if (count > bytes_.size() / item_bytes) Bad();
    return count;
  }
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
    uint64_t count = GetCount(sizeof(Number));
    numbers.assign(count, Number());
    auto bytes = Take(count * sizeof(Number));
    if (count) std::memcpy(numbers.data(), bytes.data(), bytes.size());
  }
  bool AtEnd() const { return bytes_.empty(); }
  [[noreturn]] static void Bad() {
    throw Error(ErrorCode::kCorruption, "saved operator state is damaged");
  }

 private:
  std::string_view Take(uint64_t size) {
    if (size > bytes_.size()) Bad();
    auto taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  std::string_view bytes_;
};

}  // namespace weir
