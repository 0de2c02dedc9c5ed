#include "io/process/child_process.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <climits>
#include <memory>

#include "base/error.h"

namespace weir {
namespace {

class Messages : public testing::Test {
 protected:
  Messages() {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    here_ = std::make_unique<MessageSocket>(ends[0]);
    there_ = std::make_unique<MessageSocket>(ends[1]);
  }
  std::unique_ptr<MessageSocket> here_, there_;
};

// The length on the wire has 32 bits and counts the kind, too: what does not fit is not begun.
TEST_F(Messages, OneThatDoesNotFitItsLengthIsRefusedBeforeAByteIsSent) {
  char byte = 'x';  // nothing of the bodies is looked at
  for (uint64_t size : {uint64_t{UINT32_MAX}, uint64_t{UINT32_MAX} + 1, uint64_t{1} << 40}) {
    EXPECT_THROW(here_->Send(1, std::string_view(&byte, size)), Error) << size;
  }
  ASSERT_TRUE(here_->Send(7, "after"));
  auto message = there_->Receive(100);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->kind, 7);
  EXPECT_EQ(message->body, "after");
}

TEST_F(Messages, OneThatIsLargerThanTheOtherSideTakesIsNone) {
  ASSERT_TRUE(here_->Send(7, "12345"));
  EXPECT_FALSE(there_->Receive(4));
  ASSERT_TRUE(there_->Send(8, ""));
  auto message = here_->Receive(0);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->body, "");
}

}  // namespace
}  // namespace weir
