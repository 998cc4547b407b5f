// reading.cu — sparse reading: the query blocks of a chunk choose their pages and attend to them.
//
//   query[b, r, h]  = (Σ_{t of page r of block b} q[t, h]) · 1/|r|
//   score, vote, top as in a step (score.cu, select.cu), over the pages before the block, all rows of a KV head voting together
//   attend          to the chosen pages in order, then the block's own, each token as far as it sees (prefill_attention.cu)
//
// q, visible   of the chunk's tokens      blocks [B] on the device: up to kQueryPages pages of one document
// queries      [B, G, R, D]          f32  R = kQueryPages·H/G rows, those of the block's own pages used
// scores       [B, G, R, stride]     f32  partial [B, G, R, chunks]: maximum and sum of e^((s − maximum)/√D)
// chosen       [B, G, budget]             what selection left; all of them where there are no more pages than the budget
//
// Score: grid (chunks of kChunkPages, G, B), 4 warps. Summaries come by in runs of 4 tiles, copied ahead (cp.async), and are
// multiplied with 8 rows a warp; where a block has fewer than 32 rows warps share the run's tiles instead. Reads n·4·D bytes a
// block and KV head, mostly from the second-level cache, 4·D·R operations a page: the tensor cores bound it.
// Meaning: Forward::attend_blocks (native/decode/forward_attend.cpp); twins of its parts: plain_score.cpp, plain_select.cpp,
// plain_attend.cpp. Limits: attention.h. The blocks are done in batches that fit the workspace.
#include <algorithm>

#include "native/kernels/cuda/attention.h"
#include "native/kernels/cuda/device_launch.cuh"
#include "native/kernels/cuda/device_score.cuh"
#include "native/kernels/cuda/device_summary.cuh"
#include "native/kernels/cuda/device_vote.cuh"

namespace quire::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kStages = 2;  // runs of kWarps tiles
constexpr int kChunkPages = kReadingChunk;
constexpr int kRunPages = kWarps * kTilePages;

struct Args {
  PageSelection selection;
  const float* q;
  int64_t stride;
  int32_t heads;
  DeviceKv kv;
  DeviceList list;
  const ReadingBlock* blocks;
  float* queries;
  float* scores;
  int64_t score_stride;
  float2* partial;
  int32_t chunks;
};

// Grid (B·kQueryPages, H), block D.
__global__ void mean_queries(Args args) {
  wait_for_former();
  let_next_start();
  const ReadingBlock block = args.blocks[blockIdx.x / kQueryPages];
  const int32_t page = static_cast<int32_t>(blockIdx.x) % kQueryPages;
  const int32_t count = min(kPageTokens, static_cast<int>(block.tokens - page * kPageTokens));
  if (count <= 0) return;
  const int d = static_cast<int>(threadIdx.x);
  const int32_t head = static_cast<int32_t>(blockIdx.y);
  const int32_t group = args.heads / args.kv.kv_heads;
  const float* q = args.q + (block.first_token + page * kPageTokens) * args.stride + head * args.kv.head_size + d;
  float sum = 0;
  for (int32_t t = 0; t < count; ++t) sum = __fadd_rn(sum, q[t * args.stride]);
  const int64_t task = static_cast<int64_t>(blockIdx.x / kQueryPages) * args.kv.kv_heads + head / group;
  args.queries[((task * kQueryPages + page) * group + head % group) * args.kv.head_size + d] =
      __fmul_rn(sum, 1.0f / static_cast<float>(count));
}

