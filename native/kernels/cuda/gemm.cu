// gemm.cu — quantised weights times the rows of a chunk, on tensor cores.
//
//   out[t, r] = (accumulate ? out[t, r] : 0) + bias[r] + row_scale[t] · Σ_k f16(weight[r, k]) · x[t, k]
//
// weight  [N, K]  packed (packed_matrix.h), made f16 on the way to shared memory        x  [T, K]  f16
// Block   128 rows × 128 tokens, 8 warps of 64 × 32; K in steps of 64, two buffers: while a step is multiplied, the next
//         one's codes are in flight to registers and its activations to shared memory (cp.async).
// Sums    f32, in order of k: a token's result depends on neither T nor its place in the tile.
// Shared  a row of 64 halves is 8 chunks of 16 bytes; chunk c lies at c ^ f(row), so that neither ldmatrix nor the stores
//         of unpacked codes meet in a bank.
// Limits  K a multiple of 32.
#include <algorithm>

#include "native/kernels/cuda/gemm.h"
#include "native/kernels/cuda/packed_device.cuh"

namespace quire::cuda {
namespace {

constexpr int kRows = 128;
constexpr int kTokens = 128;
constexpr int kDepth = 64;
constexpr int kThreads = 256;
constexpr int kTileBytes = kRows * kDepth * 2;
constexpr int kSharedBytes = 4 * kTileBytes;  // two buffers of weights, two of activations

__device__ int swizzled(int row, int chunk) { return row * 128 + ((chunk ^ ((row & 7) ^ ((row >> 3 & 1) << 1))) << 4); }

__device__ uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

__device__ uint2 pack_halves(float a, float b, float c, float d) {
  const __half2 low = __floats2half2_rn(a, b);
  const __half2 high = __floats2half2_rn(c, d);
  return {*reinterpret_cast<const uint32_t*>(&low), *reinterpret_cast<const uint32_t*>(&high)};
}

// A lane's part of a block of 32 columns, on its way from memory to the tile: 4 rows × 8 columns.
template <TensorType kType>
struct WeightLane {
  RawBlock<kType> raw;
  __device__ void load(const uint8_t* group, int block, int lane) { raw.load(group, block, lane); }
  // Byte i of a word as float: 2^23 + byte is exact, and so is taking 2^23 and the zero point off again.
  __device__ static float code(uint32_t word, int i) {
    constexpr float kOffset = 8388608.0f + (Packed<kType>::kByte ? 128 : Packed<kType>::kZero);
    return __uint_as_float(__byte_perm(word, 0x4b000000u, 0x7440 + i)) - kOffset;
  }
  // Columns 4s … 4s+3 (which 0) or 4s+16 … (which 1) of row r.
  __device__ uint2 halves(int r, int which, int lane) const {
    int first, second;
    raw.codes(r, lane, first, second);
    uint32_t word = static_cast<uint32_t>(which == 0 ? first : second);
    if (Packed<kType>::kByte) word ^= 0x80808080u;
    const float scale = raw.scale(r, which);
    const float minimum = raw.minimum(r);
    return pack_halves(scale * code(word, 0) - minimum, scale * code(word, 1) - minimum,
                       scale * code(word, 2) - minimum, scale * code(word, 3) - minimum);
  }
};

template <TensorType kType>
struct FloatLane {
  float values[8][4];  // column, row
  __device__ void load(const uint8_t* group, int block, int lane) {
    constexpr int kBytes = kType == TensorType::kF32 ? 4 : 2;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int column = block * 32 + (lane >> 2) * 4 + i % 4 + i / 4 * 16;
      const uint8_t* p = group + (static_cast<int64_t>(column) * 16 + (lane & 3) * 4) * kBytes;
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        if (kType == TensorType::kF32) {
          values[i][r] = reinterpret_cast<const float*>(p)[r];
        } else {
          const unsigned short bits = reinterpret_cast<const unsigned short*>(p)[r];
          values[i][r] = kType == TensorType::kF16 ? __half2float(__ushort_as_half(bits))
                                                   : __uint_as_float(static_cast<uint32_t>(bits) << 16);
        }
      }
    }
  }
  __device__ uint2 halves(int r, int which, int) const {
    return pack_halves(values[4 * which][r], values[4 * which + 1][r], values[4 * which + 2][r],
                       values[4 * which + 3][r]);
  }
};

