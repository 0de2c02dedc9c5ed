#include "query/messages.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

DataMessage Example() {
  DataMessage message;
  message.at = {41};
  message.as_of = 1'700'000'000'000'000;
  message.streams.push_back({"events",
                             {30},
                             {{"a.parquet", "a", true, 100, true, 0xdeadbeef, 7, {1}, {9}, 5, 6},
                              {"b.parquet", "b", false, 200, false, 0, 3, {10}, {12}, 7, 8}}});
  message.segments.push_back({"log/1", {31}, {41}, 4096});
  message.views.push_back({"totals", {"n"}, {std::string("\0\1", 2)}, 3, 1, {}});
  return message;
}

TEST(Messages, ArriveAsTheyWereSent) {
  DataMessage read;
  Read(Write(Example()), read);
  EXPECT_EQ(read.at, Offset{41});
  EXPECT_EQ(read.streams.at(0).landed, Offset{30});
  EXPECT_EQ(read.streams.at(0).files.at(0).seal, 0xdeadbeef);
  EXPECT_EQ(read.streams.at(0).files.at(1).path, "b.parquet");
  EXPECT_EQ(read.streams.at(0).files.at(1).last, Offset{12});
  EXPECT_EQ(read.streams.at(0).files.at(0).arrived_last, 6);
  EXPECT_EQ(read.segments.at(0).bytes, 4096u);
  EXPECT_EQ(read.views.at(0).types.at(0), std::string("\0\1", 2));
  EXPECT_EQ(Write(read), Write(Example()));
}

TEST(Messages, WhatIsNeededAndHowOftenRowsStandArrives) {
  NeedMessage need{{"s"}, {"v"}, false, {"a", "b"}, {{"a", "x", true}, {"b", "7", false}}}, read;
  Read(Write(need), read);
  EXPECT_FALSE(read.whole);
  EXPECT_EQ(read.columns, need.columns);
  ASSERT_EQ(read.equals.size(), 2u);
  EXPECT_EQ(read.equals[1].column, "b");
  EXPECT_EQ(read.equals[1].value, "7");
  EXPECT_TRUE(read.equals[0].is_text && !read.equals[1].is_text);
  BlockMessage block, block_read;
  block.copies = {1, 5'000'000'000};
  Read(Write(block), block_read);
  EXPECT_EQ(block_read.copies, block.copies);
}

TEST(Messages, ADoneMayCarryAnError) {
  DoneMessage done, read;
  Read(Write(done), read);
  EXPECT_FALSE(read.error);
  EXPECT_FALSE(read.more);
  done.more = true;
  Read(Write(done), read);
  EXPECT_FALSE(read.error);
  EXPECT_TRUE(read.more);
  done.error = Error(ErrorCode::kTimeout, "too slow", "Ask for less.");
  Read(Write(done), read);
  ASSERT_TRUE(read.error);
  EXPECT_EQ(read.error->code, ErrorCode::kTimeout);
  EXPECT_EQ(read.error->hint, "Ask for less.");
}

TEST(Messages, WhatIsCutShortOrTooLongIsRefused) {
  std::string bytes = Write(Example());
  DataMessage read;
  for (size_t size = 0; size < bytes.size(); size++) {
    EXPECT_THROW(Read(bytes.substr(0, size), read), Error) << size;
  }
  EXPECT_THROW(Read(bytes + "x", read), Error);
}

TEST(Messages, AnImpossibleLengthAllocatesNothing) {
  NeedMessage read;
  EXPECT_THROW(Read(std::string(8, '\xFF') + "abc", read), Error);
}

}  // namespace
}  // namespace weir
