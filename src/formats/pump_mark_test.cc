#include "formats/pump_mark.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(PumpMark, ComesBackAsItWas) {
  InputMark input{Offset{1'234'567}, 1'700'000'000'000'001, 1'700'000'000'000'000};
  auto mark = DecodePumpMark(EncodePumpMark({7, input}));
  ASSERT_TRUE(mark);
  EXPECT_EQ(mark->pump, 7u);
  EXPECT_EQ(mark->input, input);
}

TEST(PumpMark, IsNotFoundInOtherBytes) {
  EXPECT_FALSE(DecodePumpMark(""));
  EXPECT_FALSE(DecodePumpMark(std::string(36, '\0')));
  auto bytes = EncodePumpMark({1, {}});
  EXPECT_FALSE(DecodePumpMark(bytes.substr(1)));
  EXPECT_FALSE(DecodePumpMark(bytes + "x"));
}

TEST(PumpMark, LaterIsMoreOfTheLogOrMoreOfAClock) {
  EXPECT_LT((InputMark{Offset{1}, 9}), (InputMark{Offset{2}, 1}));
  EXPECT_LT((InputMark{Offset{1}, 1}), (InputMark{Offset{1}, 2}));
  EXPECT_LT((InputMark{Offset{1}, 1, 1}), (InputMark{Offset{1}, 1, 2}));
}

}  // namespace
}  // namespace weir
