// device_score.cuh — the scores of 16 pages, a warp's work: what score.cu and attention_cluster.cu share.
//
// summaries [slots, 2, D] f16 of one KV head → scores [16 pages, 8 query heads] f32, in the places of a tensor-core tile
// (device_tensor.cuh). The tile lies in shared memory as fetch_tile puts it there. Formula and reasons: score.cu.
#pragma once

#include "native/kernels/cuda/attention.h"
#include "native/kernels/cuda/device_tensor.cuh"

namespace quire::cuda {

constexpr int kTilePages = 16;  // the rows of a tensor-core tile

template <int D>
struct Tile {
  static constexpr int kSteps = 2 * D / 32;  // steps of 32 channels, 8 for each of a quad's lanes
  static constexpr int kRowBytes = 4 * D;
  static constexpr int kBytes = kTilePages * kRowBytes;
  static constexpr int kChunks = kRowBytes / 16;  // of a row
  static constexpr int kRows = kWarp / kChunks;   // that one instruction of a warp copies
  // Where a chunk of a row lies: odd rows swap halves of 128 bytes, so that 8 lanes of two rows meet 32 different banks.
  __device__ static int place(int row, int chunk) { return row * kRowBytes + (chunk ^ (4 * (row & 1))) * 16; }
};

// The vector that summaries are multiplied with, the lane's columns of it: channels 32u + 8c .. + 7 of head l/4.
template <int D>
struct Weights {
  SplitPair pair[Tile<D>::kSteps][4];
};

// q [D]: of the lane's head, on 16 bytes.
template <int D>
__device__ Weights<D> make_weights(const PageSelection& selection, const float* q, bool present) {
  Weights<D> weights;
  const int c = static_cast<int>(threadIdx.x) % 4;
#pragma unroll
  for (int u = 0; u < Tile<D>::kSteps; ++u) {
    const bool second = u >= Tile<D>::kSteps / 2;
    const int channel = 32 * (u % (Tile<D>::kSteps / 2)) + 8 * c;
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
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) weights.pair[u][j] = split(w[2 * j], w[2 * j + 1]);
  }
  return weights;
}

// Starts copying the summaries of 16 slots, the lane holding that of row l mod 16.
template <int D>
__device__ void fetch_tile(unsigned char* to, const __half* summaries, int32_t slot, int lane) {
  const int chunk = lane % Tile<D>::kChunks;
#pragma unroll 4
  for (int j = 0; j < kTilePages / Tile<D>::kRows; ++j) {
    const int row = j * Tile<D>::kRows + lane / Tile<D>::kChunks;
    const int64_t slot_of_row = __shfl_sync(~0u, slot, row);
    copy16(to + Tile<D>::place(row, chunk), summaries + slot_of_row * 2 * D + 8 * chunk);
  }
}

// score[j]: page r (j < 2) or r + 8, head 2c + j % 2.
template <int D>
__device__ void score_tile(const unsigned char* from, const Weights<D>& weights, int r, int c, float (&score)[4]) {
  float high[4] = {}, low[4] = {};
#pragma unroll
  for (int u = 0; u < Tile<D>::kSteps; ++u) {
    const uint4 a = *reinterpret_cast<const uint4*>(from + Tile<D>::place(r, 4 * u + c));
    const uint4 b = *reinterpret_cast<const uint4*>(from + Tile<D>::place(r + 8, 4 * u + c));
    multiply_split(high, low, a, b, weights.pair[u]);
  }
#pragma unroll
  for (int j = 0; j < 4; ++j) score[j] = high[j] + low[j];
}

}  // namespace quire::cuda
