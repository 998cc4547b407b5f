// rows_avx512.cpp — norm, quantize and swiglu with AVX-512. Meaning: plain_rows.cpp.
//
// norm and quantize give the plain twin's bits: the same sums in the same order, no fused multiply-add. swiglu has its own
// exponential and is within 4 units in the last place. A task is one token.

// GCC 12 takes the undefined pass-through operands of its own intrinsics for a mistake (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "native/kernels/cpu/op_functions.h"

namespace quire::avx512 {
namespace {

constexpr float kLargest = 3.40282347e+38f;         // FLT_MAX
constexpr float kSmallestNormal = 1.17549435e-38f;  // FLT_MIN

// Only the first `count` (1–16) of 16 floats exist; the others read as 0.
__mmask16 first(int64_t count) { return static_cast<__mmask16>(count >= 16 ? 0xffff : (1u << count) - 1); }

__m512 without_nan(__m512 x) {
  const __m512 numbers = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, x, _CMP_ORD_Q), x);
  return _mm512_min_ps(_mm512_max_ps(numbers, _mm512_set1_ps(-kLargest)), _mm512_set1_ps(kLargest));
}

void quantize_block(__m512 a, __m512 b, const QuantRows& quant, int64_t t, int64_t block) {
  a = without_nan(a);
  b = without_nan(b);
  const float largest = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(a), _mm512_abs_ps(b)));
  float scale = largest / 127.0f;
  float inverse = 127.0f / largest;
  if (scale < kSmallestNormal) scale = inverse = 0;
  const __m512i first_codes = _mm512_cvtps_epi32(_mm512_mul_ps(a, _mm512_set1_ps(inverse)));
  const __m512i second_codes = _mm512_cvtps_epi32(_mm512_mul_ps(b, _mm512_set1_ps(inverse)));
  int8_t* codes = quant.codes + t * quant.columns + block * kQuantBlock;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(codes), _mm512_cvtepi32_epi8(first_codes));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + 16), _mm512_cvtepi32_epi8(second_codes));
  quant.scales[t * (quant.columns / kQuantBlock) + block] = scale;
  int32_t* sums = quant.sums + t * (quant.columns / 16) + 2 * block;
  sums[0] = _mm512_reduce_add_epi32(first_codes);
  sums[1] = _mm512_reduce_add_epi32(second_codes);
}

// 16 partial sums added pairwise at distances 8, 4, 2, 1, as the plain twin does.
float sum_pairwise(__m512 x) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

void norm_row(const NormArgs& args, int64_t t) {
  const float* x = args.x + t * args.columns;
  __m512 squares = _mm512_setzero_ps();
  for (int64_t i = 0; i < args.columns; i += 16) {
    const __m512 values = _mm512_maskz_loadu_ps(first(args.columns - i), x + i);
    squares = _mm512_add_ps(squares, _mm512_mul_ps(values, values));
  }
  const float mean = sum_pairwise(squares) / static_cast<float>(args.columns);
  const __m512 factor = _mm512_set1_ps(1.0f / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(mean + args.eps))));
  for (int64_t begin = 0; begin < args.columns; begin += kQuantBlock) {
    __m512 values[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    for (int64_t half = 0; half < 2 && begin + 16 * half < args.columns; ++half) {
      const int64_t i = begin + 16 * half;
      const __mmask16 mask = first(args.columns - i);
      values[half] = _mm512_mul_ps(_mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), factor),
                                   _mm512_maskz_loadu_ps(mask, args.weight + i));
      if (args.out != nullptr) _mm512_mask_storeu_ps(args.out + t * args.columns + i, mask, values[half]);
    }
    if (args.quant != nullptr) quantize_block(values[0], values[1], *args.quant, t, begin / kQuantBlock);
  }
}

// e^x within 1 unit in the last place for x in [-87, 88]; beyond, the value at the border. NaN stays NaN.
// x = n·ln 2 + r, |r| ≤ ln 2 / 2; e^r by the polynomial of Cephes' expf.
__m512 exponential(__m512 x) {
  x = _mm512_min_ps(_mm512_set1_ps(88.0f), _mm512_max_ps(_mm512_set1_ps(-87.0f), x));
  const __m512 n =
      _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 8);  // 8: nearest even, no exception
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
  p = _mm512_fmadd_ps(_mm512_mul_ps(r, r), p, r);
  return _mm512_scalef_ps(_mm512_add_ps(p, _mm512_set1_ps(1.0f)), n);
}

__m512 gated(const float* gate, const float* up) {
  const __m512 g = _mm512_loadu_ps(gate);
  const __m512 decay = exponential(_mm512_sub_ps(_mm512_setzero_ps(), g));
  const __m512 silu = _mm512_div_ps(g, _mm512_add_ps(_mm512_set1_ps(1.0f), decay));
  return _mm512_mul_ps(silu, _mm512_loadu_ps(up));
}

void swiglu_row(const SwigluArgs& args, int64_t t) {
  const float* gate = args.gate + t * args.stride;
  const float* up = args.up + t * args.stride;
  for (int64_t i = 0; i < args.columns; i += kQuantBlock) {
    const __m512 a = gated(gate + i, up + i);
    const __m512 b = gated(gate + i + 16, up + i + 16);
    if (args.out != nullptr) {
      _mm512_storeu_ps(args.out + t * args.columns + i, a);
      _mm512_storeu_ps(args.out + t * args.columns + i + 16, b);
    }
    if (args.quant != nullptr) quantize_block(a, b, *args.quant, t, i / kQuantBlock);
  }
}

}  // namespace

void norm(const NormArgs& args, const Run& run) {
  run.pool->run(args.tokens, [&](int64_t t) { norm_row(args, t); }, run.cancel);
}

void quantize(const QuantizeArgs& args, const Run& run) {
  const QuantRows& quant = *args.quant;
  run.pool->run(
      quant.tokens,
      [&](int64_t t) {
        const float* x = args.x + t * quant.columns;
        for (int64_t i = 0; i < quant.columns; i += kQuantBlock)
          quantize_block(_mm512_loadu_ps(x + i), _mm512_loadu_ps(x + i + 16), quant, t, i / kQuantBlock);
      },
      run.cancel);
}

void swiglu(const SwigluArgs& args, const Run& run) {
  run.pool->run(args.tokens, [&](int64_t t) { swiglu_row(args, t); }, run.cancel);
}

}  // namespace quire::avx512
