// score_avx512.cpp — score with AVX-512. Meaning: plain_score.cpp; method: score_simd.h. D is at most 256, else the plain twin.

// GCC 12 takes the undefined pass-through operands of its own intrinsics for a mistake (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "native/kernels/cpu/score_simd.h"

namespace quire::avx512 {
namespace {

struct Vector {
  using Reg = __m512;
  static constexpr int kLanes = 16;
  static constexpr int kGroups = 2;
  static constexpr int kHeads = 8;  // 16 registers of sums
  static Reg zero() { return _mm512_setzero_ps(); }
  static Reg broadcast(float x) { return _mm512_set1_ps(x); }
  static Reg load(const uint16_t* x) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)));
  }
  static void store(float* to, Reg x) { _mm512_storeu_ps(to, x); }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_ps(a, b, c); }
};

}  // namespace

void score(const ScoreArgs& args, const Run& run) {
  if (!PageScores<Vector>::can(args)) return plain::score(args, run);
  PageScores<Vector>::run(args, run);
}

}  // namespace quire::avx512
