// attention_cluster.cu — a token's attention in one layer as one kernel: RoPE ▸ append ▸ score ▸ select ▸ attend ▸ quantise.
//
// The formulas are those of rows.cu (RoPE, quantise), append.cu, score.cu, select.cu and attend.cu, and so are the twins. What
// differs is who works together: each KV head has a cluster of blocks that exchange what they found through each other's shared
// memory, so that five barriers of a cluster (0.25 µs each on an H200) stand where three launches and their waits stood.
//
// q [H, D], k, v [G, D] f32 before RoPE (k null: q is turned already, nothing is appended)     out [H, D] f32, codes, or both
// pages, summaries, list, state: attention.h     scores [H, stride] f32: scratch, where a block's do not fit its shared memory
//
// Grid (C, G), a cluster's C blocks one KV head; 256 threads and nearly all shared memory of a multiprocessor. C is the largest
// of 16, 8, 4, 2, 1 of which the device runs G at once. A block
//   1 turns the group's queries; the one that will attend to the last page appends to it;
//   2 scores its C-th of the pages, the first tiles on their way before q is there; tells all its maximum and sum;
//   3 votes; the cluster adds up a histogram of votes (each block owns a share of the bins), finds the bin that holds the k-th
//     largest key, passes the few keys in it around, and narrows the range where they are more than a few;
//   4 sends every page it has chosen to the block that will attend to it: the list is in order of the pages, divided evenly;
//   5 attends to its entries; sends each 32 channels of its partial output to the block that adds those up and quantises them.
// Reads n·G·4·D bytes of summaries and 64·D of each chosen page. n ≤ budget or budget 0: 1 and 5 over the whole list, with the
// same division, so the bits are those of dense. Blocks write into others' memory and read their own: nobody waits to end.
// Limits: compute capability 9.0 with clusters, Vote kSoftmax or kMax, budget and dense lists ≤ 128·C pages and 32 768·C pages
// in all; cluster_blocks() says whether. Everything else takes attention_step.cu's three kernels.
#include <cooperative_groups.h>

#include <algorithm>
#include <array>

#include "native/kernels/cuda/attention.h"
#include "native/kernels/cuda/device_attend.cuh"
#include "native/kernels/cuda/device_keys.cuh"
#include "native/kernels/cuda/device_launch.cuh"
#include "native/kernels/cuda/device_rows.cuh"
#include "native/kernels/cuda/device_score.cuh"
#include "native/kernels/cuda/device_summary.cuh"
#include "native/kernels/cuda/device_vote.cuh"

