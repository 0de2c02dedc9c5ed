#include "io/process/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

namespace weir {
namespace {

TEST(ThreadPool, DoesAllThatWasPostedBeforeItStops) {
  std::atomic<int> done{0};
  ThreadPool pool(2);
  for (int i = 0; i < 100; i++) pool.Post([&] { done++; });
  pool.Stop();
  EXPECT_EQ(done, 100);
  pool.Post([&] { done++; });
  pool.Stop();
  EXPECT_EQ(done, 100);
}

TEST(ThreadPool, WorkThatThrowsHarmsNoOther) {
  std::atomic<int> done{0};
  ThreadPool pool(1);
  pool.Post([] { throw std::runtime_error("no"); });
  pool.Post([] { throw 7; });
  pool.Post([&] { done++; });
  pool.Stop();
  EXPECT_EQ(done, 1);
}

}  // namespace
}  // namespace weir
