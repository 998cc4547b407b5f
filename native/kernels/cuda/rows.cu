// rows.cu — the small steps between the matrix products: embed, RMS norm, RoPE, quantise, SwiGLU; for the one row of a decode
// step and for the rows of a chunk.
//
//   norm     out = x / sqrt(mean(x²) + eps) · weight
//   rope     (p, q) ← (p · cos − q · sin, p · sin + q · cos)                       (arXiv:2104.09864)
//   quantise scale = max|x| / 127 of 32 values, code = x / scale rounded to nearest even      (ops.h, QuantRows)
//   halves   f16 of x / row_scale, row_scale a power of two that keeps a row's largest below 2^14: an f16 row cannot overflow.
//            Not by 8-bit codes as in a step: that is as far from the model (mean KL .0029 on SmolLM2), f16 is exact to 1e-4
//
// A block has one row; a row's result depends on nothing else. Everything fits the second-level cache: these are launches, not
// bytes. Limits: E, F multiples of 32.
#include "native/kernels/cuda/device_rows.cuh"
#include "native/kernels/cuda/launch.h"
#include "native/kernels/cuda/packed_device.cuh"
#include "native/kernels/cuda/rows.h"

namespace quire::cuda {
namespace {

constexpr int kRowThreads = 1024;

__device__ float warp_sum(float v) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) v += __shfl_xor_sync(0xffffffffu, v, mask);
  return v;
}
__device__ float warp_max(float v) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, mask));
  return v;
}
template <float (*kWarp)(float)>
__device__ float block_reduce(float v) {
  __shared__ float shared[32];
  v = kWarp(v);
  if ((threadIdx.x & 31) == 0) shared[threadIdx.x / 32] = v;
  __syncthreads();
  v = threadIdx.x % 32 < blockDim.x / 32 ? shared[threadIdx.x & 31] : 0.0f;
  v = kWarp(v);
  __syncthreads();
  return v;
}

__device__ float row_factor(const float* x, int columns, float eps) {
  float sum = 0;
  for (int i = threadIdx.x; i < columns; i += blockDim.x) sum += x[i] * x[i];
  return 1.0f / sqrtf(block_reduce<warp_sum>(sum) / static_cast<float>(columns) + eps);
}

__device__ float power_scale(float largest) {
  if (!(largest > 16384.0f)) return 1.0f;
  return exp2f(static_cast<float>(ilogbf(fminf(largest, FLT_MAX)) - 13));
}

// Column c of a row; the same values as unpack_row.
template <TensorType kType>
__device__ float weight_at(const uint8_t* group, int row, int column) {
  using P = Packed<kType>;
  const int block = column / 32;
  const int c = column % 32;
  const int s = c / 4;
  const uint8_t* chunk = group + static_cast<int64_t>(block / P::kBlocks) * P::kChunk;
  const int b = block % P::kBlocks;
  const uint8_t* high = chunk + P::kHeader + b * P::kBody;
  const uint8_t* low = high + P::kHighBytes;
  const int byte = row * 4 + c % 4;
  int code;
  if (P::kByte) {
    code = static_cast<int>(low[s * 64 + byte]) - 128;
  } else {
    code = (low[s % 4 * 64 + byte] >> (s / 4 * 4)) & 15;
    if (P::kHigh == 1) code |= ((high[byte] >> s) & 1) << 4;
    if (P::kHigh == 2) code |= ((high[s / 4 * 64 + byte] >> (2 * (s % 4))) & 3) << 4;
    code -= P::kZero;
  }
  const __half* d = reinterpret_cast<const __half*>(chunk);
  float scale = __half2float(d[row]);
  float minimum = 0;
  if (kType == TensorType::kQ6_K) {
    scale *= static_cast<float>(static_cast<int8_t>(chunk[32 + (2 * b + c / 16) * 16 + row]));
  } else if (P::kSuper) {
    scale *= static_cast<float>(chunk[64 + b * 16 + row]);
    minimum = __half2float(d[16 + row]) * static_cast<float>(chunk[192 + b * 16 + row]);
  } else if (P::kMinimum) {
    minimum = __half2float(d[16 + row]);
  }
  return scale * static_cast<float>(code) - minimum;
}