namespace quire::cuda {
namespace {

namespace cg = cooperative_groups;

constexpr int kWarps = kMostWarps;
constexpr int kThreads = kWarps * kWarp;
constexpr int kMostBlocks = 16;
constexpr int kFifoBytes =
    kWarps * 24576;                // tiles of summaries, then what selecting needs, then pages, then what is merged
constexpr int kBins = 1056;        // softmax votes up to 8 in steps of 2^20 float patterns; 2^10 for a maximum
constexpr int kOwned = 8;          // neighbouring bins that one block adds up
constexpr int kFew = 64;           // keys ranked by comparing all with all
constexpr int kScores = 4096;      // that a block keeps in shared memory
constexpr int kMostPages = 32768;  // of a block
constexpr int kMostEntries = 128;  // of a block
constexpr int kRows = 4;           // runs of kThreads pages that are sent at once

struct Args {
  AttentionStep step;
  float* scores;
  int64_t stride;
};

// Lies over the tiles, once all blocks of the cluster have scored.
struct Choice {
  float votes[kMostPages];
  uint32_t histogram[kBins];
  unsigned long long few[kMostBlocks][kFew];  // by every block
  unsigned long long flat[kFew];
};
static_assert(sizeof(Choice) <= kFifoBytes, "what selecting needs fits in the place of the tiles");

template <int D>
struct Merge {
  float out[kWarps][kMaxGroup][D];
  float2 state[kWarps][kMaxGroup];
  float factor[kWarps][kMaxGroup];
};

template <int D>
struct Shared {
  float q[kMaxGroup][D];
  float weight[kMostEntries * kMaxGroup];  // log2 of an entry's sum of exponentials, where masses are wanted
  ChosenPage entry[kMostEntries];
  union {
    float scores[kScores];
    float parts[kScores];  // [blocks of 32 channels that this one adds up, C, 32]
  };
  uint32_t total[kBins];  // its own bins of the cluster's histogram
  float2 seen_of_warp[kWarps][kMaxGroup];
  float2 seen[kMostBlocks][kMaxGroup];  // by every block: maximum and sum of the vote's softmax
  float2 part[kMostBlocks][kMaxGroup];  // by every block: maximum and sum of attention
  float2 all[kMaxGroup];                // softmax of the vote, or of attention: maximum and 1 / sum
  uint32_t above[kMostBlocks], few_count[kMostBlocks];
  uint32_t above_here, few_here;
  uint32_t warp_sum[kWarps], row_count[kRows * kWarps];
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
  int thread, lane, warp, blocks, rank, group;
  int64_t g;
  int32_t n, entries;            // of the list, of what is attended to
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

// 1. The group's queries after RoPE; K and V of the token to its page, by the block whose entries end with that page.
template <int D>
__device__ void take_token(const AttentionStep& step, const StepState& state, Shared<D>& s, const Place& at) {
  const auto turn = [&](const float* from, int i, int& first, int& second) {
    first = step.halves ? i : 2 * i;
    second = step.halves ? i + D / 2 : 2 * i + 1;
    const float p = from[first], q = from[second];
    return step.k != nullptr ? turned(p, q, step.cosine[i], step.sine[i]) : float2{p, q};
  };
  int first, second;
  for (int x = at.thread; x < at.group * D / 2; x += kThreads) {
    const int h = x / (D / 2);
    const float2 pair = turn(step.q + (at.g * at.group + h) * D, x % (D / 2), first, second);
    s.q[h][first] = pair.x;
    s.q[h][second] = pair.y;
  }
  if (step.k != nullptr && at.rank == (at.entries - 1) / at.each && at.thread < D / 2) {
    const float2 key = turn(step.k + at.g * D, at.thread, first, second);
    const float* const v = step.v + at.g * D;
    put_channel(step.kv, at.g, state.slot, state.place, first, key.x, v[first]);
    put_channel(step.kv, at.g, state.slot, state.place, second, key.y, v[second]);
    if (state.place + 1 ==
        kPageTokens) {  // a channel's earlier keys are older than this kernel, its last one is this thread's
      summarise_channel(step.kv, step.selection.summary, at.g, state.slot, kPageTokens, first);
      summarise_channel(step.kv, step.selection.summary, at.g, state.slot, kPageTokens, second);
    }
    __threadfence();
  }
}

// 2. A warp's tiles, kStages of them in shared memory.
template <int D>
struct Tiles {
  static constexpr int kStages = kFifoBytes / kWarps / Tile<D>::kBytes;
  const AttentionStep& step;
  const Place& at;
  unsigned char* fifo;
  const __half* summaries;
  int32_t tile, end;

