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
// Reads n·G·4·D bytes of summaries (2·D where they are coded) and 64·D of each chosen page. n ≤ budget or budget 0: 1 and 5 over the whole list, with the
// same division, so the bits are those of dense. At last blocks only write into others' memory: nobody waits to end.
// Each barrier costs about 0.3 µs, a read of another block's memory 0.15: what is exchanged is kept to hundreds of bytes.
// Phases 2 to 4 are in device_cluster_score.cuh and device_cluster_choose.cuh.
// Limits: compute capability 9.0 with clusters, Vote kSoftmax or kMax, budget and dense lists ≤ 128·C pages, 32 768·C pages and
// 30 000·C scores in all; cluster_blocks() says whether. Everything else takes attention_step.cu's three kernels.
#include <algorithm>
#include <array>

#include "native/kernels/cuda/attention.h"
#include "native/kernels/cuda/device_cluster_choose.cuh"
#include "native/kernels/cuda/device_launch.cuh"
#include "native/kernels/cuda/device_rows.cuh"
#include "native/kernels/cuda/device_summary.cuh"

namespace quire::cuda {
namespace {

using namespace cluster;

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900

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
  const bool codes = step.kv.codes != nullptr;
  Tiles<D, false> tiles(step, at, shared);
  Tiles<D, true> tiles_of_codes(step, at, shared);
  if (scores_pages && codes) {
    fetch_grid<D>(s.grid, step.kv.grid + at.g * 2 * D, at.thread, kThreads);
    tiles_of_codes.begin();
  } else if (scores_pages) {
    tiles.begin();
  }
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
  wait_copies<Tiles<D, true>::kStages - 1>();  // the grid, which went before the tiles
  __syncthreads();
  wait();
  if (scores_pages) {
    const int32_t pages = max(0, at.page_end - at.page_begin);
    const bool fits = pages * at.group <= kScores;
    float* const scores = fits ? s.scores : args.scores + at.g * at.group * args.stride + at.page_begin;
    const int64_t stride = fits ? pages : args.stride;
    if (codes)
      score<D, true>(step, tiles_of_codes, s, at, scores, stride);
    else
      score<D, false>(step, tiles, s, at, scores, stride);
    sync_cluster();
    Choice& choice = *reinterpret_cast<Choice*>(shared);
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
