// attend.cu — exact attention of one token over a list of pages: the chosen ones, or all (dense).
//
//   out[h] = Σ_j p_j · v_j     p_j = e^(s_j − m) / Σ_i e^(s_i − m)     s_j = scale · q[h]·k_j     m = max_j s_j
//   mass[i] += Σ_h Σ_{j in page i} p_j                                 where it is asked for
//
// q, out  [H, D]                 f32
// pages   [G, slots, 2, P, D]    f16  a head's page is 64·D bytes in one piece: keys, then values
//
// Grid (parts, lists): a list's entries are divided evenly among its blocks, a block's among its warps, in an order that
// depends on the number of entries and the device only; so dense, and selection that takes every page, give the same bits.
// A warp takes a page at a time. The scores of its 16 tokens and the group's heads are one tile of the tensor cores, Kᵀ read
// as it lies; they are turned (movmatrix) to weigh the values in a second one. A warp copies its next pages meanwhile, 512
// contiguous bytes an instruction, and waits for no other warp. The running maximum is per warp (FlashAttention,
// arXiv:2205.14135); warps merge in shared memory, blocks through `partial`, done by whichever block of the list comes last,
// in order of parts. Reads 64·D bytes a page and KV head: bandwidth-bound for long lists, latency for short ones.
// Part pages: keys past the count are masked, values zeroed; they may hold anything. NaN and +inf make a row NaN, −inf counts
// nothing, a list without tokens gives zeros. The weights of the values are f16. Limits: attention.h. Twin: plain_attend.cpp.
#include <algorithm>

#include "native/kernels/cuda/attention.h"
#include "native/kernels/cuda/device_attend.cuh"
#include "native/kernels/cuda/device_launch.cuh"
#include "native/kernels/cuda/device_summary.cuh"
#include "native/kernels/cuda/device_tensor.cuh"
#include "native/kernels/cuda/device_vote.cuh"

