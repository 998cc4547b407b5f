// device_vote.cuh — the running maximum and sum of exponentials of which the softmax of the vote is made.
//
//   e(s, m) = e^((s − m)·scale), and 1 where s = m, so that infinities come out as plain_select.cpp has them: where a head has
//   scores of +inf those pages share its vote; where all are −inf, all share it. NaN counts as −inf.
#pragma once

#include "native/kernels/cuda/device_tensor.cuh"

namespace quire::cuda {

__device__ inline float minus_infinity() { return __int_as_float(static_cast<int>(0xff800000u)); }
__device__ inline float number(float score) { return score == score ? score : minus_infinity(); }

// scale holds log2(e).
__device__ inline float share(float score, float largest, float scale) {
  return score == largest ? 1.0f : exp2_fast((score - largest) * scale);
}

struct Vote2 {
  float largest, sum;
  __device__ Vote2() : largest(minus_infinity()), sum(0) {}
  __device__ Vote2(float largest_, float sum_) : largest(largest_), sum(sum_) {}
  __device__ void add(const Vote2& other, float scale) {
    if (other.sum == 0) return;
    const float before = largest;
    largest = fmaxf(largest, other.largest);
    sum = (sum == 0 ? 0 : sum * share(before, largest, scale)) + other.sum * share(other.largest, largest, scale);
  }
  __device__ void add(float score, float scale) { add(Vote2(number(score), 1.0f), scale); }
};

}  // namespace quire::cuda
