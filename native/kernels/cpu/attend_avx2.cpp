// attend_avx2.cpp — attend with AVX2, FMA and F16C. Meaning: plain_attend.cpp; method: attend_simd.h.
//
// D is a multiple of 16; for another the plain twin is called. 16 registers: 6 rows × 2 registers of sums, 2 of keys.
#include <immintrin.h>

#include <limits>

#include "native/kernels/cpu/attend_simd.h"

namespace quire::avx2 {
namespace {

struct Vector {
  using Reg = __m256;
  static constexpr int kLanes = 8;
  static constexpr int kTileRows = 6;
  static constexpr int kTileRegs = 12;
  static constexpr int kDirectRows = 6;
  static constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

  static Reg zero() { return _mm256_setzero_ps(); }
  static Reg broadcast(float x) { return _mm256_set1_ps(x); }
  static Reg load(const float* x) { return _mm256_loadu_ps(x); }
  static Reg load(const uint16_t* x) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x))); }
  static void store(float* to, Reg x) { _mm256_storeu_ps(to, x); }
  static void fetch(const char* address) { _mm_prefetch(address, _MM_HINT_T1); }
  static Reg add(Reg a, Reg b) { return _mm256_add_ps(a, b); }
  static Reg sub(Reg a, Reg b) { return _mm256_sub_ps(a, b); }
  static Reg mul(Reg a, Reg b) { return _mm256_mul_ps(a, b); }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_ps(a, b, c); }
  static Reg max(Reg a, Reg b) { return _mm256_max_ps(a, b); }
  static float first(Reg x) { return _mm256_cvtss_f32(x); }

  static float sum(Reg x) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
  }
  static float largest(Reg x) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
  }

  static Reg first_or_minus_infinity(int count, Reg x) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i below = _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lanes);
    return _mm256_blendv_ps(broadcast(kMinusInfinity), x, _mm256_castsi256_ps(below));
  }

  // 2^x for x ≤ 0 within 2 units in the last place, 2^0 = 1 exactly, 0 below -126. NaN stays NaN.
  // x = n + f, |f| ≤ 1/2; 2^f by the polynomial of Cephes' exp2f.
  static Reg exp2(Reg x) {
    const Reg too_small = _mm256_cmp_ps(x, broadcast(-126.0f), _CMP_LT_OQ);
    x = _mm256_max_ps(broadcast(-126.0f), x);  // the second operand is what comes out where one is NaN
    const Reg n = _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const Reg f = _mm256_sub_ps(x, n);
    Reg p = broadcast(1.535336188319500e-4f);
    p = _mm256_fmadd_ps(p, f, broadcast(1.339887440266574e-3f));
    p = _mm256_fmadd_ps(p, f, broadcast(9.618437357674640e-3f));
    p = _mm256_fmadd_ps(p, f, broadcast(5.550332471162809e-2f));
    p = _mm256_fmadd_ps(p, f, broadcast(2.402264791363012e-1f));
    p = _mm256_fmadd_ps(p, f, broadcast(6.931472028550421e-1f));
    p = _mm256_fmadd_ps(p, f, broadcast(1.0f));
    const __m256i exponent = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_andnot_ps(too_small, _mm256_mul_ps(p, _mm256_castsi256_ps(exponent)));
  }
};

}  // namespace

void attend(const AttendArgs& args, const Run& run) {
  if (args.kv.head_size % 16 != 0) return plain::attend(args, run);
  attend_with<Vector>(args, run);
}

void attend_several(const AttendArgs* calls, int64_t count, const Run& run) {
  if (count > 0 && calls[0].kv.head_size % Vector::kLanes != 0) return plain::attend_several(calls, count, run);
  attend_several_with<Vector>(calls, count, run);
}

}  // namespace quire::avx2
