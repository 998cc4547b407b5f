// packed_device.cuh — how device code reads the packed formats of packed_matrix.h.
//
// 16 lanes share a block of 32 columns of 16 rows: lane = 4·s + q holds, for rows 4q … 4q+3, the codes of columns
// 4s … 4s+3 (`low`) and 4s+16 … 4s+19 (`high`), a word of four codes per row. One 16-byte load a lane brings 4-bit codes.
#pragma once

#include "native/kernels/cuda/device_matrix.h"
#include "native/kernels/cuda/device_passing.cuh"

namespace quire::cuda {

// The layout of a quantised type at compile time; the same numbers as packed_layout().
template <TensorType kType>
struct Packed {
  static constexpr bool kSuper = kType == TensorType::kQ4_K || kType == TensorType::kQ5_K || kType == TensorType::kQ6_K;
  static constexpr bool kMinimum = kType == TensorType::kQ4_1 || kType == TensorType::kQ5_1 ||
                                   kType == TensorType::kQ4_K || kType == TensorType::kQ5_K;
  static constexpr bool kByte = kType == TensorType::kQ8_0;
  static constexpr int kHigh = kType == TensorType::kQ6_K ? 2
                               : kType == TensorType::kQ5_0 || kType == TensorType::kQ5_1 || kType == TensorType::kQ5_K
                                   ? 1
                                   : 0;           // bits
  static constexpr int kBlocks = kSuper ? 8 : 1;  // of a chunk
  static constexpr int kHeader = kType == TensorType::kQ6_K ? 288 : kSuper ? 320 : kMinimum ? 64 : 32;
  static constexpr int kHighBytes = 64 * kHigh;
  static constexpr int kBody = kHighBytes + (kByte ? 512 : 256);
  static constexpr int kChunk = kHeader + kBlocks * kBody;
  static constexpr int kZero = kType == TensorType::kQ4_0   ? 8
                               : kType == TensorType::kQ5_0 ? 16
                               : kType == TensorType::kQ6_K ? 32
                                                            : 0;  // Q8_0's is taken off by flipping the sign bit
};

// What a lane loads of one block. kOnce: a token's product, which reads every weight once (device_passing.cuh).
template <TensorType kType, bool kOnce = false>
struct RawBlock {
  uint4 low;
  uint4 more[Packed<kType>::kByte ? 1 : Packed<kType>::kHigh > 0 ? Packed<kType>::kHigh : 1];
  uint2 d, dmin;        // f16 of 4 rows
  uint32_t sc[2], min;  // u8 or i8 of 4 rows

  // block: index of the block of 32 columns in the row group.
  __device__ void load(const uint8_t* group, int block, int lane) {
    using P = Packed<kType>;
    load_codes(group + static_cast<int64_t>(block / P::kBlocks) * P::kChunk, block % P::kBlocks, lane);
    load_halves(group + static_cast<int64_t>(block / P::kBlocks) * P::kChunk, lane);
  }

  // f16 scale and minimum of the lane's rows: of the chunk, not of the block.
  __device__ void load_halves(const uint8_t* chunk, int lane) {
    d = load_weight<kOnce>(reinterpret_cast<const uint2*>(chunk + (lane & 3) * 8));
    if (Packed<kType>::kMinimum) dmin = load_weight<kOnce>(reinterpret_cast<const uint2*>(chunk + 32 + (lane & 3) * 8));
  }

  // Everything else of block b of a chunk.
  __device__ void load_codes(const uint8_t* chunk, int b, int lane) {
    using P = Packed<kType>;
    const uint8_t* body = chunk + P::kHeader + b * P::kBody;
    const int q = lane & 3;
    low = load_stream<kOnce>(body + P::kHighBytes + lane * 16);
    if (P::kByte) more[0] = load_stream<kOnce>(body + 256 + lane * 16);
    if (P::kHigh >= 1) more[0] = load_weight<kOnce>(reinterpret_cast<const uint4*>(body + q * 16));
    if (P::kHigh == 2)
      more[P::kHigh == 2 ? 1 : 0] = load_weight<kOnce>(reinterpret_cast<const uint4*>(body + 64 + q * 16));
    if (kType == TensorType::kQ6_K) {
      sc[0] = load_weight<kOnce>(reinterpret_cast<const uint32_t*>(chunk + 32 + (2 * b) * 16 + q * 4));
      sc[1] = load_weight<kOnce>(reinterpret_cast<const uint32_t*>(chunk + 32 + (2 * b + 1) * 16 + q * 4));
    } else if (P::kSuper) {
      sc[0] = load_weight<kOnce>(reinterpret_cast<const uint32_t*>(chunk + 64 + b * 16 + q * 4));
      min = load_weight<kOnce>(reinterpret_cast<const uint32_t*>(chunk + 192 + b * 16 + q * 4));
    }
  }

  __device__ static uint32_t word(const uint4& v, int r) { return r == 0 ? v.x : r == 1 ? v.y : r == 2 ? v.z : v.w; }

  // Row r of the lane's four: codes of the low and the high four columns, as signed bytes with the zero point still in.
  __device__ void codes(int r, int lane, int& first, int& second) const {
    using P = Packed<kType>;
    const int s = lane >> 2;
    const uint32_t w = word(low, r);
    if (P::kByte) {
      first = static_cast<int>(w ^ 0x80808080u);
      second = static_cast<int>(word(more[0], r) ^ 0x80808080u);
      return;
    }
    uint32_t a = w & 0x0f0f0f0fu;
    uint32_t c = (w >> 4) & 0x0f0f0f0fu;
    if (P::kHigh == 1) {
      const uint32_t h = word(more[0], r) >> s;
      a |= (h & 0x01010101u) << 4;
      c |= ((h >> 4) & 0x01010101u) << 4;
    }
    if (P::kHigh == 2) {
      a |= ((word(more[0], r) >> (2 * s)) & 0x03030303u) << 4;
      c |= ((word(more[P::kHigh == 2 ? 1 : 0], r) >> (2 * s)) & 0x03030303u) << 4;
    }
    first = static_cast<int>(a);
    second = static_cast<int>(c);
  }

  // Byte r of a word as float: 2^23 + byte is exact, and so is taking 2^23 off again; a conversion has a quarter of the rate.
  __device__ static float byte_at(uint32_t v, int r) {
    return __uint_as_float(__byte_perm(v, 0x4b000000u, 0x7440 + r)) - 8388608.0f;
  }
  __device__ static float half_at(const uint2& v, int r) {
    const uint32_t w = r < 2 ? v.x : v.y;
    return __half2float(__ushort_as_half(static_cast<unsigned short>((r & 1) ? w >> 16 : w & 0xffffu)));
  }
  // Scale of row r for the low (0) and high (1) columns, and its minimum: w = scale · (code − zero) − minimum.
  __device__ float scale(int r, int which) const {
    const float base = half_at(d, r);
    if (kType == TensorType::kQ6_K) return base * static_cast<float>(static_cast<int8_t>(sc[which] >> (8 * r)));
    if (Packed<kType>::kSuper) return base * static_cast<float>((sc[0] >> (8 * r)) & 0xff);
    return base;
  }
  __device__ float minimum(int r) const {
    if (!Packed<kType>::kMinimum) return 0.0f;
    const float base = half_at(dmin, r);
    return Packed<kType>::kSuper ? base * static_cast<float>((min >> (8 * r)) & 0xff) : base;
  }
};

__device__ inline void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
__device__ inline void release_next() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

}  // namespace quire::cuda
