// device_rows.cuh — what a row's steps have in common wherever they are fused: a pair turned by RoPE, 32 values quantised.
//
// Rounded operation by operation, so that the same input gives the same bits in every kernel.
#pragma once

#include <cfloat>
#include <cstdint>

namespace quire::cuda {

// NaN counts as 0 and ±∞ as the largest float, as on the CPU.
__device__ inline float tame(float v) { return isnan(v) ? 0.0f : fminf(fmaxf(v, -FLT_MAX), FLT_MAX); }

// A warp has the 32 values of a block, one a lane; index is the lane's. scale = max|x| / 127, code = x / scale to nearest even.
__device__ inline void quantize_lane(float value, int index, int8_t* codes, float* scales) {
  value = tame(value);
  float largest = fabsf(value);
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, mask));
  float scale = largest / 127.0f;
  float inverse = 127.0f / largest;
  if (scale < FLT_MIN) scale = inverse = 0.0f;
  codes[index] = static_cast<int8_t>(__float2int_rn(value * inverse));
  if ((index & 31) == 0) scales[index / 32] = scale;
}

// (p, q) ← (p · cos − q · sin, p · sin + q · cos)
__device__ inline float2 turned(float p, float q, float cosine, float sine) {
  return {__fmaf_rn(p, cosine, -__fmul_rn(q, sine)), __fmaf_rn(p, sine, __fmul_rn(q, cosine))};
}

}  // namespace quire::cuda