  __device__ Tiles(const AttentionStep& step_, const Place& at_, unsigned char* shared)
      : step(step_), at(at_), fifo(shared + at_.warp * kStages * Tile<D>::kBytes) {
    summaries = step.kv.summaries + at.g * step.kv.slots * 2 * D;
    tile = at.page_begin / kTilePages + at.warp;
    end = (at.page_end + kTilePages - 1) / kTilePages;
  }
  __device__ void fetch(int ahead) const {  // the tile that comes `ahead` of this one
    const int32_t wanted = tile + ahead * kWarps;
    if (wanted < end) {
      const int32_t slot = step.list.slot[min(wanted * kTilePages + at.lane % kTilePages, at.n - 1)];
      fetch_tile<D>(fifo + (wanted - at.page_begin / kTilePages) / kWarps % kStages * Tile<D>::kBytes, summaries, slot,
                    at.lane);
    }
    close_copies();
  }
  __device__ void begin() const {
#pragma unroll
    for (int ahead = 0; ahead < kStages - 1; ++ahead) fetch(ahead);
  }
};

// The scores of the block's pages: page i, head h at scores[h·stride + i − page_begin].
template <int D>
__device__ void score(const AttentionStep& step, Tiles<D>& tiles, Shared<D>& s, const Place& at, float* scores,
                      int64_t stride) {
  const int r = at.lane / 4;
  const int c = at.lane % 4;
  const float scale = rsqrtf(static_cast<float>(D)) * kLog2E;
  const Weights<D> weights = make_weights<D>(step.selection, s.q[r], r < at.group);
  Vote2 seen[2];
  for (int stage = 0; tiles.tile < tiles.end; tiles.tile += kWarps) {
    wait_copies<Tiles<D>::kStages - 2>();
    __syncwarp();  // the tile is there for all lanes, and all are done with the one before it
    tiles.fetch(Tiles<D>::kStages - 1);
    float score[4];
    score_tile<D>(tiles.fifo + stage * Tile<D>::kBytes, weights, r, c, score);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int32_t i = tiles.tile * kTilePages + r + (j >= 2 ? 8 : 0);
      const int head = 2 * c + j % 2;
      if (i < at.n && head < at.group) {
        scores[head * stride + i - at.page_begin] = score[j];
        if (i >= at.vote_begin && i < at.vote_end) seen[j % 2].add(score[j], scale);
      }
    }
    if (++stage == Tiles<D>::kStages) stage = 0;
  }
  wait_copies<0>();
#pragma unroll
  for (int j = 0; j < 2; ++j) {  // lanes with the same c share their heads
    for (int step_ = 4; step_ < kWarp; step_ *= 2)
      seen[j].add(Vote2(__shfl_xor_sync(~0u, seen[j].largest, step_), __shfl_xor_sync(~0u, seen[j].sum, step_)), scale);
    if (r == 0) s.seen_of_warp[at.warp][2 * c + j] = {seen[j].largest, seen[j].sum};
  }
  __syncthreads();
  if (at.warp < at.group) {  // a warp a head
    Vote2 all;
    if (at.lane < kWarps) {
      const float2 x = s.seen_of_warp[at.lane][at.warp];
      all = Vote2(x.x, x.y);
    }
    for (int step_ = 1; step_ < kWarps; step_ *= 2)
      all.add(Vote2(__shfl_xor_sync(~0u, all.largest, step_), __shfl_xor_sync(~0u, all.sum, step_)), scale);
    const float2 of_block = {__shfl_sync(~0u, all.largest, 0), __shfl_sync(~0u, all.sum, 0)};
    if (at.lane < at.blocks) *of(&s.seen[at.rank][at.warp], at.lane) = of_block;
  }
}

// The softmax's maximum and 1 / sum of each head, from all blocks.
template <int D>
__device__ void merge_seen(Shared<D>& s, const Place& at) {
  const float scale = rsqrtf(static_cast<float>(D)) * kLog2E;
  if (at.warp < at.group) {
    Vote2 all;
    if (at.lane < at.blocks) all = Vote2(s.seen[at.lane][at.warp].x, s.seen[at.lane][at.warp].y);
    for (int step = 1; step < kMostBlocks; step *= 2)
      all.add(Vote2(__shfl_xor_sync(~0u, all.largest, step), __shfl_xor_sync(~0u, all.sum, step)), scale);
    if (at.lane == 0) s.all[at.warp] = {all.largest, 1.0f / all.sum};
  }
  __syncthreads();
}

// The bin of the cluster's histogram with the `wanted`-th largest: s.bin, how many lie above it (s.over) and in it (s.inside).
template <int D>
__device__ void find_bin(Shared<D>& s, const Place& at, uint32_t wanted) {
  constexpr int kEach = (kBins + kThreads - 1) / kThreads;
  const int top = kBins - 1 - at.thread * kEach;  // thread 0 has the largest bins
  uint32_t mine[kEach];
  uint32_t sum = 0;
#pragma unroll
  for (int j = 0; j < kEach; ++j) mine[j] = top - j >= 0 ? *of(&s.total[top - j], (top - j) / kOwned % at.blocks) : 0;
#pragma unroll
  for (int j = 0; j < kEach; ++j) sum += mine[j];
  uint32_t above = block_exclusive(s, at, sum);
#pragma unroll
  for (int j = 0; j < kEach; ++j) {
    if (above < wanted && wanted <= above + mine[j]) {
      s.bin = static_cast<uint32_t>(top - j);
      s.over = above;
      s.inside = mine[j];
    }
    above += mine[j];
  }
  __syncthreads();
}

// 3. Leaves the votes, the wanted-th largest key of the cluster (s.kth), and the place of this block's first chosen page.
template <int D>
__device__ void choose(const AttentionStep& step, Shared<D>& s, Choice& choice, const Place& at, const float* scores,
                       int64_t stride, uint32_t wanted) {
  const bool softmax = step.selection.vote == Vote::kSoftmax;
  const float scale = rsqrtf(static_cast<float>(D)) * kLog2E;
  unsigned long long low = softmax ? 0x8000000000000000ull : 0;  // votes of a softmax are not negative
  int shift = softmax ? 32 + 20 : 32 + 22;
  unsigned long long width = 0;  // of the range above `low`; 0: all
  for (int b = at.thread; b < kBins; b += kThreads) choice.histogram[b] = 0;
  if (at.thread == 0) s.above_here = s.few_here = 0;
  merge_seen(s, at);
  const auto each = [&](auto f) {
#pragma unroll 2
    for (int32_t i = at.vote_begin + at.thread; i < at.vote_end; i += kThreads)
      f(i, key_of(choice.votes[i - at.page_begin], i));
  };
#pragma unroll 2
  for (int32_t i = at.vote_begin + at.thread; i < at.vote_end; i += kThreads) {
    float x[kMaxGroup];
#pragma unroll
    for (int h = 0; h < kMaxGroup; ++h) x[h] = h < at.group ? scores[h * stride + i - at.page_begin] : 0.0f;
    float vote = softmax ? 0.0f : minus_infinity();
#pragma unroll
    for (int h = 0; h < kMaxGroup; ++h)
      if (h < at.group)
        vote = softmax ? vote + share(number(x[h]), s.all[h].x, scale) * s.all[h].y : fmaxf(vote, number(x[h]));
    choice.votes[i - at.page_begin] = vote;
    atomicAdd(&choice.histogram[(key_of(vote, i) - low) >> shift], 1u);
  }
  __syncthreads();
  while (true) {
    for (int b = at.thread; b < kBins; b += kThreads) {
      const uint32_t count = choice.histogram[b];
      if (count > 0) atomicAdd(of(&s.total[b], b / kOwned % at.blocks), count);
    }
    sync_cluster();
    find_bin(s, at, wanted);
    wanted -= s.over;
    low += static_cast<unsigned long long>(s.bin) << shift;
    width = 1ull << shift;
    if (s.inside <= kFew) break;
    shift = max(0, shift - 10);
    sync_cluster();  // all have read the totals
    for (int b = at.thread; b < kBins; b += kThreads) s.total[b] = choice.histogram[b] = 0;
    sync_cluster();
    each([&](int32_t, unsigned long long key) {
      if (key >= low && key - low < width) atomicAdd(&choice.histogram[(key - low) >> shift], 1u);
    });
    __syncthreads();
  }

  // The few that are left go to every block; so does how many lie above them.
  uint32_t above = 0;
  each([&](int32_t, unsigned long long key) {
    if (key < low) return;
    if (key - low >= width) {
      ++above;
      return;
    }
    const uint32_t place = atomicAdd(&s.few_here, 1u);
    for (int rank = 0; rank < at.blocks; ++rank) *of(&choice.few[at.rank][place], rank) = key;
  });
  above = __reduce_add_sync(~0u, above);
  if (at.lane == 0 && above > 0) atomicAdd(&s.above_here, above);
  __syncthreads();
  if (at.thread < at.blocks) {
    *of(&s.above[at.rank], at.thread) = s.above_here;
    *of(&s.few_count[at.rank], at.thread) = s.few_here;
  }
  sync_cluster();
  {
    const int rank = at.thread / 16;
    if (rank < at.blocks) {
      uint32_t before = 0;
      for (int x = 0; x < rank; ++x) before += s.few_count[x];
      for (uint32_t j = at.thread % 16; j < s.few_count[rank]; j += 16) choice.flat[before + j] = choice.few[rank][j];
    }
  }
  __syncthreads();
  {
    constexpr int kHelpers = kThreads / kFew;
    const uint32_t count = s.inside;
    const auto a = static_cast<uint32_t>(at.thread / kHelpers);
    const unsigned long long key = a < count ? choice.flat[a] : 0;
    uint32_t larger = 0;
    for (uint32_t b = at.thread % kHelpers; b < count; b += kHelpers) larger += choice.flat[b] > key ? 1 : 0;
    for (int step_ = 1; step_ < kHelpers; step_ *= 2) larger += __shfl_xor_sync(~0u, larger, step_);
    if (a < count && larger + 1 == wanted) s.kth = key;
  }
  __syncthreads();
  if (at.warp == 0) {
    uint32_t takes = 0;
    if (at.lane < at.rank) {
      takes = s.above[at.lane];
      for (uint32_t j = 0; j < s.few_count[at.lane]; ++j) takes += choice.few[at.lane][j] >= s.kth ? 1 : 0;
    }
    takes = __reduce_add_sync(~0u, takes);
    if (at.lane == 0) s.base = static_cast<uint32_t>(step.selection.sink_pages) + takes;
  }
  __syncthreads();
}

// 4. Sends the block's chosen pages, in order, to those who attend to them.
template <int D>
__device__ void send_chosen(const AttentionStep& step, Shared<D>& s, const Choice& choice, const Place& at) {
  uint32_t base = s.base;
#pragma unroll 1
  for (int32_t first = at.vote_begin; first < at.vote_end; first += kRows * kThreads) {
    uint32_t taken[kRows];
#pragma unroll
    for (int j = 0; j < kRows; ++j) {
      const int32_t i = first + j * kThreads + at.thread;
      taken[j] = __ballot_sync(
          ~0u, i < at.vote_end && key_of(choice.votes[min(i, at.vote_end - 1) - at.page_begin], i) >= s.kth);
      if (at.lane == 0) s.row_count[j * kWarps + at.warp] = static_cast<uint32_t>(__popc(taken[j]));
    }
    __syncthreads();
    if (at.warp == 0) {  // kRows · kWarps is 32
      const uint32_t x = s.row_count[at.lane];
      const uint32_t inclusive = warp_inclusive(x, at.lane);
      s.row_count[at.lane] = inclusive - x;
      if (at.lane == kWarp - 1) s.over = inclusive;
    }
    __syncthreads();
#pragma unroll
    for (int j = 0; j < kRows; ++j)
      if ((taken[j] >> at.lane & 1) != 0) {
        const uint32_t p =
            base + s.row_count[j * kWarps + at.warp] + static_cast<uint32_t>(__popc(taken[j] & ((1u << at.lane) - 1)));
        const int32_t i = first + j * kThreads + at.thread;
        const int rank = static_cast<int>(p) / at.each;
        *reinterpret_cast<int2*>(of(&s.entry[static_cast<int>(p) - rank * at.each], rank)) = {i, step.list.slot[i]};
      }
    base += s.over;
    __syncthreads();
  }
}
static_assert(kRows * kWarps == kWarp, "one warp counts the rows");

// 5. Attention over the block's entries; 32 channels at a time to who adds them up.
template <int D, bool kMass>
__device__ void attend(const AttentionStep& step, Shared<D>& s, unsigned char* shared, const Place& at) {
  constexpr int kStages = kFifoBytes / kWarps / Page<D>::kBytes;
  const int r = at.lane / 4;
  const int c = at.lane % 4;
  unsigned char* const fifo = shared + at.warp * kStages * Page<D>::kBytes;
  const __half* const pages = step.kv.pages + at.g * step.kv.slots * 2 * kPageTokens * D;
  // Slots and counts of the warp's entries, one a lane: it has no more than kMostEntries / kWarps.
  int32_t slots = 0, counts = 0;
  if (at.warp + at.lane * kWarps < at.mine) {
    slots = s.entry[at.warp + at.lane * kWarps].slot;
    counts = step.list.count[s.entry[at.warp + at.lane * kWarps].index];
  }
  const int32_t mine = max(0, (at.mine - at.warp + kWarps - 1) / kWarps);
  const auto fetch = [&](int32_t k) {
    const int64_t slot = __shfl_sync(~0u, slots, k % kWarp);
    if (k < mine) fetch_page<D>(fifo + k % kStages * Page<D>::kBytes, pages + slot * 2 * kPageTokens * D, at.lane);
    close_copies();
  };
#pragma unroll
  for (int k = 0; k < kStages - 1; ++k) fetch(k);
  const Query<D> query = load_query<D>(s.q[r], r < at.group, step.scale * kLog2E);
  Running<D> run;
#pragma unroll 1
  for (int32_t k = 0; k < mine; ++k) {
    wait_copies<kStages - 2>();
    __syncwarp();  // the page is there for all lanes, and all are done with the one before it
    fetch(k + kStages - 1);
    attend_page<D, kMass>(fifo + k % kStages * Page<D>::kBytes, __shfl_sync(~0u, counts, k), query, run, r, c, at.group,
                          s.weight + (at.warp + k * kWarps) * kMaxGroup);
  }
  wait_copies<0>();
  __syncthreads();  // the pages' place is taken by what is merged
  Merge<D>& merge = *reinterpret_cast<Merge<D>*>(shared);
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    const float sum = sum_of_quad_rows(run.sum[j]);
    if (r == 0) merge.state[at.warp][2 * c + j] = {run.largest[j], sum};
#pragma unroll
    for (int w = 0; w < Page<D>::kChunks; ++w)
#pragma unroll
      for (int x = 0; x < 4; ++x)
        *reinterpret_cast<float2*>(&merge.out[at.warp][2 * c + j][64 * w + 8 * r + 2 * x]) = {run.out[w][x][j],
                                                                                              run.out[w][x][j + 2]};
  }
  __syncthreads();
  const int active = min(kWarps, at.mine);
  if (at.thread < at.group) {
    float largest = minus_infinity();
    for (int w = 0; w < active; ++w) largest = fmaxf(largest, merge.state[w][at.thread].x);
    float sum = 0;
    for (int w = 0; w < active; ++w) {
      const float factor = rescale(merge.state[w][at.thread].x, largest);
      merge.factor[w][at.thread] = factor;
      sum += merge.state[w][at.thread].y * factor;
    }
    for (int rank = 0; rank < at.blocks; ++rank) *of(&s.part[at.rank][at.thread], rank) = {largest, sum};
  }
  __syncthreads();
  if (at.mine > 0)
    for (int x = at.thread; x < at.group * D; x += kThreads) {
      const int h = x / D;
      float sum = 0;
      for (int w = 0; w < active; ++w) sum += merge.factor[w][h] * merge.out[w][h][x % D];
      const int block = x / 32;
      *of(&s.parts[(block / at.blocks * at.blocks + at.rank) * 32 + x % 32], block % at.blocks) = sum;
    }
}

// The channels that this block adds up, one warp 32 of them.
template <int D>
__device__ void add_parts(const AttentionStep& step, const Shared<D>& s, const Place& at) {
  const int used = max(1, (at.entries + at.each - 1) / at.each);
  for (int x = at.warp; x * at.blocks + at.rank < at.group * D / 32; x += kWarps) {
    const int block = x * at.blocks + at.rank;
    const int h = block * 32 / D;
    const float2 part = at.lane < used ? s.part[at.lane][h] : float2{minus_infinity(), 0};
    float largest = part.x;
    for (int mask = 8; mask > 0; mask /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, mask));
    largest = __shfl_sync(~0u, largest, 0);
    const float factor = rescale(part.x, largest);
    float total = part.y * factor;
    for (int mask = 8; mask > 0; mask /= 2) total += __shfl_xor_sync(~0u, total, mask);
    total = __shfl_sync(~0u, total, 0);
    float sum = 0;
    for (int p = 0; p < used && at.entries > 0; ++p)
      sum += __shfl_sync(~0u, factor, p) * s.parts[(x * at.blocks + p) * 32 + at.lane];
    const float value = total == 0 ? 0.0f : sum * (1.0f / total);
    const int64_t index = at.g * at.group * D + block * 32 + at.lane;
    if (step.out != nullptr) step.out[index] = value;
    if (step.codes != nullptr) quantize_lane(value, static_cast<int>(index), step.codes, step.code_scales);
  }
}