__device__ float any_weight(const DeviceMatrix& m, int row, int column) {
  const uint8_t* group = m.data + static_cast<int64_t>(row / 16) * m.group_bytes;
  const int r = row % 16;
  const int index = column * 16 + r;
  switch (m.type) {
    case TensorType::kQ4_0: return weight_at<TensorType::kQ4_0>(group, r, column);
    case TensorType::kQ4_1: return weight_at<TensorType::kQ4_1>(group, r, column);
    case TensorType::kQ5_0: return weight_at<TensorType::kQ5_0>(group, r, column);
    case TensorType::kQ5_1: return weight_at<TensorType::kQ5_1>(group, r, column);
    case TensorType::kQ8_0: return weight_at<TensorType::kQ8_0>(group, r, column);
    case TensorType::kQ4_K: return weight_at<TensorType::kQ4_K>(group, r, column);
    case TensorType::kQ5_K: return weight_at<TensorType::kQ5_K>(group, r, column);
    case TensorType::kQ6_K: return weight_at<TensorType::kQ6_K>(group, r, column);
    case TensorType::kF32: return reinterpret_cast<const float*>(group)[index];
    case TensorType::kF16: return __half2float(reinterpret_cast<const __half*>(group)[index]);
    case TensorType::kBF16:
      return __uint_as_float(static_cast<uint32_t>(reinterpret_cast<const unsigned short*>(group)[index]) << 16);
  }
  return 0;
}

__global__ void begin_step_kernel(const __grid_constant__ BeginStepArgs args) {
  wait_for_previous();
  release_next();
  const StepState step = *args.step;
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < args.table.columns) args.x[i] = any_weight(args.table, step.token, i);
  if (i < args.half) {
    double sine, cosine;
    sincos(static_cast<double>(step.position) * args.rope.frequencies[i], &sine, &cosine);
    args.cosine[i] = static_cast<float>(cosine * args.rope.attention_factor);
    args.sine[i] = static_cast<float>(sine * args.rope.attention_factor);
  }
  if (i == 0) args.list_counts[step.pages - 1] = step.last_count;
}

__global__ void norm_step_kernel(const float* x, const float* weight, float eps, int columns, int8_t* codes,
                                 float* scales, float* floats) {
  wait_for_previous();
  release_next();
  const float factor = row_factor(x, columns, eps);
  for (int i = threadIdx.x; i < columns; i += blockDim.x) {  // columns are a multiple of 32: whole warps
    const float value = x[i] * factor * weight[i];
    if (floats != nullptr) floats[i] = value;
    quantize_lane(value, i, codes, scales);
  }
}

__global__ void quantize_step_kernel(const float* x, int columns, int8_t* codes, float* scales) {
  wait_for_previous();
  release_next();
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < columns) quantize_lane(x[i], i, codes, scales);
}

__device__ void turn(float* head, int i, int half, bool halves, float cosine, float sine) {
  float& first = head[halves ? i : 2 * i];
  float& second = head[halves ? i + half : 2 * i + 1];
  const float2 pair = turned(first, second, cosine, sine);
  first = pair.x;
  second = pair.y;
}

__global__ void rope_step_kernel(float* qk, int pairs, int half, const float* cosine, const float* sine, bool halves) {
  wait_for_previous();
  release_next();
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < pairs) turn(qk + i / half * 2 * half, i % half, half, halves, cosine[i % half], sine[i % half]);
}

__global__ void embed_chunk_kernel(const DeviceMatrix table, const int32_t* tokens, float* x) {
  const int token = tokens[blockIdx.x];
  for (int i = threadIdx.x; i < table.columns; i += blockDim.x)
    x[static_cast<int64_t>(blockIdx.x) * table.columns + i] = any_weight(table, token, i);
}

__global__ void norm_chunk_kernel(const float* x, const float* weight, float eps, int columns, __half* out,
                                  float* row_scale) {
  x += static_cast<int64_t>(blockIdx.x) * columns;
  out += static_cast<int64_t>(blockIdx.x) * columns;
  const float factor = row_factor(x, columns, eps);
  float largest = 0;
  for (int i = threadIdx.x; i < columns; i += blockDim.x) largest = fmaxf(largest, fabsf(x[i] * factor * weight[i]));
  const float scale = power_scale(block_reduce<warp_max>(largest));
  for (int i = threadIdx.x; i < columns; i += blockDim.x) out[i] = __float2half_rn(x[i] * factor * weight[i] / scale);
  if (threadIdx.x == 0) row_scale[blockIdx.x] = scale;
}

