// packed_matrix.cpp — GGUF blocks to the interleaved layout of packed_matrix.h, and back row by row.
//
// Packing goes chunk by chunk: 16 rows' blocks in, one chunk out, so that what is written stays in the first-level cache.
// Formats are those of the GGUF specification (ggml-quants). Nothing is rounded: every code and scale keeps its bits.
#include "native/kernels/packed_matrix.h"

#include <atomic>
#include <cstring>
#include <string>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "native/core/error.h"
#include "native/core/half.h"

namespace quire {
namespace {

constexpr uint64_t kLowNibbles = 0x0f0f0f0f0f0f0f0full;

uint16_t load16(const uint8_t* p) {
  uint16_t value = 0;
  std::memcpy(&value, p, sizeof value);
  return value;
}
uint32_t load32(const uint8_t* p) {
  uint32_t value = 0;
  std::memcpy(&value, p, sizeof value);
  return value;
}
uint64_t load64(const uint8_t* p) {
  uint64_t value = 0;
  std::memcpy(&value, p, sizeof value);
  return value;
}
void store16(uint8_t* p, uint16_t value) { std::memcpy(p, &value, sizeof value); }
void store32(uint8_t* p, uint32_t value) { std::memcpy(p, &value, sizeof value); }
void store64(uint8_t* p, uint64_t value) { std::memcpy(p, &value, sizeof value); }

bool finite_half(uint16_t half) { return (half & 0x7c00u) != 0x7c00u; }

// Swaps the bits selected by `mask` with those `shift` places above them.
uint32_t swap_bits(uint32_t x, uint32_t mask, int shift) {
  const uint32_t t = ((x >> shift) ^ x) & mask;
  return x ^ t ^ (t << shift);
}

// Bit 4·s + place (GGUF's order of columns) to bit 8·place + s: a transposition of 8 × 4 bits.
uint32_t bits_by_place(uint32_t bits) {
  // With bit numbers written s2 s1 s0 p1 p0: exchange p0–s1, p0–p1 … until they read p1 p0 s2 s1 s0.
  bits = swap_bits(bits, 0x00aa00aau, 7);   // number bits 0 and 3: s2 p0 s0 p1 s1
  bits = swap_bits(bits, 0x0000ccccu, 14);  // 1 and 4:             p1 p0 s0 s2 s1
  bits = swap_bits(bits, 0x0c0c0c0cu, 2);   // 1 and 2:             p1 p0 s2 s0 s1
  return swap_bits(bits, 0x22222222u, 1);   // 0 and 1:             p1 p0 s2 s1 s0
}

// Byte i bit j to byte j bit i (Hacker's Delight, 7-3).
uint64_t transpose_bits(uint64_t x) {
  uint64_t t = (x ^ (x >> 7)) & 0x00aa00aa00aa00aaull;
  x ^= t ^ (t << 7);
  t = (x ^ (x >> 14)) & 0x0000cccc0000ccccull;
  x ^= t ^ (t << 14);
  t = (x ^ (x >> 28)) & 0x00000000f0f0f0f0ull;
  return x ^ t ^ (t << 28);
}

// 16 bytes, column j in the low and j + 16 in the high nibble of byte j: register r gets bytes 4r … 4r + 3.
void put_nibbles(const uint8_t* nibbles, uint8_t* low, int64_t row) {
  for (int r = 0; r < 4; ++r) store32(low + r * 64 + row * 4, load32(nibbles + 4 * r));
}

// 32 bytes hold two blocks, one in the low and one in the high nibbles: GGUF's order in K-quants to put_nibbles' order.
void split_nibbles(const uint8_t* bytes, uint8_t* first, uint8_t* second) {
  for (int i = 0; i < 16; i += 8) {
    const uint64_t a = load64(bytes + i);
    const uint64_t b = load64(bytes + i + 16);
    store64(first + i, (a & kLowNibbles) | ((b & kLowNibbles) << 4));
    store64(second + i, ((a >> 4) & kLowNibbles) | (b & ~kLowNibbles));
  }
}

// The 6-bit scales and minima of Q4_K and Q5_K, 12 bytes for 8 blocks.
void unpack_six_bits(const uint8_t* packed, uint8_t* scales, uint8_t* minima) {
  for (int i = 0; i < 4; ++i) {
    scales[i] = packed[i] & 63;
    minima[i] = packed[i + 4] & 63;
    scales[i + 4] = static_cast<uint8_t>((packed[i + 8] & 15) | ((packed[i] >> 6) << 4));
    minima[i + 4] = static_cast<uint8_t>((packed[i + 8] >> 4) | ((packed[i + 4] >> 6) << 4));
  }
}

// Each pack function writes one GGUF block of row `row` (0–15 of its group) into a chunk; false: a scale is not finite.

// Q4_0 {d, qs[16]}, Q4_1 {d, m, qs[16]}, Q5_0 {d, qh[4], qs[16]}, Q5_1 {d, m, qh[4], qs[16]}
template <bool kMinimum, bool kHigh>
bool pack_32(const uint8_t* block, uint8_t* chunk, int64_t row) {
  const uint16_t scale = load16(block);
  store16(chunk + row * 2, scale);
  bool finite = finite_half(scale);
  block += 2;
  chunk += 32;
  if (kMinimum) {
    const uint16_t minimum = load16(block);
    store16(chunk + row * 2, minimum ^ 0x8000u);
    finite = finite && finite_half(minimum);
    block += 2;
    chunk += 32;
  }
  if (kHigh) {
    store32(chunk + row * 4, bits_by_place(load32(block)));
    block += 4;
    chunk += 64;
  }
  put_nibbles(block, chunk, row);
  return finite;
}

// Q8_0 {d, i8 qs[32]}
bool pack_q8_0(const uint8_t* block, uint8_t* chunk, int64_t row) {
  const uint16_t scale = load16(block);
  store16(chunk + row * 2, scale);
  for (int s = 0; s < 8; ++s) store32(chunk + 32 + s * 64 + row * 4, load32(block + 2 + 4 * s) ^ 0x80808080u);
  return finite_half(scale);
}

// Q4_K {d, dmin, scales[12], qs[128]}, Q5_K {d, dmin, scales[12], qh[32], qs[128]}
template <bool kHigh>
bool pack_k45(const uint8_t* block, uint8_t* chunk, int64_t row) {
  constexpr int64_t kBody = 256 + (kHigh ? 64 : 0);
  const uint16_t d = load16(block);
  const uint16_t dmin = load16(block + 2);
  store16(chunk + row * 2, d);
  store16(chunk + 32 + row * 2, dmin);
  uint8_t scales[8];
  uint8_t minima[8];
  unpack_six_bits(block + 4, scales, minima);
  for (int b = 0; b < 8; ++b) {
    chunk[64 + b * 16 + row] = scales[b];
    chunk[192 + b * 16 + row] = minima[b];
  }
  uint8_t* body = chunk + 320;
  block += 16;
  if (kHigh) {
    uint64_t by_block[4];  // byte b: the high bits of place p in block b
    for (int p = 0; p < 4; ++p) {
      uint64_t bytes = 0;
      for (int s = 0; s < 8; ++s) bytes |= static_cast<uint64_t>(block[4 * s + p]) << (8 * s);
      by_block[p] = transpose_bits(bytes);
    }
    for (int b = 0; b < 8; ++b) {
      uint32_t places = 0;
      for (int p = 0; p < 4; ++p) places |= static_cast<uint32_t>((by_block[p] >> (8 * b)) & 0xff) << (8 * p);
      store32(body + b * kBody + row * 4, places);
    }
    block += 32;
    body += 64;
  }
  for (int pair = 0; pair < 4; ++pair) {
    uint8_t first[16];
    uint8_t second[16];
    split_nibbles(block + 32 * pair, first, second);
    put_nibbles(first, body + (2 * pair) * kBody, row);
    put_nibbles(second, body + (2 * pair + 1) * kBody, row);
  }
  return finite_half(d) && finite_half(dmin);
}

// Q6_K {ql[128], qh[64], i8 scales[16], d}
bool pack_q6_k(const uint8_t* block, uint8_t* chunk, int64_t row) {
  constexpr int64_t kBody = 128 + 256;
  const uint16_t d = load16(block + 208);
  store16(chunk + row * 2, d);
  for (int i = 0; i < 16; ++i) chunk[32 + i * 16 + row] = block[192 + i];
  for (int half = 0; half < 2; ++half) {
    const uint8_t* low = block + half * 64;
    const uint8_t* high = block + 128 + half * 32;
    uint8_t* body = chunk + 288 + half * 4 * kBody;
    uint8_t nibbles[4][16];
    split_nibbles(low, nibbles[0], nibbles[2]);
    split_nibbles(low + 32, nibbles[1], nibbles[3]);
    for (int b = 0; b < 4; ++b) {
      put_nibbles(nibbles[b], body + b * kBody + 128, row);
      for (int v = 0; v < 2; ++v) {  // columns 16·v … 16·v + 15
        uint32_t fields = 0;
        for (int s = 0; s < 4; ++s) fields |= ((load32(high + 16 * v + 4 * s) >> (2 * b)) & 0x03030303u) << (2 * s);
        store32(body + b * kBody + v * 64 + row * 4, fields);
      }
    }
  }
  return finite_half(d);
}

// Element (row, column) of a float type is copied; `bytes` is its size.
bool pack_float(TensorType type, const uint8_t* source, uint8_t* group, int64_t row, int64_t columns) {
  bool finite = true;
  if (type == TensorType::kF32) {
    for (int64_t k = 0; k < columns; ++k) {
      const uint32_t value = load32(source + 4 * k);
      finite = finite && (value & 0x7f800000u) != 0x7f800000u;
      store32(group + (k * kRowGroup + row) * 4, value);
    }
    return finite;
  }
  const uint16_t exponent = type == TensorType::kF16 ? 0x7c00u : 0x7f80u;
  for (int64_t k = 0; k < columns; ++k) {
    const uint16_t value = load16(source + 2 * k);
    finite = finite && (value & exponent) != exponent;
    store16(group + (k * kRowGroup + row) * 2, value);
  }
  return finite;
}

// Asks for pages of 2 MiB: fewer faults while packing and fewer address look-ups while streaming. A hint, may be refused.
void prefer_huge_pages(AlignedBuffer& buffer) {
#if defined(__linux__)
  constexpr uintptr_t kPage = 4096;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(buffer.data()) + kPage - 1) / kPage * kPage;
  const uintptr_t end = reinterpret_cast<uintptr_t>(buffer.data() + buffer.bytes()) / kPage * kPage;
  if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)buffer;
#endif
}

