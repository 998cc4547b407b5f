// device_attend.cuh — one page's part in the attention of one token, a warp's work: what attend.cu and attention_cluster.cu share.
//
// page [2, P, D] f16, queries [8, D] f32 → running maximum, sum and output of a warp's pages, in the places of tensor-core
// tiles (device_tensor.cuh). A page lies in shared memory as fetch_page puts it there. Formula and reasons: attend.cu.
#pragma once

#include "native/kernels/cuda/attention.h"
#include "native/kernels/cuda/device_tensor.cuh"
#include "native/kernels/cuda/device_vote.cuh"

namespace quire::cuda {

constexpr int kMostWarps = 8;  // of a block that attends

template <int D>
struct Page {
  static constexpr int kSteps = D / 32;   // of keys: 32 channels, 8 for each of a quad's lanes
  static constexpr int kChunks = D / 64;  // of values: 64 channels, 8 for each r
  static constexpr int kRowBytes = 2 * D;
  static constexpr int kKeyBytes = kPageTokens * kRowBytes;
  static constexpr int kBytes = 2 * kKeyBytes;
  static constexpr int kRowChunks = kRowBytes / 16;
  static constexpr int kRows = kWarp / kRowChunks;  // that one instruction of a warp copies
  // Where a chunk of 16 bytes lies, so that the 8 lanes that read at once meet 32 different banks: of keys these are two
  // neighbouring rows, of values four rows of the same parity.
  __device__ static int key(int token, int chunk) { return token * kRowBytes + (chunk ^ (4 * (token & 1))) * 16; }
  __device__ static int value(int token, int chunk) {
    return kKeyBytes + token * kRowBytes + (chunk ^ (token & 6)) * 16;
  }
};

// What a warp has seen of its pages, for the lane's heads 2c and 2c + 1.
// out[w][j]: channels 64w + 8r + 2j and the next, of either head: (0, 1) the lower channel, (2, 3) the upper.
template <int D>
struct Running {
  float largest[2] = {minus_infinity(), minus_infinity()};
  float sum[2] = {0, 0};  // this lane's tokens only
  float out[Page<D>::kChunks][4][4] = {};
};

template <int D>
struct Query {
  SplitPair pair[Page<D>::kSteps][4];  // channels 32u + 8c .. + 7 of head l/4, times scale·log2(e)
};

template <int D>
__device__ Query<D> load_query(const float* q, bool present, float scale) {
  Query<D> query;
  const int c = static_cast<int>(threadIdx.x) % 4;
#pragma unroll
  for (int u = 0; u < Page<D>::kSteps; ++u) {
    float4 first = {0, 0, 0, 0}, last = {0, 0, 0, 0};
    if (present) {
      first = *reinterpret_cast<const float4*>(q + 32 * u + 8 * c);
      last = *reinterpret_cast<const float4*>(q + 32 * u + 8 * c + 4);
    }
    query.pair[u][0] = split(first.x * scale, first.y * scale);
    query.pair[u][1] = split(first.z * scale, first.w * scale);
    query.pair[u][2] = split(last.x * scale, last.y * scale);
    query.pair[u][3] = split(last.z * scale, last.w * scale);
  }
  return query;
}

template <int D>
__device__ void fetch_page(unsigned char* to, const __half* page, int lane) {
  const int chunk = lane % Page<D>::kRowChunks;
#pragma unroll 4
  for (int j = 0; j < kPageTokens / Page<D>::kRows; ++j) {
    const int token = j * Page<D>::kRows + lane / Page<D>::kRowChunks;
    copy16(to + Page<D>::key(token, chunk), page + token * D + 8 * chunk);
  }
#pragma unroll 4
  for (int j = 0; j < kPageTokens / Page<D>::kRows; ++j) {
    const int token = j * Page<D>::kRows + lane / Page<D>::kRowChunks;
    copy16(to + Page<D>::value(token, chunk), page + (kPageTokens + token) * D + 8 * chunk);
  }
}

__device__ inline float largest_of_quad_rows(float x) {
  for (int step = 4; step < kWarp; step *= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, step));
  return x;
}
__device__ inline float sum_of_quad_rows(float x) {
  for (int step = 4; step < kWarp; step *= 2) x += __shfl_xor_sync(~0u, x, step);
  return x;
}