__global__ void swiglu_chunk_kernel(const float* x, int columns, __half* out, float* row_scale) {
  x += static_cast<int64_t>(blockIdx.x) * columns * 2;
  out += static_cast<int64_t>(blockIdx.x) * columns;
  const auto value = [&](int i) { return x[i] / (1.0f + expf(-x[i])) * x[columns + i]; };
  float largest = 0;
  for (int i = threadIdx.x; i < columns; i += blockDim.x) largest = fmaxf(largest, fabsf(value(i)));
  const float scale = power_scale(block_reduce<warp_max>(largest));
  for (int i = threadIdx.x; i < columns; i += blockDim.x) out[i] = __float2half_rn(tame(value(i)) / scale);
  if (threadIdx.x == 0) row_scale[blockIdx.x] = scale;
}

__global__ void rope_chunk_kernel(float* qk, int64_t stride, int heads, int half, const int32_t* positions,
                                  const DeviceRope rope) {
  extern __shared__ float table[];
  for (int i = threadIdx.x; i < half; i += blockDim.x) {
    double sine, cosine;
    sincos(static_cast<double>(positions[blockIdx.x]) * rope.frequencies[i], &sine, &cosine);
    table[i] = static_cast<float>(cosine * rope.attention_factor);
    table[half + i] = static_cast<float>(sine * rope.attention_factor);
  }
  __syncthreads();
  float* row = qk + blockIdx.x * stride;
  for (int i = threadIdx.x; i < heads * half; i += blockDim.x)
    turn(row + i / half * 2 * half, i % half, half, rope.halves, table[i % half], table[half + i % half]);
}

int row_threads(int columns) { return columns >= 4096 ? 512 : columns >= 1024 ? 256 : 128; }

}  // namespace

void begin_step(const BeginStepArgs& args, cudaStream_t stream) {
  launch_dependent("begin_step", begin_step_kernel, dim3((args.table.columns + 255) / 256), dim3(256), 0, stream, args);
}

void norm_step(const float* x, const float* weight, float eps, int32_t columns, int8_t* codes, float* scales,
               float* floats, cudaStream_t stream) {
  if (columns % 32 != 0) throw Error("internal", "columns must be a multiple of 32", "norm_step");
  const int threads = columns < kRowThreads ? columns : kRowThreads;
  launch_dependent("norm_step", norm_step_kernel, dim3(1), dim3(threads), 0, stream, x, weight, eps, columns, codes,
                   scales, floats);
}

void quantize_step(const float* x, int32_t columns, int8_t* codes, float* scales, cudaStream_t stream) {
  if (columns % 32 != 0) throw Error("internal", "columns must be a multiple of 32", "quantize_step");
  launch_dependent("quantize_step", quantize_step_kernel, dim3((columns + 255) / 256), dim3(256), 0, stream, x, columns,
                   codes, scales);
}

void rope_step(float* qk, int32_t heads, int32_t head_size, const float* cosine, const float* sine, bool halves,
               cudaStream_t stream) {
  const int pairs = heads * head_size / 2;
  launch_dependent("rope_step", rope_step_kernel, dim3((pairs + 255) / 256), dim3(256), 0, stream, qk, pairs,
                   head_size / 2, cosine, sine, halves);
}

void embed_chunk(const DeviceMatrix& table, const int32_t* tokens, int64_t count, float* x, cudaStream_t stream) {
  embed_chunk_kernel<<<static_cast<unsigned>(count), 256, 0, stream>>>(table, tokens, x);
  check_launch("embed_chunk");
}

void norm_chunk(const float* x, const float* weight, float eps, int64_t tokens, int32_t columns, __half* out,
                float* row_scale, cudaStream_t stream) {
  norm_chunk_kernel<<<static_cast<unsigned>(tokens), row_threads(columns), 0, stream>>>(x, weight, eps, columns, out,
                                                                                        row_scale);
  check_launch("norm_chunk");
}

void swiglu_chunk(const float* gate_up, int64_t tokens, int32_t columns, __half* out, float* row_scale,
                  cudaStream_t stream) {
  swiglu_chunk_kernel<<<static_cast<unsigned>(tokens), row_threads(columns), 0, stream>>>(gate_up, columns, out,
                                                                                          row_scale);
  check_launch("swiglu_chunk");
}

void rope_chunk(float* qk, int64_t stride, int64_t tokens, int32_t heads, int32_t head_size, const int32_t* positions,
                const DeviceRope& rope, cudaStream_t stream) {
  rope_chunk_kernel<<<static_cast<unsigned>(tokens), 256, head_size * sizeof(float), stream>>>(
      qk, stride, heads, head_size / 2, positions, rope);
  check_launch("rope_chunk");
}

}  // namespace quire::cuda
