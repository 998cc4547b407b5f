// gemv.h — matrix times one vector, for the decode step: see gemv.cu.
#pragma once

#include "native/kernels/cuda/device_matrix.h"

namespace quire::cuda {

// One quantised vector, as QuantRows of ops.h with T = 1; for float weights its floats.
struct DeviceVector {
  const int8_t* codes = nullptr;  // [K]
  const float* scales = nullptr;  // [K/32]
  const float* floats = nullptr;  // [K], only read by float weights
};

struct GemvPart {
  DeviceMatrix weight;
  const float* bias = nullptr;  // [N] or null
  float* out = nullptr;         // [N]
};

// out = weight · x + bias for up to three matrices of the same x; accumulate: out += weight · x.
struct GemvArgs {
  GemvPart part[3];
  int32_t parts = 1;
  DeviceVector x;
  bool accumulate = false;
};
void gemv(const GemvArgs& args, cudaStream_t stream);

// out = quantised silu(gate · x) · (up · x); F a multiple of 32.
struct GemvSwigluArgs {
  DeviceMatrix gate, up;
  DeviceVector x;
  int8_t* codes = nullptr;  // [F]
  float* scales = nullptr;  // [F/32]
  float* floats = nullptr;  // [F] or null
};
void gemv_swiglu(const GemvSwigluArgs& args, cudaStream_t stream);

}  // namespace quire::cuda