template <TensorType kType>
struct LaneOf {
  using Type = WeightLane<kType>;
};
template <>
struct LaneOf<TensorType::kF32> {
  using Type = FloatLane<TensorType::kF32>;
};
template <>
struct LaneOf<TensorType::kF16> {
  using Type = FloatLane<TensorType::kF16>;
};
template <>
struct LaneOf<TensorType::kBF16> {
  using Type = FloatLane<TensorType::kBF16>;
};

__device__ void load_matrix(uint32_t address, uint32_t* r) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address));
}
__device__ void multiply(float* c, const uint32_t* a, const uint32_t* b) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

template <TensorType kType>
__global__ void __launch_bounds__(kThreads, 2) gemm_kernel(const __grid_constant__ GemmArgs args) {
  extern __shared__ __align__(1024) uint8_t shared[];
  const int first_row = blockIdx.y * kRows;
  const int64_t first_token = static_cast<int64_t>(blockIdx.x) * kTokens;
  const int columns = args.weight.columns;
  const int blocks = columns / 32;
  const int steps = (columns + kDepth - 1) / kDepth;

  // Who unpacks what: a half-warp has one row group of the tile and one of the step's two blocks.
  const int lane = threadIdx.x & 15;
  const int half_warp = threadIdx.x / 16;
  const int tile_group = half_warp / 2;
  const int tile_block = half_warp % 2;
  const int group = first_row / 16 + tile_group;
  const bool has_group = group < args.weight.groups();
  const uint8_t* group_data = args.weight.data + (has_group ? group : 0) * args.weight.group_bytes;
  typename LaneOf<kType>::Type weights;

  const auto unpack = [&](uint8_t* tile, bool present) {
#pragma unroll
    for (int r = 0; r < 4; ++r)
#pragma unroll
      for (int which = 0; which < 2; ++which) {
        const int row = tile_group * 16 + (lane & 3) * 4 + r;
        const int chunk = tile_block * 4 + which * 2 + (lane >> 3);
        const uint2 value = present ? weights.halves(r, which, lane) : make_uint2(0, 0);
        *reinterpret_cast<uint2*>(tile + swizzled(row, chunk) + (lane >> 2 & 1) * 8) = value;
      }
  };
  const auto fetch_activations = [&](uint8_t* tile, int step) {
#pragma unroll
    for (int i = 0; i < kTokens * 8 / kThreads; ++i) {
      const int index = i * kThreads + threadIdx.x;
      const int row = index / 8;
      const int chunk = index % 8;
      const int64_t token = first_token + row;
      const int column = step * kDepth + chunk * 8;
      const bool inside = token < args.tokens && column < columns;
      const __half* source = inside ? args.x + token * columns + column : args.x;
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(tile + swizzled(row, chunk))),
                   "l"(source), "r"(inside ? 16 : 0));
    }
    asm volatile("cp.async.commit_group;");
  };
  const auto has_block = [&](int step) { return has_group && step * 2 + tile_block < blocks; };

  if (has_block(0)) weights.load(group_data, tile_block, lane);
  fetch_activations(shared + 2 * kTileBytes, 0);
  unpack(shared, has_block(0));
  asm volatile("cp.async.wait_all;");
  __syncthreads();

  const int warp = threadIdx.x / 32;
  const int warp_row = warp % 2 * 64;
  const int warp_token = warp / 2 * 32;
  const int warp_lane = threadIdx.x & 31;
  float sums[4][4][4] = {};
  for (int step = 0; step < steps; ++step) {
    const uint8_t* a_tile = shared + step % 2 * kTileBytes;
    const uint8_t* b_tile = shared + (2 + step % 2) * kTileBytes;
    const bool more = step + 1 < steps;
    if (more) {
      if (has_block(step + 1)) weights.load(group_data, (step + 1) * 2 + tile_block, lane);
      fetch_activations(shared + (2 + (step + 1) % 2) * kTileBytes, step + 1);
    }
#pragma unroll
    for (int k = 0; k < kDepth / 16; ++k) {
      uint32_t b[2][4];
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        // Tokens 16j … of the warp: matrices (tokens 0–7, k low), (0–7, k high), (8–15, k low), (8–15, k high).
        const int row = warp_token + j * 16 + (warp_lane & 7) + (warp_lane >> 4) * 8;
        load_matrix(shared_address(b_tile + swizzled(row, k * 2 + (warp_lane >> 3 & 1))), b[j]);
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        uint32_t a[4];
        const int row = warp_row + i * 16 + (warp_lane & 15);
        load_matrix(shared_address(a_tile + swizzled(row, k * 2 + (warp_lane >> 4))), a);
#pragma unroll
        for (int j = 0; j < 4; ++j) multiply(sums[i][j], a, b[j / 2] + j % 2 * 2);
      }
    }
    if (more) {
      unpack(shared + (step + 1) % 2 * kTileBytes, has_block(step + 1));
      asm volatile("cp.async.wait_all;");
    }
    __syncthreads();
  }

