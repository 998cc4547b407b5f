// append_avx512.cpp — append, summarize and rope with AVX-512. Meaning: plain_append.cpp, plain_rope.cpp; the same bits.
//
// append     a register holds 16 channels of a token; its halves go to the page's values as they are, to its keys one by one,
//            since a token is a column there. A task is a page's worth of tokens.
// summarize  lanes are 16 channels: the keys of a channel lie side by side, so a page is read with gathers of 2 tokens, and a
//            sum goes over the tokens in order as in the plain twin. D is a multiple of 16, else the plain twin.
// rope       halves: lanes are 16 pairs (d, d + D/2). Neighbouring pairs are the plain twin's.

// GCC 12 takes the undefined pass-through operands of its own intrinsics for a mistake (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include <limits>

#include "native/kernels/cpu/op_functions.h"

namespace quire::avx512 {
namespace {

constexpr int kLanes = 16;
constexpr int64_t kTaskTokens = 16;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

__m256i to_halves(__m512 x) { return _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

void append_token(const AppendArgs& args, int64_t g, int64_t t) {
  const int64_t size = args.kv.head_size;
  const float* k = args.k + t * args.stride + g * size;
  const float* v = args.v + t * args.stride + g * size;
  uint16_t* keys = args.kv.keys(g, args.slots[t]) + args.places[t];
  uint16_t* values = args.kv.values(g, args.slots[t]) + args.places[t] * size;
  for (int64_t d = 0; d < size; d += kLanes) {
    alignas(32) uint16_t column[kLanes];
    _mm256_store_si256(reinterpret_cast<__m256i*>(column), to_halves(_mm512_loadu_ps(k + d)));
    for (int64_t i = 0; i < kLanes; ++i) keys[(d + i) * kPageTokens] = column[i];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(values + d), to_halves(_mm512_loadu_ps(v + d)));
  }
}

// The keys of 16 channels as one register of floats per token: rows of 16 tokens, turned by gathers of two halves each.
void load_columns(const uint16_t* keys, __m512* tokens) {
  const __m512i rows = _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                                          _mm512_set1_epi32(kPageTokens / 2));
#pragma GCC unroll 8
  for (int j = 0; j < kPageTokens / 2; ++j) {
    const __m512i pairs = _mm512_i32gather_epi32(rows, reinterpret_cast<const int*>(keys) + j, 4);
    tokens[2 * j] = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(pairs));
    tokens[2 * j + 1] = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(pairs, 16)));
  }
}

// An infinite key counts as the largest half. NaN stays NaN: the second operand is what comes out where one is NaN.
__m512 finite(__m512 key) {
  return _mm512_min_ps(_mm512_set1_ps(65504.0f), _mm512_max_ps(_mm512_set1_ps(-65504.0f), key));
}

void summarize_page(const SummarizeArgs& args, int64_t g, int32_t slot, int count) {
  const uint16_t* keys = args.kv.keys(g, slot);
  uint16_t* first = args.kv.summary(g, slot, 0);
  uint16_t* second = args.kv.summary(g, slot, 1);
  for (int64_t d = 0; d < args.kv.head_size; d += kLanes) {
    __m512 tokens[kPageTokens];
    load_columns(keys + d * kPageTokens, tokens);
    __m512 a;
    __m512 b;
    if (args.kind == Summary::kMeanSpread) {
      const __m512 n = _mm512_set1_ps(static_cast<float>(count));
      a = _mm512_setzero_ps();
      for (int j = 0; j < count; ++j) a = _mm512_add_ps(a, finite(tokens[j]));
      a = _mm512_div_ps(a, n);
      b = _mm512_setzero_ps();
      for (int j = 0; j < count; ++j) {
        const __m512 off = _mm512_sub_ps(finite(tokens[j]), a);
        b = _mm512_add_ps(b, _mm512_mul_ps(off, off));
      }
      b = _mm512_sqrt_ps(_mm512_div_ps(b, n));
    } else {
      a = _mm512_set1_ps(kInfinity);
      b = _mm512_set1_ps(-kInfinity);
      for (int j = 0; j < count; ++j) {  // NaN is passed over: the second operand comes out
        a = _mm512_min_ps(finite(tokens[j]), a);
        b = _mm512_max_ps(finite(tokens[j]), b);
      }
    }
    alignas(32) uint16_t halves[2][kLanes];
    _mm256_store_si256(reinterpret_cast<__m256i*>(halves[0]), to_halves(a));
    _mm256_store_si256(reinterpret_cast<__m256i*>(halves[1]), to_halves(b));
    for (int64_t i = 0; i < kLanes; ++i) {
      first[(d + i) * kSummaryGroup] = halves[0][i];
      second[(d + i) * kSummaryGroup] = halves[1][i];
    }
  }
}

void rotate_halves(float* x, const float* cosine, const float* sine, int64_t half) {
  for (int64_t i = 0; i < half; i += kLanes) {
    const auto mask = static_cast<__mmask16>(half - i >= kLanes ? 0xffff : (1u << (half - i)) - 1);
    const __m512 p = _mm512_maskz_loadu_ps(mask, x + i);
    const __m512 q = _mm512_maskz_loadu_ps(mask, x + half + i);
    const __m512 c = _mm512_maskz_loadu_ps(mask, cosine + i);
    const __m512 s = _mm512_maskz_loadu_ps(mask, sine + i);
    _mm512_mask_storeu_ps(x + i, mask, _mm512_sub_ps(_mm512_mul_ps(p, c), _mm512_mul_ps(q, s)));
    _mm512_mask_storeu_ps(x + half + i, mask, _mm512_add_ps(_mm512_mul_ps(p, s), _mm512_mul_ps(q, c)));
  }
}

}  // namespace

void append(const AppendArgs& args, const Run& run) {
  if (args.kv.head_size % kLanes != 0) return plain::append(args, run);
  const int64_t chunks = (args.tokens + kTaskTokens - 1) / kTaskTokens;
  run.pool->run(
      chunks,
      [&](int64_t task) {
        const int64_t begin = task * kTaskTokens;
        const int64_t end = args.tokens - begin < kTaskTokens ? args.tokens : begin + kTaskTokens;
        for (int64_t g = 0; g < args.kv.kv_heads; ++g)
          for (int64_t t = begin; t < end; ++t) append_token(args, g, t);
      },
      run.cancel);
}

void summarize(const SummarizeArgs& args, const Run& run) {
  if (args.kv.head_size % kLanes != 0) return plain::summarize(args, run);
  run.pool->run(
      args.count,
      [&](int64_t i) {
        for (int64_t g = 0; g < args.kv.kv_heads; ++g) summarize_page(args, g, args.slots[i], args.counts[i]);
      },
      run.cancel);
}

void rope(const RopeArgs& args, const Run& run) {
  if (!args.halves) return plain::rope(args, run);
  const int64_t half = args.head_size / 2;
  run.pool->run(
      args.tokens,
      [&](int64_t t) {
        for (int64_t h = 0; h < args.heads; ++h)
          rotate_halves(args.x + t * args.stride + h * args.head_size, args.cosine + t * half, args.sine + t * half,
                        half);
      },
      run.cancel);
}

}  // namespace quire::avx512
