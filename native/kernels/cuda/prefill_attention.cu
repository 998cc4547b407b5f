// prefill_attention.cu — exact attention of a chunk's tokens over one list of pages, on tensor cores.
//
//   out[t, h] = Σ_j p_j · v_j     p_j = e^(s_j − m) / Σ_i e^(s_i − m)     s_j = scale · q[t, h]·k_j     m = max_j s_j
//
// q        [T, H, D], stride      f32   after RoPE; multiplied with the scale and rounded to f16
// pages    [G, slots, 2, P, D]    f16
// visible  [T]                    all pages before `page`, and the first `count` tokens of `page`
// out      [T, H, D]              f32, f16 or both
//
// Grid (⌈T·H/G / 128⌉, G), block 256. The query heads of a KV head stand under each other as rows (row = t · H/G + head), so
// keys and values are read once for all of them; a warp owns 16 rows. Keys go by in blocks of 4 pages, counted from the list's
// beginning, the next block on its way (cp.async) while one is multiplied; maximum, sum and output are carried from block to
// block (FlashAttention-2, arXiv:2307.08691). A row's operations and their order depend on the list and its own visibility
// only: a block of keys that it does not see changes no bit of it. So K and V of a token do not depend on the chunk.
// 4·D operations for each row and key. Unused places of part pages are copied as zeros and masked.
// Where a chunk is read sparsely (reading.cu), the grid has a query block in z, and the list is what that block chose and its own.
// Limits: attention.h. T == 0 is a no-op. A row that sees nothing gives zeros. Twin: plain_attend.cpp.
#include <algorithm>

#include "native/kernels/cuda/attention.h"
#include "native/kernels/cuda/device_launch.cuh"
#include "native/kernels/cuda/device_summary.cuh"
#include "native/kernels/cuda/device_tensor.cuh"
#include "native/kernels/cuda/device_vote.cuh"

namespace quire::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kRows = 16 * kWarps;
constexpr int kKeys = kKeyBlockPages * kPageTokens;
constexpr int kStages = 2;

template <int D>
struct Block {
  static constexpr int kChunks = D / 8;  // of 16 bytes in a row
  static constexpr int kHalfBytes = kKeys * D * 2;
  static constexpr int kBytes = 2 * kHalfBytes;  // keys, then values
  // Eight rows of one column of chunks, which ldmatrix reads at once, lie in different banks.
  __device__ static int place(int row, int chunk) { return row * D * 2 + (chunk ^ (row & 7)) * 16; }
};

__device__ inline void copy16_or_zero(void* shared, const void* global, bool present) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global), "r"(present ? 16 : 0)
               : "memory");
}

// Four 8×8 matrices whose rows' addresses the lanes give, eight each.
template <bool kTransposed>
__device__ inline void load_matrices(uint32_t (&out)[4], const void* row) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  if (kTransposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address)
                 : "memory");
}

// The pages that a block of rows attends to: the list, or those that its query block chose, then that block's own.
template <bool kChosen>
struct Entries {
  DeviceList list;
  const ChosenPage* chosen;
  int32_t chosen_count, own;                     // entries of `chosen`; where in the list those after them begin
  __device__ int2 operator[](int32_t i) const {  // slot and count
    if (kChosen && i < chosen_count) return {chosen[i].slot, chosen[i].count};
    const int32_t at = kChosen ? own + i - chosen_count : i;
    return {list.slot[at], list.count[at]};
  }
};

template <int D, bool kChosen>
__device__ void fetch_keys(unsigned char* to, const Entries<kChosen>& entries, const __half* pages, int32_t first,
                           int32_t last) {
#pragma unroll
  for (int x = static_cast<int>(threadIdx.x); x < kKeys * Block<D>::kChunks; x += kWarps * kWarp) {
    const int row = x / Block<D>::kChunks;
    const int chunk = x % Block<D>::kChunks;
    const int32_t i = min(first + row / kPageTokens, last);
    const int token = row % kPageTokens;
    const int2 entry = entries[i];
    const bool present = first + row / kPageTokens <= last && token < entry.y;
    const __half* const key = pages + static_cast<int64_t>(entry.x) * 2 * kPageTokens * D + token * D + 8 * chunk;
    copy16_or_zero(to + Block<D>::place(row, chunk), key, present);
    copy16_or_zero(to + Block<D>::kHalfBytes + Block<D>::place(row, chunk), key + kPageTokens * D, present);
  }
}

