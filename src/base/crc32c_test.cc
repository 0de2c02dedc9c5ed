#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace weir {
namespace {

TEST(Crc32c, GivesThePublishedValues) {
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(Crc32c(""), 0u);
}

TEST(Crc32c, TheInstructionAndTheTablesAgreeOnEveryLengthAndAlignment) {
  std::mt19937_64 random(1);
  std::string bytes;
  for (int i = 0; i < 20'000; i++) {
    bytes += char(random());
  }
  for (size_t length = 0; length < bytes.size(); length += 1 + length / 7) {
    for (size_t start = 0; start < 9 && start + length <= bytes.size(); start++) {
      std::string_view part = std::string_view(bytes).substr(start, length);
      ASSERT_EQ(Crc32c(part), Crc32cPortable(part)) << start << " " << length;
    }
  }
}

TEST(Crc32c, ContinuesWhereAnEarlierPartEnded) {
  std::string bytes(10'000, 'x');
  std::string_view all = bytes;
  for (size_t cut : {0, 1, 7, 4096, 9999, 10'000}) {
    EXPECT_EQ(Crc32c(all.substr(cut), Crc32c(all.substr(0, cut))), Crc32c(all));
  }
}

}  // namespace
}  // namespace weir
