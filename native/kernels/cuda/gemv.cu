// gemv.cu — matrix times one vector, quantised weights, at the speed of the memory.
//
//   out[r] = (accumulate ? out[r] : 0) + bias[r] + Σ_b s[b] · (scale[r,b] · Σ_k (code[r,k] − zero) · x[k] − minimum[r,b] · Σ_k x[k])
//   swiglu:  out = quantised silu(gate · x) · (up · x)
//
// weight  [N, K]  packed (packed_matrix.h)     x  [K] int8 codes, s [K/32] f32 (ops.h, QuantRows), or f32 for float weights
// Block   one group of 16 rows (swiglu: two of gate and the same two of up), `warps` warps a group.
// Half-warp  every (2 · warps)-th unit of 4 or 2 blocks of 32 columns, its loads issued before the first use; a lane has 4 rows.
// Products of a word are exact (dp4a); floats are added per lane over its units, over lanes by shuffles, over warps in order.
// Bytes   the matrix, once; x comes from the second-level cache. The first unit is loaded before waiting for the kernel that makes x.
// Limits  K a multiple of 32; swiglu: N a multiple of 32 and both matrices of one shape.
#include "native/kernels/cuda/gemv.h"
#include "native/kernels/cuda/launch.h"
#include "native/kernels/cuda/packed_device.cuh"

namespace quire::cuda {
namespace {

// Blocks of 32 columns whose loads are in flight together. H100, L2 cold: for K-quants 4 read a 33 MB matrix at 83 % of the
// measured peak and 2 at 67 %; for the others, small matrices and swiglu 2 (and more warps) is up to 12 % faster.
constexpr int kLongUnit = 4;
constexpr int kShortUnit = 2;
constexpr int kMaxWarps = 8;
constexpr int kSwigluGroups = 4;

// Adds one block to the lane's four rows: in units of the chunk's f16 scale (`sums`) and minimum (`minima`).
template <TensorType kType>
__device__ void add_block(const RawBlock<kType, true>& raw, const DeviceVector& x, int block, int lane, float* sums,
                          float* minima) {
  using P = Packed<kType>;
  const int s = lane >> 2;
  const int* words = reinterpret_cast<const int*>(x.codes) + block * 8;
  const int x0 = words[s];
  const int x1 = words[s + 4];
  const float scale = x.scales[block];
  constexpr int kOnes = 0x01010101;
  const int sum0 = P::kMinimum || P::kZero != 0 ? __dp4a(x0, kOnes, 0) : 0;
  const int sum1 = P::kMinimum || P::kZero != 0 ? __dp4a(x1, kOnes, 0) : 0;
  const float sum = P::kMinimum ? static_cast<float>(sum0 + sum1) * scale : 0.0f;
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    int first, second;
    raw.codes(r, lane, first, second);
    if (kType == TensorType::kQ6_K) {
      const float low = static_cast<float>(__dp4a(first, x0, -P::kZero * sum0)) * scale;
      const float high = static_cast<float>(__dp4a(second, x1, -P::kZero * sum1)) * scale;
      sums[r] += (raw.byte_at(raw.sc[0] ^ 0x80808080u, r) - 128.0f) * low;
      sums[r] += (raw.byte_at(raw.sc[1] ^ 0x80808080u, r) - 128.0f) * high;
      continue;
    }
    const float dot = static_cast<float>(__dp4a(first, x0, __dp4a(second, x1, -P::kZero * (sum0 + sum1)))) * scale;
    sums[r] += P::kSuper ? raw.byte_at(raw.sc[0], r) * dot : dot;
    if (P::kMinimum) minima[r] += P::kSuper ? raw.byte_at(raw.min, r) * sum : sum;
  }
}

template <TensorType kType>
__device__ void scale_rows(const RawBlock<kType, true>& raw, const float* part, const float* minima, float* sums) {
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    sums[r] += raw.half_at(raw.d, r) * part[r];
    if (Packed<kType>::kMinimum) sums[r] -= raw.half_at(raw.dmin, r) * minima[r];
  }
}

// Adds the half-warp's units of one row group. A unit of a K-quant lies in one chunk: its f16 scales are loaded once.
template <TensorType kType, int kUnit>
__device__ void add_units(const uint8_t* group, const DeviceVector& x, int blocks, int first, int stride, int lane,
                          float* sums) {
  using P = Packed<kType>;
  bool waited = false;
  for (int begin = first * kUnit; begin < blocks; begin += stride * kUnit) {
    RawBlock<kType, true> raw[kUnit];
    const uint8_t* chunk = group + static_cast<int64_t>(begin / P::kBlocks) * P::kChunk;
#pragma unroll
    for (int i = 0; i < kUnit; ++i) {
      if (P::kSuper) {
        raw[i].load_codes(chunk, begin % P::kBlocks + i, lane);
      } else if (begin + i < blocks) {
        raw[i].load_codes(chunk + i * P::kChunk, 0, lane);
        raw[i].load_halves(chunk + i * P::kChunk, lane);
      }
    }
    if (P::kSuper) raw[0].load_halves(chunk, lane);
    if (!waited) wait_for_previous();
    waited = true;
    float part[4] = {}, minima[4] = {};
#pragma unroll
    for (int i = 0; i < kUnit; ++i) {
      if (!P::kSuper && begin + i >= blocks) break;
      add_block<kType>(raw[i], x, begin + i, lane, part, minima);
      if (!P::kSuper) {
        scale_rows<kType>(raw[i], part, minima, sums);
#pragma unroll
        for (int r = 0; r < 4; ++r) part[r] = minima[r] = 0.0f;
      }
    }
    if (P::kSuper) scale_rows<kType>(raw[0], part, minima, sums);
  }
  if (!waited) wait_for_previous();
}

