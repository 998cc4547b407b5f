// attend_avx512.cpp — attend with AVX-512. Meaning: plain_attend.cpp; method: attend_simd.h.
//
// D is a multiple of 16; for another the plain twin is called. 32 registers: 6 rows × 4 registers of sums, 4 of keys, and
// queries broadcast from memory by the multiply-add itself.

// GCC 12 takes the undefined pass-through operands of its own intrinsics for a mistake (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include <limits>

#include "native/kernels/cpu/attend_simd.h"

namespace quire::avx512 {
namespace {

struct Vector {
  using Reg = __m512;
  static constexpr int kLanes = 16;
  static constexpr int kTileRows = 6;
  static constexpr int kTileRegs = 24;
  static constexpr int kDirectRows = 8;  // the halves are converted once for all of them
  static constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

  static Reg zero() { return _mm512_setzero_ps(); }
  static Reg broadcast(float x) { return _mm512_set1_ps(x); }
  static Reg load(const float* x) { return _mm512_loadu_ps(x); }
  static Reg load(const uint16_t* x) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)));
  }
  static void store(float* to, Reg x) { _mm512_storeu_ps(to, x); }
  static void fetch(const char* address) { _mm_prefetch(address, _MM_HINT_T1); }
  static Reg add(Reg a, Reg b) { return _mm512_add_ps(a, b); }
  static Reg sub(Reg a, Reg b) { return _mm512_sub_ps(a, b); }
  static Reg mul(Reg a, Reg b) { return _mm512_mul_ps(a, b); }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_ps(a, b, c); }
  static Reg max(Reg a, Reg b) { return _mm512_max_ps(a, b); }
  static float first(Reg x) { return _mm512_cvtss_f32(x); }
  static float sum(Reg x) { return _mm512_reduce_add_ps(x); }
  static float largest(Reg x) { return _mm512_reduce_max_ps(x); }

  static Reg first_or_minus_infinity(int count, Reg x) {
    const auto mask = static_cast<__mmask16>(count >= 16 ? 0xffff : (1u << count) - 1);
    return _mm512_mask_mov_ps(broadcast(kMinusInfinity), mask, x);
  }

  // 2^x for x ≤ 0 within 2 units in the last place, 2^0 = 1 exactly, 0 from -150 on. NaN stays NaN.
  // x = n + f, |f| ≤ 1/2; 2^f by the polynomial of Cephes' exp2f.
  static Reg exp2(Reg x) {
    x = _mm512_max_ps(broadcast(-151.0f), x);  // the second operand is what comes out where one is NaN
    const Reg n = _mm512_roundscale_ps(x, 8);  // 8: nearest even, no exception
    const Reg f = _mm512_sub_ps(x, n);
    Reg p = broadcast(1.535336188319500e-4f);
    p = _mm512_fmadd_ps(p, f, broadcast(1.339887440266574e-3f));
    p = _mm512_fmadd_ps(p, f, broadcast(9.618437357674640e-3f));
    p = _mm512_fmadd_ps(p, f, broadcast(5.550332471162809e-2f));
    p = _mm512_fmadd_ps(p, f, broadcast(2.402264791363012e-1f));
    p = _mm512_fmadd_ps(p, f, broadcast(6.931472028550421e-1f));
    p = _mm512_fmadd_ps(p, f, broadcast(1.0f));
    return _mm512_scalef_ps(p, n);
  }
};

}  // namespace

void attend(const AttendArgs& args, const Run& run) {
  if (args.kv.head_size % Vector::kLanes != 0) return plain::attend(args, run);
  attend_with<Vector>(args, run);
}

void attend_several(const AttendArgs* calls, int64_t count, const Run& run) {
  if (count > 0 && calls[0].kv.head_size % Vector::kLanes != 0) return plain::attend_several(calls, count, run);
  attend_several_with<Vector>(calls, count, run);
}

}  // namespace quire::avx512
