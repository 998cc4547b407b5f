// score_avx2.cpp — score with AVX2, FMA and F16C. Meaning: plain_score.cpp; method: score_simd.h. D is at most 256, else the
// plain twin.
#include <immintrin.h>

#include "native/kernels/cpu/score_simd.h"

namespace quire::avx2 {
namespace {

struct Vector {
  using Reg = __m256;
  static constexpr int kLanes = 8;
  static constexpr int kGroups = 1;
  static constexpr int kHeads = 4;  // 8 of the 16 registers for sums, 4 for a channel's values
  static Reg zero() { return _mm256_setzero_ps(); }
  static Reg broadcast(float x) { return _mm256_set1_ps(x); }
  static Reg load(const uint16_t* x) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x))); }
  static void store(float* to, Reg x) { _mm256_storeu_ps(to, x); }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_ps(a, b, c); }
};

}  // namespace

void score(const ScoreArgs& args, const Run& run) {
  if (!PageScores<Vector>::can(args)) return plain::score(args, run);
  PageScores<Vector>::run(args, run);
}

}  // namespace quire::avx2
