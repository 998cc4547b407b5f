// rows.h — the small steps between the matrix products: see rows.cu.
#pragma once

#include "native/kernels/cuda/device_matrix.h"

namespace quire::cuda {

// RoPE as decode/rope_table.h makes it: radians per position of each pair, and YaRN's factor.
struct DeviceRope {
  const double* frequencies = nullptr;  // [D/2]
  double attention_factor = 1;
  bool halves = false;  // pairs (d, d + D/2), else (2d, 2d + 1)
};

// x [E] = embedding of the step's token; cosine and sine [D/2] of its position; count of the list's last page.
struct BeginStepArgs {
  DeviceMatrix table;
  const StepState* step = nullptr;
  float* x = nullptr;
  DeviceRope rope;
  int32_t half = 0;  // D/2
  float* cosine = nullptr;
  float* sine = nullptr;
  int32_t* list_counts = nullptr;
};
void begin_step(const BeginStepArgs& args, cudaStream_t stream);

// Quantised RMS norm of one row; floats: also as floats, or null.
void norm_step(const float* x, const float* weight, float eps, int32_t columns, int8_t* codes, float* scales,
               float* floats, cudaStream_t stream);
void quantize_step(const float* x, int32_t columns, int8_t* codes, float* scales, cudaStream_t stream);
// Turns q [H, D] and k [G, D], which lie one after the other, in place.
void rope_step(float* qk, int32_t heads, int32_t head_size, const float* cosine, const float* sine, bool halves,
               cudaStream_t stream);

// The same for the T rows of a chunk. Activations for the tensor cores are f16 times a power of two per row, row_scale [T].
void embed_chunk(const DeviceMatrix& table, const int32_t* tokens, int64_t count, float* x, cudaStream_t stream);
void norm_chunk(const float* x, const float* weight, float eps, int64_t tokens, int32_t columns, __half* out,
                float* row_scale, cudaStream_t stream);
// q [T, H, D] and k [T, G, D] after it, rows `stride` apart.
void rope_chunk(float* qk, int64_t stride, int64_t tokens, int32_t heads, int32_t head_size, const int32_t* positions,
                const DeviceRope& rope, cudaStream_t stream);
// silu(gate) · up of rows [2F]: gate, then up.
void swiglu_chunk(const float* gate_up, int64_t tokens, int32_t columns, __half* out, float* row_scale,
                  cudaStream_t stream);

}  // namespace quire::cuda
