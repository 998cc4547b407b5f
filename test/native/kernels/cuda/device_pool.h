// device_pool.h — a CPU test pool (kv_pool.h) brought to the device in the device's layout, and small helpers of the GPU tests.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "native/kernels/cuda/attention.h"
#include "test/native/kernels/kv_pool.h"

namespace quire::cuda {

inline bool has_gpu() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}
#define NEEDS_GPU() \
  if (!has_gpu()) GTEST_SKIP() << "no GPU on this machine: this test ran nothing"

template <typename T>
DeviceBuffer<T> to_device(const std::vector<T>& values) {
  DeviceBuffer<T> buffer(static_cast<int64_t>(std::max<size_t>(values.size(), 1)));
  check(cudaMemcpy(buffer.get(), values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), "test");
  return buffer;
}
template <typename T>
std::vector<T> to_host(const T* data, int64_t count) {
  std::vector<T> values(static_cast<size_t>(count));
  check(cudaDeviceSynchronize(), "test");
  check(cudaMemcpy(values.data(), data, values.size() * sizeof(T), cudaMemcpyDeviceToHost), "test");
  return values;
}

// The pages of `pool` on the device: keys token-major, summaries row by row.
struct DevicePool {
  DeviceBuffer<uint16_t> pages, summaries;
  DeviceBuffer<int32_t> slots, counts;
  DeviceBuffer<StepState> state;
  DeviceKv kv;

  explicit DevicePool(const KvPool& pool) {
    const KvLayer& cpu = pool.kv;
    const int64_t size = cpu.head_size;
    std::vector<uint16_t> page_bits(pool.pages.size()), summary_bits(pool.summaries.size());
    for (int64_t g = 0; g < cpu.kv_heads; ++g)
      for (int64_t slot = 0; slot < cpu.slots; ++slot) {
        uint16_t* const keys = page_bits.data() + (g * cpu.slots + slot) * 2 * kPageTokens * size;
        for (int64_t j = 0; j < kPageTokens; ++j)
          for (int64_t d = 0; d < size; ++d) {
            keys[j * size + d] = cpu.keys(g, slot)[d * kPageTokens + j];
            keys[(kPageTokens + j) * size + d] = cpu.values(g, slot)[j * size + d];
          }
        for (int64_t w = 0; w < 2; ++w)
          for (int64_t d = 0; d < size; ++d)
            summary_bits[static_cast<size_t>(((g * cpu.slots + slot) * 2 + w) * size + d)] =
                cpu.summary(g, slot, w)[d * kSummaryGroup];
      }
    pages = to_device(page_bits);
    summaries = to_device(summary_bits);
    slots = to_device(pool.slots);
    counts = to_device(pool.counts);
    StepState step;
    step.pages = static_cast<int32_t>(pool.counts.size());
    state = to_device(std::vector<StepState>{step});
    kv.pages = reinterpret_cast<__half*>(pages.get());
    kv.summaries = reinterpret_cast<__half*>(summaries.get());
    kv.slots = cpu.slots;
    kv.kv_heads = static_cast<int32_t>(cpu.kv_heads);
    kv.head_size = static_cast<int32_t>(size);
  }
  DeviceList list() const { return {slots.get(), counts.get()}; }

  DeviceBuffer<uint8_t> codes;
  DeviceBuffer<float2> grid;
  // Codes of the summaries as they are now, for kernels that are given kv from here on.
  void make_codes() {
    const int64_t numbers = kv.kv_heads * kv.slots * 2 * kv.head_size;
    codes = DeviceBuffer<uint8_t>(numbers);
    check(cudaMemset(codes.get(), 0, static_cast<size_t>(numbers)), "test");
    grid = DeviceBuffer<float2>(int64_t{kv.kv_heads} * 2 * kv.head_size);
    DeviceBuffer<float2> partial(code_partials(kv));
    kv.codes = codes.get();
    code_summaries(kv, grid.get(), list(), slots.count(), partial.get(), nullptr);
    kv.grid = grid.get();
    check(cudaDeviceSynchronize(), "test");
  }
};

}  // namespace quire::cuda
