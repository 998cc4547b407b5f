// summary_codes.cu — the summaries of a list in 8 bits, so that scoring a long list reads half as much.
//
//   middle[d] = (max_i x[i,d] + min_i x[i,d]) / 2     step[d] = (max_i − min_i) / 254     over the list's pages i
//   code[i,d] = 128 + round((x[i,d] − middle[d]) / step[d]),   so that x ≈ middle + step·(code − 128), off by step/2 at most
//
// summaries [G, slots, 2, D] f16 → codes [G, slots, 2, D] u8, grid [G, 2·D] {middle, step}; partial [G, kRangeBlocks, 2·D] f32×2
//
// A grid is a channel's own: under Qwen2's key bias some channels are a hundred times larger than others, and what a channel has
// in common to all pages is its middle, which moves all scores alike and so chooses nothing. The codes are made when an answer begins
// (three kernels, each summary read twice); pages that fill later get theirs from the same grid (device_summary.cuh), cut off at
// its ends. An infinite key makes its channel's grid coarse for all pages.
// Reads 8·D bytes a page and KV head, writes 2·D: bandwidth-bound. An empty list: every code is 128. Twin: plain_summary_codes.h.
#include <algorithm>

#include "native/kernels/cuda/attention.h"
#include "native/kernels/cuda/device_launch.cuh"
#include "native/kernels/cuda/device_summary.cuh"

namespace quire::cuda {
namespace {

constexpr int kRangeBlocks = 64;  // a KV head's: enough to fill a device with 4 KV heads twice
constexpr int kCodeBlocks = 128;

struct Args {
  DeviceKv kv;
  float2* grid;
  DeviceList list;
  int64_t pages;
  float2* partial;
};

// A thread has two neighbouring channels of 2·D, a block every kRangeBlocks-th page.
__global__ void find_ranges(Args args) {
  wait_for_former();
  const int64_t g = blockIdx.y;
  const int size = args.kv.head_size;
  const auto* const rows = reinterpret_cast<const __half2*>(args.kv.summaries + g * args.kv.slots * 2 * size);
  const float infinity = __int_as_float(0x7f800000);
  float2 low = {infinity, infinity}, high = {-infinity, -infinity};
#pragma unroll 4
  for (int64_t i = blockIdx.x; i < args.pages; i += kRangeBlocks) {
    const float2 x = __half22float2(rows[static_cast<int64_t>(args.list.slot[i]) * size + threadIdx.x]);
    low = {fminf(low.x, x.x), fminf(low.y, x.y)};
    high = {fmaxf(high.x, x.x), fmaxf(high.y, x.y)};
  }
  float2* const out = args.partial + (g * kRangeBlocks + blockIdx.x) * 2 * size + 2 * threadIdx.x;
  out[0] = {low.x, high.x};
  out[1] = {low.y, high.y};
}

__global__ void make_grids(Args args) {
  wait_for_former();
  const int64_t g = blockIdx.x;
  const int size = args.kv.head_size;
  const float2* const partial = args.partial + g * kRangeBlocks * 2 * size + threadIdx.x;
  float low = __int_as_float(0x7f800000), high = -low;
  for (int b = 0; b < kRangeBlocks; ++b) {
    low = fminf(low, partial[b * 2 * size].x);
    high = fmaxf(high, partial[b * 2 * size].y);
  }
  const bool any = low <= high;
  args.grid[g * 2 * size + threadIdx.x] = {any ? __fmul_rn(0.5f, __fadd_rn(low, high)) : 0.0f,
                                           any ? __fdiv_rn(__fadd_rn(high, -low), 254.0f) : 0.0f};
}

// A thread has four neighbouring channels of 2·D.
__global__ void write_codes(Args args) {
  wait_for_former();
  const int64_t g = blockIdx.y;
  const int size = args.kv.head_size;
  const int d = 4 * static_cast<int>(threadIdx.x);
  float2 grid[4];
#pragma unroll
  for (int j = 0; j < 4; ++j) grid[j] = args.grid[g * 2 * size + d + j];
#pragma unroll 4
  for (int64_t i = blockIdx.x * blockDim.y + threadIdx.y; i < args.pages; i += kCodeBlocks * blockDim.y) {
    const int64_t at = (g * args.kv.slots + args.list.slot[i]) * 2 * size + d;
    const uint2 raw = *reinterpret_cast<const uint2*>(args.kv.summaries + at);
    const float2 first = __half22float2(*reinterpret_cast<const __half2*>(&raw.x));
    const float2 last = __half22float2(*reinterpret_cast<const __half2*>(&raw.y));
    *reinterpret_cast<uchar4*>(args.kv.codes + at) = {code_of(first.x, grid[0]), code_of(first.y, grid[1]),
                                                      code_of(last.x, grid[2]), code_of(last.y, grid[3])};
  }
}

}  // namespace

int64_t code_partials(const DeviceKv& kv) { return int64_t{kRangeBlocks} * kv.kv_heads * 2 * kv.head_size; }

void code_summaries(const DeviceKv& kv, float2* grid, const DeviceList& list, int64_t pages, float2* partial,
                    cudaStream_t stream) {
  check_kv(kv, "code_summaries");
  if (kv.codes == nullptr) throw Error("internal", "a layer without room for codes", "code_summaries");
  const Args args = {kv, grid, list, pages, partial};
  const auto heads = static_cast<unsigned>(kv.kv_heads);
  const auto size = static_cast<unsigned>(kv.head_size);
  find_ranges<<<dim3(kRangeBlocks, heads), size, 0, stream>>>(args);
  make_grids<<<heads, 2 * size, 0, stream>>>(args);
  write_codes<<<dim3(kCodeBlocks, heads), dim3(size / 2, 512 / size), 0, stream>>>(args);
  check_launch("code_summaries");
}

}  // namespace quire::cuda
