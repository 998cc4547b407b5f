// score.cu — how much each page of the list may matter to a query token, from its summary alone.
//
//   mean/spread  s[h,i] = Σ_d q[h,d]·mean[i,d] + c·|q[h,d]|·spread[i,d]
//   min/max      s[h,i] = Σ_d max(q[h,d]·min[i,d], q[h,d]·max[i,d]) = Σ_d min(q[h,d], 0)·min[i,d] + max(q[h,d], 0)·max[i,d]
//
// Both are the product of a summary, read as one row of 2·D channels, with a vector made of the query once. So 16 pages ×
// 2·D channels × the group's query heads is a matrix product, and the tensor cores do it while memory is being read.
//
// q          [H, D]               f32  one token, after RoPE; |q| < 65504
// summaries  [G, slots, 2, D]     f16  slots in the list's order are list.slot[i]; or u8 with grid [G, 2·D] (summary_codes.cu)
// scores     [H, stride]          f32  out, the list's order; what forced pages get means nothing
// partial    [H, blocks] (m, z)   f32  out: maximum of a block's pages and Σ e^((s − m)/√D), forced pages left out, for select
//
// Grid (blocks, G): each block walks over the pages of one KV head, a warp takes 16 at a time and copies its next tiles to
// shared memory meanwhile, 512 contiguous bytes an instruction; warps wait for nobody. List and summaries are as the last step
// left them, but for pages that are forced: so the first tiles travel while the kernel before this one still makes the query.
// Reads n·G·4·D bytes, of codes 2·D, once for all heads of a group: bandwidth-bound (docs/selection-cuda.md).
// The vector is split into two halves of f16 (device_tensor.cuh), so a score has about the precision of f32.
// n ≤ budget: nothing is done, as all pages are taken. Limits: attention.h. Twin: plain_score.cpp.
// Method: Quest, arXiv:2406.10774; mean and spread: DESIGN.
#include <algorithm>

#include "native/kernels/cuda/attention.h"
#include "native/kernels/cuda/device_launch.cuh"
#include "native/kernels/cuda/device_score.cuh"
#include "native/kernels/cuda/device_summary.cuh"
#include "native/kernels/cuda/device_tensor.cuh"
#include "native/kernels/cuda/device_vote.cuh"

namespace quire::cuda {
namespace {

// Tiles on their way per warp: with 8 warps a multiprocessor twice latency × bandwidth of an H100; codes are smaller tiles.
template <bool kCodes>
constexpr int kStages = kCodes ? 6 : 3;
constexpr int kMostWarps = 4;  // of a block; two blocks a multiprocessor

template <int D, bool kCodes>
__global__ void __launch_bounds__(kMostWarps* kWarp, 2) score_kernel(ScorePages args) {
  extern __shared__ __align__(16) unsigned char shared[];
  const int32_t n = args.state->pages;
  if (n <= args.selection.budget_pages) {
    wait_for_former();
    return;
  }
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  const int r = lane / 4;
  const int c = lane % 4;
  const int64_t g = blockIdx.y;
  const int group = args.heads / args.kv.kv_heads;
  const int32_t tiles = (n + kTilePages - 1) / kTilePages;
  const int32_t stride = static_cast<int32_t>(gridDim.x) * warps;
  const int32_t first = static_cast<int32_t>(blockIdx.x) * warps + warp;

  using T = Tile<D, kCodes>;
  constexpr int kStages = quire::cuda::kStages<kCodes>;
  unsigned char* const fifo = shared + warp * kStages * T::kBytes;
  const unsigned char* const summaries = summary_rows<D, kCodes>(args.kv, g);
  __shared__ float4 grid[kCodes ? kGridPieces<D> : 1];
  if (kCodes)
    fetch_grid<D>(grid, args.kv.grid + g * 2 * D, static_cast<int>(threadIdx.x), static_cast<int>(blockDim.x));
  // A lane's slot is that of row l mod 16.
  const auto slot_of = [&](int32_t tile) { return args.list.slot[min(tile * kTilePages + lane % kTilePages, n - 1)]; };
  const auto fetch = [&](int stage, int32_t slot) {
    fetch_tile<D, kCodes>(fifo + stage * T::kBytes, summaries, slot, lane);
  };

#pragma unroll
  for (int s = 0; s < kStages - 1; ++s) {
    const int32_t tile = first + s * stride;
    if (tile < tiles) fetch(s, slot_of(tile));
    close_copies();
  }
  int32_t ahead = first + (kStages - 1) * stride;
  int32_t slot = ahead < tiles ? slot_of(ahead) : 0;
  wait_for_former();
  let_next_start();
  if (kCodes) {
    wait_copies<kStages - 1>();  // the grid, which went before the tiles
    __syncthreads();
  }
  const Weights<D> weights = make_weights<D, kCodes>(args.selection, args.q + (g * group + r) * D, r < group, grid);

  // The lane's two heads are 2c and 2c + 1; what it sees of their pages.
  const float scale = rsqrtf(static_cast<float>(D)) * kLog2E;
  Vote2 seen[2];
  int stage = 0;
  for (int32_t tile = first; tile < tiles; tile += stride) {
    wait_copies<kStages - 2>();
    __syncwarp();  // the tile is there for all lanes, and all are done with the one before it
    if (ahead < tiles) fetch((stage + kStages - 1) % kStages, slot);
    close_copies();
    ahead += stride;
    if (ahead < tiles) slot = slot_of(ahead);
    const unsigned char* const from = fifo + stage * T::kBytes;
    float score[4];
    score_tile<D, kCodes>(from, weights, r, c, score);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int32_t i = tile * kTilePages + r + (j >= 2 ? 8 : 0);
      const int head = 2 * c + j % 2;
      if (i < n && head < group) {
        args.scores[(g * group + head) * args.stride + i] = score[j];
        if (i >= args.selection.sink_pages && i < n - args.selection.recent_pages) seen[j % 2].add(score[j], scale);
      }
    }
    stage = (stage + 1) % kStages;
  }

