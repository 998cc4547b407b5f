// gguf_reference.h — GGUF's quantised blocks written down a second time for the tests, straight from the specification:
// one element at a time, sharing nothing with the packing code. Also random blocks and corner blocks of each type.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "native/core/half.h"
#include "native/kernels/packed_matrix.h"

namespace quire::reference {

struct TypeName {
  TensorType type;
  const char* name;
};
constexpr TypeName kQuantTypes[] = {
    {TensorType::kQ4_0, "Q4_0"}, {TensorType::kQ4_1, "Q4_1"}, {TensorType::kQ5_0, "Q5_0"}, {TensorType::kQ5_1, "Q5_1"},
    {TensorType::kQ8_0, "Q8_0"}, {TensorType::kQ4_K, "Q4_K"}, {TensorType::kQ5_K, "Q5_K"}, {TensorType::kQ6_K, "Q6_K"},
};
constexpr TypeName kFloatTypes[] = {{TensorType::kF32, "F32"}, {TensorType::kF16, "F16"}, {TensorType::kBF16, "BF16"}};

/// Every type that a weight can have, the quantised ones first.
inline std::vector<TypeName> all_types() {
  std::vector<TypeName> types(std::begin(kQuantTypes), std::end(kQuantTypes));
  types.insert(types.end(), std::begin(kFloatTypes), std::end(kFloatTypes));
  return types;
}

inline float half_at(const uint8_t* p) { return half_to_float(static_cast<uint16_t>(p[0] | (p[1] << 8))); }

// The 6-bit scale (first) and minimum of sub-block j of a K-quant.
inline void scale_and_minimum(const uint8_t* q, int j, int* scale, int* minimum) {
  if (j < 4) {
    *scale = q[j] & 63;
    *minimum = q[j + 4] & 63;
  } else {
    *scale = (q[j + 4] & 15) | ((q[j - 4] >> 6) << 4);
    *minimum = (q[j + 4] >> 4) | ((q[j] >> 6) << 4);
  }
}

// Element i of a block, in float arithmetic as the specification has it.
inline float element(TensorType type, const uint8_t* block, int i) {
  const int j = i % 16;
  switch (type) {
    case TensorType::kF32: {
      float value = 0;
      std::memcpy(&value, block, 4);
      return value;
    }
    case TensorType::kF16: return half_at(block);
    case TensorType::kBF16: return bfloat16_to_float(static_cast<uint16_t>(block[0] | (block[1] << 8)));
    case TensorType::kQ4_0: {
      const int code = i < 16 ? block[2 + j] & 15 : block[2 + j] >> 4;
      return static_cast<float>(code - 8) * half_at(block);
    }
    case TensorType::kQ4_1: {
      const int code = i < 16 ? block[4 + j] & 15 : block[4 + j] >> 4;
      return static_cast<float>(code) * half_at(block) + half_at(block + 2);
    }
    case TensorType::kQ5_0: {
      const int high = (block[2 + i / 8] >> (i % 8)) & 1;
      const int code = (i < 16 ? block[6 + j] & 15 : block[6 + j] >> 4) | (high << 4);
      return static_cast<float>(code - 16) * half_at(block);
    }
    case TensorType::kQ5_1: {
      const int high = (block[4 + i / 8] >> (i % 8)) & 1;
      const int code = (i < 16 ? block[8 + j] & 15 : block[8 + j] >> 4) | (high << 4);
      return static_cast<float>(code) * half_at(block) + half_at(block + 2);
    }
    case TensorType::kQ8_0: return static_cast<float>(static_cast<int8_t>(block[2 + i])) * half_at(block);
    case TensorType::kQ4_K:
    case TensorType::kQ5_K: {
      const bool five = type == TensorType::kQ5_K;
      const int sub = i / 32;
      const uint8_t byte = block[(five ? 48 : 16) + sub / 2 * 32 + i % 32];
      int code = sub % 2 == 0 ? byte & 15 : byte >> 4;
      if (five) code |= ((block[16 + i % 32] >> sub) & 1) << 4;
      int scale = 0;
      int minimum = 0;
      scale_and_minimum(block + 4, sub, &scale, &minimum);
      return half_at(block) * static_cast<float>(scale) * static_cast<float>(code) -
             half_at(block + 2) * static_cast<float>(minimum);
    }
    case TensorType::kQ6_K: {
      const int half = i / 128;
      const int quarter = i % 128 / 32;
      const int l = i % 32;
      const uint8_t low = block[half * 64 + l + (quarter % 2) * 32];
      const int high = (block[128 + half * 32 + l] >> (2 * quarter)) & 3;
      const int code = ((quarter < 2 ? low & 15 : low >> 4) | (high << 4)) - 32;
      const int scale = static_cast<int8_t>(block[192 + i / 16]);
      return half_at(block + 208) * static_cast<float>(scale) * static_cast<float>(code);
    }
  }
  return 0;
}

// The minimum that element i's block takes off (0 where the type has none): what cancels, and so what bounds the rounding.
inline float minimum_of(TensorType type, const uint8_t* block, int i) {
  if (type == TensorType::kQ4_1 || type == TensorType::kQ5_1) return half_at(block + 2);
  if (type != TensorType::kQ4_K && type != TensorType::kQ5_K) return 0;
  int scale = 0;
  int minimum = 0;
  scale_and_minimum(block + 4, i / 32, &scale, &minimum);
  return half_at(block + 2) * static_cast<float>(minimum);
}

// A matrix as the file holds it, and its values.
struct SourceMatrix {
  TensorType type = TensorType::kF32;
  int64_t rows = 0;
  int64_t columns = 0;
  std::vector<uint8_t> bytes;
  float at(int64_t row, int64_t column) const { return element(type, block(row, column), place(column)); }
  // |scale · code| + |minimum| at least: the size of what is added up for this element.
  double magnitude(int64_t row, int64_t column) const {
    return std::fabs(at(row, column)) + 2 * std::fabs(minimum_of(type, block(row, column), place(column)));
  }
  const uint8_t* block(int64_t row, int64_t column) const {
    const BlockShape shape = block_shape(type);
    return bytes.data() + (row * (columns / shape.columns) + column / shape.columns) * shape.bytes;
  }
  int place(int64_t column) const { return static_cast<int>(column % block_shape(type).columns); }
  const std::byte* data() const { return reinterpret_cast<const std::byte*>(bytes.data()); }
};

inline void put_half(uint8_t* p, float value) {
  const uint16_t bits = float_to_half(value);
  std::memcpy(p, &bits, 2);
}

enum class Fill { kRandom, kZeroScales, kLargest, kAllOnes };

// kRandom: every bit pattern of the codes, scales like a trained model's. kLargest: codes and scales at their limits.
inline SourceMatrix make_matrix(TensorType type, int64_t rows, int64_t columns, Fill fill, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, 0.05f);
  const BlockShape shape = block_shape(type);
  SourceMatrix matrix{type, rows, columns, {}};
  const int64_t blocks = rows * (columns / shape.columns);
  matrix.bytes.resize(static_cast<size_t>(blocks * shape.bytes));
  for (int64_t b = 0; b < blocks; ++b) {
    uint8_t* block = matrix.bytes.data() + b * shape.bytes;
    for (int64_t i = 0; i < shape.bytes; ++i)
      block[i] = fill == Fill::kRandom ? static_cast<uint8_t>(random()) : fill == Fill::kAllOnes ? 0x11 : 0xff;
    const bool zero = fill == Fill::kZeroScales;
    const float scale = zero ? 0.0f : fill == Fill::kLargest ? 60000.0f : normal(random);
    const float minimum = zero ? 0.0f : fill == Fill::kLargest ? 60000.0f : normal(random);
    switch (type) {
      case TensorType::kF32: std::memcpy(block, &scale, 4); break;
      case TensorType::kF16: put_half(block, scale); break;
      case TensorType::kBF16: {
        const uint16_t bits = static_cast<uint16_t>(float_to_bits(scale) >> 16);
        std::memcpy(block, &bits, 2);
        break;
      }
      case TensorType::kQ4_1:
      case TensorType::kQ5_1:
      case TensorType::kQ4_K:
      case TensorType::kQ5_K:
        put_half(block, scale);
        put_half(block + 2, minimum);
        break;
      case TensorType::kQ6_K:
        put_half(block + 208, scale);
        if (fill == Fill::kLargest) std::memset(block + 192, 0x80, 16);  // i8 scales of -128
        break;
      case TensorType::kQ8_0:
        put_half(block, scale);
        if (fill == Fill::kLargest) std::memset(block + 2, 0x80, 32);  // codes of -128
        break;
      default: put_half(block, scale);
    }
  }
  return matrix;
}

}  // namespace quire::reference
