#include "duck/functions/short_texts.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace weir {
namespace {

TEST(ShortTexts, AreFoundAmongTextsThatDifferInOneByteOrInLength) {
  const std::vector<std::string> texts = {
      "sign_up",      "sign_uq",       "sign_u",      std::string("sign_up\0", 8), "", "tign_up",
      "twelve bytes", "thirteen byte", "twelve bytez"};
  std::mt19937 random(7);
  for (auto& wanted : texts) {
    auto text = ShortText::Of(wanted);
    ASSERT_EQ(text.has_value(), wanted.size() <= 12) << wanted;
    if (!text) continue;
    for (size_t count : {0, 1, 3, 4, 5, 64, 2047, 2048}) {
      std::vector<duckdb::string_t> column;
      std::vector<duckdb::sel_t> expected, places(count);
      for (size_t i = 0; i < count; i++) {
        auto& one = texts[random() % texts.size()];
        column.emplace_back(one.data(), static_cast<uint32_t>(one.size()));
        if (one == wanted) expected.push_back(static_cast<duckdb::sel_t>(i));
      }
      auto found = SelectShortText(*text, column.data(), count, places.data());
      ASSERT_EQ(found, expected.size());
      places.resize(found);
      EXPECT_EQ(places, expected) << wanted << " of " << count;
    }
  }
}

TEST(ShortTexts, OfBytesInAnotherTextAreThoseBytes) {
  const std::string text = "\xff\x80 every byte of a longer text";
  for (size_t from = 0; from < text.size(); from++) {
    for (size_t size = 0; from + size <= text.size(); size++) {
      // A place of its own: nothing behind its end is looked at.
      std::vector<char> bytes(text.begin() + static_cast<ptrdiff_t>(from),
                              text.begin() + static_cast<ptrdiff_t>(from + size));
      auto part = TextOf(bytes.data(), size);
      duckdb::string_t expected(bytes.data(), static_cast<uint32_t>(size));
      EXPECT_EQ(std::memcmp(&part, &expected, sizeof(part)), 0) << from << " " << size;
    }
  }
}

}  // namespace
}  // namespace weir
