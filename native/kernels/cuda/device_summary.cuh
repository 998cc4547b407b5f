// device_summary.cuh — one channel of one page's summary, one channel of a token, and the limits that all attention kernels share.
//
//   mean[d] = Σ_j key[j, d] / count     spread[d] = √(Σ_j (key[j, d] − mean[d])² / count)     or     min[d], max[d] of the keys
//
// keys [P, D] f16 in, summary [2, D] f16 out, and its codes where the layer has some (summary_codes.cu). Two passes: E[x²] − E[x]² is nothing but rounding where the mean is large, as
// it is under Qwen2's key bias. Rounded operation by operation as plain_append.cpp does it, so the bits are the same.
#pragma once

#include "native/kernels/cuda/device.h"

namespace quire::cuda {

inline void check_kv(const DeviceKv& kv, const char* where) {
  if (kv.head_size != 64 && kv.head_size != 128)
    throw Error("unsupported-model", "the CUDA backend runs heads of 64 or 128 channels", where);
  if (kv.kv_heads <= 0 || kv.slots <= 0) throw Error("internal", "a layer without pages", where);
}

// An infinite key counts as the largest half, so that scores made of the summary are numbers.
__device__ inline float finite_key(__half key) {
  const float x = __half2float(key);
  return x > 65504.0f ? 65504.0f : x < -65504.0f ? -65504.0f : x;
}

// A summary's number on its channel's grid (middle, step): 1 .. 255, the nearest that there is. NaN: the middle.
__device__ inline uint8_t code_of(float value, float2 grid) {
  const float inverse = grid.y > 0 ? __fdiv_rn(1.0f, grid.y) : 0.0f;
  const int steps = __float2int_rn(__fmul_rn(__fadd_rn(value, -grid.x), inverse));
  return static_cast<uint8_t>(128 + max(-127, min(127, steps)));
}

// One channel of one token into its page.
__device__ inline void put_channel(const DeviceKv& kv, int64_t g, int64_t slot, int32_t place, int32_t d, float k,
                                   float v) {
  __half* const key = kv.pages + (g * kv.slots + slot) * 2 * kPageTokens * kv.head_size + place * kv.head_size + d;
  key[0] = __float2half_rn(k);
  key[kPageTokens * kv.head_size] = __float2half_rn(v);
}

__device__ inline void summarise_channel(const DeviceKv& kv, Summary kind, int64_t g, int64_t slot, int32_t count,
                                         int32_t d) {
  const int64_t page = g * kv.slots + slot;
  const __half* const keys = kv.pages + page * 2 * kPageTokens * kv.head_size + d;
  __half* const summary = kv.summaries + page * 2 * kv.head_size + d;
  float channel[kPageTokens];
#pragma unroll
  for (int j = 0; j < kPageTokens; ++j) channel[j] = j < count ? finite_key(keys[j * kv.head_size]) : 0.0f;
  float first = 0, second = 0;
  if (kind == Summary::kMeanSpread) {
    float sum = 0, squares = 0;
#pragma unroll
    for (int j = 0; j < kPageTokens; ++j)
      if (j < count) sum = __fadd_rn(sum, channel[j]);
    first = __fdiv_rn(sum, static_cast<float>(count));
#pragma unroll
    for (int j = 0; j < kPageTokens; ++j) {
      const float off = __fadd_rn(channel[j], -first);
      if (j < count) squares = __fadd_rn(squares, __fmul_rn(off, off));
    }
    second = __fsqrt_rn(__fdiv_rn(squares, static_cast<float>(count)));
  } else {
    first = __int_as_float(0x7f800000);
    second = -first;
#pragma unroll
    for (int j = 0; j < kPageTokens; ++j) {  // NaN is passed over
      if (j < count && channel[j] < first) first = channel[j];
      if (j < count && channel[j] > second) second = channel[j];
    }
  }
  summary[0] = __float2half_rn(first);
  summary[kv.head_size] = __float2half_rn(second);
  if (kv.codes == nullptr) return;
  const float2* const grid = kv.grid + g * 2 * kv.head_size + d;
  uint8_t* const codes = kv.codes + page * 2 * kv.head_size + d;
  codes[0] = code_of(__half2float(summary[0]), grid[0]);
  codes[kv.head_size] = code_of(__half2float(summary[kv.head_size]), grid[kv.head_size]);
}

}  // namespace quire::cuda
