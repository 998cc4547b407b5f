// device_cluster_score.cuh — attention_cluster.cu's second phase: the scores of a block's share of the pages.
//
// summaries of the block's pages → scores [heads, pages] times vote_scale(), in shared memory or in the scratch; their maximum and
// sum of exponentials are told to every block of the cluster (Shared::seen). Formula: score.cu.
#pragma once

#include <algorithm>

#include "native/kernels/cuda/device_cluster.cuh"
#include "native/kernels/cuda/device_vote.cuh"

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
namespace quire::cuda::cluster {

// 2. A warp's tiles, kStages of them in shared memory.
template <int D, bool kCodes>
struct Tiles {
  using T = Tile<D, kCodes>;
  static constexpr int kStages =
      std::min(kFifoBytes / kWarps / T::kBytes, 6);  // what 64 multiprocessors need under way
  const AttentionStep& step;
  const Place& at;
  unsigned char* fifo;
  const unsigned char* summaries;
  int32_t tile, end;
  int32_t next_slot = 0;

  __device__ Tiles(const AttentionStep& step_, const Place& at_, unsigned char* shared)
      : step(step_), at(at_), fifo(shared + at_.warp * kStages * T::kBytes) {
    summaries = summary_rows<D, kCodes>(step.kv, at.g);
    tile = at.page_begin / kTilePages + at.warp;
    end = (at.page_end + kTilePages - 1) / kTilePages;
  }
  __device__ int32_t slot_of(int32_t wanted) const {  // a lane's is that of row l mod 16
    return wanted < end ? step.list.slot[min(wanted * kTilePages + at.lane % kTilePages, at.n - 1)] : 0;
  }
  __device__ void fetch(int32_t wanted, int32_t slot) const {
    if (wanted < end)
      fetch_tile<D, kCodes>(fifo + (wanted - at.page_begin / kTilePages) / kWarps % kStages * T::kBytes, summaries,
                            slot, at.lane);
    close_copies();
  }
  __device__ void begin() {
    int32_t slot = slot_of(tile);
#pragma unroll 1
    for (int ahead = 0; ahead < kStages - 1; ++ahead) {
      next_slot = slot_of(tile + (ahead + 1) * kWarps);
      fetch(tile + ahead * kWarps, slot);
      slot = next_slot;
    }
  }
  // Once the current tile is there: the one after those on their way.
  __device__ void go_on() {
    const int32_t wanted = tile + (kStages - 1) * kWarps;
    fetch(wanted, next_slot);
    next_slot = slot_of(wanted + kWarps);
  }
};

// What scores are multiplied with before they vote: for a softmax, so that its powers are of 2.
template <int D>
__device__ float vote_scale(const AttentionStep& step) {
  return step.selection.vote == Vote::kSoftmax ? rsqrtf(static_cast<float>(D)) * kLog2E : 1.0f;
}

// The scores of the block's pages: page i, head h at scores[h·stride + i − page_begin]; their maximum and sum to all blocks.
template <int D, bool kCodes>
__device__ void score(const AttentionStep& step, Tiles<D, kCodes>& tiles, Shared<D>& s, const Place& at, float* scores,
                      int64_t stride) {
  const int r = at.lane / 4;
  const int c = at.lane % 4;
  const float scale = vote_scale<D>(step);
  const Weights<D> weights = make_weights<D, kCodes>(step.selection, s.q[r], r < at.group, s.grid);
  float largest[2] = {minus_infinity(), minus_infinity()}, sum[2] = {0, 0};
  for (int stage = 0; tiles.tile < tiles.end; tiles.tile += kWarps) {
    wait_copies<Tiles<D, kCodes>::kStages - 2>();
    __syncwarp();  // the tile is there for all lanes, and all are done with the one before it
    tiles.go_on();
    float score[4];
    score_tile<D, kCodes>(tiles.fifo + stage * Tile<D, kCodes>::kBytes, weights, r, c, score);
    const int32_t i = tiles.tile * kTilePages + r;
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int head = 2 * c + j;
      const float first = number(score[j]) * scale, second = number(score[j + 2]) * scale;
      if (head < at.group) {
        if (i < at.page_end) scores[head * stride + i - at.page_begin] = first;
        if (i + 8 < at.page_end) scores[head * stride + i + 8 - at.page_begin] = second;
      }
      const float x = i >= at.vote_begin && i < at.vote_end ? first : minus_infinity();
      const float y = i + 8 >= at.vote_begin && i + 8 < at.vote_end ? second : minus_infinity();
      const float now = fmaxf(largest[j], fmaxf(x, y));
      const float base = now == minus_infinity() ? 0.0f : now;
      sum[j] = sum[j] * exp2_fast(largest[j] - base) + exp2_fast(x - base) + exp2_fast(y - base);
      largest[j] = now;
    }
    if (++stage == Tiles<D, kCodes>::kStages) stage = 0;
  }
  wait_copies<0>();
#pragma unroll
  for (int j = 0; j < 2; ++j) {  // lanes with the same c share their heads
    const float all = largest_of_quad_rows(largest[j]);
    const float total = sum_of_quad_rows(sum[j] * rescale(largest[j], all));
    if (r == 0) s.seen_of_warp[at.warp][2 * c + j] = {all, total};
  }
  __syncthreads();
  if (at.warp < at.group) {  // a warp a head
    const float2 x = at.lane < kWarps ? s.seen_of_warp[at.lane][at.warp] : float2{minus_infinity(), 0};
    const float all = __shfl_sync(~0u, largest_of(x.x, kWarps), 0);
    const float total = __shfl_sync(~0u, sum_of(x.y * rescale(x.x, all), kWarps), 0);
    if (at.lane < at.blocks) *of(&s.seen[at.rank][at.warp], at.lane) = {all, total};
  }
}

}  // namespace quire::cuda::cluster
#endif