template <int D>
__device__ void add_masses(const AttentionStep& step, Shared<D>& s, const Place& at) {
  const int used = max(1, (at.entries + at.each - 1) / at.each);
  if (at.thread < at.group) {
    float largest = minus_infinity(), total = 0;
    for (int p = 0; p < used; ++p) largest = fmaxf(largest, s.part[p][at.thread].x);
    for (int p = 0; p < used; ++p) total += s.part[p][at.thread].y * rescale(s.part[p][at.thread].x, largest);
    s.all[at.thread] = {largest, total > 0 ? 1.0f / total : 0.0f};
  }
  __syncthreads();
  for (int x = at.thread; x < at.mine; x += kThreads) {
    float mass = 0;
    for (int h = 0; h < at.group; ++h)
      if (s.all[h].y > 0) mass += exp2_fast(s.weight[x * kMaxGroup + h] - s.all[h].x) * s.all[h].y;
    atomicAdd(&step.page_mass[s.entry[x].index], mass);
  }
}

__device__ inline Place place_of(const AttentionStep& step, int32_t n, bool chooses) {
  Place at;
  at.thread = static_cast<int>(threadIdx.x);
  at.lane = at.thread % kWarp;
  at.warp = at.thread / kWarp;
  at.blocks = static_cast<int>(gridDim.x);
  at.rank = static_cast<int>(blockIdx.x);
  at.group = step.heads / step.kv.kv_heads;
  at.g = blockIdx.y;
  at.n = n;
  at.entries = chooses ? step.selection.budget_pages : n;
  at.each = max(kWarps, (at.entries + at.blocks - 1) / at.blocks);
  at.begin = at.rank * at.each;
  at.mine = max(0, min(at.each, at.entries - at.begin));
  const int32_t tiles = (n + kTilePages - 1) / kTilePages;
  const int32_t share_tiles = (tiles + at.blocks - 1) / at.blocks;
  at.page_begin = min(tiles, at.rank * share_tiles) * kTilePages;
  at.page_end = min(n, at.page_begin + share_tiles * kTilePages);
  at.vote_begin = max(at.page_begin, step.selection.sink_pages);
  at.vote_end = min(at.page_end, n - step.selection.recent_pages);
  return at;
}

