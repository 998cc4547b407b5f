// gemv.cu — matrix times one vector, quantised weights, at the speed of the memory.
//
//   out[r] = (accumulate ? out[r] : 0) + bias[r] + Σ_b s[b] · (scale[r,b] · Σ_k (code[r,k] − zero) · x[k] − minimum[r,b] · Σ_k x[k])
//   swiglu:  out = quantised silu(gate · x) · (up · x)
//
// weight  [N, K]  packed (packed_matrix.h)     x  [K] int8 codes, s [K/32] f32 (ops.h, QuantRows), or f32 for float weights
// Block   one group of 16 rows (swiglu: two of gate and the same two of up), `warps` warps a group.
// Half-warp  every (2 · warps)-th unit of 128 columns: 4 blocks of 32, their loads issued before the first use; a lane has 4 rows.
// Products of a word are exact (dp4a); floats are added per lane over its units, over lanes by shuffles, over warps in order.
// Bytes   the matrix, once; x comes from the second-level cache. The first unit is loaded before waiting for the kernel that makes x.
// Limits  K a multiple of 32; swiglu: N a multiple of 32 and both matrices of one shape.
#include "native/kernels/cuda/gemv.h"
#include "native/kernels/cuda/launch.h"
#include "native/kernels/cuda/packed_device.cuh"

namespace quire::cuda {
namespace {

constexpr int kUnitBlocks = 4;  // 4 loads of 16 bytes in flight a lane; 8 cost registers and gained nothing
constexpr int kMaxWarps = 8;
constexpr int kSwigluGroups = 4;

template <TensorType kType>
__device__ void add_block(const RawBlock<kType>& raw, const DeviceVector& x, int block, int lane, float* sums) {
  using P = Packed<kType>;
  const int s = lane >> 2;
  const int* words = reinterpret_cast<const int*>(x.codes) + block * 8;
  const int x0 = words[s];
  const int x1 = words[s + 4];
  const float scale = x.scales[block];
  constexpr int kOnes = 0x01010101;
  const int sum0 = P::kMinimum || P::kZero != 0 ? __dp4a(x0, kOnes, 0) : 0;
  const int sum1 = P::kMinimum || P::kZero != 0 ? __dp4a(x1, kOnes, 0) : 0;
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    int first, second;
    raw.codes(r, lane, first, second);
    float value;
    if (kType == TensorType::kQ6_K) {
      value = raw.scale(r, 0) * static_cast<float>(__dp4a(first, x0, -P::kZero * sum0)) +
              raw.scale(r, 1) * static_cast<float>(__dp4a(second, x1, -P::kZero * sum1));
    } else {
      value = raw.scale(r, 0) * static_cast<float>(__dp4a(first, x0, __dp4a(second, x1, -P::kZero * (sum0 + sum1))));
      if (P::kMinimum) value -= raw.minimum(r) * static_cast<float>(sum0 + sum1);
    }
    sums[r] += value * scale;
  }
}

// Adds the half-warp's units of one row group; `waited` says whether x may be read already.
template <TensorType kType>
__device__ void add_units(const uint8_t* group, const DeviceVector& x, int blocks, int first, int stride, int lane,
                          float* sums) {
  RawBlock<kType> raw[kUnitBlocks];
  bool waited = false;
  for (int begin = first * kUnitBlocks; begin < blocks; begin += stride * kUnitBlocks) {
#pragma unroll
    for (int i = 0; i < kUnitBlocks; ++i)
      if (begin + i < blocks) raw[i].load(group, begin + i, lane);
    if (!waited) wait_for_previous();
    waited = true;
#pragma unroll
    for (int i = 0; i < kUnitBlocks; ++i)
      if (begin + i < blocks) add_block<kType>(raw[i], x, begin + i, lane, sums);
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

__device__ void add_any(const DeviceMatrix& m, int group, const DeviceVector& x, int first, int stride, int lane,
                        float* sums) {
  const uint8_t* data = m.data + group * m.group_bytes;
  const int blocks = m.columns / 32;
  switch (m.type) {
    case TensorType::kQ4_0: return add_units<TensorType::kQ4_0>(data, x, blocks, first, stride, lane, sums);
    case TensorType::kQ4_1: return add_units<TensorType::kQ4_1>(data, x, blocks, first, stride, lane, sums);
    case TensorType::kQ5_0: return add_units<TensorType::kQ5_0>(data, x, blocks, first, stride, lane, sums);
    case TensorType::kQ5_1: return add_units<TensorType::kQ5_1>(data, x, blocks, first, stride, lane, sums);
    case TensorType::kQ8_0: return add_units<TensorType::kQ8_0>(data, x, blocks, first, stride, lane, sums);
    case TensorType::kQ4_K: return add_units<TensorType::kQ4_K>(data, x, blocks, first, stride, lane, sums);
    case TensorType::kQ5_K: return add_units<TensorType::kQ5_K>(data, x, blocks, first, stride, lane, sums);
    case TensorType::kQ6_K: return add_units<TensorType::kQ6_K>(data, x, blocks, first, stride, lane, sums);
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

__global__ void __launch_bounds__(kMaxWarps * 32) gemv_kernel(const __grid_constant__ GemvArgs args, int warps) {
  __shared__ float shared[kMaxWarps][16];
  int group = blockIdx.x;
  int which = 0;
  while (group >= args.part[which].weight.groups()) group -= args.part[which++].weight.groups();
  const GemvPart& part = args.part[which];
  float sums[4] = {};
  add_any(part.weight, group, args.x, threadIdx.x / 16, 2 * warps, threadIdx.x & 15, sums);
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

__global__ void __launch_bounds__(kMaxWarps * 32)
    swiglu_kernel(const __grid_constant__ GemvSwigluArgs args, int warps) {
  __shared__ float shared[kMaxWarps][16];
  const int local = threadIdx.x / 32 / warps;  // 0, 1: gate; 2, 3: up
  const int group = 2 * blockIdx.x + (local & 1);
  const int in_group = threadIdx.x - local * warps * 32;
  float sums[4] = {};
  add_any(local < 2 ? args.gate : args.up, group, args.x, in_group / 16, 2 * warps, threadIdx.x & 15, sums);
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
int choose_warps(int columns, int64_t groups, int most) {
  const int units = (columns + 127) / 128;
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
  const int warps = choose_warps(args.part[0].weight.columns, groups, kMaxWarps);
  launch_dependent("gemv", gemv_kernel, dim3(static_cast<unsigned>(groups)), dim3(32 * warps), 0, stream, args, warps);
}

void gemv_swiglu(const GemvSwigluArgs& args, cudaStream_t stream) {
  check_matrix(args.gate, args.x);
  check_matrix(args.up, args.x);
  if (args.gate.rows % 32 != 0 || args.gate.rows != args.up.rows || args.gate.columns != args.up.columns)
    throw Error("internal", "gate and up must have one shape, rows a multiple of 32", "gemv_swiglu");
  const int warps = choose_warps(args.gate.columns, args.gate.groups() * 2, kMaxWarps / kSwigluGroups);
  launch_dependent("gemv_swiglu", swiglu_kernel, dim3(args.gate.rows / 32), dim3(32 * warps * kSwigluGroups), 0, stream,
                   args, warps);
}

}  // namespace quire::cuda
