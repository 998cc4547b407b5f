// device_score.cuh — the scores of 16 pages, a warp's work: what score.cu and attention_cluster.cu share.
//
// summaries [slots, 2, D] of one KV head, f16 or codes of 8 bits → scores [16 pages, 8 query heads] f32, in the places of a
// tensor-core tile (device_tensor.cuh). The tile lies in shared memory as fetch_tile puts it there. Formula and reasons: score.cu.
//
// A summary is a row of 2·D numbers, and a score its product with a vector w made of the query (make_weights). Of codes,
//   Σ_d w_d·(middle_d + step_d·(code_d − 128)) = Σ_d w_d·middle_d + Σ_d (w_d·step_d)·(code_d − 128):
// the first sum is one number for all pages, steps go into the vector, and what is multiplied page by page are small integers,
// which f16 holds exactly. So reading codes costs an unpacking and halves the bytes.
#pragma once

#include "native/kernels/cuda/attention.h"
#include "native/kernels/cuda/device_tensor.cuh"

namespace quire::cuda {

constexpr int kTilePages = 16;  // the rows of a tensor-core tile

template <int D, bool kCodes = false>
struct Tile {
  static constexpr int kSteps = 2 * D / 32;                 // steps of 32 channels, 8 for each of a quad's lanes
  static constexpr int kRowBytes = kCodes ? 2 * D : 4 * D;  // of a summary
  static constexpr int kBytes = kTilePages * kRowBytes;
  static constexpr int kChunks = kRowBytes / 16;  // of a row
  static constexpr int kRows = kWarp / kChunks;   // that one instruction of a warp copies
  // Where a chunk of a row lies: odd rows swap halves of 128 bytes, so that 8 lanes of two rows meet 32 different banks.
  __device__ static int place(int row, int chunk) { return row * kRowBytes + (chunk ^ (4 * (row & 1))) * 16; }
  // The first of the 8 channels of 2·D that lane c of a quad multiplies in step u: 16 bytes of codes serve two steps.
  __device__ static int channel(int u, int c) { return kCodes ? 64 * (u / 2) + 16 * c + 8 * (u % 2) : 32 * u + 8 * c; }
};

// The vector that summaries are multiplied with, the lane's columns of it: channels Tile::channel(u, c) .. + 7 of head l/4.
template <int D>
struct Weights {
  SplitPair pair[2 * D / 32][4];
  float all_pages[2] = {0, 0};  // what every page's score gets, of heads 2c and 2c + 1
};

// A KV head's grid in shared memory, two channels a piece; after 16 channels a piece is left out, so that the four lanes of a quad,
// which read 16 channels apart, meet different banks.
template <int D>
constexpr int kGridPieces = D + D / 8;
__device__ inline int grid_piece(int channel) { return channel / 2 + channel / 16; }
// Starts copying it, a group of copies of its own.
template <int D>
__device__ void fetch_grid(float4* to, const float2* grid, int thread, int threads) {
  for (int x = thread; x < D; x += threads) copy16(to + grid_piece(2 * x), grid + 2 * x);
  close_copies();
}

// q [D]: of the lane's head, on 16 bytes. grid: as fetch_grid leaves it, where there are codes.
template <int D, bool kCodes = false>
__device__ Weights<D> make_weights(const PageSelection& selection, const float* q, bool present,
                                   const float4* grid = nullptr) {
  Weights<D> weights;
  const int c = static_cast<int>(threadIdx.x) % 4;
  float middles = 0;
#pragma unroll
  for (int u = 0; u < Tile<D>::kSteps; ++u) {
    const bool second = u >= Tile<D>::kSteps / 2;
    const int of_row = Tile<D, kCodes>::channel(u, c);
    const int channel = second ? of_row - D : of_row;
    float w[8] = {};
    if (present) {
      const float4 first = *reinterpret_cast<const float4*>(q + channel);
      const float4 last = *reinterpret_cast<const float4*>(q + channel + 4);
      const float x[8] = {first.x, first.y, first.z, first.w, last.x, last.y, last.z, last.w};
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        if (selection.summary == Summary::kMeanSpread)
          w[j] = second ? selection.spread_factor * fabsf(x[j]) : x[j];
        else
          w[j] = second ? fmaxf(x[j], 0.0f) : fminf(x[j], 0.0f);
      }
      if constexpr (kCodes) {
#pragma unroll
        for (int j = 0; j < 8; j += 2) {
          const float4 two = grid[grid_piece(of_row + j)];  // (middle, step) of two channels
          middles += w[j] * two.x + w[j + 1] * two.z;
          w[j] *= two.y;
          w[j + 1] *= two.w;
        }
      }
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) weights.pair[u][j] = split(w[2 * j], w[2 * j + 1]);
  }
  if (kCodes) {
    middles += __shfl_xor_sync(~0u, middles, 1);
    middles += __shfl_xor_sync(~0u, middles, 2);
#pragma unroll
    for (int j = 0; j < 2; ++j) weights.all_pages[j] = __shfl_sync(~0u, middles, 4 * (2 * c + j));
  }
  return weights;
}

