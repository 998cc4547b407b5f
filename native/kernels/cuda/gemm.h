// gemm.h — matrix times the rows of a chunk, on tensor cores: see gemm.cu.
#pragma once

#include "native/kernels/cuda/device_matrix.h"

namespace quire::cuda {

struct GemmArgs {
  DeviceMatrix weight;               // [N, K]
  const __half* x = nullptr;         // [T, K]
  const float* row_scale = nullptr;  // [T]: a row is row_scale · x
  const float* bias = nullptr;       // [N] or null
  bool accumulate = false;
  float* out = nullptr;  // [T, out_stride]
  int64_t out_stride = 0;
  int64_t tokens = 0;  // T
};
// out[t, r] = (accumulate ? out[t, r] : 0) + bias[r] + row_scale[t] · Σ_k weight[r, k] · x[t, k]
void gemm(const GemmArgs& args, cudaStream_t stream);

}  // namespace quire::cuda