  // Lanes with the same c share their heads; then warps.
#pragma unroll
  for (int j = 0; j < 2; ++j)
    for (int step = 4; step < kWarp; step *= 2) {
      const Vote2 other{__shfl_xor_sync(~0u, seen[j].largest, step), __shfl_xor_sync(~0u, seen[j].sum, step)};
      seen[j].add(other, scale);
    }
  __shared__ float2 of_warp[kMostWarps][kMaxGroup];
  if (r == 0)
    for (int j = 0; j < 2; ++j) of_warp[warp][2 * c + j] = {seen[j].largest, seen[j].sum};
  __syncthreads();
  const int head = static_cast<int>(threadIdx.x);
  if (head < group) {
    Vote2 all;
    for (int w = 0; w < warps; ++w) all.add(Vote2(of_warp[w][head].x, of_warp[w][head].y), scale);
    args.partial[(g * group + head) * gridDim.x + blockIdx.x] = {all.largest, all.sum};
  }
}

template <int D, bool kCodes>
void launch_score(const ScorePages& args, cudaStream_t stream) {
  const DeviceLimits limits = device_limits();
  constexpr int kWarpBytes = kStages<kCodes> * Tile<D, kCodes>::kBytes;
  const int warps = std::min(kMostWarps, (limits.shared_bytes - 4096) / kWarpBytes);
  const dim3 grid(static_cast<unsigned>(score_blocks(args.kv.kv_heads)), static_cast<unsigned>(args.kv.kv_heads));
  launch<ScorePages>(score_kernel<D, kCodes>, grid, warps * kWarp, static_cast<size_t>(warps) * kWarpBytes, 1, limits,
                     args, stream, "score");
}

}  // namespace

int32_t score_blocks(int32_t kv_heads) { return std::max(1, 2 * device_limits().multiprocessors / kv_heads); }

void score_pages(const ScorePages& args, cudaStream_t stream) {
  check_kv(args.kv, "score");
  if (args.heads % args.kv.kv_heads != 0 || args.heads / args.kv.kv_heads > kMaxGroup)
    throw Error("unsupported-model", "the CUDA backend runs up to 8 query heads for each KV head", "score");
  const bool codes = args.kv.codes != nullptr;
  if (args.kv.head_size == 64)
    codes ? launch_score<64, true>(args, stream) : launch_score<64, false>(args, stream);
  else
    codes ? launch_score<128, true>(args, stream) : launch_score<128, false>(args, stream);
}

}  // namespace quire::cuda
