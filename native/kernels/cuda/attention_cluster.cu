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
//   3 votes; every block adds up the blocks' histograms of votes, finds the bin that holds the k-th largest key, and ranks the
//     keys in it; where they are more than a few, that bin is cut into bins first;
//   4 sends every page it has chosen to the block that will attend to it: the list is in order of the pages, divided evenly;
//   5 attends to its entries; sends each 32 channels of its partial output to the block that adds those up and quantises them.
// Reads n·G·4·D bytes of summaries and 64·D of each chosen page. n ≤ budget or budget 0: 1 and 5 over the whole list, with the
// same division, so the bits are those of dense. At last blocks only write into others' memory: nobody waits to end.
// Each barrier costs about 0.3 µs, a read of another block's memory 0.15: what is exchanged is kept to hundreds of bytes.
// Limits: compute capability 9.0 with clusters, Vote kSoftmax or kMax, budget and dense lists ≤ 128·C pages, 32 768·C pages and
// 30 000·C scores in all; cluster_blocks() says whether. Everything else takes attention_step.cu's three kernels.
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

// A range of keys that still holds the one looked for, and how it is cut into bins.
struct Range {
  unsigned long long low, width;
  int shift;
};

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

// 1. The group's queries after RoPE; K and V of the token to its page, by the block whose entries end with that page.
template <int D>
__device__ void take_token(const AttentionStep& step, const StepState& state, Shared<D>& s, const Place& at) {
  constexpr int kHalf = D / 2;
  constexpr int kEach = (kMaxGroup * kHalf + kThreads - 1) / kThreads;
  const bool turns = step.k != nullptr;
  const auto pair_of = [&](int i) { return step.halves || !turns ? int2{i, i + kHalf} : int2{2 * i, 2 * i + 1}; };
  const auto turn = [&](float2 raw, int i) { return turned(raw.x, raw.y, step.cosine[i], step.sine[i]); };
  float2 raw[kEach];
#pragma unroll
  for (int j = 0; j < kEach; ++j) {
    const int x = at.thread + j * kThreads;
    const int2 pair = pair_of(x % kHalf);
    const float* const from = step.q + (at.g * at.group + x / kHalf) * D;
    raw[j] = x < at.group * kHalf ? float2{from[pair.x], from[pair.y]} : float2{0, 0};
  }
#pragma unroll
  for (int j = 0; j < kEach; ++j) {
    const int x = at.thread + j * kThreads;
    const int2 pair = pair_of(x % kHalf);
    if (x >= at.group * kHalf) continue;
    const float2 out = turns ? turn(raw[j], x % kHalf) : raw[j];
    s.q[x / kHalf][pair.x] = out.x;
    s.q[x / kHalf][pair.y] = out.y;
  }
  if (turns && at.rank == at.used - 1 && at.thread < kHalf) {
    const int2 pair = pair_of(at.thread);
    const float* const k = step.k + at.g * D;
    const float* const v = step.v + at.g * D;
    const float2 key = turn({k[pair.x], k[pair.y]}, at.thread);
    put_channel(step.kv, at.g, state.slot, state.place, pair.x, key.x, v[pair.x]);
    put_channel(step.kv, at.g, state.slot, state.place, pair.y, key.y, v[pair.y]);
    if (state.place + 1 ==
        kPageTokens) {  // a channel's earlier keys are older than this kernel, the last is this thread's
      summarise_channel(step.kv, step.selection.summary, at.g, state.slot, kPageTokens, pair.x);
      summarise_channel(step.kv, step.selection.summary, at.g, state.slot, kPageTokens, pair.y);
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
  int32_t next_slot = 0;

  __device__ Tiles(const AttentionStep& step_, const Place& at_, unsigned char* shared)
      : step(step_), at(at_), fifo(shared + at_.warp * kStages * Tile<D>::kBytes) {
    summaries = step.kv.summaries + at.g * step.kv.slots * 2 * D;
    tile = at.page_begin / kTilePages + at.warp;
    end = (at.page_end + kTilePages - 1) / kTilePages;
  }
  __device__ int32_t slot_of(int32_t wanted) const {  // a lane's is that of row l mod 16
    return wanted < end ? step.list.slot[min(wanted * kTilePages + at.lane % kTilePages, at.n - 1)] : 0;
  }
  __device__ void fetch(int32_t wanted, int32_t slot) const {
    if (wanted < end)
      fetch_tile<D>(fifo + (wanted - at.page_begin / kTilePages) / kWarps % kStages * Tile<D>::kBytes, summaries, slot,
                    at.lane);
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

__device__ inline float largest_of(float x, int lanes) {
  for (int mask = 1; mask < lanes; mask *= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, mask));
  return x;
}
__device__ inline float sum_of(float x, int lanes) {
  for (int mask = 1; mask < lanes; mask *= 2) x += __shfl_xor_sync(~0u, x, mask);
  return x;
}

// What scores are multiplied with before they vote: for a softmax, so that its powers are of 2.
template <int D>
__device__ float vote_scale(const AttentionStep& step) {
  return step.selection.vote == Vote::kSoftmax ? rsqrtf(static_cast<float>(D)) * kLog2E : 1.0f;
}

// The scores of the block's pages: page i, head h at scores[h·stride + i − page_begin]; their maximum and sum to all blocks.
template <int D>
__device__ void score(const AttentionStep& step, Tiles<D>& tiles, Shared<D>& s, const Place& at, float* scores,
                      int64_t stride) {
  const int r = at.lane / 4;
  const int c = at.lane % 4;
  const float scale = vote_scale<D>(step);
  const Weights<D> weights = make_weights<D>(step.selection, s.q[r], r < at.group);
  float largest[2] = {minus_infinity(), minus_infinity()}, sum[2] = {0, 0};
  for (int stage = 0; tiles.tile < tiles.end; tiles.tile += kWarps) {
    wait_copies<Tiles<D>::kStages - 2>();
    __syncwarp();  // the tile is there for all lanes, and all are done with the one before it
    tiles.go_on();
    float score[4];
    score_tile<D>(tiles.fifo + stage * Tile<D>::kBytes, weights, r, c, score);
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
    if (++stage == Tiles<D>::kStages) stage = 0;
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

// The softmax's normaliser of each head, from all blocks.
template <int D>
__device__ void merge_seen(Shared<D>& s, const Place& at) {
  if (at.warp < at.group) {
    const float2 x = at.lane < at.blocks ? s.seen[at.lane][at.warp] : float2{minus_infinity(), 0};
    const float all = largest_of(x.x, kMostBlocks);
    const float total = sum_of(x.y * rescale(x.x, all), kMostBlocks);
    if (at.lane == 0) s.norm[at.warp] = all + log2f(total);
  }
  __syncthreads();
}

// Votes of a softmax add up to the group's heads. So the k-th largest is at most heads/k, and where votes differ at all it is
// above their mean, heads/n: the bins are cut out of what lies between (and a little around), all below in the lowest bin.
// Other votes are cut by their highest bits.
__device__ inline Range whole_range(bool softmax, int heads, int32_t n, uint32_t wanted) {
  if (!softmax) return {0, 0, 32 + 24};
  const uint32_t floor = order(0.5f * static_cast<float>(heads) / static_cast<float>(n));
  const uint32_t ceiling = order(1.01f * static_cast<float>(heads) / static_cast<float>(wanted));
  const uint32_t step = (ceiling - floor) / (kBins - 2) + 1;
  return {static_cast<unsigned long long>(floor) << 32, 0, 32 + 32 - __clz(static_cast<int>(step - 1))};
}
// The bin of a key in the first range, which all keys are in.
__device__ inline uint32_t first_bin(unsigned long long key, const Range& range) {
  return key < range.low ? 0 : min(static_cast<uint32_t>((key - range.low) >> range.shift), kBins - 1u);
}
__device__ inline Range narrowed(const Range& range, uint32_t bin, bool first) {
  if (first && bin == 0) return {0, range.low + (1ull << range.shift), 32 + 24};
  const unsigned long long low = range.low + (static_cast<unsigned long long>(bin) << range.shift);
  if (first && bin == kBins - 1) return {low, ~low, 32 + 24};
  // A range that is no power of two ends within its last bin.
  const unsigned long long width = 1ull << range.shift, left = range.low + range.width - low;
  return {low, first ? width : min(width, left), max(0, range.shift - 8)};
}

// The bin of the cluster's histogram with the `wanted`-th largest: s.bin, how many lie above it (s.over) and in it (s.inside).
template <int D>
__device__ void find_bin(Shared<D>& s, Choice& choice, const Place& at, uint32_t wanted) {
  uint32_t high = 0, low = 0;  // of two bins, thread 0 having the largest
  const int bin = kBins - 2 - 2 * at.thread;
  if (bin >= 0) {
    uint32_t both[kMostBlocks];
#pragma unroll
    for (int rank = 0; rank < kMostBlocks; ++rank)
      both[rank] = rank < at.blocks ? *reinterpret_cast<const uint32_t*>(of(&choice.bins[bin], rank)) : 0;
#pragma unroll
    for (int rank = 0; rank < kMostBlocks; ++rank) {
      high += both[rank] >> 16;
      low += both[rank] & 0xffffu;
    }
  }
  const uint32_t above = block_exclusive(s, at, high + low);
  if (above < wanted && wanted <= above + high + low) {
    const bool in_high = wanted <= above + high;
    s.bin = static_cast<uint32_t>(in_high ? bin + 1 : bin);
    s.over = in_high ? above : above + high;
    s.inside = in_high ? high : low;
  }
  __syncthreads();
}

// 3. Leaves in `choice` the block's keys that may be chosen (candidate, with slots and counts), the wanted-th largest key of the
// cluster (s.kth), and the place of this block's first chosen page (s.base).
template <int D>
__device__ void choose(const AttentionStep& step, Shared<D>& s, Choice& choice, const Place& at, const float* scores,
                       int64_t stride, uint32_t wanted) {
  const bool softmax = step.selection.vote == Vote::kSoftmax;
  Range range = whole_range(softmax, at.group, at.n, wanted);
#pragma unroll
  for (int copy = 0; copy < kCopies; ++copy) choice.histogram[copy][at.thread] = 0;
  if (at.thread == 0) {
    s.above_here = s.few_here = s.candidates = s.flat_count = 0;
    s.base = static_cast<uint32_t>(step.selection.sink_pages);
  }
  if (softmax)
    merge_seen(s, at);
  else
    __syncthreads();
  const auto each = [&](auto f) {
#pragma unroll 2
    for (int32_t i = at.vote_begin + at.thread; i < at.vote_end; i += kThreads)
      f(i, key_of(choice.votes[i - at.page_begin], i));
  };
  constexpr int kAtOnce = 4;  // pages of a thread whose votes are summed together
#pragma unroll 1
  for (int32_t i = at.vote_begin + at.thread; i < at.vote_end; i += kAtOnce * kThreads) {
    float vote[kAtOnce];
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) vote[j] = softmax ? 0.0f : minus_infinity();
#pragma unroll 1
    for (int h = 0; h < at.group; ++h) {
      const float* const x = scores + h * stride + i - at.page_begin;
      const float norm = s.norm[h];
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        const float of_page = i + j * kThreads < at.vote_end ? x[j * kThreads] : 0.0f;
        vote[j] = softmax ? vote[j] + exp2_fast(of_page - norm) : fmaxf(vote[j], of_page);
      }
    }
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      const int32_t page = i + j * kThreads;
      if (page >= at.vote_end) continue;
      vote[j] = number(vote[j]);
      choice.votes[page - at.page_begin] = vote[j];
      atomicAdd(&choice.histogram[at.lane % kCopies][first_bin(key_of(vote[j], page), range)], 1u);
    }
  }
  for (bool first = true;; first = false) {
    __syncthreads();
    uint32_t sum = 0;
#pragma unroll
    for (int copy = 0; copy < kCopies; ++copy) sum += choice.histogram[copy][at.thread];
    choice.bins[at.thread] = static_cast<uint16_t>(sum);
    sync_cluster();
    find_bin(s, choice, at, wanted);
    wanted -= s.over;
    range = narrowed(range, s.bin, first);
    if (s.inside <= kFew) break;
#pragma unroll
    for (int copy = 0; copy < kCopies; ++copy) choice.histogram[copy][at.thread] = 0;
    sync_cluster();  // all have read the bins
    each([&](int32_t, unsigned long long key) {
      if (key >= range.low && key - range.low < range.width)
        atomicAdd(&choice.histogram[at.lane % kCopies][(key - range.low) >> range.shift], 1u);
    });
  }

  // What lies above the bin is chosen; the few keys in it are seen by every block.
  uint32_t above = 0;
  each([&](int32_t i, unsigned long long key) {
    if (key < range.low) return;
    const uint32_t place = atomicAdd(&s.candidates, 1u);
    choice.candidate[place] = key;
    copy4(&choice.slot[place], step.list.slot + i);
    copy4(&choice.count[place], step.list.count + i);
    if (key - range.low < range.width)
      choice.few[atomicAdd(&s.few_here, 1u)] = key;
    else
      ++above;
  });
  close_copies();
  above = __reduce_add_sync(~0u, above);
  if (at.lane == 0 && above > 0) atomicAdd(&s.above_here, above);
  sync_cluster();
  {
    const int rank = at.thread / 16;
    if (rank < at.blocks) {
      const unsigned long long* const few = of(choice.few, rank);
      unsigned long long key = few[at.thread % 16];  // on its way together with how many there are
      const uint32_t count = *of(&s.few_here, rank);
      const uint32_t taken = at.thread % 16 == 0 && rank < at.rank ? *of(&s.above_here, rank) : 0;
      for (uint32_t j = at.thread % 16; j < count; j += 16) {
        if (j >= 16) key = few[j];
        const uint32_t place = atomicAdd(&s.flat_count, 1u);
        choice.flat[place] = key;
        choice.flat_rank[place] = static_cast<uint8_t>(rank);
      }
      if (taken > 0) atomicAdd(&s.base, taken);
    }
  }
  wait_copies<0>();
  __syncthreads();
  const uint32_t count = s.flat_count;
  const auto a = static_cast<uint32_t>(at.thread);
  const unsigned long long key = a < count ? choice.flat[a] : 0;
  if (a < count) {
    uint32_t larger = 0;
#pragma unroll 8
    for (uint32_t b = 0; b < count; ++b) larger += choice.flat[b] > key ? 1 : 0;
    if (larger + 1 == wanted) s.kth = key;
  }
  __syncthreads();
  if (at.thread < kFew) {
    const uint32_t takes =
        __popc(__ballot_sync(~0u, a < count && key >= s.kth && choice.flat_rank[min(a, kFew - 1u)] < at.rank));
    if (at.lane == 0 && takes > 0) atomicAdd(&s.base, takes);
  }
  __syncthreads();
}

// 4. Sends the block's chosen pages, in order, to those who attend to them.
template <int D>
__device__ void send_chosen(Shared<D>& s, const Choice& choice, const Place& at) {
  const auto index_of = [](unsigned long long key) { return ~static_cast<uint32_t>(key); };
  for (uint32_t x = at.thread; x < s.candidates; x += kThreads) {
    const unsigned long long key = choice.candidate[x];
    if (key < s.kth) continue;
    int p = static_cast<int>(s.base);
#pragma unroll 4
    for (uint32_t y = 0; y < s.candidates; ++y) {
      const unsigned long long other = choice.candidate[y];
      p += other >= s.kth && index_of(other) < index_of(key) ? 1 : 0;
    }
    const int rank = p / at.each;
    *of(&s.entry[p - rank * at.each], rank) = {static_cast<int32_t>(index_of(key)), choice.slot[x], choice.count[x], 0};
  }
}

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
    counts = s.entry[at.warp + at.lane * kWarps].count;
  }
  const int32_t mine = max(0, (at.mine - at.warp + kWarps - 1) / kWarps);
  const auto fetch = [&](int32_t k) {
    const int64_t slot = __shfl_sync(~0u, slots, k % kWarp);
    if (k < mine) fetch_page<D>(fifo + k % kStages * Page<D>::kBytes, pages + slot * 2 * kPageTokens * D, at.lane);
    close_copies();
  };
#pragma unroll 1
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
    const int head = 2 * c + j;
    const float sum = sum_of_quad_rows(run.sum[j]);
    if (r == 0) merge.state[at.warp][head] = {run.largest[j], sum};
#pragma unroll
    for (int w = 0; w < Page<D>::kChunks; ++w)
#pragma unroll
      for (int x = 0; x < 4; ++x) {
        float4& four = merge.out[at.warp][head][Merge<D>::place(head, 16 * w + 2 * r + x / 2)];
        *(reinterpret_cast<float2*>(&four) + x % 2) = {run.out[w][x][j], run.out[w][x][j + 2]};
      }
  }
  __syncthreads();
  const int active = min(kWarps, at.mine);
  if (at.warp < at.group) {  // a warp a head
    const float2 x = at.lane < active ? merge.state[at.lane][at.warp] : float2{minus_infinity(), 0};
    const float all = __shfl_sync(~0u, largest_of(x.x, kWarps), 0);
    const float factor = rescale(x.x, all);
    const float total = __shfl_sync(~0u, sum_of(x.y * factor, kWarps), 0);
    if (at.lane < kWarps) merge.factor[at.lane][at.warp] = factor;
    if (at.lane < at.blocks) *of(&s.part[at.rank][at.warp], at.lane) = {all, total};
  }
  __syncthreads();
  if (at.mine > 0)
    for (int x = at.thread; x < at.group * D / 4; x += kThreads) {
      const int h = x / (D / 4);
      float4 sum = {0, 0, 0, 0};
#pragma unroll
      for (int w = 0; w < kWarps; ++w)
        if (w < active) {
          const float factor = merge.factor[w][h];
          const float4 out = merge.out[w][h][Merge<D>::place(h, x % (D / 4))];
          sum = {sum.x + factor * out.x, sum.y + factor * out.y, sum.z + factor * out.z, sum.w + factor * out.w};
        }
      const int block = x / 8;  // of 32 channels
      *of(&s.parts[((block & ~(at.blocks - 1)) + at.rank) * 8 + x % 8], block & (at.blocks - 1)) = sum;
    }
}