template <TensorType kType>
__device__ float float_weight(const uint8_t* p) {
  if (kType == TensorType::kF32) return *reinterpret_cast<const float*>(p);
  const unsigned short bits = *reinterpret_cast<const unsigned short*>(p);
  return kType == TensorType::kF16 ? __half2float(__ushort_as_half(bits))
                                   : __uint_as_float(static_cast<uint32_t>(bits) << 16);
}

// Float weights are [K][16 rows]: a lane takes rows 4q … 4q+3 of every 4th column of its unit of 128.
template <TensorType kType>
__device__ void add_float_units(const uint8_t* group, const DeviceVector& x, int columns, int first, int stride,
                                int lane, float* sums) {
  constexpr int kBytes = kType == TensorType::kF32 ? 4 : 2;
  wait_for_previous();
  const int q = lane & 3;
  for (int begin = first * 128; begin < columns; begin += stride * 128) {
    const int end = begin + 128 < columns ? begin + 128 : columns;
#pragma unroll 8
    for (int k = begin + (lane >> 2); k < end; k += 4) {
      const uint8_t* p = group + (static_cast<int64_t>(k) * 16 + 4 * q) * kBytes;
      const float value = x.floats[k];
#pragma unroll
      for (int r = 0; r < 4; ++r) sums[r] += float_weight<kType>(p + r * kBytes) * value;
    }
  }
}

template <int kUnit>
__device__ void add_any(const DeviceMatrix& m, int group, const DeviceVector& x, int first, int stride, int lane,
                        float* sums) {
  const uint8_t* data = m.data + group * m.group_bytes;
  const int blocks = m.columns / 32;
  switch (m.type) {
    case TensorType::kQ4_0: return add_units<TensorType::kQ4_0, kUnit>(data, x, blocks, first, stride, lane, sums);
    case TensorType::kQ4_1: return add_units<TensorType::kQ4_1, kUnit>(data, x, blocks, first, stride, lane, sums);
    case TensorType::kQ5_0: return add_units<TensorType::kQ5_0, kUnit>(data, x, blocks, first, stride, lane, sums);
    case TensorType::kQ5_1: return add_units<TensorType::kQ5_1, kUnit>(data, x, blocks, first, stride, lane, sums);
    case TensorType::kQ8_0: return add_units<TensorType::kQ8_0, kUnit>(data, x, blocks, first, stride, lane, sums);
    case TensorType::kQ4_K: return add_units<TensorType::kQ4_K, kUnit>(data, x, blocks, first, stride, lane, sums);
    case TensorType::kQ5_K: return add_units<TensorType::kQ5_K, kUnit>(data, x, blocks, first, stride, lane, sums);
    case TensorType::kQ6_K: return add_units<TensorType::kQ6_K, kUnit>(data, x, blocks, first, stride, lane, sums);
    case TensorType::kF32: return add_float_units<TensorType::kF32>(data, x, m.columns, first, stride, lane, sums);
    case TensorType::kF16: return add_float_units<TensorType::kF16>(data, x, m.columns, first, stride, lane, sums);
    case TensorType::kBF16: return add_float_units<TensorType::kBF16>(data, x, m.columns, first, stride, lane, sums);
  }
}

// The 16 sums of the warp's units, lane 4·0 + q holding rows 4q … 4q+3, to shared memory.
__device__ void store_warp_sums(float* sums, float (*shared)[16]) {
#pragma unroll
  for (int r = 0; r < 4; ++r)
#pragma unroll
    for (int mask = 4; mask <= 16; mask *= 2) sums[r] += __shfl_xor_sync(0xffffffffu, sums[r], mask);
  if ((threadIdx.x & 31) < 4)
#pragma unroll
    for (int r = 0; r < 4; ++r) shared[threadIdx.x / 32][(threadIdx.x & 3) * 4 + r] = sums[r];
}

