// packed_matrix.h — a weight matrix as the matmul op reads it.
//
// GGUF stores quantised rows one after another. Here 16 rows are interleaved: for four neighbouring columns, 16 rows × 4
// codes fill one 64-byte register, the unsigned operand of vpdpbusd, and no sum runs across lanes. Codes stay at their
// width (4, 5, 6 or 8 bits), scales at their precision, so that decoding reads about as many bytes as the file has.
//
// A group of 16 rows is a run of chunks, in order of the columns; a chunk is what one GGUF block of each row becomes:
//   header  scales (and minima), 16 rows each time:
//             Q4_0 Q5_0 Q8_0   f16 scale                                  w = scale · (code − zero)
//             Q4_1 Q5_1        f16 scale, f16 minimum                     w = scale · code − minimum   (GGUF's m, negated)
//             Q4_K Q5_K        f16 d, f16 dmin, u8 sc[8], u8 m[8]         w = (d · sc) · code − dmin · m
//             Q6_K             f16 d, i8 sc[16]                           w = (d · sc) · (code − 32)
//   body    per 32 columns: high bits of the codes, then their low bits. Column c is step s = c / 4 and place c % 4; its
//           byte in a register is row · 4 + place.
//             low, 4 bits   register s % 4; steps 0–3 in the low nibble, 4–7 in the high one
//             low, 8 bits   register s
//             high, 1 bit   one register, step s in bit s
//             high, 2 bits  register s / 4, step s in bits 2·(s % 4) and above
// Float types: [columns][16 rows] in their own format.
#pragma once

#include <cstdint>

#include "native/core/aligned_buffer.h"
#include "native/core/thread_pool.h"

namespace quire {

// Types of DESIGN §7, by their GGUF numbers.
enum class TensorType : int32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30,
};

constexpr int64_t kRowGroup = 16;      // rows interleaved
constexpr int64_t kBlockColumns = 32;  // columns whose products are summed in integers

struct PackedMatrix {
  TensorType type = TensorType::kF32;
  int64_t rows = 0;         // N
  int64_t columns = 0;      // K
  int64_t group_bytes = 0;  // bytes of one group of 16 rows; the last group is padded with rows of zero
  AlignedBuffer data;       // [ceil(N/16), group_bytes]

  bool is_float() const { return type == TensorType::kF32 || type == TensorType::kF16 || type == TensorType::kBF16; }
  int64_t groups() const { return (rows + kRowGroup - 1) / kRowGroup; }
  const std::byte* group(int64_t i) const { return data.data() + i * group_bytes; }
};

// Columns of one GGUF block and its bytes; {0, 0} for a type we do not read.
struct BlockShape {
  int64_t columns = 0;
  int64_t bytes = 0;
};
BlockShape block_shape(TensorType type);

// How a quantised type is packed; see the top of this file. Bytes are those of 16 rows.
struct PackedLayout {
  int64_t chunk_columns = 0;  // columns of a chunk: the GGUF block's
  int64_t header_bytes = 0;   // of a chunk
  int64_t high_bytes = 0;     // of 32 columns
  int64_t low_bytes = 0;      // of 32 columns
  int32_t zero = 0;           // the code that stands for weight 0, where there is no minimum
  int64_t body_bytes() const { return high_bytes + low_bytes; }
  int64_t chunk_bytes() const { return header_bytes + chunk_columns / kBlockColumns * body_bytes(); }
};
// Throws "invalid-model" for a float or unknown type.
PackedLayout packed_layout(TensorType type);

// 32 columns of one row, unpacked: w[c] = scale[c / 16] · code[c] − minimum. The zero point is taken off the codes.
struct WeightBlock {
  int16_t codes[kBlockColumns];
  float scale[2];
  float minimum;
};

// Columns [32 · block, 32 · block + 32) of a row of a quantised matrix.
void read_block(const PackedMatrix& matrix, int64_t row, int64_t block, WeightBlock* out);

// Weight (row, column) of a float matrix.
float read_float(const PackedMatrix& matrix, int64_t row, int64_t column);

// Packs rows as GGUF stores them ([rows][columns/block][block bytes]). Throws "invalid-model", naming `where`, for an unknown
// type, a negative size, columns that are no positive multiple of the block, and a scale or float weight that is NaN or infinite.
PackedMatrix pack_matrix(TensorType type, const std::byte* source, int64_t rows, int64_t columns, const char* where,
                         ThreadPool& pool);

// Row `row` as floats, exactly the values that GGUF defines for it. out: [columns].
void unpack_row(const PackedMatrix& matrix, int64_t row, float* out);

}  // namespace quire
