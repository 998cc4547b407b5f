// rows_avx2.cpp — norm, quantize and swiglu with AVX2. Meaning: plain_rows.cpp.
//
// norm and quantize give the plain twin's bits: the same sums in the same order, no fused multiply-add. swiglu has its own
// exponential and is within 4 units in the last place. A task is one token; 16 floats are two registers.
#include <immintrin.h>

#include "native/kernels/cpu/op_functions.h"

namespace quire::avx2 {
namespace {

constexpr float kLargest = 3.40282347e+38f;         // FLT_MAX
constexpr float kSmallestNormal = 1.17549435e-38f;  // FLT_MIN

__m256 without_nan(__m256 x) {
  const __m256 numbers = _mm256_and_ps(_mm256_cmp_ps(x, x, _CMP_ORD_Q), x);
  return _mm256_min_ps(_mm256_max_ps(numbers, _mm256_set1_ps(-kLargest)), _mm256_set1_ps(kLargest));
}

__m256 absolute(__m256 x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }

float largest_of(__m256 x) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

int32_t sum_of(__m256i x) {
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

// x: the block's 32 floats in four registers.
void quantize_block(const __m256* x, const QuantRows& quant, int64_t t, int64_t block) {
  __m256 values[4];
  __m256 largest_lanes = _mm256_setzero_ps();
  for (int i = 0; i < 4; ++i) {
    values[i] = without_nan(x[i]);
    largest_lanes = _mm256_max_ps(largest_lanes, absolute(values[i]));
  }
  const float largest = largest_of(largest_lanes);
  float scale = largest / 127.0f;
  float inverse = 127.0f / largest;
  if (scale < kSmallestNormal) scale = inverse = 0;
  __m256i codes[4];
  for (int i = 0; i < 4; ++i) codes[i] = _mm256_cvtps_epi32(_mm256_mul_ps(values[i], _mm256_set1_ps(inverse)));
  // Packing goes by halves of registers; the permutation puts the fours back in order.
  const __m256i pairs =
      _mm256_packs_epi16(_mm256_packs_epi32(codes[0], codes[1]), _mm256_packs_epi32(codes[2], codes[3]));
  const __m256i bytes = _mm256_permutevar8x32_epi32(pairs, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(quant.codes + t * quant.columns + block * kQuantBlock), bytes);
  quant.scales[t * (quant.columns / kQuantBlock) + block] = scale;
  int32_t* sums = quant.sums + t * (quant.columns / 16) + 2 * block;
  sums[0] = sum_of(_mm256_add_epi32(codes[0], codes[1]));
  sums[1] = sum_of(_mm256_add_epi32(codes[2], codes[3]));
}

// 16 partial sums added pairwise at distances 8, 4, 2, 1, as the plain twin does.
float sum_pairwise(__m256 low, __m256 high) {
  const __m256 eight = _mm256_add_ps(low, high);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

// Lanes 0 … count − 1 exist; count may be ≤ 0 or ≥ 8.
__m256i first(int64_t count) {
  const auto lanes = static_cast<int32_t>(count < 0 ? 0 : count > 8 ? 8 : count);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

void norm_row(const NormArgs& args, int64_t t) {
  const float* x = args.x + t * args.columns;
  __m256 squares[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  for (int64_t i = 0, half = 0; i < args.columns; i += 8, half ^= 1) {
    const __m256 values = _mm256_maskload_ps(x + i, first(args.columns - i));
    squares[half] = _mm256_add_ps(squares[half], _mm256_mul_ps(values, values));
  }
  const float mean = sum_pairwise(squares[0], squares[1]) / static_cast<float>(args.columns);
  const __m256 factor = _mm256_set1_ps(1.0f / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(mean + args.eps))));
  for (int64_t begin = 0; begin < args.columns; begin += kQuantBlock) {
    __m256 values[4];
    for (int64_t part = 0; part < 4; ++part) {
      const int64_t i = begin + 8 * part;
      const __m256i mask = first(args.columns - i);
      values[part] = _mm256_mul_ps(_mm256_mul_ps(_mm256_maskload_ps(x + i, mask), factor),
                                   _mm256_maskload_ps(args.weight + i, mask));
      if (args.out != nullptr) _mm256_maskstore_ps(args.out + t * args.columns + i, mask, values[part]);
    }
    if (args.quant != nullptr) quantize_block(values, *args.quant, t, begin / kQuantBlock);
  }
}

// e^x within 1 unit in the last place for x in [-87, 88]; beyond, the value at the border. NaN stays NaN.
// x = n·ln 2 + r, |r| ≤ ln 2 / 2; e^r by the polynomial of Cephes' expf.
__m256 exponential(__m256 x) {
  x = _mm256_min_ps(_mm256_set1_ps(88.0f), _mm256_max_ps(_mm256_set1_ps(-87.0f), x));
  const __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)), 8);  // 8: nearest even, no exception
  __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
  r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
  __m256 p = _mm256_set1_ps(1.9875691500e-4f);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.3981999507e-3f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.3334519073e-3f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.1665795894e-2f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.6666665459e-1f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(5.0000001201e-1f));
  p = _mm256_fmadd_ps(_mm256_mul_ps(r, r), p, r);
  p = _mm256_add_ps(p, _mm256_set1_ps(1.0f));
  // Times 2^n, in the exponent: n is within [-126, 127], so both factors and the product are normal.
  const __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
  return _mm256_mul_ps(p, _mm256_castsi256_ps(power));
}

__m256 gated(const float* gate, const float* up) {
  const __m256 g = _mm256_loadu_ps(gate);
  const __m256 decay = exponential(_mm256_sub_ps(_mm256_setzero_ps(), g));
  const __m256 silu = _mm256_div_ps(g, _mm256_add_ps(_mm256_set1_ps(1.0f), decay));
  return _mm256_mul_ps(silu, _mm256_loadu_ps(up));
}

void swiglu_row(const SwigluArgs& args, int64_t t) {
  const float* gate = args.gate + t * args.stride;
  const float* up = args.up + t * args.stride;
  for (int64_t i = 0; i < args.columns; i += kQuantBlock) {
    __m256 values[4];
    for (int64_t part = 0; part < 4; ++part) {
      values[part] = gated(gate + i + 8 * part, up + i + 8 * part);
      if (args.out != nullptr) _mm256_storeu_ps(args.out + t * args.columns + i + 8 * part, values[part]);
    }
    if (args.quant != nullptr) quantize_block(values, *args.quant, t, i / kQuantBlock);
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
        for (int64_t i = 0; i < quant.columns; i += kQuantBlock) {
          const float* x = args.x + t * quant.columns + i;
          const __m256 values[4] = {_mm256_loadu_ps(x), _mm256_loadu_ps(x + 8), _mm256_loadu_ps(x + 16),
                                    _mm256_loadu_ps(x + 24)};
          quantize_block(values, quant, t, i / kQuantBlock);
        }
      },
      run.cancel);
}

void swiglu(const SwigluArgs& args, const Run& run) {
  run.pool->run(args.tokens, [&](int64_t t) { swiglu_row(args, t); }, run.cancel);
}

}  // namespace quire::avx2
