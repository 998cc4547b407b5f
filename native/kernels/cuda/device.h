// device.h — what every CUDA file shares: errors, memory of the device, and the structs that kernels of a step read.
//
// check() turns a CUDA error into Error{code, message, where}; nothing here prints, exits or aborts. Launchers take a stream,
// never wait and never allocate, so that they can be captured in a graph. CUDA headers are included only in kernels/cuda/.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <string>
#include <utility>

#include "native/core/error.h"
#include "native/kernels/ops.h"

namespace quire::cuda {

// "out-of-memory" where the device has no memory left, "device-fault" for everything else: after one, the context may be lost.
inline void check(cudaError_t status, const char* where) {
  if (status == cudaSuccess) return;
  const char* code = status == cudaErrorMemoryAllocation ? "out-of-memory" : "device-fault";
  throw Error(code, std::string("CUDA: ") + cudaGetErrorString(status), where);
}

// After a launch: a bad configuration is reported here, a fault in the kernel by the next call that waits.
inline void check_launch(const char* where) { check(cudaGetLastError(), where); }

// Memory of the device, owned; moves, never copies.
template <typename T>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(int64_t count, const char* where = "device memory") : count_(count) {
    if (count > 0) check(cudaMalloc(reinterpret_cast<void**>(&data_), static_cast<size_t>(count) * sizeof(T)), where);
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  ~DeviceBuffer() {
    if (data_ != nullptr) cudaFree(data_);
  }
  T* get() const { return data_; }
  int64_t count() const { return count_; }
  // Drops what was held.
  void grow(int64_t count, const char* where = "device memory") {
    if (count > count_) *this = DeviceBuffer(count, where);
  }

 private:
  void swap(DeviceBuffer& other) {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
  }
  T* data_ = nullptr;
  int64_t count_ = 0;
};

// Memory of the host that the device reads and writes through the same pointer; owned.
template <typename T>
class MappedBuffer {
 public:
  MappedBuffer() = default;
  explicit MappedBuffer(int64_t count) {
    check(cudaHostAlloc(reinterpret_cast<void**>(&data_), static_cast<size_t>(count) * sizeof(T), cudaHostAllocMapped),
          "mapped memory");
    for (int64_t i = 0; i < count; ++i) data_[i] = T{};
  }
  MappedBuffer(MappedBuffer&& other) noexcept { std::swap(data_, other.data_); }
  MappedBuffer& operator=(MappedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~MappedBuffer() {
    if (data_ != nullptr) cudaFreeHost(data_);
  }
  T* get() const { return data_; }

 private:
  T* data_ = nullptr;
};

// The pages of one layer on the device. What a page and a summary look like inside is known to the attention kernels alone.
struct DeviceKv {
  __half* pages = nullptr;      // [G, slots, 2, P·D] a head's keys, then its values
  __half* summaries = nullptr;  // 2·D halves a slot and KV head
  // Or null: the summaries in 8 bits as well, 2·D bytes a slot and KV head, which score then reads instead (summary_codes.cu).
  uint8_t* codes = nullptr;
  const float2* grid = nullptr;  // [G, 2·D] (middle, step): a code stands for middle + step·(code − 128)
  int64_t slots = 0;             // a multiple of kSummaryGroup
  int32_t kv_heads = 0;
  int32_t head_size = 0;
};

// The list of pages on the device, [capacity] each.
struct DeviceList {
  const int32_t* slot = nullptr;
  const int32_t* count = nullptr;
};

// Where the decode step stands. Lies in device memory and is advanced by the step itself, so that one graph serves many steps.
struct StepState {
  int32_t token = 0;       // being appended
  int32_t position = 0;    // of it
  int32_t pages = 0;       // n, the list with the page being filled
  int32_t last_count = 0;  // tokens in that page, this one among them
  int32_t slot = 0;        // of that page
  int32_t place = 0;       // of this token in it, 0..15
  int32_t steps = 0;       // done since the state was set
  int32_t stopped = 0;     // 0: going on; see gpu_forward.h
};

}  // namespace quire::cuda