namespace quire::cuda {
namespace {

constexpr int kStages = 3;  // pages on their way per warp, as in score.cu
constexpr int kMostParts = 256;

template <int D>
struct Merge {
  float out[kMostWarps][kMaxGroup][D];
  float2 state[kMostWarps][kMaxGroup];
  float factor[kMostWarps][kMaxGroup];
  float2 all[kMaxGroup];
  float part_factor[kMaxGroup][kMostParts];
  bool last;
};

template <int D, bool kMass>
__global__ void __launch_bounds__(kMostWarps* kWarp) attend_kernel(AttendPages args) {
  extern __shared__ __align__(16) unsigned char shared[];
  Merge<D>& merge = *reinterpret_cast<Merge<D>*>(shared);
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kWarp;
  const int warp = thread / kWarp;
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  const int r = lane / 4;
  const int c = lane % 4;
  const int32_t list = static_cast<int32_t>(blockIdx.y);
  const int heads = args.heads / args.lists;
  const int64_t g = static_cast<int64_t>(list) * args.kv.kv_heads / args.lists;
  const bool chooses = args.chosen != nullptr;
  if (!chooses) wait_for_former();
  const int32_t entries = chooses ? min(args.state->pages, args.budget_pages) : args.state->pages;
  if (chooses) wait_for_former();
  let_next_start();
  const Parts parts = divide(entries, static_cast<int32_t>(gridDim.x));
  const int32_t part = static_cast<int32_t>(blockIdx.x);
  if (part >= parts.used) return;
  const int32_t begin = part * parts.entries;
  const int32_t end = min(entries, begin + parts.entries);

  unsigned char* const fifo = shared + warp * kStages * Page<D>::kBytes;
  const __half* const pages = args.kv.pages + g * args.kv.slots * 2 * kPageTokens * D;
  const ChosenPage* const chosen =
      args.chosen != nullptr ? args.chosen + static_cast<int64_t>(list) * args.budget_pages : nullptr;
  // Slots and counts of the warp's next 32 entries, one a lane.
  int32_t slots = 0, counts = 0;
  const auto look_up = [&](int32_t k) {  // k: the warp's k-th entry, a multiple of 32
    const int32_t i = begin + warp + (k + lane) * warps;
    if (i >= end) return;
    if (chosen != nullptr) {
      const ChosenPage page = chosen[i];
      slots = page.slot;
      counts = page.count;
    } else {
      slots = args.list.slot[i];
      counts = args.list.count[i];
    }
  };
  const int32_t mine = max(0, (end - begin - warp + warps - 1) / warps);
  look_up(0);
  int32_t count_of[kStages];
#pragma unroll
  for (int s = 0; s < kStages - 1; ++s) {
    const int64_t slot = __shfl_sync(~0u, slots, s);
    count_of[s] = __shfl_sync(~0u, counts, s);
    if (s < mine) fetch_page<D>(fifo + s * Page<D>::kBytes, pages + slot * 2 * kPageTokens * D, lane);
    close_copies();
  }
  const Query<D> query =
      load_query<D>(args.q + (static_cast<int64_t>(list) * heads + r) * D, r < heads, args.scale * kLog2E);
  Running<D> run;
  for (int32_t k = 0; k < mine; k += kStages) {
#pragma unroll
    for (int s = 0; s < kStages; ++s) {
      if (k + s < mine) {
        constexpr int kAhead = kStages - 1;
        wait_copies<kAhead - 1>();
        __syncwarp();  // the page is there for all lanes, and all are done with the one before it
        const int32_t ahead = k + s + kAhead;
        if (ahead % kWarp == 0) look_up(ahead);
        const int64_t slot = __shfl_sync(~0u, slots, ahead % kWarp);
        count_of[(s + kAhead) % kStages] = __shfl_sync(~0u, counts, ahead % kWarp);
        if (ahead < mine)
          fetch_page<D>(fifo + (s + kAhead) % kStages * Page<D>::kBytes, pages + slot * 2 * kPageTokens * D, lane);
        close_copies();
        const int64_t i = begin + warp + static_cast<int64_t>(k + s) * warps;
        float* const weight = kMass ? args.page_weight + (list * args.weight_stride + i) * heads : nullptr;
        attend_page<D, kMass>(fifo + s * Page<D>::kBytes, count_of[s], query, run, r, c, heads, weight);
      }
    }
  }
  wait_copies<0>();
  __syncthreads();  // the pages' place is taken by what is merged

  // Warps.
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    const float sum = sum_of_quad_rows(run.sum[j]);
    if (r == 0) merge.state[warp][2 * c + j] = {run.largest[j], sum};
#pragma unroll
    for (int w = 0; w < Page<D>::kChunks; ++w)
#pragma unroll
      for (int x = 0; x < 4; ++x)
        *reinterpret_cast<float2*>(&merge.out[warp][2 * c + j][64 * w + 8 * r + 2 * x]) = {run.out[w][x][j],
                                                                                           run.out[w][x][j + 2]};
  }
  __syncthreads();
  const int active = min(warps, end - begin);
  if (thread < heads) {
    float largest = minus_infinity();
    for (int w = 0; w < active; ++w) largest = fmaxf(largest, merge.state[w][thread].x);
    float sum = 0;
    for (int w = 0; w < active; ++w) {
      const float factor = rescale(merge.state[w][thread].x, largest);
      merge.factor[w][thread] = factor;
      sum += merge.state[w][thread].y * factor;
    }
    merge.all[thread] = {largest, sum};
    args.state_of_part[(static_cast<int64_t>(list) * gridDim.x + part) * heads + thread] = {largest, sum};
  }
  __syncthreads();
  float* const partial = args.partial + (static_cast<int64_t>(list) * gridDim.x + part) * heads * D;
  for (int x = thread; x < heads * D; x += static_cast<int>(blockDim.x)) {
    const int h = x / D;
    float sum = 0;
    for (int w = 0; w < active; ++w) sum += merge.factor[w][h] * merge.out[w][h][x % D];
    partial[x] = sum;
  }

