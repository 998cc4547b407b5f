// thread_pool.cpp — see thread_pool.h.
#include "native/core/thread_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace quire {
namespace {

// About 50 µs on a 3 GHz core: longer than the gap between two ops of a layer, far shorter than a user's pause.
constexpr int kSpins = 4000;

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    generation_.fetch_add(1);
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::drain() {
  for (;;) {
    if (cancel_ != nullptr && cancel_->load(std::memory_order_relaxed)) return;
    const int64_t index = next_.fetch_add(1, std::memory_order_relaxed);
    if (index >= count_) return;
    call_(context_, index);
  }
}

void ThreadPool::run_erased(int64_t count, Call call, const void* context, const std::atomic<bool>* cancel) {
  if (count <= 0) return;
  call_ = call;
  context_ = context;
  cancel_ = cancel;
  count_ = count;
  next_.store(0, std::memory_order_relaxed);
  if (workers_.empty() || count == 1) {
    drain();
    return;
  }
  busy_.store(static_cast<int64_t>(workers_.size()), std::memory_order_relaxed);
  generation_.fetch_add(1);
  if (sleeping_.load() > 0) {
    // The lock orders this wake-up after a worker that has looked at generation_ and is about to sleep.
    {
      const std::lock_guard<std::mutex> lock(mutex_);
    }
    wake_.notify_all();
    ++wakes_;
  }
  drain();
  for (int spins = 0; busy_.load(std::memory_order_acquire) > 0; ++spins) {
    if (spins < kSpins)
      relax();
    else
      std::this_thread::yield();  // the machine may have fewer free cores than we have threads
  }
}

void ThreadPool::work() {
  uint64_t seen = 0;
  for (;;) {
    for (int spins = 0; generation_.load() == seen && spins < kSpins; ++spins) relax();
    if (generation_.load() == seen) {
      std::unique_lock<std::mutex> lock(mutex_);
      sleeping_.fetch_add(1);
      wake_.wait(lock, [&] { return generation_.load() != seen; });
      sleeping_.fetch_sub(1);
    }
    seen = generation_.load();
    if (stop_) return;
    drain();
    busy_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace quire
