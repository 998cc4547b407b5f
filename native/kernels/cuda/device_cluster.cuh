// device_cluster.cuh — how the blocks of attention_cluster.cu divide a token's work, and what they share.
//
// Every block keeps a Shared at the end of its shared memory; the tiles before it are read once all blocks of the cluster have
// scored, and then Choice lies there, later pages, at last Merge. of() is another block's copy of the same; sync_cluster() makes what
// was written before it visible to all blocks of the cluster. Only these files include this.
#pragma once

#include <cooperative_groups.h>

#include "native/kernels/cuda/attention.h"
#include "native/kernels/cuda/device_attend.cuh"
#include "native/kernels/cuda/device_keys.cuh"
#include "native/kernels/cuda/device_score.cuh"

namespace quire::cuda::cluster {

namespace cg = cooperative_groups;

constexpr int kWarps = kMostWarps;
constexpr int kThreads = kWarps * kWarp;
constexpr int kMostBlocks = 16;
constexpr int kFifoBytes =
    kWarps * 24576;  // tiles of summaries, then what choosing needs, then pages, then what is merged
constexpr int kBins = 256;
constexpr int kCopies = 4;
constexpr int kFew = 128;         // keys ranked by comparing all with all
constexpr int kScores = 4096;     // that a block keeps in shared memory
constexpr int kMostWork = 30000;  // scores of a block; past it (32 heads at 1M on an H200) the three kernels are faster
constexpr int kMostPages = 32768;  // of a block
constexpr int kMostEntries = 128;  // of a block
constexpr int kMostChosen = kMostEntries * kMostBlocks;

struct Args {
  AttentionStep step;
  float* scores;
  int64_t stride;
};

// Lies over the tiles, once all blocks of the cluster have scored.
struct Choice {
  float votes[kMostPages];
  uint32_t histogram[kCopies][kBins + 4];  // lanes of a warp count apart: many votes fall into one bin
  uint16_t bins[kBins];                    // the histogram as others read it
  unsigned long long few[kFew];            // this block's keys in the bin
  unsigned long long flat[kFew];           // all blocks'
  uint8_t flat_rank[kFew];
  unsigned long long candidate[kMostChosen + kFew];  // this block's keys in the bin or above it
  int32_t slot[kMostChosen + kFew], count[kMostChosen + kFew];
};
static_assert(sizeof(Choice) <= kFifoBytes, "what choosing needs fits in the place of the tiles");

template <int D>
struct Merge {
  float4 out[kWarps][kMaxGroup][D / 4];
  float2 state[kWarps][kMaxGroup];
  float factor[kWarps][kMaxGroup];
  // Where 4 channels of a head lie: two heads of the same lanes in different banks.
  __device__ static int place(int head, int four) { return four ^ (head >> 2 & 1); }
};

template <int D>
struct Shared {
  float q[kMaxGroup][D + 4];               // after RoPE; rows of lanes that read at once begin in different banks
  float4 grid[kGridPieces<D>];             // of the summaries' codes, where there are any
  float weight[kMostEntries * kMaxGroup];  // log2 of an entry's sum of exponentials, where masses are wanted
  ChosenPage entry[kMostEntries];
  union {
    float scores[kScores];
    float4 parts[kScores / 4];  // [32 channels that this block adds up, C, 32]
  };
  float2 seen_of_warp[kWarps][kMaxGroup];
  float2 seen[kMostBlocks][kMaxGroup];  // by every block: maximum and sum of the vote's softmax, exponents of 2
  float2 part[kMostBlocks][kMaxGroup];  // by every block: maximum and sum of attention
  float2 all[kMaxGroup];                // attention: maximum and 1 / sum
  float norm[kMaxGroup];                // of the vote: log2 of a head's sum
  uint32_t above_here, few_here, candidates, flat_count;
  uint32_t warp_sum[kWarps];
  uint32_t bin, over, inside, base;
  unsigned long long kth;
};
static_assert(kFifoBytes + sizeof(Shared<128>) <= 232448, "fits a multiprocessor of compute capability 9.0");

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900

// This block's copy of something in shared memory → another block's.
template <typename T>
__device__ T* of(T* mine, int rank) {
  return cg::this_cluster().map_shared_rank(mine, rank);
}
__device__ inline void arrive() { asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory"); }
__device__ inline void wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }
__device__ inline void sync_cluster() {
  arrive();
  wait();
}

// Where a block stands: what all of its phases need to know.
struct Place {
  int thread, lane, warp, blocks, log_blocks, rank, group;
  int64_t g;
  int32_t n, entries;            // of the list, of what is attended to
  int used;                      // blocks that attend
  int32_t each, begin, mine;     // entries of a block; this block's
  int32_t page_begin, page_end;  // pages that this block scores
  int32_t vote_begin, vote_end;  // those of them that are not forced
};

// The sum of x over the threads before this one.
template <int D>
__device__ uint32_t block_exclusive(Shared<D>& s, const Place& at, uint32_t x) {
  const uint32_t in_warp = warp_inclusive(x, at.lane);
  __syncthreads();
  if (at.lane == kWarp - 1) s.warp_sum[at.warp] = in_warp;
  __syncthreads();
  uint32_t before = 0;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) before += w < at.warp ? s.warp_sum[w] : 0;
  return before + in_warp - x;
}

__device__ inline Place place_of(const AttentionStep& step, int32_t n, bool chooses) {
  Place at;
  at.thread = static_cast<int>(threadIdx.x);
  at.lane = at.thread % kWarp;
  at.warp = at.thread / kWarp;
  at.blocks = static_cast<int>(gridDim.x);
  at.log_blocks = __ffs(at.blocks) - 1;
  at.rank = static_cast<int>(blockIdx.x);
  at.group = step.heads / step.kv.kv_heads;
  at.g = blockIdx.y;
  at.n = n;
  at.entries = chooses ? step.selection.budget_pages : n;
  at.each = max(kWarps, (at.entries + at.blocks - 1) >> at.log_blocks);
  at.used = max(1, (at.entries + at.each - 1) / at.each);
  at.begin = at.rank * at.each;
  at.mine = max(0, min(at.each, at.entries - at.begin));
  const int32_t tiles = (n + kTilePages - 1) / kTilePages;
  const int32_t share_tiles = (tiles + at.blocks - 1) >> at.log_blocks;
  at.page_begin = min(tiles, at.rank * share_tiles) * kTilePages;
  at.page_end = min(n, at.page_begin + share_tiles * kTilePages);
  at.vote_begin = max(at.page_begin, step.selection.sink_pages);
  at.vote_end = min(at.page_end, n - step.selection.recent_pages);
  return at;
}

__device__ inline float largest_of(float x, int lanes) {
  for (int mask = 1; mask < lanes; mask *= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, mask));
  return x;
}
__device__ inline float sum_of(float x, int lanes) {
  for (int mask = 1; mask < lanes; mask *= 2) x += __shfl_xor_sync(~0u, x, mask);
  return x;
}

#endif

}  // namespace quire::cuda::cluster
