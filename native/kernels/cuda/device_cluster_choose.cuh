// device_cluster_choose.cuh — attention_cluster.cu's third and fourth phase: votes, the k-th largest of the cluster, sending.
//
// scores and Shared::seen → every block's entries (Shared::entry), in order of the pages, divided evenly. What is chosen is what
// select.cu chooses: the largest votes, of equal ones the lower pages. Counts of bins, and the few keys of the last bin, are read
// from the other blocks; nothing else is exchanged.
#pragma once

#include "native/kernels/cuda/device_cluster_score.cuh"

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
namespace quire::cuda::cluster {

// A range of keys that still holds the one looked for, and how it is cut into bins.
struct Range {
  unsigned long long low, width;
  int shift;
};

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

// The bins of the first pass, cut out of the votes' order (device_keys.cuh). Votes of a softmax add up to the group's heads, so the k-th
// largest is at most heads/k. Where votes are much alike it is above their mean, heads/n: from half the mean on bins are fine. Where few
// pages have most of the mass it is below (in a fifth of a 0.5B's lists at 8k): there bins are a quarter of a power of two, down to
// a 64th of the mean, and all below is the lowest bin. Other votes are cut by their highest bits.
struct FirstBins {
  uint32_t low, middle, base;  // bins [1, base) from low on, [base, kBins) from middle on
  int shift;
};
constexpr uint32_t kCoarse = 20;  // bins between low and middle: five powers of two
constexpr int kCoarseShift = 21;
__device__ inline FirstBins first_bins(bool softmax, int heads, int32_t n, uint32_t wanted) {
  if (!softmax) return {0, 0, 0, 24};
  const float mean = static_cast<float>(heads) / static_cast<float>(n);
  const uint32_t middle = order(0.5f * mean);
  const uint32_t ceiling = order(1.01f * static_cast<float>(heads) / static_cast<float>(wanted));
  const uint32_t step = (ceiling - middle) / (kBins - kCoarse - 2) + 1;
  return {order(mean / 64), middle, kCoarse + 1, 32 - __clz(static_cast<int>(step - 1))};
}
__device__ inline uint32_t bin_of(unsigned long long key, const FirstBins& bins) {
  const auto vote = static_cast<uint32_t>(key >> 32);
  if (vote < bins.low) return 0;
  if (vote < bins.middle) return min(1 + ((vote - bins.low) >> kCoarseShift), kCoarse);
  return min(bins.base + ((vote - bins.middle) >> bins.shift), kBins - 1u);
}
__device__ inline Range range_of(const FirstBins& bins, uint32_t bin) {
  constexpr int kVote = 32;  // below it a key has the page
  if (bin < bins.base && bin == 0) return {0, static_cast<unsigned long long>(bins.low) << kVote, kVote + 24};
  if (bin < bins.base) {
    const unsigned long long low = static_cast<unsigned long long>(bins.low + ((bin - 1) << kCoarseShift)) << kVote;
    const unsigned long long end = static_cast<unsigned long long>(bins.middle) << kVote;
    return {low, bin == kCoarse ? end - low : 1ull << (kVote + kCoarseShift), kVote + kCoarseShift - 7};
  }
  const unsigned long long low = static_cast<unsigned long long>(bins.middle + ((bin - bins.base) << bins.shift))
                                 << kVote;
  if (bin == kBins - 1) return {low, ~low, kVote + 24};
  return {low, 1ull << (kVote + bins.shift), kVote + bins.shift - 8};
}
__device__ inline Range narrowed(const Range& range, uint32_t bin) {
  const unsigned long long low = range.low + (static_cast<unsigned long long>(bin) << range.shift);
  // A range that is no power of two ends within its last bin.
  const unsigned long long width = 1ull << range.shift, left = range.low + range.width - low;
  return {low, min(width, left), max(0, range.shift - 8)};
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

// The votes of the block's pages that are not forced: f(page, vote). kHeads heads' scores are read together: more than one where
// they are not in shared memory but far.
template <int kHeads, int D, typename F>
__device__ void cast_votes(const Shared<D>& s, const Place& at, const float* scores, int64_t stride, bool softmax,
                           F f) {
  constexpr int kPages = 4;  // of a thread, whose votes are summed together
#pragma unroll 1
  for (int32_t i = at.vote_begin + at.thread; i < at.vote_end; i += kPages * kThreads) {
    float vote[kPages];
#pragma unroll
    for (int j = 0; j < kPages; ++j) vote[j] = softmax ? 0.0f : minus_infinity();
#pragma unroll 1
    for (int first = 0; first < at.group; first += kHeads) {
      float x[kHeads][kPages];
#pragma unroll
      for (int h = 0; h < kHeads; ++h)
#pragma unroll
        for (int j = 0; j < kPages; ++j)
          x[h][j] = first + h < at.group && i + j * kThreads < at.vote_end
                        ? scores[(first + h) * stride + i + j * kThreads - at.page_begin]
                        : 0.0f;
#pragma unroll
      for (int h = 0; h < kHeads; ++h) {
        if (first + h >= at.group) break;
        const float norm = s.norm[first + h];
#pragma unroll
        for (int j = 0; j < kPages; ++j)
          vote[j] = softmax ? vote[j] + exp2_fast(x[h][j] - norm) : fmaxf(vote[j], x[h][j]);
      }
    }
#pragma unroll
    for (int j = 0; j < kPages; ++j)
      if (i + j * kThreads < at.vote_end) f(i + j * kThreads, number(vote[j]));
  }
}

// 3. Leaves in `choice` the block's keys that may be chosen (candidate, with slots and counts), the wanted-th largest key of the
// cluster (s.kth), and the place of this block's first chosen page (s.base).
template <int D>
__device__ void choose(const AttentionStep& step, Shared<D>& s, Choice& choice, const Place& at, const float* scores,
                       int64_t stride, uint32_t wanted) {
  const bool softmax = step.selection.vote == Vote::kSoftmax;
  const FirstBins bins = first_bins(softmax, at.group, at.n, wanted);
  Range range = {};
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
  const auto keep = [&](int32_t page, float vote) {
    choice.votes[page - at.page_begin] = vote;
    atomicAdd(&choice.histogram[at.lane % kCopies][bin_of(key_of(vote, page), bins)], 1u);
  };
  if (scores == s.scores)
    cast_votes<1>(s, at, scores, stride, softmax, keep);
  else
    cast_votes<4>(s, at, scores, stride, softmax, keep);
  for (bool first = true;; first = false) {
    __syncthreads();
    uint32_t sum = 0;
#pragma unroll
    for (int copy = 0; copy < kCopies; ++copy) sum += choice.histogram[copy][at.thread];
    choice.bins[at.thread] = static_cast<uint16_t>(sum);
    sync_cluster();
    find_bin(s, choice, at, wanted);
    wanted -= s.over;
    range = first ? range_of(bins, s.bin) : narrowed(range, s.bin);
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

}  // namespace quire::cuda::cluster
#endif
