// device_keys.cuh — votes as integers that sort: what select.cu and attention_cluster.cu share.
//
// A page's key is 64 bits, the vote's order above the inverted index: all keys differ, and of equal votes the lower page's is
// the larger. So ties need no case of their own.
#pragma once

#include <cstdint>

#include "native/kernels/cuda/device_tensor.cuh"

namespace quire::cuda {

// Larger for larger floats; -0 as +0.
__device__ inline uint32_t order(float value) {
  const uint32_t bits = __float_as_uint(value + 0.0f);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

__device__ inline unsigned long long key_of(float vote, int32_t i) {
  return static_cast<unsigned long long>(order(vote)) << 32 | ~static_cast<uint32_t>(i);
}

__device__ inline uint32_t warp_inclusive(uint32_t x, int lane) {
  for (int step = 1; step < kWarp; step *= 2) {
    const uint32_t other = __shfl_up_sync(~0u, x, step);
    if (lane >= step) x += other;
  }
  return x;
}

}  // namespace quire::cuda
