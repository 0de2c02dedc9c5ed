#include "flow/state/state_io.h"

#include <gtest/gtest.h>

#include <random>

namespace weir {
namespace {

TEST(StateWriter, PartsAreOfOneSizeAndTheirRoomIsUsedAgain) {
  constexpr size_t kPartBytes = 1000;
  std::vector<std::string> parts;
  std::string other;
  size_t most = 0;
  StateWriter writer(
      [&](std::string& part) {
        parts.push_back(part);
        most = std::max(most, part.capacity());
        part.clear();
        part.swap(other);  // as one that waited to be written
      },
      kPartBytes);
  std::mt19937_64 random(7);
  std::string all;
  for (int i = 0; i < 2000; i++) {
    std::string text(random() % 3000, static_cast<char>('a' + i % 26));
    if (i % 3 == 0) text.resize(text.size() % 5);
    writer.Put<uint32_t>(i);
    writer.PutString(text);
    all.append(reinterpret_cast<const char*>(&i), sizeof(uint32_t));
    uint64_t size = text.size();
    all.append(reinterpret_cast<const char*>(&size), sizeof(size));
    all += text;
  }
  writer.HandOver();
  writer.HandOver();  // there is nothing left, and no part is empty
  std::string joined;
  for (size_t i = 0; i < parts.size(); i++) {
    EXPECT_GT(parts[i].size(), i + 1 < parts.size() ? kPartBytes - sizeof(uint64_t) : 0);
    EXPECT_LE(parts[i].size(), kPartBytes);
    joined += parts[i];
  }
  EXPECT_EQ(joined, all);
  EXPECT_LE(most, kPartBytes);
}

TEST(StateReader, ReadsAcrossPartsWhereverTheyEnd) {
  for (size_t part_bytes : {1, 2, 7, 8, 9, 64, 100'000}) {
    std::vector<std::string> parts;
    StateWriter writer(
        [&](std::string& part) {
          parts.push_back(part);
          part.clear();
        },
        part_bytes);
    std::vector<uint32_t> numbers(300, 9);
    writer.PutString("");
    for (uint64_t i = 0; i < 100; i++) {
      writer.Put(i * i);
      writer.PutString(std::string(i, 'x'));
    }
    writer.PutVector(numbers);
    writer.HandOver();
    uint64_t size = 0;
    for (auto& part : parts) size += part.size();
    size_t next = 0;
    StateReader reader(size, [&] { return next < parts.size() ? parts[next++] : ""; });
    EXPECT_EQ(reader.GetString(), "");
    for (uint64_t i = 0; i < 100; i++) {
      EXPECT_EQ(reader.Get<uint64_t>(), i * i);
      EXPECT_EQ(reader.GetString(), std::string(i, 'x'));
    }
    EXPECT_EQ(reader.GetVector<uint32_t>(), numbers);
    EXPECT_TRUE(reader.AtEnd());
  }
}

}  // namespace
}  // namespace weir