using PackBlock = bool (*)(const uint8_t* block, uint8_t* chunk, int64_t row);

// Null for float types.
PackBlock pack_function(TensorType type) {
  switch (type) {
    case TensorType::kQ4_0: return pack_32<false, false>;
    case TensorType::kQ4_1: return pack_32<true, false>;
    case TensorType::kQ5_0: return pack_32<false, true>;
    case TensorType::kQ5_1: return pack_32<true, true>;
    case TensorType::kQ8_0: return pack_q8_0;
    case TensorType::kQ4_K: return pack_k45<false>;
    case TensorType::kQ5_K: return pack_k45<true>;
    case TensorType::kQ6_K: return pack_q6_k;
    default: return nullptr;
  }
}

const uint8_t* bytes_of(const PackedMatrix& matrix, int64_t row) {
  return reinterpret_cast<const uint8_t*>(matrix.group(row / kRowGroup));
}

}  // namespace

BlockShape block_shape(TensorType type) {
  switch (type) {
    case TensorType::kF32: return {1, 4};
    case TensorType::kF16: return {1, 2};
    case TensorType::kBF16: return {1, 2};
    case TensorType::kQ4_0: return {32, 18};
    case TensorType::kQ4_1: return {32, 20};
    case TensorType::kQ5_0: return {32, 22};
    case TensorType::kQ5_1: return {32, 24};
    case TensorType::kQ8_0: return {32, 34};
    case TensorType::kQ4_K: return {256, 144};
    case TensorType::kQ5_K: return {256, 176};
    case TensorType::kQ6_K: return {256, 210};
  }
  return {0, 0};
}