#endif

template <int D, bool kMass>
__global__ void __launch_bounds__(kThreads, 1) attention_kernel(const __grid_constant__ Args args) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  extern __shared__ __align__(128) unsigned char shared[];
  Shared<D>& s = *reinterpret_cast<Shared<D>*>(shared + kFifoBytes);
  const AttentionStep& step = args.step;
  arrive();  // nobody writes to a block before it has begun
  const StepState state = *step.state;
  const bool chooses = step.selection.budget_pages > 0 && state.pages > step.selection.budget_pages;
  const Place at = place_of(step, state.pages, chooses);
  const int32_t forced = step.selection.sink_pages + step.selection.recent_pages;
  const bool scores_pages = chooses && at.entries > forced;
  Tiles<D> tiles(step, at, shared);
  if (scores_pages) tiles.begin();
  for (int b = at.thread; b < kBins; b += kThreads) s.total[b] = 0;
  for (int32_t x = at.thread; x < at.mine; x += kThreads) {  // what is taken without being chosen
    const int32_t p = at.begin + x;
    const bool recent = chooses && p >= at.entries - step.selection.recent_pages;
    if (chooses && !recent && p >= step.selection.sink_pages) continue;
    const int32_t i = recent ? at.n - (at.entries - p) : p;
    s.entry[x] = {i, step.list.slot[i], 0, 0};
  }
  wait_for_former();
  let_next_start();
  take_token<D>(step, state, s, at);
  __syncthreads();
  wait();
  if (scores_pages) {
    const bool fits = (at.page_end - at.page_begin) * at.group <= kScores;
    float* const scores = fits ? s.scores : args.scores + at.g * at.group * args.stride + at.page_begin;
    const int64_t stride = fits ? at.page_end - at.page_begin : args.stride;
    Choice& choice = *reinterpret_cast<Choice*>(shared);
    score<D>(step, tiles, s, at, scores, stride);
    sync_cluster();
    choose<D>(step, s, choice, at, scores, stride, static_cast<uint32_t>(at.entries - forced));
    send_chosen<D>(step, s, choice, at);
    sync_cluster();
  }
  attend<D, kMass>(step, s, shared, at);
  sync_cluster();
  add_parts<D>(step, s, at);
  if (kMass) add_masses<D>(step, s, at);
  if (step.counters != nullptr && at.rank == 0 && at.thread == 0) {
    auto* const counters = reinterpret_cast<unsigned long long*>(step.counters);
    if (chooses) atomicAdd(counters, static_cast<unsigned long long>(at.n));
    atomicAdd(counters + 1, static_cast<unsigned long long>(at.entries));
  }
