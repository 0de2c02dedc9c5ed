#include "io/process/loop_thread.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <stdexcept>
#include <string>

namespace weir {
namespace {

TEST(LoopThread, GoesOnAfterWhateverIsThrownUntilItReturns) {
  int rounds = 0;
  char name[16] = "";
  auto thread = StartLoop("weir-rounds", [&] {
    pthread_getname_np(pthread_self(), name, sizeof name);
    switch (rounds++) {
      case 0: throw std::bad_alloc();
      case 1: throw 7;
      default: break;
    }
  });
  thread.join();
  EXPECT_EQ(rounds, 3);
  EXPECT_EQ(std::string(name), "weir-rounds");
}

}  // namespace
}  // namespace weir
