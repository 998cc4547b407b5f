// select.cu — which pages of the list a KV head (or a query head) attends to, from their scores.
//
//   kSoftmax  vote[i] = Σ_{h of the group} softmax_i(s[h,i]/√D)    over the pages that are not forced
//   kMax      vote[i] = max_{h of the group} s[h,i]                kPerHead: vote[i] = s[h,i], a list per query head
//   chosen    the sink pages, the k pages with the largest (vote, lower index first), the recent pages; ascending
//
// scores   [H, stride]      f32       partial [H, blocks] (m, z): the softmax's maximum and sum, from score
// votes    [lists, stride]  f32       scratch, only where a block has more pages than its shared memory holds
// chosen   [lists, budget]  {index, slot, count}, with the count of entries in chosen_count [lists]
//
// Grid (C, lists), block 1024. Long lists are shared by a cluster of C blocks (C = 1 before compute capability 9.0).
// A page's key is 64 bits, the vote's order above the inverted index, so all keys differ and ties need no case of their own.
// The k-th largest key is found by histograms of a range of keys that narrows 11 bits at a time, until at most kFew keys are
// left in it, which are ranked by comparing all with all; votes of one softmax need one histogram, seldom two. Then every
// block writes its pages in order behind those of the blocks before it.
// Sparse reading (reading.cu) has a list for each query block and KV head, in which up to 32 rows vote; a block each.
// Reads 4·n·H bytes. n ≤ budget: all pages, in order. No result depends on C. Twin: plain_select.cpp (its votes differ in the
// last bits). Method: top-K per head: Quest, arXiv:2406.10774 §3.4; radix select; the vote: ours.
#include <cooperative_groups.h>

#include <algorithm>

#include "native/kernels/cuda/attention.h"
#include "native/kernels/cuda/device_keys.cuh"
#include "native/kernels/cuda/device_launch.cuh"
#include "native/kernels/cuda/device_vote.cuh"

namespace quire::cuda {
namespace {

namespace cg = cooperative_groups;

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / kWarp;
constexpr int kBins = 2112;        // 2^11, and 64 more: softmax votes up to 32 in steps of 2^19 float patterns
constexpr int kBinsPerThread = 3;  // 3 · 1024 ≥ kBins
constexpr int kFew = 256;          // keys ranked by comparing all with all
constexpr int kRows = 8;           // runs of 1024 pages that are written at once
constexpr int kHeld = 16384;       // votes that a block keeps in shared memory
constexpr int kAlone = 16384;      // pages that one block does without others: a cluster's barriers cost more
constexpr int kMostBlocks = 8;     // the largest cluster that every device with clusters runs

struct Shared {
  uint32_t histogram[kBins];  // of this block's pages, then of all
  uint32_t total[kBins];
  uint32_t warp_sum[kWarps];
  uint32_t row_count[kRows * kWarps];
  float largest[kMostRows], inverse[kMostRows];
  unsigned long long few[kFew];
  uint32_t few_count;
  unsigned long long kth;
  uint32_t bin, above, inside;
  uint32_t taken;  // pages this block takes
};

// The block's place among those that share a list; the same code where there is but one.
template <bool kCluster>
struct Team {
  __device__ static int size() { return kCluster ? static_cast<int>(gridDim.x) : 1; }
  __device__ static int rank() { return kCluster ? static_cast<int>(blockIdx.x) : 0; }
  __device__ static void sync() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    if (kCluster) {
      cg::this_cluster().sync();
      return;
    }
#endif
    __syncthreads();
  }
  template <typename T>
  __device__ static T* of(T* mine, int rank) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    if (kCluster) return cg::this_cluster().map_shared_rank(mine, rank);
#endif
    return mine;
  }
};

// The sum of x over the threads before this one.
__device__ uint32_t block_exclusive(Shared& s, uint32_t x) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const uint32_t in_warp = warp_inclusive(x, lane);
  __syncthreads();
  if (lane == kWarp - 1) s.warp_sum[warp] = in_warp;
  __syncthreads();
  if (warp == 0) {
    const uint32_t sum = s.warp_sum[lane];
    s.warp_sum[lane] = warp_inclusive(sum, lane) - sum;
  }
  __syncthreads();
  return s.warp_sum[warp] + in_warp - x;
}

