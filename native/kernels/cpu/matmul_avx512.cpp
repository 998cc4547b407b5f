// matmul_avx512.cpp — matmul with AVX-512 VNNI. Formula and order of the sums: plain_matmul.cpp; layout: packed_matrix.h.
//
// A tile of 16 rows × t tokens holds one accumulator register per token and the 8 code registers of a block of 32 columns,
// unpacked once for all tokens: per token and block 8 vpdpbusd with the activations broadcast from memory, then one
// conversion, one multiply and one or two fused multiply-adds. Bytes: each weight once per tile; for one token the matrix
// is read from memory exactly once.
// Method: interleaved rows as in the integer kernels of ggml (repack), without sums across lanes.

// GCC 12 takes the undefined pass-through operands of its own intrinsics for a mistake (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "native/kernels/cpu/matmul_tiles.h"
#include "native/kernels/cpu/op_functions.h"

namespace quire::avx512 {
namespace {

// How far ahead of the codes in use the next ones are asked for, in bytes. On Zen 4 it takes 12 tokens from 45 to 63 % of
// the peak (Q6_K, weights from memory); more or less distance changed nothing.
constexpr int64_t kPrefetch = 2048;

__m512i load(const std::byte* p) { return _mm512_loadu_si512(p); }

__m512 half_scales(const std::byte* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
__m512 unsigned_scales(const std::byte* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
__m512 signed_scales(const std::byte* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}

// (a & mask) | b with b's bits outside mask only, in one instruction each way.
__m512i low_or_high(__m512i low, __m512i low_mask, __m512i high) {
  return _mm512_ternarylogic_epi32(low, low_mask, high, 0xea);  // (low & low_mask) | high
}

// The 8 code registers of 32 columns.
template <TensorType kType>
[[gnu::always_inline]] inline void unpack_codes(const std::byte* body, __m512i* code) {
  const __m512i nibble = _mm512_set1_epi8(0x0f);
  if constexpr (kType == TensorType::kQ8_0) {
    for (int s = 0; s < 8; ++s) code[s] = load(body + 64 * s);
  } else if constexpr (kType == TensorType::kQ5_0 || kType == TensorType::kQ5_1 || kType == TensorType::kQ5_K) {
    const __m512i bit = _mm512_set1_epi8(0x10);
    const __m512i high = load(body);
    for (int s = 0; s < 4; ++s) {
      const __m512i low = load(body + 64 + 64 * s);
      const __m512i first = _mm512_and_si512(s == 0   ? _mm512_slli_epi16(high, 4)
                                             : s == 1 ? _mm512_slli_epi16(high, 3)
                                             : s == 2 ? _mm512_slli_epi16(high, 2)
                                                      : _mm512_slli_epi16(high, 1),
                                             bit);
      const __m512i second = _mm512_and_si512(s == 0 ? high : _mm512_srli_epi16(high, s), bit);
      code[s] = low_or_high(low, nibble, first);
      code[s + 4] = low_or_high(_mm512_srli_epi16(low, 4), nibble, second);
    }
  } else if constexpr (kType == TensorType::kQ6_K) {
    const __m512i bits = _mm512_set1_epi8(0x30);
    for (int s = 0; s < 4; ++s) {
      const __m512i low = load(body + 128 + 64 * s);
      for (int half = 0; half < 2; ++half) {
        const __m512i high = load(body + 64 * half);
        const __m512i placed = s == 0   ? _mm512_slli_epi16(high, 4)
                               : s == 1 ? _mm512_slli_epi16(high, 2)
                               : s == 2 ? high
                                        : _mm512_srli_epi16(high, 2);
        code[s + 4 * half] =
            low_or_high(half == 0 ? low : _mm512_srli_epi16(low, 4), nibble, _mm512_and_si512(placed, bits));
      }
    }
  } else {
    for (int s = 0; s < 4; ++s) {
      const __m512i low = load(body + 64 * s);
      code[s] = _mm512_and_si512(low, nibble);
      code[s + 4] = _mm512_and_si512(_mm512_srli_epi16(low, 4), nibble);
    }
  }
}

[[gnu::always_inline]] inline __m512i broadcast4(const int8_t* codes) {
  int32_t four = 0;
  __builtin_memcpy(&four, codes, 4);
  return _mm512_set1_epi32(four);
}

// Layout numbers of packed_layout(), known to the compiler.
template <TensorType kType>
struct Format {
  static constexpr bool kSuper = kType == TensorType::kQ4_K || kType == TensorType::kQ5_K || kType == TensorType::kQ6_K;
  static constexpr bool kHalves = kType == TensorType::kQ6_K;
  static constexpr bool kMinimum = kType == TensorType::kQ4_1 || kType == TensorType::kQ5_1 ||
                                   kType == TensorType::kQ4_K || kType == TensorType::kQ5_K;
  static constexpr int64_t kBlocks = kSuper ? 8 : 1;
  static constexpr int64_t kHeader = kHalves ? 288 : kSuper ? 320 : kMinimum ? 64 : 32;
  static constexpr int64_t kBody =
      kType == TensorType::kQ8_0                                                               ? 512
      : kType == TensorType::kQ6_K                                                             ? 384
      : kType == TensorType::kQ5_0 || kType == TensorType::kQ5_1 || kType == TensorType::kQ5_K ? 320
                                                                                               : 256;
};

template <int kTokens>
[[gnu::always_inline]] inline void finish(const Tile& tile, const __m512* sums) {
  const __mmask16 rows = static_cast<__mmask16>((1u << tile.rows) - 1);
  const __m512 bias = tile.bias == nullptr ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(rows, tile.bias);
#pragma GCC unroll 12
  for (int i = 0; i < kTokens; ++i) {
    float* out = tile.out + i * tile.out_stride;
    __m512 value = tile.bias == nullptr ? sums[i] : _mm512_add_ps(sums[i], bias);
    if (tile.accumulate) value = _mm512_add_ps(_mm512_maskz_loadu_ps(rows, out), value);
    _mm512_mask_storeu_ps(out, rows, value);
  }
}

template <TensorType kType, int kTokens>
void tile_quantised(const Tile& tile) {
  using F = Format<kType>;
  const std::byte* p = tile.group;
  const PanelEntry* x = tile.panel;
  __m512 sums[kTokens];
#pragma GCC unroll 12
  for (int i = 0; i < kTokens; ++i) sums[i] = _mm512_setzero_ps();

  for (int64_t chunk = 0; chunk < tile.columns / (kBlockColumns * F::kBlocks); ++chunk) {
    const std::byte* header = p;
    const __m512 d = half_scales(header);
    __m512 dmin = _mm512_setzero_ps();
    if constexpr (F::kMinimum) dmin = half_scales(header + 32);
    p += F::kHeader;
    for (int64_t b = 0; b < F::kBlocks; ++b, p += F::kBody, x += kTokens) {
      for (int64_t line = 0; line < F::kBody + F::kHeader / F::kBlocks; line += 64)
        _mm_prefetch(reinterpret_cast<const char*>(p + kPrefetch + line), _MM_HINT_T0);
      __m512i code[8];
      unpack_codes<kType>(p, code);
      __m512 scale = d;
      __m512 scale1 = d;
      __m512 minimum = dmin;
      if constexpr (F::kHalves) {
        scale = _mm512_mul_ps(d, signed_scales(header + 32 + 32 * b));
        scale1 = _mm512_mul_ps(d, signed_scales(header + 48 + 32 * b));
      } else if constexpr (F::kSuper) {
        scale = _mm512_mul_ps(d, unsigned_scales(header + 64 + 16 * b));
        minimum = _mm512_mul_ps(dmin, unsigned_scales(header + 192 + 16 * b));
      }
#pragma GCC unroll 12
      for (int i = 0; i < kTokens; ++i) {
        const PanelEntry& entry = x[i];
        __m512i dot = F::kMinimum ? _mm512_setzero_si512() : _mm512_set1_epi32(entry.start[0]);
        __m512i dot1 = F::kHalves ? _mm512_set1_epi32(entry.start[1]) : _mm512_setzero_si512();
#pragma GCC unroll 8
        for (int s = 0; s < 8; ++s) {
          if (F::kHalves && s >= 4)
            dot1 = _mm512_dpbusd_epi32(dot1, code[s], broadcast4(entry.codes + 4 * s));
          else
            dot = _mm512_dpbusd_epi32(dot, code[s], broadcast4(entry.codes + 4 * s));
        }
        __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(dot), scale);
        if constexpr (F::kHalves) value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot1), scale1, value);
        if constexpr (F::kMinimum) value = _mm512_fnmadd_ps(minimum, _mm512_set1_ps(entry.sum), value);
        sums[i] = _mm512_fmadd_ps(value, _mm512_set1_ps(entry.scale), sums[i]);
      }
    }
  }
  finish<kTokens>(tile, sums);
}

template <TensorType kType>
[[gnu::always_inline]] inline __m512 float_weights(const std::byte* group, int64_t k) {
  if constexpr (kType == TensorType::kF32) {
    return _mm512_loadu_ps(group + k * 64);
  } else {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(group + k * 32));
    if constexpr (kType == TensorType::kF16) return _mm512_cvtph_ps(bits);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
}

template <TensorType kType, int kTokens>
void tile_float(const Tile& tile) {
  __m512 sums[kTokens];
#pragma GCC unroll 12
  for (int i = 0; i < kTokens; ++i) sums[i] = _mm512_setzero_ps();
  for (int64_t k = 0; k < tile.columns; ++k) {
    const __m512 weights = float_weights<kType>(tile.group, k);
#pragma GCC unroll 12
    for (int i = 0; i < kTokens; ++i)
      sums[i] = _mm512_fmadd_ps(weights, _mm512_set1_ps(tile.x[i * tile.columns + k]), sums[i]);
  }
  finish<kTokens>(tile, sums);
}

template <TensorType kType, int kTokens>
constexpr TileKernel tile_kernel() {
  if constexpr (kType == TensorType::kF32 || kType == TensorType::kF16 || kType == TensorType::kBF16)
    return tile_float<kType, kTokens>;
  else
    return tile_quantised<kType, kTokens>;
}

template <TensorType kType>
constexpr TileKernels kKernels = {
    12,
    {nullptr, tile_kernel<kType, 1>(), tile_kernel<kType, 2>(), tile_kernel<kType, 3>(), tile_kernel<kType, 4>(),
     tile_kernel<kType, 5>(), tile_kernel<kType, 6>(), tile_kernel<kType, 7>(), tile_kernel<kType, 8>(),
     tile_kernel<kType, 9>(), tile_kernel<kType, 10>(), tile_kernel<kType, 11>(), tile_kernel<kType, 12>()}};

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

}  // namespace quire::avx512