  // Blocks: who comes last has everybody's.
  __threadfence();
  __syncthreads();
  if (thread == 0) merge.last = atomicAdd(&args.arrivals[list], 1u) + 1 == static_cast<uint32_t>(parts.used);
  __syncthreads();
  if (!merge.last) return;
  __threadfence();
  const float2* const states = args.state_of_part + static_cast<int64_t>(list) * gridDim.x * heads;
  for (int h = warp; h < heads; h += warps) {
    float largest = minus_infinity();
    for (int p = lane; p < parts.used; p += kWarp) largest = fmaxf(largest, __ldcg(&states[p * heads + h].x));
    for (int step = 16; step > 0; step /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, step));
    float sum = 0;
    for (int p = lane; p < parts.used; p += kWarp) {
      const float2 state = __ldcg(&states[p * heads + h]);
      const float factor = rescale(state.x, largest);
      merge.part_factor[h][p] = factor;
      sum += state.y * factor;
    }
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
    if (lane == 0) merge.all[h] = {largest, sum};
  }
  __syncthreads();
  for (int x = thread; x < heads * D / 4; x += static_cast<int>(blockDim.x)) {
    const int h = 4 * x / D;
    const auto* const column =
        reinterpret_cast<const float4*>(args.partial + static_cast<int64_t>(list) * gridDim.x * heads * D) + x;
    float4 sum = {0, 0, 0, 0};
#pragma unroll 16
    for (int p = 0; p < parts.used; ++p) {
      const float4 part_out = __ldcg(column + static_cast<int64_t>(p) * heads * (D / 4));
      const float factor = merge.part_factor[h][p];
      sum.x += factor * part_out.x;
      sum.y += factor * part_out.y;
      sum.z += factor * part_out.z;
      sum.w += factor * part_out.w;
    }
    const float total = merge.all[h].y;
    const float inverse = total == 0 ? 0.0f : 1.0f / total;
    reinterpret_cast<float4*>(args.out + static_cast<int64_t>(list) * heads * D)[x] = {
        sum.x * inverse, sum.y * inverse, sum.z * inverse, sum.w * inverse};
  }
  if (thread == 0) {
    args.arrivals[list] = 0;
    if (args.counters != nullptr)
      atomicAdd(reinterpret_cast<unsigned long long*>(args.counters + 1), static_cast<unsigned long long>(entries));
  }
  if (kMass) {
    for (int32_t i = thread; i < entries; i += static_cast<int32_t>(blockDim.x)) {
      float mass = 0;
      for (int h = 0; h < heads; ++h)
        if (merge.all[h].y > 0)
          mass += exp2_fast(__ldcg(&args.page_weight[(list * args.weight_stride + i) * heads + h]) - merge.all[h].x) /
                  merge.all[h].y;
      atomicAdd(&args.page_mass[chosen != nullptr ? chosen[i].index : i], mass);
    }
  }
}

template <int D>
void launch_attend(const AttendPages& args, cudaStream_t stream) {
  const DeviceLimits limits = device_limits();
  constexpr int kWarpBytes = kStages * Page<D>::kBytes;
  const int warps = std::min(kMostWarps, limits.shared_bytes / kWarpBytes);
  const size_t shared = std::max(static_cast<size_t>(warps) * kWarpBytes, sizeof(Merge<D>));
  const dim3 grid(static_cast<unsigned>(attend_parts(args.lists)), static_cast<unsigned>(args.lists));
  launch<AttendPages>(args.page_mass != nullptr ? attend_kernel<D, true> : attend_kernel<D, false>, grid, warps * kWarp,
                      shared, 1, limits, args, stream, "attend");
}

}  // namespace

int32_t attend_parts(int32_t lists) {
  return std::max(1, std::min(kMostParts, device_limits().multiprocessors / lists));
}

void attend_pages(const AttendPages& args, cudaStream_t stream) {
  check_kv(args.kv, "attend");
  if (args.lists <= 0 || args.heads % args.lists != 0 || args.heads / args.lists > kMaxGroup)
    throw Error("unsupported-model", "the CUDA backend runs up to 8 query heads for each KV head", "attend");
  if (args.kv.head_size == 64)
    launch_attend<64>(args, stream);
  else
    launch_attend<128>(args, stream);
}

}  // namespace quire::cuda