// The channels that this block adds up, one warp 32 of them.
template <int D>
__device__ void add_parts(const AttentionStep& step, const Shared<D>& s, const Place& at) {
  const int used = at.used;
  const float* const parts = reinterpret_cast<const float*>(s.parts);
  for (int x = at.warp; x * at.blocks + at.rank < at.group * D / 32; x += kWarps) {
    const int block = x * at.blocks + at.rank;
    const float2 part = at.lane < used ? s.part[at.lane][block * 32 / D] : float2{minus_infinity(), 0};
    const float all = __shfl_sync(~0u, largest_of(part.x, kMostBlocks), 0);
    const float factor = rescale(part.x, all);
    const float total = __shfl_sync(~0u, sum_of(part.y * factor, kMostBlocks), 0);
    float sum = 0;
#pragma unroll 8
    for (int p = 0; p < used; ++p)
      if (at.entries > 0) sum += __shfl_sync(~0u, factor, p) * parts[(x * at.blocks + p) * 32 + at.lane];
    const float value = total == 0 ? 0.0f : sum * (1.0f / total);
    const int64_t index = at.g * at.group * D + block * 32 + at.lane;
    if (step.out != nullptr) step.out[index] = value;
    if (step.codes != nullptr) quantize_lane(value, static_cast<int>(index), step.codes, step.code_scales);
  }
}