#endif
}

template <int D>
constexpr size_t shared_bytes() {
  return kFifoBytes + sizeof(Shared<D>);
}

template <int D>
cudaLaunchConfig_t config_of(int blocks, int kv_heads, cudaLaunchAttribute* attributes) {
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(kv_heads));
  config.blockDim = dim3(kThreads);
  config.dynamicSmemBytes = shared_bytes<D>();
  attributes[0].id = cudaLaunchAttributeClusterDimension;
  attributes[0].val.clusterDim = {static_cast<unsigned>(blocks), 1, 1};
  config.attrs = attributes;
  config.numAttrs = 1;
  return config;
}

// allowed[i]: clusters of 2^i blocks that the device runs at once.
template <int D>
const std::array<int, 5>& clusters_at_once() {
  static const std::array<int, 5> counts = [] {
    std::array<int, 5> found = {};
    const DeviceLimits limits = device_limits();
    if (limits.major < 9 || limits.shared_bytes < static_cast<int>(shared_bytes<D>())) return found;
    for (const auto kernel : {attention_kernel<D, false>, attention_kernel<D, true>}) {
      check(
          cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, cudaSharedmemCarveoutMaxShared),
          "attention");
      check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(shared_bytes<D>())),
            "attention");
      check(cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1), "attention");
    }
    for (int i = 0; i < 5; ++i) {
      cudaLaunchAttribute attributes[1] = {};
      const cudaLaunchConfig_t config = config_of<D>(1 << i, 1, attributes);
      if (cudaOccupancyMaxActiveClusters(&found[static_cast<size_t>(i)], attention_kernel<D, false>, &config) !=
          cudaSuccess) {
        found[static_cast<size_t>(i)] = 0;
        cudaGetLastError();  // a size that the device does not know
      }
    }
    return found;
  }();
  return counts;
}