template <int D, bool kChosen>
__global__ void __launch_bounds__(kWarps* kWarp, 1) prefill_kernel(PrefillAttention args) {
  extern __shared__ __align__(128) unsigned char shared[];
  wait_for_former();
  let_next_start();
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int r = lane / 4;
  const int c = lane % 4;
  const int64_t g = blockIdx.y;
  const int group = args.heads / args.kv.kv_heads;
  ReadingBlock block = {};
  if (kChosen) block = args.blocks[blockIdx.z];
  const int64_t rows = (kChosen ? block.tokens : args.tokens) * group;
  const int64_t task = kChosen ? static_cast<int64_t>(blockIdx.z) * args.kv.kv_heads + g : 0;
  const Entries<kChosen> entries = {args.list, kChosen ? args.chosen + task * args.budget_pages : nullptr,
                                    kChosen ? args.chosen_count[task] : 0, block.first_page};
  // Late rows see most: they start first.
  const int64_t first_row = static_cast<int64_t>(gridDim.x - 1 - blockIdx.x) * kRows;
  if (first_row >= rows) return;
  const __half* const pages = args.kv.pages + g * args.kv.slots * 2 * kPageTokens * D;

  // What the lane's two rows see, and the block's last page.
  __shared__ int32_t last_page;
  if (threadIdx.x == 0) last_page = -1;
  __syncthreads();
  int64_t token[2];
  int32_t page[2], count[2];
  bool present[2];
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    const int64_t row = first_row + warp * 16 + r + 8 * j;
    present[j] = row < rows;
    token[j] = block.first_token + min(row, rows - 1) / group;
    const Visible seen = args.visible[token[j]];
    page[j] = present[j] ? seen.page - (kChosen ? block.first_page - entries.chosen_count : 0) : -1;
    count[j] = seen.count;
    if (present[j] && c == 0) atomicMax(&last_page, page[j]);
  }
  __syncthreads();
  const int32_t last = last_page;
  const int32_t blocks = (last + kKeyBlockPages) / kKeyBlockPages;
  if (blocks > 0) fetch_keys<D, kChosen>(shared, entries, pages, 0, last);
  close_copies();

  uint32_t q[D / 16][4];
  int64_t out_at[2];
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    const int64_t row = min(first_row + warp * 16 + r + 8 * j, rows - 1);
    const int64_t head = g * group + row % group;
    out_at[j] = (token[j] * args.heads + head) * D;
    const float* const from = args.q + token[j] * args.stride + head * D;
    const float scale = args.scale * kLog2E;
#pragma unroll
    for (int k = 0; k < D / 16; ++k) {
      q[k][j] = pack(from[16 * k + 2 * c] * scale, from[16 * k + 2 * c + 1] * scale);
      q[k][j + 2] = pack(from[16 * k + 2 * c + 8] * scale, from[16 * k + 2 * c + 9] * scale);
    }
  }

  float out[D / 8][4] = {};
  float largest[2] = {minus_infinity(), minus_infinity()};
  float sum[2] = {0, 0};
  for (int32_t b = 0; b < blocks; ++b) {
    wait_copies<0>();
    __syncthreads();  // this block's keys are there, and nobody reads the block before any more
    if (b + 1 < blocks)
      fetch_keys<D, kChosen>(shared + (b + 1) % kStages * Block<D>::kBytes, entries, pages, (b + 1) * kKeyBlockPages,
                             last);
    close_copies();
    const unsigned char* const keys = shared + b % kStages * Block<D>::kBytes;
    const unsigned char* const values = keys + Block<D>::kHalfBytes;

    float score[kKeys / 8][4] = {};
#pragma unroll
    for (int k = 0; k < D / 16; ++k)
#pragma unroll
      for (int n = 0; n < kKeys / 16; ++n) {
        uint32_t m[4];
        load_matrices<false>(m, keys + Block<D>::place(16 * n + lane % 8 + 8 * (lane / 16), 2 * k + lane / 8 % 2));
        multiply(score[2 * n], q[k][0], q[k][1], q[k][2], q[k][3], m[0], m[1]);
        multiply(score[2 * n + 1], q[k][0], q[k][1], q[k][2], q[k][3], m[2], m[3]);
      }
    // A page's tokens are two tiles of 8 keys.
#pragma unroll
    for (int p = 0; p < kKeyBlockPages; ++p) {
      const int32_t i = b * kKeyBlockPages + p;
      const int32_t filled = i <= last ? entries[i].y : 0;
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int32_t limit = i < page[j] ? filled : i == page[j] ? min(filled, count[j]) : 0;
        if (limit == kPageTokens) continue;
#pragma unroll
        for (int x = 0; x < 4; ++x) {
          const int key = 8 * (x / 2) + 2 * c + x % 2;
          if (key >= limit) score[2 * p + x / 2][2 * j + x % 2] = minus_infinity();
        }
      }
    }
    float kept[2], base[2];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      float now = largest[j];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) now = fmaxf(now, fmaxf(score[n][2 * j], score[n][2 * j + 1]));
      now = fmaxf(now, __shfl_xor_sync(~0u, now, 1));
      now = fmaxf(now, __shfl_xor_sync(~0u, now, 2));
      base[j] = now == minus_infinity() ? 0.0f : now;
      kept[j] = exp2_fast(largest[j] - base[j]);
      largest[j] = now;
      sum[j] *= kept[j];
    }
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
      for (int x = 0; x < 4; ++x) {
        score[n][x] = exp2_fast(score[n][x] - base[x / 2]);
        sum[x / 2] += score[n][x];
      }
