// matmul_avx2.cpp — matmul with AVX2. Formula and order of the sums: plain_matmul.cpp; layout: packed_matrix.h.
//
// A register holds 8 rows × 4 codes; a tile of 16 rows is two of them, side by side for up to 2 tokens and one after the
// other for 3 to 6, so that 16 registers suffice (6 tokens gain 8 % over 4 on Zen 4). Products are summed in 16 bits for as many steps as cannot saturate
// (|activation| ≤ 127, two products a sum):
//   4-bit codes  8 steps   8 · 2 · 15 · 127 = 30 480 ≤ 32 767
//   5-bit codes  4 steps   4 · 2 · 31 · 127 = 31 496
//   6-bit codes  2 steps   2 · 2 · 63 · 127 = 32 004
//   8-bit codes  1 step    as |w| · (x with w's sign), w = code − 128 ≥ −128:  2 · 128 · 127 = 32 512
#include <immintrin.h>

#include <type_traits>

#include "native/kernels/cpu/matmul_tiles.h"
#include "native/kernels/cpu/op_functions.h"

namespace quire::avx2 {
namespace {

// How far ahead of the codes in use the next ones are asked for, in bytes.
constexpr int64_t kPrefetch = 2048;

// Layout numbers of packed_layout(), known to the compiler.
template <TensorType kType>
struct Format {
  static constexpr bool kSuper = kType == TensorType::kQ4_K || kType == TensorType::kQ5_K || kType == TensorType::kQ6_K;
  static constexpr bool kHalves = kType == TensorType::kQ6_K;
  static constexpr bool kMinimum = kType == TensorType::kQ4_1 || kType == TensorType::kQ5_1 ||
                                   kType == TensorType::kQ4_K || kType == TensorType::kQ5_K;
  static constexpr int kBits = kType == TensorType::kQ8_0   ? 8
                               : kType == TensorType::kQ6_K ? 6
                               : kType == TensorType::kQ5_0 || kType == TensorType::kQ5_1 || kType == TensorType::kQ5_K
                                   ? 5
                                   : 4;
  static constexpr int64_t kBlocks = kSuper ? 8 : 1;
  static constexpr int64_t kHeader = kHalves ? 288 : kSuper ? 320 : kMinimum ? 64 : 32;
  static constexpr int64_t kBody = 64 * kBits;
  static constexpr int kStepsIn16Bits = kBits == 4 ? 8 : kBits == 5 ? 4 : kBits == 6 ? 2 : 1;
};

__m256i load(const std::byte* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }

// 8 rows' f16, u8 or i8 as floats.
__m256 half_scales(const std::byte* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
__m256 unsigned_scales(const std::byte* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
__m256 signed_scales(const std::byte* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}

// Brings the bits at `from` and above to `to` and above, in each 16-bit lane; bits of neighbours are left to be masked.
template <int kFrom, int kTo>
[[gnu::always_inline]] inline __m256i shift_bits(__m256i x) {
  if constexpr (kFrom > kTo) return _mm256_srli_epi16(x, kFrom - kTo);
  if constexpr (kFrom < kTo) return _mm256_slli_epi16(x, kTo - kFrom);
  return x;
}

// The codes of step kStep (4 columns) of 8 rows; `body` points at them within each 64-byte register.
template <TensorType kType, int kStep>
[[gnu::always_inline]] inline __m256i step_codes(const std::byte* body) {
  constexpr int kBits = Format<kType>::kBits;
  if constexpr (kBits == 8) {
    return _mm256_xor_si256(load(body + 64 * kStep), _mm256_set1_epi8(static_cast<char>(0x80)));  // signed: code − 128
  } else {
    const __m256i low = load(body + 64 * (kBits - 4) + 64 * (kStep % 4));
    __m256i code = _mm256_and_si256(shift_bits<kStep / 4 * 4, 0>(low), _mm256_set1_epi8(0x0f));
    if constexpr (kBits == 5)
      code = _mm256_or_si256(code, _mm256_and_si256(shift_bits<kStep, 4>(load(body)), _mm256_set1_epi8(0x10)));
    if constexpr (kBits == 6)
      code = _mm256_or_si256(code, _mm256_and_si256(shift_bits<2 * (kStep % 4), 4>(load(body + 64 * (kStep / 4))),
                                                    _mm256_set1_epi8(0x30)));
    return code;
  }
}

[[gnu::always_inline]] inline __m256i broadcast4(const int8_t* codes) {
  int32_t four = 0;
  __builtin_memcpy(&four, codes, 4);
  return _mm256_set1_epi32(four);
}

// 16-bit sums of two neighbouring products.
template <TensorType kType>
[[gnu::always_inline]] inline __m256i products(__m256i code, __m256i x) {
  if constexpr (Format<kType>::kBits == 8)
    return _mm256_maddubs_epi16(_mm256_abs_epi8(code), _mm256_sign_epi8(x, code));
  return _mm256_maddubs_epi16(code, x);
}

// Adds steps kStep … kEnd − 1 of all tokens to their integer sums.
template <TensorType kType, int kStep, int kEnd, int kWide, int kTokens>
[[gnu::always_inline]] inline void add_steps(const std::byte* body, const PanelEntry* x, __m256i (*dot)[kTokens]) {
  if constexpr (kStep < kEnd) {
    constexpr int kRun = Format<kType>::kStepsIn16Bits;
    __m256i sums[kWide][kTokens];
    const auto add = [&](auto step) __attribute__((always_inline)) {
      constexpr int kAt = kStep + decltype(step)::value;
#pragma GCC unroll 2
      for (int w = 0; w < kWide; ++w) {
        const __m256i code = step_codes<kType, kAt>(body + 32 * w);
#pragma GCC unroll 6
        for (int i = 0; i < kTokens; ++i) {
          const __m256i pairs = products<kType>(code, broadcast4(x[i].codes + 4 * kAt));
          sums[w][i] = decltype(step)::value == 0 ? pairs : _mm256_add_epi16(sums[w][i], pairs);
          // GCC would otherwise make a tree of the sums, keep all products alive, and run out of registers.
          __asm__("" : "+x"(sums[w][i]));
        }
      }
    };
    add(std::integral_constant<int, 0>());
    if constexpr (kRun > 1) add(std::integral_constant<int, 1>());
    if constexpr (kRun > 2) add(std::integral_constant<int, 2>());
    if constexpr (kRun > 2) add(std::integral_constant<int, 3>());
    if constexpr (kRun > 4) add(std::integral_constant<int, 4>());
    if constexpr (kRun > 4) add(std::integral_constant<int, 5>());
    if constexpr (kRun > 4) add(std::integral_constant<int, 6>());
    if constexpr (kRun > 4) add(std::integral_constant<int, 7>());
#pragma GCC unroll 2
    for (int w = 0; w < kWide; ++w) {
#pragma GCC unroll 6
      for (int i = 0; i < kTokens; ++i)
        dot[w][i] = _mm256_add_epi32(dot[w][i], _mm256_madd_epi16(sums[w][i], _mm256_set1_epi16(1)));
    }
    add_steps<kType, kStep + kRun, kEnd, kWide, kTokens>(body, x, dot);
  }
}

// Writes the sums of 8 rows, of which `rows` (may be ≤ 0 or > 8) exist; `first` is the first row's place in the group.
template <int kTokens>
[[gnu::always_inline]] inline void finish(const Tile& tile, int64_t first, const __m256* sums) {
  const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int32_t>(tile.rows - first)),
                                          _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  if (tile.rows <= first) return;
#pragma GCC unroll 6
  for (int i = 0; i < kTokens; ++i) {
    float* out = tile.out + i * tile.out_stride + first;
    __m256 value = sums[i];
    if (tile.bias != nullptr) value = _mm256_add_ps(value, _mm256_maskload_ps(tile.bias + first, mask));
    if (tile.accumulate) value = _mm256_add_ps(_mm256_maskload_ps(out, mask), value);
    _mm256_maskstore_ps(out, mask, value);
  }
}

// kWide · 8 rows, the first of them at place `first` of the group.
template <TensorType kType, int kWide, int kTokens>
[[gnu::always_inline]] inline void pass_quantised(const Tile& tile, int64_t first) {
  using F = Format<kType>;
  constexpr bool kSigned = F::kBits == 8;  // codes have their zero point taken off already
  const std::byte* p = tile.group;
  const PanelEntry* x = tile.panel;
  __m256 sums[kWide][kTokens];
  for (int w = 0; w < kWide; ++w)
    for (int i = 0; i < kTokens; ++i) sums[w][i] = _mm256_setzero_ps();

  for (int64_t chunk = 0; chunk < tile.columns / (kBlockColumns * F::kBlocks); ++chunk) {
    const std::byte* header = p;
    p += F::kHeader;
    for (int64_t b = 0; b < F::kBlocks; ++b, p += F::kBody, x += kTokens) {
      for (int64_t line = 0; line < F::kBody + F::kHeader / F::kBlocks; line += 64)
        _mm_prefetch(reinterpret_cast<const char*>(p + kPrefetch + line), _MM_HINT_T0);
      __m256i dot[kWide][kTokens];
      for (int w = 0; w < kWide; ++w)
        for (int i = 0; i < kTokens; ++i)
          dot[w][i] = F::kMinimum || kSigned ? _mm256_setzero_si256() : _mm256_set1_epi32(x[i].start[0]);
      add_steps<kType, 0, F::kHalves ? 4 : 8, kWide, kTokens>(p + 4 * first, x, dot);

      __m256 value[kWide][kTokens];
      for (int w = 0; w < kWide; ++w) {
        const int64_t row = first + 8 * w;
        __m256 scale = half_scales(header + 2 * row);
        if constexpr (F::kHalves)
          scale = _mm256_mul_ps(scale, signed_scales(header + 32 + 32 * b + row));
        else if constexpr (F::kSuper)
          scale = _mm256_mul_ps(scale, unsigned_scales(header + 64 + 16 * b + row));
        for (int i = 0; i < kTokens; ++i) value[w][i] = _mm256_mul_ps(_mm256_cvtepi32_ps(dot[w][i]), scale);
      }
      if constexpr (F::kHalves) {
        for (int w = 0; w < kWide; ++w)
          for (int i = 0; i < kTokens; ++i) dot[w][i] = _mm256_set1_epi32(x[i].start[1]);
        add_steps<kType, 4, 8, kWide, kTokens>(p + 4 * first, x, dot);
        for (int w = 0; w < kWide; ++w) {
          const int64_t row = first + 8 * w;
          const __m256 scale = _mm256_mul_ps(half_scales(header + 2 * row), signed_scales(header + 48 + 32 * b + row));
          for (int i = 0; i < kTokens; ++i)
            value[w][i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[w][i]), scale, value[w][i]);
        }
      }
      for (int w = 0; w < kWide; ++w) {
        const int64_t row = first + 8 * w;
        __m256 minimum = _mm256_setzero_ps();
        if constexpr (F::kMinimum) minimum = half_scales(header + 32 + 2 * row);
        if constexpr (F::kMinimum && F::kSuper)
          minimum = _mm256_mul_ps(minimum, unsigned_scales(header + 192 + 16 * b + row));
        for (int i = 0; i < kTokens; ++i) {
          if constexpr (F::kMinimum) value[w][i] = _mm256_fnmadd_ps(minimum, _mm256_set1_ps(x[i].sum), value[w][i]);
          sums[w][i] = _mm256_fmadd_ps(value[w][i], _mm256_set1_ps(x[i].scale), sums[w][i]);
        }
      }
    }
  }
  for (int w = 0; w < kWide; ++w) finish<kTokens>(tile, first + 8 * w, sums[w]);
}

template <TensorType kType>
[[gnu::always_inline]] inline __m256 float_weights(const std::byte* p) {
  if constexpr (kType == TensorType::kF32) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(p));
  } else {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    if constexpr (kType == TensorType::kF16) return _mm256_cvtph_ps(bits);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
}

template <TensorType kType, int kTokens>
[[gnu::always_inline]] inline void pass_float(const Tile& tile) {
  constexpr int64_t kBytes = kType == TensorType::kF32 ? 4 : 2;
  __m256 sums[2][kTokens];
  for (int w = 0; w < 2; ++w)
    for (int i = 0; i < kTokens; ++i) sums[w][i] = _mm256_setzero_ps();
  for (int64_t k = 0; k < tile.columns; ++k) {
    for (int w = 0; w < 2; ++w) {
      const __m256 weights = float_weights<kType>(tile.group + (k * kRowGroup + 8 * w) * kBytes);
      for (int i = 0; i < kTokens; ++i)
        sums[w][i] = _mm256_fmadd_ps(weights, _mm256_set1_ps(tile.x[i * tile.columns + k]), sums[w][i]);
    }
  }
  for (int w = 0; w < 2; ++w) finish<kTokens>(tile, 8 * w, sums[w]);
}

template <TensorType kType, int kTokens>
void tile_kernel(const Tile& tile) {
  if constexpr (kType == TensorType::kF32 || kType == TensorType::kF16 || kType == TensorType::kBF16) {
    pass_float<kType, kTokens>(tile);
  } else if constexpr (kTokens <= 2) {
    pass_quantised<kType, 2, kTokens>(tile, 0);
  } else {
    pass_quantised<kType, 1, kTokens>(tile, 0);
    if (tile.rows > 8) pass_quantised<kType, 1, kTokens>(tile, 8);
  }
}

template <TensorType kType>
constexpr TileKernels kKernels = {6,
                                  {nullptr, tile_kernel<kType, 1>, tile_kernel<kType, 2>, tile_kernel<kType, 3>,
                                   tile_kernel<kType, 4>, tile_kernel<kType, 5>, tile_kernel<kType, 6>}};

const TileKernels& kernels_for(TensorType type) {
  switch (type) {
    case TensorType::kF32: return kKernels<TensorType::kF32>;
    case TensorType::kF16: return kKernels<TensorType::kF16>;
    case TensorType::kBF16: return kKernels<TensorType::kBF16>;
    case TensorType::kQ4_0: return kKernels<TensorType::kQ4_0>;
    case TensorType::kQ4_1: return kKernels<TensorType::kQ4_1>;
    case TensorType::kQ5_0: return kKernels<TensorType::kQ5_0>;
    case TensorType::kQ5_1: return kKernels<TensorType::kQ5_1>;
    case TensorType::kQ8_0: return kKernels<TensorType::kQ8_0>;
    case TensorType::kQ4_K: return kKernels<TensorType::kQ4_K>;
    case TensorType::kQ5_K: return kKernels<TensorType::kQ5_K>;
    case TensorType::kQ6_K: return kKernels<TensorType::kQ6_K>;
  }
  return kKernels<TensorType::kF32>;  // not reached: pack_matrix knows no other type
}

}  // namespace

void matmul(const MatmulArgs& args, const Run& run) { run_tiles(&args, 1, run, kernels_for); }

void matmul_several(const MatmulArgs* calls, int64_t count, const Run& run) {
  run_tiles(calls, count, run, kernels_for);
}

}  // namespace quire::avx2
