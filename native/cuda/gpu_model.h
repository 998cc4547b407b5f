// gpu_model.h — a model's weights on the device.
//
// In: the packed weights that native/model read and checked. Out: the same bytes on the device, and views for the launchers.
#pragma once

#include <vector>

#include "native/kernels/cuda/device_matrix.h"
#include "native/model/model.h"

namespace quire::cuda {

struct GpuLayer {
  const float* attention_norm = nullptr;                                // [E]
  DeviceMatrix q, k, v;                                                 // [H·D, E], [G·D, E], [G·D, E]
  const float *q_bias = nullptr, *k_bias = nullptr, *v_bias = nullptr;  // null where the model has none
  DeviceMatrix output;                                                  // [E, H·D]
  const float* mlp_norm = nullptr;                                      // [E]
  DeviceMatrix gate, up;                                                // [F, E]
  DeviceMatrix down;                                                    // [E, F]
};

struct GpuModel {
  Geometry geometry;
  DeviceMatrix embedding, head;  // [V, E]; one matrix may be both
  std::vector<GpuLayer> layers;
  const float* final_norm = nullptr;  // [E]
  int64_t bytes = 0;
  std::vector<DeviceBuffer<uint8_t>> owners;

  // Copies to the device. Throws "out-of-memory".
  static GpuModel upload(const ModelWeights& weights);
  DeviceMatrix own(const PackedMatrix& matrix);
  const float* own(const std::vector<float>& values);  // null for none
};

}  // namespace quire::cuda