// The softmax's maximum and 1 / sum of each head, one warp a head.
__device__ void merge_partials(const SelectPages& args, Shared& s, int64_t first_head, int heads, float scale,
                               int parts) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  if (warp < heads) {
    Vote2 all;
    for (int b = lane; b < parts; b += kWarp) {
      const float2 part = args.partial[(first_head + warp) * args.partial_blocks + b];
      all.add(Vote2(part.x, part.y), scale);
    }
    for (int step = 1; step < kWarp; step *= 2)
      all.add(Vote2(__shfl_xor_sync(~0u, all.largest, step), __shfl_xor_sync(~0u, all.sum, step)), scale);
    if (lane == 0) {
      s.largest[warp] = all.largest;
      s.inverse[warp] = 1.0f / all.sum;
    }
  }
  __syncthreads();
}

// Finds in a histogram the bin with the `wanted`-th largest: s.bin, how many lie above it (s.above) and in it (s.inside).
__device__ void find_bin(Shared& s, const uint32_t* histogram, uint32_t wanted) {
  uint32_t mine[kBinsPerThread];
  uint32_t sum = 0;
  const int top = kBins - 1 - static_cast<int>(threadIdx.x) * kBinsPerThread;  // thread 0 has the largest bins
#pragma unroll
  for (int j = 0; j < kBinsPerThread; ++j) {
    mine[j] = top - j >= 0 ? histogram[top - j] : 0;
    sum += mine[j];
  }
  uint32_t above = block_exclusive(s, sum);
#pragma unroll
  for (int j = 0; j < kBinsPerThread; ++j) {
    if (above < wanted && wanted <= above + mine[j]) {
      s.bin = static_cast<uint32_t>(top - j);
      s.above = above;
      s.inside = mine[j];
    }
    above += mine[j];
  }
  __syncthreads();
}

// The votes of a block's pages [begin, end), in shared memory or, where they are too many, in device memory. Loops over them
// stay rolled: this kernel runs through its instructions once, and fetching them is what it would wait for.
struct Votes {
  float* of;  // of[i - begin]
  int32_t begin, end;
  template <typename F>
  __device__ void each(F f) const {
#pragma unroll 2
    for (int32_t i = begin + static_cast<int32_t>(threadIdx.x); i < end; i += kThreads) f(i, of[i - begin]);
  }
};

// The wanted-th largest key of the team's pages.
template <bool kCluster>
__device__ unsigned long long kth_largest(Shared& s, const Votes& votes, uint32_t wanted, bool softmax) {
  using T = Team<kCluster>;
  const int thread = static_cast<int>(threadIdx.x);
  unsigned long long low = softmax ? 0x8000000000000000ull : 0;  // votes of a softmax are not negative
  int shift = softmax ? 32 + 19 : 32 + 21;
  unsigned long long width = 0;  // of the range above `low`; 0: all
  for (bool first = true;; first = false) {
    if (!first || !softmax) {  // the vote's own pass has filled the first one
      for (int b = thread; b < kBins; b += kThreads) s.histogram[b] = 0;
      __syncthreads();
      votes.each([&](int32_t i, float vote) {
        const unsigned long long off = key_of(vote, i) - low;
        if (width == 0 || off < width) atomicAdd(&s.histogram[off >> shift], 1u);
      });
    }
    T::sync();
    if (kCluster) {
      for (int b = thread; b < kBins; b += kThreads) {
        uint32_t sum = 0;
        for (int rank = 0; rank < T::size(); ++rank) sum += T::of(s.histogram, rank)[b];
        s.total[b] = sum;
      }
      __syncthreads();
    }
    find_bin(s, kCluster ? s.total : s.histogram, wanted);
    wanted -= s.above;
    low += static_cast<unsigned long long>(s.bin) << shift;
    width = 1ull << shift;
    if (s.inside <= kFew) break;
    shift = max(0, shift - 11);
    T::sync();  // nobody clears a histogram that another still reads
  }

  // The few that are left: gathered in the first block, ranked there.
  if (thread == 0) s.few_count = 0;
  T::sync();
  Shared* const leader = T::of(&s, 0);
  votes.each([&](int32_t i, float vote) {
    const unsigned long long key = key_of(vote, i);
    if (key - low < width) leader->few[atomicAdd(&leader->few_count, 1u)] = key;
  });
  T::sync();
  if (T::rank() == 0) {  // a warp ranks a key
    const uint32_t count = s.few_count;
    for (uint32_t a = static_cast<uint32_t>(thread / kWarp); a < count; a += kWarps) {
      const unsigned long long key = s.few[a];
      uint32_t larger = 0;
      for (uint32_t b = static_cast<uint32_t>(thread % kWarp); b < count; b += kWarp) larger += s.few[b] > key ? 1 : 0;
      larger = __reduce_add_sync(~0u, larger);
      if (larger + 1 == wanted && thread % kWarp < T::size()) T::of(&s, thread % kWarp)->kth = key;
    }
  }
  T::sync();
  return s.kth;
}

