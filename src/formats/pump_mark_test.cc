#include "formats/pump_mark.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(PumpMark, ComesBackAsItWas) {
  auto mark = DecodePumpMark(EncodePumpMark({7, {Offset{1'234'567}, 1'700'000'000'000'001}}));
  ASSERT_TRUE(mark);
  EXPECT_EQ(mark->pump, 7u);
  EXPECT_EQ(mark->input, (InputMark{Offset{1'234'567}, 1'700'000'000'000'001}));
}

TEST(PumpMark, IsNotFoundInOtherBytes) {
  EXPECT_FALSE(DecodePumpMark(""));
  EXPECT_FALSE(DecodePumpMark(std::string(28, '\0')));
  auto bytes = EncodePumpMark({1, {}});
  EXPECT_FALSE(DecodePumpMark(bytes.substr(1)));
  EXPECT_FALSE(DecodePumpMark(bytes + "x"));
}

TEST(PumpMark, LaterIsMoreOfTheLogOrMoreOfTheClock) {
  EXPECT_LT((InputMark{Offset{1}, 9}), (InputMark{Offset{2}, 1}));
  EXPECT_LT((InputMark{Offset{1}, 1}), (InputMark{Offset{1}, 2}));
}

}  // namespace
}  // namespace weir