template <int D, bool kMass>
__device__ void attend_page(const unsigned char* from, int32_t count, const Query<D>& query, Running<D>& run, int r,
                            int c, int heads, float* page_weight) {
  // scores of tokens r (0, 1) and r + 8 (2, 3), heads 2c and 2c + 1
  float high[4] = {}, low[4] = {};
#pragma unroll
  for (int u = 0; u < Page<D>::kSteps; ++u) {
    const uint4 a = *reinterpret_cast<const uint4*>(from + Page<D>::key(r, 4 * u + c));
    const uint4 b = *reinterpret_cast<const uint4*>(from + Page<D>::key(r + 8, 4 * u + c));
    multiply_split(high, low, a, b, query.pair[u]);
  }
  float score[4];
#pragma unroll
  for (int j = 0; j < 4; ++j)
    score[j] = r + (j >= 2 ? 8 : 0) < count ? (isinf(high[j]) ? high[j] : high[j] + low[j]) : minus_infinity();

  float kept[2], base[2];
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    const float now = fmaxf(run.largest[j], largest_of_quad_rows(fmaxf(score[j], score[j + 2])));
    base[j] = now == minus_infinity() ? 0.0f : now;
    kept[j] = exp2_fast(run.largest[j] - base[j]);
    run.largest[j] = now;
  }
  float p[4];
#pragma unroll
  for (int j = 0; j < 4; ++j) p[j] = exp2_fast(score[j] - base[j % 2]);
#pragma unroll
  for (int j = 0; j < 2; ++j) run.sum[j] = run.sum[j] * kept[j] + p[j] + p[j + 2];
  if (kMass) {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const float sum = sum_of_quad_rows(p[j] + p[j + 2]);
      if (r == 0 && 2 * c + j < heads) page_weight[2 * c + j] = base[j] + log2f(sum);
    }
  }

  const uint32_t first_half = transposed(pack(p[0], p[1]));   // tokens 2c, 2c + 1 of head r
  const uint32_t second_half = transposed(pack(p[2], p[3]));  // tokens 2c + 8, 2c + 9
#pragma unroll
  for (int w = 0; w < Page<D>::kChunks; ++w) {
    uint32_t v[4][4];  // [token][pair of channels]
#pragma unroll
    for (int t = 0; t < 4; ++t) {
      const int token = 2 * c + (t & 1) + (t >= 2 ? 8 : 0);
      uint4 x = *reinterpret_cast<const uint4*>(from + Page<D>::value(token, 8 * w + r));
      if (token >= count) x = make_uint4(0, 0, 0, 0);
      v[t][0] = x.x;
      v[t][1] = x.y;
      v[t][2] = x.z;
      v[t][3] = x.w;
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      float (&out)[4] = run.out[w][j];
      out[0] *= kept[0];
      out[1] *= kept[1];
      out[2] *= kept[0];
      out[3] *= kept[1];
      multiply(out, __byte_perm(v[0][j], v[1][j], 0x5410), __byte_perm(v[0][j], v[1][j], 0x7632),
               __byte_perm(v[2][j], v[3][j], 0x5410), __byte_perm(v[2][j], v[3][j], 0x7632), first_half, second_half);
    }
  }
}

// Fewer entries than this are not worth a block of their own: what a part costs to merge is more than what it saves.
constexpr int kLeastEntries = kMostWarps;

struct Parts {
  int32_t used, entries;  // of each, the last may have fewer
};
__device__ inline Parts divide(int32_t entries, int32_t blocks) {
  const int32_t each = max(kLeastEntries, (entries + blocks - 1) / blocks);
  return {max(1, (entries + each - 1) / each), each};
}

__device__ inline float rescale(float of_part, float of_all) {
  return of_part == minus_infinity() ? 0.0f : exp2_fast(of_part - of_all);
}

}  // namespace quire::cuda
