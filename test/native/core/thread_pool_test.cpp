// thread_pool_test.cpp — every index once, many loops in a row, cancel, and one thread.
#include "native/core/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace quire {
namespace {

TEST(ThreadPool, RunsEveryIndexOnceForAnyNumberOfThreads) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    std::vector<std::atomic<int>> hits(1000);
    pool.run(1000, [&](int64_t i) { hits[static_cast<size_t>(i)].fetch_add(1); });
    for (const auto& hit : hits) EXPECT_EQ(hit.load(), 1);
  }
}

TEST(ThreadPool, RunsManyLoopsInARowAndAfterItSlept) {
  ThreadPool pool(3);
  std::atomic<int64_t> sum{0};
  for (int loop = 0; loop < 2000; ++loop) pool.run(3, [&](int64_t i) { sum += i; });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // the workers go to sleep after microseconds
  pool.run(3, [&](int64_t i) { sum += i; });
  EXPECT_EQ(sum.load(), 3 * 2001);
}

TEST(ThreadPool, SkipsWhatHasNotBegunWhenCancelled) {
  ThreadPool pool(2);
  std::atomic<bool> cancel{false};
  std::atomic<int> ran{0};
  pool.run(
      100000,
      [&](int64_t) {
        if (ran.fetch_add(1) == 10) cancel = true;
      },
      &cancel);
  EXPECT_GE(ran.load(), 11);
  EXPECT_LT(ran.load(), 1000);
}

TEST(ThreadPool, DoesNothingForNoWork) {
  ThreadPool pool(2);
  pool.run(0, [](int64_t) { FAIL(); });
}

}  // namespace
}  // namespace quire