template <int D>
__global__ void __launch_bounds__(kWarps* kWarp) score_blocks_kernel(Args args) {
  extern __shared__ __align__(16) unsigned char shared[];
  wait_for_former();
  let_next_start();
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int r = lane / 4;
  const int c = lane % 4;
  const ReadingBlock block = args.blocks[blockIdx.z];
  const int32_t n = block.first_page;
  const int32_t begin = static_cast<int32_t>(blockIdx.x) * kChunkPages;
  const int32_t end = min(n, begin + kChunkPages);
  if (begin >= end) return;
  const int32_t group = args.heads / args.kv.kv_heads;
  const int32_t rows = (block.tokens + kPageTokens - 1) / kPageTokens * group;
  const int64_t g = blockIdx.y;
  const int64_t task = static_cast<int64_t>(blockIdx.z) * args.kv.kv_heads + g;
  const int64_t first_row = task * kQueryPages * group;
  const unsigned char* const summaries = summary_rows<D>(args.kv, g);
  // A warp's eight rows, and which tiles of a run it takes.
  const int parts = rows > 16 ? 4 : rows > 8 ? 2 : 1;
  const int part = warp % parts;
  const int tile_step = kWarps / parts;
  const Weights<D> weights =
      make_weights<D>(args.selection, args.queries + (first_row + 8 * part + r) * D, 8 * part + r < rows);

  const auto fetch = [&](int32_t first, int stage) {
    const int32_t tile = first + warp * kTilePages;
    if (tile < end)
      fetch_tile<D>(shared + (stage * kWarps + warp) * Tile<D>::kBytes, summaries,
                    args.list.slot[min(tile + lane % kTilePages, end - 1)], lane);
    close_copies();
  };
  fetch(begin, 0);
  const float scale = rsqrtf(static_cast<float>(D)) * kLog2E;
  float largest[2] = {minus_infinity(), minus_infinity()}, sum[2] = {0, 0};
  int stage = 0;
  for (int32_t first = begin; first < end; first += kRunPages) {
    wait_copies<0>();
    __syncthreads();  // this run is there, and nobody reads the one before it any more
    fetch(first + kRunPages, stage ^ 1);
    for (int t = warp / parts; t < kWarps; t += tile_step) {
      const int32_t i = first + t * kTilePages + r;
      if (first + t * kTilePages >= end) break;
      float score[4];
      score_tile<D>(shared + (stage * kWarps + t) * Tile<D>::kBytes, weights, r, c, score);
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int row = 8 * part + 2 * c + j;
        float seen[2];
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          const int32_t page = i + 8 * k;
          const float s = score[j + 2 * k];
          if (row < rows && page < end) args.scores[(first_row + row) * args.score_stride + page] = s;
          const bool votes = page >= args.selection.sink_pages && page < min(end, n - args.selection.recent_pages);
          seen[k] = votes ? number(s) * scale : minus_infinity();
        }
        const float now = fmaxf(largest[j], fmaxf(seen[0], seen[1]));
        const float base = now == minus_infinity() ? 0.0f : now;
        sum[j] = sum[j] * exp2_fast(largest[j] - base) + exp2_fast(seen[0] - base) + exp2_fast(seen[1] - base);
        largest[j] = now;
      }
    }
    stage ^= 1;
  }
  wait_copies<0>();
  __shared__ float2 of_warp[kWarps][kMaxGroup];
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    float all = largest[j];
    for (int step = 4; step < kWarp; step *= 2) all = fmaxf(all, __shfl_xor_sync(~0u, all, step));
    float total = largest[j] == minus_infinity() ? 0.0f : sum[j] * exp2_fast(largest[j] - all);
    for (int step = 4; step < kWarp; step *= 2) total += __shfl_xor_sync(~0u, total, step);
    if (r == 0) of_warp[warp][2 * c + j] = {all, total};
  }
  __syncthreads();
  const int row = static_cast<int>(threadIdx.x);
  if (row >= rows) return;
  float all = minus_infinity(), total = 0;
  for (int w = row / 8; w < kWarps; w += parts) all = fmaxf(all, of_warp[w][row % 8].x);
  for (int w = row / 8; w < kWarps; w += parts)
    if (of_warp[w][row % 8].y > 0) total += of_warp[w][row % 8].y * exp2_fast(of_warp[w][row % 8].x - all);
  // select.cu wants the maximum of the scores themselves.
  args.partial[(first_row + row) * args.chunks + blockIdx.x] = {all / scale, total};
}

struct Sizes {
  int64_t rows, stride, chunks, budget;
  int64_t bytes_of_block;
};

Sizes sizes_of(const ReadingAttention& args) {
  Sizes sizes;
  sizes.rows = static_cast<int64_t>(kQueryPages) * args.heads;  // of a block, all KV heads
  sizes.stride = (args.most_pages + 31) / 32 * 32;
  sizes.chunks = (args.most_pages + kChunkPages - 1) / kChunkPages;
  sizes.budget = args.selection.budget_pages;
  sizes.bytes_of_block = sizes.rows * (args.kv.head_size + sizes.stride + 2 * sizes.chunks) * 4 +
                         args.kv.kv_heads * (sizes.stride * 4 + sizes.budget * 16 + 256) + 1024;
  return sizes;
}