#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
      for (int v = 0; v < 4; ++v) {
        const int row = first_row + warp_row + i * 16 + warp_lane / 4 + v / 2 * 8;
        const int64_t token = first_token + warp_token + j * 8 + warp_lane % 4 * 2 + v % 2;
        if (row >= args.weight.rows || token >= args.tokens) continue;
        float value = sums[i][j][v] * (args.row_scale != nullptr ? args.row_scale[token] : 1.0f);
        if (args.bias != nullptr) value += args.bias[row];
        float* out = args.out + token * args.out_stride + row;
        *out = args.accumulate ? *out + value : value;
      }
}

template <TensorType kType>
void start(const GemmArgs& args, cudaStream_t stream) {
  static const cudaError_t raised =
      cudaFuncSetAttribute(gemm_kernel<kType>, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  check(raised, "gemm");
  const dim3 grid(static_cast<unsigned>((args.tokens + kTokens - 1) / kTokens), (args.weight.rows + kRows - 1) / kRows);
  gemm_kernel<kType><<<grid, kThreads, kSharedBytes, stream>>>(args);
  check_launch("gemm");
}

}  // namespace

void gemm(const GemmArgs& args, cudaStream_t stream) {
  if (args.weight.columns % 32 != 0) throw Error("internal", "columns must be a multiple of 32", "gemm");
  if (args.tokens <= 0) return;
  switch (args.weight.type) {
    case TensorType::kQ4_0: return start<TensorType::kQ4_0>(args, stream);
    case TensorType::kQ4_1: return start<TensorType::kQ4_1>(args, stream);
    case TensorType::kQ5_0: return start<TensorType::kQ5_0>(args, stream);
    case TensorType::kQ5_1: return start<TensorType::kQ5_1>(args, stream);
    case TensorType::kQ8_0: return start<TensorType::kQ8_0>(args, stream);
    case TensorType::kQ4_K: return start<TensorType::kQ4_K>(args, stream);
    case TensorType::kQ5_K: return start<TensorType::kQ5_K>(args, stream);
    case TensorType::kQ6_K: return start<TensorType::kQ6_K>(args, stream);
    case TensorType::kF32: return start<TensorType::kF32>(args, stream);
    case TensorType::kF16: return start<TensorType::kF16>(args, stream);
    case TensorType::kBF16: return start<TensorType::kBF16>(args, stream);
  }
}

}  // namespace quire::cuda
