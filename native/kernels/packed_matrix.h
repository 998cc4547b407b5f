// packed_matrix.h — a weight matrix as the matmul op reads it.
//
// GGUF stores quantised rows one after another. Here 16 rows are interleaved: for four neighbouring columns, 16 rows × 4
// codes fill one 64-byte register, the operand of vpdpbusd, and no sum runs across lanes. Codes stay at their width (4, 5,
// 6 or 8 bits), scales at their precision, so that decoding reads about as many bytes as the file has.
// The layout of each type is written above its packing function in packed_matrix.cpp.
#pragma once

#include <cstdint>

#include "native/core/aligned_buffer.h"
#include "native/core/thread_pool.h"

namespace quire {

// Types of DESIGN §7, by their GGUF numbers.
enum class TensorType : int32_t {
  kF32 = 0, kF16 = 1, kQ4_0 = 2, kQ4_1 = 3, kQ5_0 = 6, kQ5_1 = 7, kQ8_0 = 8, kQ4_K = 12, kQ5_K = 13, kQ6_K = 14,
  kBF16 = 30,
};

constexpr int64_t kRowGroup = 16;  // rows interleaved

struct PackedMatrix {
  TensorType type = TensorType::kF32;
  int64_t rows = 0;         // N
  int64_t columns = 0;      // K
  int64_t group_bytes = 0;  // bytes of one group of 16 rows; the last group is padded with rows of zero
  AlignedBuffer data;       // [ceil(N/16), group_bytes]

  bool is_float() const {
    return type == TensorType::kF32 || type == TensorType::kF16 || type == TensorType::kBF16;
  }
  int64_t groups() const { return (rows + kRowGroup - 1) / kRowGroup; }
  const std::byte* group(int64_t i) const { return data.data() + i * group_bytes; }
};

// Columns of one GGUF block and its bytes; {0, 0} for a type we do not read.
struct BlockShape {
  int64_t columns = 0;
  int64_t bytes = 0;
};
BlockShape block_shape(TensorType type);

// Packs rows as GGUF stores them ([rows][columns/block][block bytes]). Throws "invalid-model", naming `where`, for an unknown
// type, columns that are no multiple of the block, and a scale that is NaN or infinite.
PackedMatrix pack_matrix(TensorType type, const std::byte* source, int64_t rows, int64_t columns, const char* where,
                         ThreadPool& pool);

// Row `row` as floats, exactly the values that GGUF defines for it. out: [columns].
void unpack_row(const PackedMatrix& matrix, int64_t row, float* out);

}  // namespace quire