__device__ ChosenPage entry(const DeviceList& list, int32_t i) { return {i, list.slot[i], list.count[i], 0}; }

// Two rows of pages and eight heads at a time: 16 scores a thread on their way at once.
__device__ inline void cast_votes(const SelectPages& args, const Shared& s, const Votes& votes, const float* scores,
                                  int heads, float scale) {
  const bool softmax = args.selection.vote == Vote::kSoftmax;
#pragma unroll 1
  for (int32_t first = votes.begin + static_cast<int32_t>(threadIdx.x); first < votes.end; first += 2 * kThreads) {
    float vote[2];
    vote[0] = vote[1] = softmax ? 0.0f : minus_infinity();
#pragma unroll 1
    for (int first_head = 0; first_head < heads; first_head += kMaxGroup) {
      float x[2][kMaxGroup];
#pragma unroll
      for (int h = 0; h < kMaxGroup; ++h)
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          const int32_t i = first + j * kThreads;
          x[j][h] = first_head + h < heads && i < votes.end ? __ldcg(scores + (first_head + h) * args.stride + i) : 0;
        }
#pragma unroll
      for (int h = 0; h < kMaxGroup; ++h)
        if (first_head + h < heads)
#pragma unroll
          for (int j = 0; j < 2; ++j)
            vote[j] =
                softmax ? vote[j] + share(number(x[j][h]), s.largest[first_head + h], scale) * s.inverse[first_head + h]
                        : fmaxf(vote[j], number(x[j][h]));
    }
    votes.of[first - votes.begin] = vote[0];
    if (first + kThreads < votes.end) votes.of[first + kThreads - votes.begin] = vote[1];
  }
}

// Writes the pages whose key is at least `kth`, in order, to `chosen` on. All of a batch's rows of 1024 pages are counted by
// warps, the counts summed, and each page finds its place.
__device__ inline void write_chosen(Shared& s, const Votes& votes, unsigned long long kth, const DeviceList& list,
                                    ChosenPage* chosen) {
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kWarp;
  const int warp = thread / kWarp;
#pragma unroll 1
  for (int32_t first = votes.begin; first < votes.end; first += kRows * kThreads) {
    uint32_t taken[kRows];
#pragma unroll
    for (int j = 0; j < kRows; ++j) {
      const int32_t i = first + j * kThreads + thread;
      taken[j] = __ballot_sync(~0u, i < votes.end && key_of(votes.of[min(i, votes.end - 1) - votes.begin], i) >= kth);
      if (lane == 0) s.row_count[j * kWarps + warp] = static_cast<uint32_t>(__popc(taken[j]));
    }
    __syncthreads();
    const uint32_t mine = thread < kRows * kWarps ? s.row_count[thread] : 0;
    const uint32_t before = block_exclusive(s, mine);
    if (thread < kRows * kWarps) s.row_count[thread] = before;
    if (thread == kThreads - 1) s.inside = before;  // its own count is 0
    __syncthreads();
#pragma unroll
    for (int j = 0; j < kRows; ++j)
      if ((taken[j] >> lane & 1) != 0)
        chosen[s.row_count[j * kWarps + warp] + static_cast<uint32_t>(__popc(taken[j] & ((1u << lane) - 1)))] =
            entry(list, first + j * kThreads + thread);
    chosen += s.inside;
    __syncthreads();
  }
}