PackedLayout packed_layout(TensorType type) {
  switch (type) {
    case TensorType::kQ4_0: return {32, 32, 0, 256, 8};
    case TensorType::kQ4_1: return {32, 64, 0, 256, 0};
    case TensorType::kQ5_0: return {32, 32, 64, 256, 16};
    case TensorType::kQ5_1: return {32, 64, 64, 256, 0};
    case TensorType::kQ8_0: return {32, 32, 0, 512, 128};
    case TensorType::kQ4_K: return {256, 320, 0, 256, 0};
    case TensorType::kQ5_K: return {256, 320, 64, 256, 0};
    case TensorType::kQ6_K: return {256, 288, 128, 256, 32};
    default: throw Error("invalid-model", "not a quantised type: " + std::to_string(static_cast<int>(type)));
  }
}

PackedMatrix pack_matrix(TensorType type, const std::byte* source, int64_t rows, int64_t columns, const char* where,
                         ThreadPool& pool) {
  const BlockShape shape = block_shape(type);
  if (shape.columns == 0)
    throw Error("invalid-model", "unknown tensor type " + std::to_string(static_cast<int>(type)), where);
  if (rows < 0 || columns <= 0 || columns % shape.columns != 0)
    throw Error("invalid-model",
                "a matrix of " + std::to_string(rows) + " × " + std::to_string(columns) + " cannot be packed", where);
  PackedMatrix matrix;
  matrix.type = type;
  matrix.rows = rows;
  matrix.columns = columns;
  const PackBlock pack = pack_function(type);
  const int64_t row_bytes = checked_mul(columns / shape.columns, shape.bytes, where);
  const int64_t chunk_bytes = pack == nullptr ? 0 : packed_layout(type).chunk_bytes();
  matrix.group_bytes = pack == nullptr ? checked_mul(row_bytes, kRowGroup, where)
                                       : checked_mul(columns / shape.columns, chunk_bytes, where);
  checked_add(rows, kRowGroup, where);  // groups() adds
  matrix.data = AlignedBuffer(checked_mul(matrix.groups(), matrix.group_bytes, where), where);
  prefer_huge_pages(matrix.data);

  std::atomic<int64_t> bad_group{-1};
  pool.run(matrix.groups(), [&](int64_t g) {
    const auto* rows_in = reinterpret_cast<const uint8_t*>(source) + g * kRowGroup * row_bytes;
    auto* out = reinterpret_cast<uint8_t*>(matrix.data.data()) + g * matrix.group_bytes;
    const int64_t rows_here = rows - g * kRowGroup < kRowGroup ? rows - g * kRowGroup : kRowGroup;
    bool finite = true;
    if (pack == nullptr) {
      for (int64_t r = 0; r < rows_here; ++r)
        finite = pack_float(type, rows_in + r * row_bytes, out, r, columns) && finite;
    } else {
      for (int64_t b = 0; b < columns / shape.columns; ++b)
        for (int64_t r = 0; r < rows_here; ++r)
          finite = pack(rows_in + r * row_bytes + b * shape.bytes, out + b * chunk_bytes, r) && finite;
    }
    if (!finite) bad_group.store(g, std::memory_order_relaxed);
  });
  if (bad_group.load() >= 0)
    throw Error("invalid-model",
                "a weight or scale is not a finite number, near row " + std::to_string(bad_group.load() * kRowGroup),
                where);
  return matrix;
}

