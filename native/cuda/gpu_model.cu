// gpu_model.cu — see gpu_model.h.
#include "native/cuda/gpu_model.h"

namespace quire::cuda {

DeviceMatrix GpuModel::own(const PackedMatrix& matrix) {
  owners.emplace_back();
  bytes += matrix.data.bytes();
  return cuda::upload(matrix, owners.back());
}

const float* GpuModel::own(const std::vector<float>& values) {
  if (values.empty()) return nullptr;
  const size_t size = values.size() * sizeof(float);
  owners.emplace_back(static_cast<int64_t>(size), "weights");
  check(cudaMemcpy(owners.back().get(), values.data(), size, cudaMemcpyHostToDevice), "weights");
  return reinterpret_cast<const float*>(owners.back().get());
}

GpuModel GpuModel::upload(const ModelWeights& weights) {
  GpuModel model;
  model.geometry = weights.geometry;
  model.embedding = model.own(weights.embedding);
  model.head = weights.head.rows > 0 ? model.own(weights.head) : model.embedding;
  model.final_norm = model.own(weights.final_norm);
  for (const LayerWeights& from : weights.layers) {
    GpuLayer layer;
    layer.attention_norm = model.own(from.attention_norm);
    layer.q = model.own(from.q);
    layer.k = model.own(from.k);
    layer.v = model.own(from.v);
    layer.q_bias = model.own(from.q_bias);
    layer.k_bias = model.own(from.k_bias);
    layer.v_bias = model.own(from.v_bias);
    layer.output = model.own(from.output);
    layer.mlp_norm = model.own(from.mlp_norm);
    layer.gate = model.own(from.gate);
    layer.up = model.own(from.up);
    layer.down = model.own(from.down);
    model.layers.push_back(layer);
  }
  return model;
}

}  // namespace quire::cuda
