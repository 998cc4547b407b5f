// device_tensor.cuh — the tensor-core tile that score and attend share, and copies that a thread makes for itself.
//
// One tile is m16n8k16 in f16 with f32 sums (compute capability 8.0 on). Lane l has r = l/4 and c = l%4 and holds
//   A [16, 16]  a0 = A[r][2c, 2c+1]  a1 = A[r+8][2c, 2c+1]  a2 = A[r][2c+8, 2c+9]  a3 = A[r+8][2c+8, 2c+9]
//   B [16, 8]   b0 = B[2c, 2c+1][r]  b1 = B[2c+8, 2c+9][r]
//   C [16, 8]   c0, c1 = C[r][2c, 2c+1]  c2, c3 = C[r+8][2c, 2c+1]
// In both kernels the 16 rows of A are what lies in memory (16 pages' summaries; the 16 tokens of a page), and the 8 columns
// of B are the query heads of one KV head: memory is read once for all of them.
// A sum over k may run in any order as long as A and B agree: a lane reads 16 contiguous bytes, 8 channels of its row, and
// counts them as its columns of two tiles. So rows go from memory to the tensor core without being rearranged.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

namespace quire::cuda {

constexpr int kWarp = 32;

__device__ inline void multiply(float (&sum)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0,
                                uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
               : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// An 8×8 matrix of halves, lane l holding row l/4, columns 2(l%4) and the next: its transpose in the same places.
__device__ inline uint32_t transposed(uint32_t pair) {
  uint32_t out;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(out) : "r"(pair));
  return out;
}

__device__ inline uint32_t pack(float low, float high) {
  const __half2 pair = __floats2half2_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

// x ≈ high + low, 22 bits of it: a query in two halves costs one more tile and no memory.
struct SplitPair {
  uint32_t high, low;
};
__device__ inline SplitPair split(float x, float y) {
  const __half2 high = __floats2half2_rn(x, y);
  const float2 kept = __half22float2(high);
  return {*reinterpret_cast<const uint32_t*>(&high), pack(x - kept.x, y - kept.y)};
}

// Rows r (a) and r + 8 (b) of a tile, 8 values each, times the same values of a query in two halves.
__device__ inline void multiply_split(float (&high)[4], float (&low)[4], uint4 a, uint4 b, const SplitPair (&w)[4]) {
  multiply(high, a.x, b.x, a.y, b.y, w[0].high, w[1].high);
  multiply(low, a.x, b.x, a.y, b.y, w[0].low, w[1].low);
  multiply(high, a.z, b.z, a.w, b.w, w[2].high, w[3].high);
  multiply(low, a.z, b.z, a.w, b.w, w[2].low, w[3].low);
}

// 16 bytes from device to shared memory, past the registers. Who copied it may read it after wait_copies, without a barrier.
__device__ inline void copy16(void* shared, const void* global) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(global) : "memory");
}
__device__ inline void copy4(void* shared, const void* global) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(address), "l"(global) : "memory");
}
__device__ inline void close_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until all but the last `kOpen` closed groups are there.
template <int kOpen>
__device__ inline void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kOpen) : "memory");
}

__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

constexpr float kLog2E = 1.44269504f;

}  // namespace quire::cuda