void read_block(const PackedMatrix& matrix, int64_t row, int64_t block, WeightBlock* out) {
  const PackedLayout layout = packed_layout(matrix.type);
  const int64_t blocks = layout.chunk_columns / kBlockColumns;
  const int64_t r = row % kRowGroup;
  const int64_t b = block % blocks;  // in its chunk
  const uint8_t* header = bytes_of(matrix, row) + block / blocks * layout.chunk_bytes();
  const uint8_t* high = header + layout.header_bytes + b * layout.body_bytes();
  const uint8_t* low = high + layout.high_bytes;

  for (int64_t c = 0; c < kBlockColumns; ++c) {
    const int64_t s = c / 4;
    const int64_t byte = r * 4 + c % 4;
    int32_t code = 0;
    if (layout.low_bytes == 512) {
      code = low[s * 64 + byte];
    } else {
      code = (low[s % 4 * 64 + byte] >> (s / 4 * 4)) & 15;
      if (layout.high_bytes == 64) code |= ((high[byte] >> s) & 1) << 4;
      if (layout.high_bytes == 128) code |= ((high[s / 4 * 64 + byte] >> (2 * (s % 4))) & 3) << 4;
    }
    out->codes[c] = static_cast<int16_t>(code - layout.zero);
  }

  const float d = half_to_float(load16(header + r * 2));
  out->scale[0] = out->scale[1] = d;
  out->minimum = 0;
  if (matrix.type == TensorType::kQ6_K) {
    for (int half = 0; half < 2; ++half)
      out->scale[half] = d * static_cast<float>(static_cast<int8_t>(header[32 + (2 * b + half) * 16 + r]));
  } else if (layout.header_bytes == 320) {
    out->scale[0] = out->scale[1] = d * static_cast<float>(header[64 + b * 16 + r]);
    out->minimum = half_to_float(load16(header + 32 + r * 2)) * static_cast<float>(header[192 + b * 16 + r]);
  } else if (layout.header_bytes == 64) {
    out->minimum = half_to_float(load16(header + 32 + r * 2));
  }
}

float read_float(const PackedMatrix& matrix, int64_t row, int64_t column) {
  const int64_t index = column * kRowGroup + row % kRowGroup;
  const uint8_t* group = bytes_of(matrix, row);
  if (matrix.type == TensorType::kF32) return bits_to_float(load32(group + 4 * index));
  if (matrix.type == TensorType::kF16) return half_to_float(load16(group + 2 * index));
  return bfloat16_to_float(load16(group + 2 * index));
}

void unpack_row(const PackedMatrix& matrix, int64_t row, float* out) {
  if (matrix.is_float()) {
    for (int64_t k = 0; k < matrix.columns; ++k) out[k] = read_float(matrix, row, k);
    return;
  }
  WeightBlock block;
  for (int64_t b = 0; b < matrix.columns / kBlockColumns; ++b) {
    read_block(matrix, row, b, &block);
    for (int64_t c = 0; c < kBlockColumns; ++c)
      out[b * kBlockColumns + c] = block.scale[c / 16] * static_cast<float>(block.codes[c]) - block.minimum;
  }
}

}  // namespace quire
