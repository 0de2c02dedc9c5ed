#include "io/memory/memory.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"

namespace weir {
namespace {

uint64_t Read(const std::string& text) { return BytesFrom("memory_limit", text, 1000); }

TEST(MemoryLimit, IsReadAsPeopleWriteIt) {
  EXPECT_EQ(Read("2GB"), 2'000'000'000u);
  EXPECT_EQ(Read("1.5 gb"), 1'500'000'000u);
  EXPECT_EQ(Read("512MiB"), 512u << 20);
  EXPECT_EQ(Read("70%"), 700u);
  EXPECT_EQ(Read("none"), 0u);
}

TEST(MemoryLimit, SaysWhatItCannotRead) {
  for (auto* text : {"", "2", "GB", "-1GB", "2 apples", "120%", "nan", "1e30TB"}) {
    EXPECT_THROW(Read(text), Error) << text;
  }
}

TEST(MemoryInUse, GrowsWithWhatIsTouched) {
  EXPECT_GT(MemoryThereIs(), 100u << 20);
  uint64_t before = MemoryInUse();
  std::vector<char> touched(64 << 20, 1);
  EXPECT_GT(MemoryInUse(), before + (60 << 20));
  EXPECT_EQ(touched[12345], 1);
}

}  // namespace
}  // namespace weir