// One KV head's summaries as fetch_tile takes them: rows of Tile::kRowBytes bytes, by slot.
template <int D, bool kCodes = false>
__device__ const unsigned char* summary_rows(const DeviceKv& kv, int64_t g) {
  const auto* const rows = kCodes ? static_cast<const void*>(kv.codes) : static_cast<const void*>(kv.summaries);
  return static_cast<const unsigned char*>(rows) + g * kv.slots * Tile<D, kCodes>::kRowBytes;
}

// Starts copying the summaries of 16 slots, the lane holding that of row l mod 16.
template <int D, bool kCodes = false>
__device__ void fetch_tile(unsigned char* to, const unsigned char* rows, int32_t slot, int lane) {
  using T = Tile<D, kCodes>;
  const int chunk = lane % T::kChunks;
#pragma unroll 4
  for (int j = 0; j < kTilePages / T::kRows; ++j) {
    const int row = j * T::kRows + lane / T::kChunks;
    const int64_t slot_of_row = __shfl_sync(~0u, slot, row);
    copy16(to + T::place(row, chunk), rows + slot_of_row * T::kRowBytes + 16 * chunk);
  }
}

// Four codes as halves: 1024 + code is the half 0x6400 + code, and 1152 = 1024 + 128 comes off exactly.
__device__ inline uint2 halves_of(uint32_t codes) {
  const uint32_t offset = 0x64806480u;
  uint32_t low = __byte_perm(codes, 0x64646464u, 0x4140), high = __byte_perm(codes, 0x64646464u, 0x4342);
  const __half2 first = __hsub2(*reinterpret_cast<const __half2*>(&low), *reinterpret_cast<const __half2*>(&offset));
  const __half2 last = __hsub2(*reinterpret_cast<const __half2*>(&high), *reinterpret_cast<const __half2*>(&offset));
  return {*reinterpret_cast<const uint32_t*>(&first), *reinterpret_cast<const uint32_t*>(&last)};
}
// score[j]: page r (j < 2) or r + 8, head 2c + j % 2.
// Of codes the vector's upper half suffices: rounding it moves a score by a thirtieth of what coding does. Sums go in four chains,
// as a warp has half the time for a tile that it has for one of f16.
template <int D, bool kCodes = false>
__device__ void score_tile(const unsigned char* from, const Weights<D>& weights, int r, int c, float (&score)[4]) {
  using T = Tile<D, kCodes>;
  float sum[kCodes ? 4 : 2][4] = {};
#pragma unroll
  for (int u = 0; u < T::kSteps; u += kCodes ? 2 : 1) {
    const int chunk = kCodes ? 2 * u + c : 4 * u + c;
    const uint4 a = *reinterpret_cast<const uint4*>(from + T::place(r, chunk));
    const uint4 b = *reinterpret_cast<const uint4*>(from + T::place(r + 8, chunk));
    if constexpr (kCodes) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const uint2 of_a = halves_of(j == 0 ? a.x : j == 1 ? a.y : j == 2 ? a.z : a.w);
        const uint2 of_b = halves_of(j == 0 ? b.x : j == 1 ? b.y : j == 2 ? b.z : b.w);
        const SplitPair(&w)[4] = weights.pair[u + j / 2];
        multiply(sum[j], of_a.x, of_b.x, of_a.y, of_b.y, w[2 * (j % 2)].high, w[2 * (j % 2) + 1].high);
      }
    } else {
      multiply_split(sum[0], sum[1], a, b, weights.pair[u]);
    }
  }
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    score[j] = sum[0][j] + sum[1][j];
    if constexpr (kCodes) score[j] += sum[2][j] + sum[3][j] + weights.all_pages[j % 2];
  }
}

}  // namespace quire::cuda