template <int kUnit>
__global__ void __launch_bounds__(kMaxWarps * 32, kUnit == kLongUnit ? 2 : 4)
    gemv_kernel(const __grid_constant__ GemvArgs args, int warps) {
  __shared__ float shared[kMaxWarps][16];
  int group = blockIdx.x;
  int which = 0;
  while (group >= args.part[which].weight.groups()) group -= args.part[which++].weight.groups();
  const GemvPart& part = args.part[which];
  float sums[4] = {};
  add_any<kUnit>(part.weight, group, args.x, threadIdx.x / 16, 2 * warps, threadIdx.x & 15, sums);
  release_next();
  store_warp_sums(sums, shared);
  __syncthreads();
  const int row = group * 16 + threadIdx.x;
  if (threadIdx.x >= 16 || row >= part.weight.rows) return;
  float sum = 0;
  for (int w = 0; w < warps; ++w) sum += shared[w][threadIdx.x];
  if (part.bias != nullptr) sum += part.bias[row];
  part.out[row] = args.accumulate ? part.out[row] + sum : sum;
}

__global__ void __launch_bounds__(kMaxWarps * 32, 4)
    swiglu_kernel(const __grid_constant__ GemvSwigluArgs args, int warps) {
  __shared__ float shared[kMaxWarps][16];
  const int local = threadIdx.x / 32 / warps;  // 0, 1: gate; 2, 3: up
  const int group = 2 * blockIdx.x + (local & 1);
  const int in_group = threadIdx.x - local * warps * 32;
  float sums[4] = {};
  add_any<kShortUnit>(local < 2 ? args.gate : args.up, group, args.x, in_group / 16, 2 * warps, threadIdx.x & 15, sums);
  release_next();
  store_warp_sums(sums, shared);
  __syncthreads();
  if (threadIdx.x >= 32) return;
  const int half = threadIdx.x / 16;
  float gate = 0, up = 0;
  for (int w = 0; w < warps; ++w) {
    gate += shared[half * warps + w][threadIdx.x & 15];
    up += shared[(2 + half) * warps + w][threadIdx.x & 15];
  }
  const int row = 32 * blockIdx.x + threadIdx.x;
  const float value = gate / (1.0f + expf(-gate)) * up;
  if (args.floats != nullptr) args.floats[row] = value;
  float largest = fabsf(value);
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, mask));
  const float inverse = largest > 127.0f * 1.17549435e-38f ? 127.0f / largest : 0.0f;
  args.codes[row] = static_cast<int8_t>(__float2int_rn(value * inverse));
  if (threadIdx.x == 0) args.scales[blockIdx.x] = inverse > 0 ? largest / 127.0f : 0.0f;
}

// Warps a group of 16 rows: as few as keep every half-warp of them busy, more where there are few groups to fill the device.
int choose_warps(int columns, int64_t groups, int most, int unit) {
  const int units = (columns + 32 * unit - 1) / (32 * unit);
  int best = 1;
  double best_cost = 1e30;
  for (int warps = 1; warps <= most; warps *= 2) {
    const int rounds = (units + 2 * warps - 1) / (2 * warps);
    // Lanes that idle cost; so do too few warps on the whole device (about 16 a multiprocessor are wanted).
    const double idle = static_cast<double>(rounds) * 2 * warps / units;
    const double starved = groups * warps < 132 * 16 ? 132.0 * 16 / static_cast<double>(groups * warps) : 1.0;
    const double cost = idle * (1 + 0.25 * (starved - 1));
    if (cost < best_cost) {
      best_cost = cost;
      best = warps;
    }
  }
  return best;
}

void check_matrix(const DeviceMatrix& m, const DeviceVector& x) {
  if (m.columns % 32 != 0) throw Error("internal", "columns must be a multiple of 32", "gemv");
  if (m.is_float() ? x.floats == nullptr : x.codes == nullptr)
    throw Error("internal", "the vector is missing in the form that the weights need", "gemv");
}

}  // namespace

void gemv(const GemvArgs& args, cudaStream_t stream) {
  int64_t groups = 0;
  for (int i = 0; i < args.parts; ++i) {
    check_matrix(args.part[i].weight, args.x);
    groups += args.part[i].weight.groups();
  }
  const TensorType type = args.part[0].weight.type;
  const bool super = type == TensorType::kQ4_K || type == TensorType::kQ5_K || type == TensorType::kQ6_K;
  const int unit = super ? kLongUnit : kShortUnit;
  const int warps = choose_warps(args.part[0].weight.columns, groups, kMaxWarps, unit);
  launch_dependent("gemv", super ? gemv_kernel<kLongUnit> : gemv_kernel<kShortUnit>,
                   dim3(static_cast<unsigned>(groups)), dim3(32 * warps), 0, stream, args, warps);
}

void gemv_swiglu(const GemvSwigluArgs& args, cudaStream_t stream) {
  check_matrix(args.gate, args.x);
  check_matrix(args.up, args.x);
  if (args.gate.rows % 32 != 0 || args.gate.rows != args.up.rows || args.gate.columns != args.up.columns)
    throw Error("internal", "gate and up must have one shape, rows a multiple of 32", "gemv_swiglu");
  const int warps = choose_warps(args.gate.columns, args.gate.groups() * 2, kMaxWarps / kSwigluGroups, kShortUnit);
  launch_dependent("gemv_swiglu", swiglu_kernel, dim3(args.gate.rows / 32), dim3(32 * warps * kSwigluGroups), 0, stream,
                   args, warps);
}

}  // namespace quire::cuda