template <int D>
void score_blocks_of(const Args& args, const dim3& grid, const DeviceLimits& limits, cudaStream_t stream) {
  launch<Args>(score_blocks_kernel<D>, grid, kWarps * kWarp, static_cast<size_t>(kStages) * kWarps * Tile<D>::kBytes, 1,
               limits, args, stream, "reading: score");
}

}  // namespace

int64_t reading_workspace(const ReadingAttention& args) {
  return sizes_of(args).bytes_of_block * std::min(args.block_count, kReadingBatch);
}

void reading_attention(const ReadingAttention& args, cudaStream_t stream) {
  check_kv(args.kv, "reading");
  if (args.heads % args.kv.kv_heads != 0 || args.heads / args.kv.kv_heads > kMaxGroup)
    throw Error("unsupported-model", "the CUDA backend runs up to 8 query heads for each KV head", "reading");
  const DeviceLimits limits = device_limits();
  const Sizes sizes = sizes_of(args);
  const int32_t g = args.kv.kv_heads;
  for (int32_t first = 0; first < args.block_count; first += kReadingBatch) {
    const int32_t count = std::min(kReadingBatch, args.block_count - first);
    const int64_t tasks = static_cast<int64_t>(count) * g;
    auto* at = static_cast<unsigned char*>(args.workspace);
    const auto take = [&](int64_t bytes) {
      unsigned char* const piece = at;
      at += (bytes + 255) / 256 * 256;
      return piece;
    };
    Args score = {};
    score.selection = args.selection;
    score.q = args.q;
    score.stride = args.stride;
    score.heads = args.heads;
    score.kv = args.kv;
    score.list = args.list;
    score.blocks = args.blocks + first;
    score.queries = reinterpret_cast<float*>(take(count * sizes.rows * args.kv.head_size * 4));
    score.scores = reinterpret_cast<float*>(take(count * sizes.rows * sizes.stride * 4));
    score.score_stride = sizes.stride;
    score.partial = reinterpret_cast<float2*>(take(count * sizes.rows * sizes.chunks * 8));
    score.chunks = static_cast<int32_t>(sizes.chunks);
    launch<Args>(mean_queries, dim3(static_cast<unsigned>(count * kQueryPages), static_cast<unsigned>(args.heads)),
                 args.kv.head_size, 0, 1, limits, score, stream, "reading: queries");
    const dim3 grid(static_cast<unsigned>(sizes.chunks), static_cast<unsigned>(g), static_cast<unsigned>(count));
    if (args.kv.head_size == 64)
      score_blocks_of<64>(score, grid, limits, stream);
    else
      score_blocks_of<128>(score, grid, limits, stream);

    SelectPages select;
    select.selection = args.selection;
    select.heads = static_cast<int32_t>(count * sizes.rows);
    select.kv_heads = static_cast<int32_t>(tasks);
    select.head_size = args.kv.head_size;
    select.list = args.list;
    select.blocks = args.blocks + first;
    select.lists_of_block = g;
    select.max_pages = args.most_pages;
    select.scores = score.scores;
    select.stride = sizes.stride;
    select.partial = score.partial;
    select.partial_blocks = score.chunks;
    select.votes = reinterpret_cast<float*>(take(tasks * sizes.stride * 4));
    select.chosen = reinterpret_cast<ChosenPage*>(take(tasks * sizes.budget * 16));
    select.chosen_count = reinterpret_cast<int32_t*>(take(tasks * 4));
    select_pages(select, stream);

    PrefillAttention attend;
    attend.q = args.q;
    attend.stride = args.stride;
    attend.out = args.out;
    attend.out_half = args.out_half;
    attend.heads = args.heads;
    attend.scale = args.scale;
    attend.kv = args.kv;
    attend.list = args.list;
    attend.visible = args.visible;
    attend.blocks = args.blocks + first;
    attend.block_count = count;
    attend.chosen = select.chosen;
    attend.chosen_count = select.chosen_count;
    attend.budget_pages = args.selection.budget_pages;
    prefill_attention(attend, stream);
  }
}

}  // namespace quire::cuda