template <int D>
__device__ void add_masses(const AttentionStep& step, Shared<D>& s, const Place& at) {
  const int used = at.used;
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
  for (int32_t x = at.thread; x < at.mine; x += kThreads) {  // what is taken without being chosen
    const int32_t p = at.begin + x;
    const bool recent = chooses && p >= at.entries - step.selection.recent_pages;
    if (chooses && !recent && p >= step.selection.sink_pages) continue;
    const int32_t i = recent ? at.n - (at.entries - p) : p;
    s.entry[x] = {i, step.list.slot[i], step.list.count[i], 0};
  }
  wait_for_former();
  let_next_start();
  take_token<D>(step, state, s, at);
  __syncthreads();
  wait();
  if (scores_pages) {
    const int32_t pages = max(0, at.page_end - at.page_begin);
    const bool fits = pages * at.group <= kScores;
    float* const scores = fits ? s.scores : args.scores + at.g * at.group * args.stride + at.page_begin;
    const int64_t stride = fits ? pages : args.stride;
    Choice& choice = *reinterpret_cast<Choice*>(shared);
    score<D>(step, tiles, s, at, scores, stride);
    sync_cluster();
    choose<D>(step, s, choice, at, scores, stride, static_cast<uint32_t>(at.entries - forced));
    send_chosen<D>(s, choice, at);
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
  const int64_t group = args.heads / args.kv.kv_heads;
  const bool fits = entries <= int64_t{kMostEntries} * blocks && args.max_pages <= int64_t{kMostPages} * blocks &&
                    (!chooses || args.max_pages * group <= int64_t{kMostWork} * blocks);
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
