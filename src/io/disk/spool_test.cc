#include "io/disk/spool.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"

namespace weir {
namespace {

class SpoolTest : public testing::Test {
 protected:
  SpoolTest()
      : folder_(std::filesystem::temp_directory_path() /
                ("weir_spool_test_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~SpoolTest() override { std::filesystem::remove_all(folder_); }

  static std::string Read(const Spool& spool, uint64_t position, size_t size) {
    std::string read(size, '\0');
    spool.Read(position, read);
    return read;
  }

  std::filesystem::path folder_;
};

TEST_F(SpoolTest, WhatIsWrittenIsReadInMemoryAndFromTheFile) {
  SpoolRoom room(folder_.string(), 64 << 20);
  Spool spool(room, "a");
  std::string all;
  for (int i = 0; i < 1000; i++) {
    std::string piece(1000, static_cast<char>('a' + i % 26));
    piece += std::to_string(i);
    spool.Append(piece);
    all += piece;
    EXPECT_EQ(spool.InMemory() != nullptr, all.size() <= Spool::kMemoryBytes);
  }
  EXPECT_EQ(spool.Size(), all.size());
  for (size_t at : {size_t{0}, size_t{999}, Spool::kMemoryBytes - 1, all.size() - 5}) {
    EXPECT_EQ(Read(spool, at, 5), all.substr(at, 5));
  }
  EXPECT_EQ(Read(spool, 0, all.size()), all);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));  // the file has no name
}

TEST_F(SpoolTest, TheRoomIsBoundedInAllAndForEachClient) {
  SpoolRoom room(folder_.string(), 8 << 20);
  std::string megabyte(1 << 20, 'x');
  {
    Spool first(room, "a"), second(room, "a"), third(room, "b");
    for (int i = 0; i < 3; i++) first.Append(megabyte);
    for (int i = 0; i < 3; i++) second.Append(megabyte);
    EXPECT_THROW(second.Append("x"), Error);  // three quarters are one client's
    third.Append(megabyte);
    third.Append(megabyte);
    EXPECT_THROW(third.Append("x"), Error);  // all of it
    EXPECT_EQ(second.Size(), 3u << 20);      // what was there stays
    EXPECT_EQ(room.Held(), 8u << 20);
  }
  EXPECT_EQ(room.Held(), 0u);
}

TEST_F(SpoolTest, AFolderThatIsNotThereIsAnErrorOfTheAnswer) {
  SpoolRoom room((folder_ / "gone").string(), 8 << 20);
  Spool spool(room, "a");
  spool.Append("small ones need no file");
  EXPECT_THROW(spool.Append(std::string(1 << 20, 'x')), Error);
}

}  // namespace
}  // namespace weir