template <int D>
void launch_cluster(const Args& args, cudaStream_t stream) {
  cudaLaunchAttribute attributes[2] = {};
  cudaLaunchConfig_t config = config_of<D>(cluster_blocks(args.step), args.step.kv.kv_heads, attributes);
  attributes[1].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[1].val.programmaticStreamSerializationAllowed = 1;
  config.numAttrs = 2;
  config.stream = stream;
  check(cudaLaunchKernelEx(
            &config, args.step.page_mass != nullptr ? attention_kernel<D, true> : attention_kernel<D, false>, args),
        "attention");
}

}  // namespace

int32_t cluster_blocks(const AttentionStep& args) {
  if (args.kv.head_size != 64 && args.kv.head_size != 128) return 0;
  const std::array<int, 5>& at_once = args.kv.head_size == 64 ? clusters_at_once<64>() : clusters_at_once<128>();
  int32_t blocks = kMostBlocks;
  for (int i = 4; blocks > 0 && at_once[static_cast<size_t>(i)] < args.kv.kv_heads; --i)
    blocks = i > 0 ? blocks / 2 : 0;
  const bool chooses = args.selection.budget_pages > 0 && args.max_pages > args.selection.budget_pages;
  const int64_t entries = chooses ? args.selection.budget_pages : args.max_pages;
  const bool fits = entries <= int64_t{kMostEntries} * blocks && args.max_pages <= int64_t{kMostPages} * blocks;
  return fits && args.selection.vote != Vote::kPerHead ? blocks : 0;
}

void attention_in_cluster(const AttentionStep& step, float* scores, int64_t stride, cudaStream_t stream) {
  const Args args = {step, scores, stride};
  if (step.kv.head_size == 64)
    launch_cluster<64>(args, stream);
  else
    launch_cluster<128>(args, stream);
}

}  // namespace quire::cuda