#pragma unroll
    for (int d = 0; d < D / 8; ++d) {
      out[d][0] *= kept[0];
      out[d][1] *= kept[0];
      out[d][2] *= kept[1];
      out[d][3] *= kept[1];
    }
#pragma unroll
    for (int k = 0; k < kKeys / 16; ++k) {
      const uint32_t p0 = pack(score[2 * k][0], score[2 * k][1]), p1 = pack(score[2 * k][2], score[2 * k][3]);
      const uint32_t p2 = pack(score[2 * k + 1][0], score[2 * k + 1][1]),
                     p3 = pack(score[2 * k + 1][2], score[2 * k + 1][3]);
#pragma unroll
      for (int d = 0; d < D / 16; ++d) {
        uint32_t m[4];
        load_matrices<true>(m, values + Block<D>::place(16 * k + lane % 16, 2 * d + lane / 16));
        multiply(out[2 * d], p0, p1, p2, p3, m[0], m[1]);
        multiply(out[2 * d + 1], p0, p1, p2, p3, m[2], m[3]);
      }
    }
  }

#pragma unroll
  for (int j = 0; j < 2; ++j) {
    float total = sum[j];
    total += __shfl_xor_sync(~0u, total, 1);
    total += __shfl_xor_sync(~0u, total, 2);
    const float inverse = total == 0 ? 0.0f : 1.0f / total;
    if (!present[j]) continue;
#pragma unroll
    for (int d = 0; d < D / 8; ++d) {
      const float low = out[d][2 * j] * inverse, high = out[d][2 * j + 1] * inverse;
      const int64_t at = out_at[j] + 8 * d + 2 * c;
      if (args.out != nullptr) *reinterpret_cast<float2*>(args.out + at) = {low, high};
      if (args.out_half != nullptr) *reinterpret_cast<uint32_t*>(args.out_half + at) = pack(low, high);
    }
  }
}

template <int D>
void launch_prefill(const PrefillAttention& args, cudaStream_t stream) {
  const DeviceLimits limits = device_limits();
  const bool chosen = args.blocks != nullptr;
  const int64_t tokens = chosen ? kQueryPages * kPageTokens : args.tokens;
  const int64_t rows = tokens * (args.heads / args.kv.kv_heads);
  const dim3 grid(static_cast<unsigned>((rows + kRows - 1) / kRows), static_cast<unsigned>(args.kv.kv_heads),
                  chosen ? static_cast<unsigned>(args.block_count) : 1u);
  launch<PrefillAttention>(chosen ? prefill_kernel<D, true> : prefill_kernel<D, false>, grid, kWarps * kWarp,
                           kStages * Block<D>::kBytes, 1, limits, args, stream, "prefill_attention");
}

}  // namespace

void prefill_attention(const PrefillAttention& args, cudaStream_t stream) {
  check_kv(args.kv, "prefill_attention");
  if (args.heads % args.kv.kv_heads != 0)
    throw Error("unsupported-model", "the query heads are not a multiple of the KV heads", "prefill_attention");
  if (args.blocks == nullptr ? args.tokens == 0 : args.block_count == 0) return;
  if (args.kv.head_size == 64)
    launch_prefill<64>(args, stream);
  else
    launch_prefill<128>(args, stream);
}

}  // namespace quire::cuda