template <bool kCluster>
__global__ void __launch_bounds__(kThreads) select_kernel(SelectPages args) {
  using T = Team<kCluster>;
  __shared__ Shared s;
  const int thread = static_cast<int>(threadIdx.x);
  for (int b = thread; b < kBins; b += kThreads) s.histogram[b] = 0;
  const int64_t list = blockIdx.y;
  ReadingBlock block = {};
  if (args.blocks != nullptr) block = args.blocks[list / args.lists_of_block];
  const int32_t n = args.blocks != nullptr ? block.first_page : args.state->pages;
  wait_for_former();
  let_next_start();
  const int32_t budget = args.selection.budget_pages;
  ChosenPage* const chosen = args.chosen + list * budget;
  if (T::rank() == 0 && thread == 0) {
    args.chosen_count[list] = min(n, budget);
    if (args.counters != nullptr)
      atomicAdd(reinterpret_cast<unsigned long long*>(args.counters), static_cast<unsigned long long>(n));
  }
  if (n <= budget) {
    for (int32_t i = T::rank() * kThreads + thread; i < n; i += T::size() * kThreads) chosen[i] = entry(args.list, i);
    return;
  }

  const int most_heads = args.heads / static_cast<int>(gridDim.y);
  const int heads =
      args.blocks == nullptr ? most_heads : (block.tokens + kPageTokens - 1) / kPageTokens * (most_heads / kQueryPages);
  const bool softmax = args.selection.vote == Vote::kSoftmax;
  const int32_t range_begin = args.selection.sink_pages;
  const int32_t range_end = n - args.selection.recent_pages;
  const int32_t share_pages = (range_end - range_begin + T::size() - 1) / T::size();
  extern __shared__ float held[];
  Votes votes;
  votes.begin = min(range_end, range_begin + T::rank() * share_pages);
  votes.end = min(range_end, votes.begin + share_pages);
  votes.of = share_pages <= kHeld ? held : args.votes + list * args.stride + votes.begin;
  const float scale = rsqrtf(static_cast<float>(args.head_size)) * kLog2E;
  const float* const scores = args.scores + list * most_heads * args.stride;
  if (softmax)
    merge_partials(args, s, list * most_heads, heads, scale,
                   args.blocks != nullptr ? (n + kReadingChunk - 1) / kReadingChunk : args.partial_blocks);
  cast_votes(args, s, votes, scores, heads, scale);
  __syncthreads();
  if (softmax)
    votes.each(
        [&](int32_t i, float vote) { atomicAdd(&s.histogram[(key_of(vote, i) - 0x8000000000000000ull) >> 51], 1u); });
  __syncthreads();

  const int32_t wanted = budget - args.selection.sink_pages - args.selection.recent_pages;
  unsigned long long kth = ~0ull;
  if (wanted > 0) kth = kth_largest<kCluster>(s, votes, static_cast<uint32_t>(wanted), softmax);
  uint32_t place = static_cast<uint32_t>(range_begin);
  if (kCluster) {  // behind the pages of the blocks before this one
    uint32_t takes = 0;
    votes.each([&](int32_t i, float vote) { takes += wanted > 0 && key_of(vote, i) >= kth ? 1 : 0; });
    const uint32_t before = block_exclusive(s, takes);
    if (thread == kThreads - 1) s.taken = before + takes;
    T::sync();
    for (int rank = 0; rank < T::rank(); ++rank) place += T::of(&s, rank)->taken;
  }
  if (wanted > 0) write_chosen(s, votes, kth, args.list, chosen + place);
  if (T::rank() == 0) {
    for (int32_t i = thread; i < range_begin; i += kThreads) chosen[i] = entry(args.list, i);
    for (int32_t i = range_end + thread; i < n; i += kThreads) chosen[budget - (n - i)] = entry(args.list, i);
  }
  T::sync();  // a block's shared memory stays until no other reads it
}

}  // namespace

void select_pages(const SelectPages& args, cudaStream_t stream) {
  const PageSelection& selection = args.selection;
  if (selection.sink_pages < 0 || selection.recent_pages < 0 ||
      selection.budget_pages < selection.sink_pages + selection.recent_pages || selection.budget_pages <= 0)
    throw Error("internal", "the page budget does not hold the forced pages", "select");
  if (args.kv_heads <= 0 || args.heads % args.kv_heads != 0 ||
      args.heads / args.kv_heads > (args.blocks != nullptr ? kMostRows : kMaxGroup))
    throw Error("unsupported-model", "the CUDA backend runs up to 8 query heads for each KV head", "select");
  const DeviceLimits limits = device_limits();
  const int32_t lists = selection.vote == Vote::kPerHead ? args.heads : args.kv_heads;
  int blocks = 1;
  if (limits.major >= 9 && args.max_pages > kAlone && args.blocks == nullptr)
    while (blocks < kMostBlocks && args.max_pages > static_cast<int64_t>(blocks) * kAlone / 4) blocks *= 2;
  const int64_t share_pages = (args.max_pages + blocks - 1) / blocks;
  const size_t shared = static_cast<size_t>(share_pages <= kHeld ? share_pages : 0) * sizeof(float);
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(lists));
  launch<SelectPages>(blocks > 1 ? select_kernel<true> : select_kernel<false>, grid, kThreads, shared, blocks, limits,
                      args, stream, "select");
}

}  // namespace quire::cuda
