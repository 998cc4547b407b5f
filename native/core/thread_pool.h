// thread_pool.h — threads of our own for the loops of an op.
//
// run(n, task) calls task(i) once for each i in [0, n), on the caller and the workers, and returns when all are done.
// Which thread takes which i is not defined; an op may therefore not let a result depend on it.
// One caller at a time. Workers spin a little between loops (a layer has about ten) and then sleep.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace quire {

class ThreadPool {
 public:
  // threads: how many work, the caller included; at least 1.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }
  // How often a worker had to be woken, which takes a lock.
  int64_t wakes() const { return wakes_; }

  // `task` must not throw. When `cancel` is given and becomes true, the tasks not yet begun are skipped.
  template <typename Task>
  void run(int64_t count, const Task& task, const std::atomic<bool>* cancel = nullptr) {
    run_erased(count, [](const void* context, int64_t i) { (*static_cast<const Task*>(context))(i); }, &task, cancel);
  }

 private:
  using Call = void (*)(const void* context, int64_t index);
  void run_erased(int64_t count, Call call, const void* context, const std::atomic<bool>* cancel);
  void work();
  void drain();

  // The loop under way. Written by the caller before `generation_` is raised, read by the workers after.
  Call call_ = nullptr;
  const void* context_ = nullptr;
  const std::atomic<bool>* cancel_ = nullptr;
  int64_t count_ = 0;
  int64_t wakes_ = 0;
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<int64_t> busy_{0};
  alignas(64) std::atomic<uint64_t> generation_{0};
  std::atomic<bool> stop_{false};
  std::atomic<int> sleeping_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
};

}  // namespace quire
