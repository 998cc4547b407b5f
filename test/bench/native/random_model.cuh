// random_model.cuh — a model with random weights, made on the device: the shapes of DESIGN §11 with the types of Q4_K_M.
#pragma once

#include <memory>

#include "native/cuda/gpu_model.h"

namespace quire::cuda {
namespace {

// Random codes; scales of ±2^-12 … ±2^-11, so that weights are of the size that a model's are.
__global__ void weights_kernel(uint32_t* p, int64_t words, int64_t chunk_words, int header_words, int scale_words,
                               uint32_t seed) {
  for (int64_t i = blockIdx.x * 256ll + threadIdx.x; i < words; i += gridDim.x * 256ll) {
    uint32_t h = (static_cast<uint32_t>(i) ^ seed) * 2654435761u;
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    const int64_t in_chunk = i % chunk_words;
    if (in_chunk < scale_words)
      h = (h & 0x83ff83ffu) | 0x0c000c00u;
    else if (in_chunk < header_words)
      h &= 0x3f3f3f3fu;
    p[i] = h;
  }
}

__global__ void ones_kernel(float* p, int count) {
  for (int i = threadIdx.x; i < count; i += blockDim.x) p[i] = 1.0f;
}

struct Shape {
  const char* name;
  Geometry geometry;
  bool own_head;
};

Geometry geometry(Architecture a, int64_t l, int64_t h, int64_t g, int64_t d, int64_t e, int64_t f, int64_t v,
                  float base) {
  Geometry out;
  out.architecture = a;
  out.layers = l;
  out.heads = h;
  out.kv_heads = g;
  out.head_size = d;
  out.embedding = e;
  out.feed_forward = f;
  out.vocabulary = v;
  out.context = 131072;
  out.norm_epsilon = 1e-6f;
  out.rope_base = base;
  return out;
}

class Maker {
 public:
  explicit Maker(GpuModel& model) : model_(model) {}
  DeviceMatrix matrix(TensorType type, int64_t rows, int64_t columns) {
    if (columns % block_shape(type).columns != 0)  // as llama.cpp falls back
      type = type == TensorType::kQ6_K ? TensorType::kQ8_0 : TensorType::kQ5_0;
    const int64_t group = packed_group_bytes(type, columns);
    const int64_t bytes = (rows + 15) / 16 * group;
    model_.owners.emplace_back(bytes, "weights");
    const PackedLayout layout = packed_layout(type);
    const bool two = layout.header_bytes == 320 || layout.header_bytes == 64;
    weights_kernel<<<1024, 256>>>(reinterpret_cast<uint32_t*>(model_.owners.back().get()), bytes / 4,
                                  layout.chunk_bytes() / 4, static_cast<int>(layout.header_bytes / 4), two ? 16 : 8,
                                  ++seed_);
    check_launch("weights");
    model_.bytes += bytes;
    return {type, static_cast<int32_t>(rows), static_cast<int32_t>(columns), group, model_.owners.back().get()};
  }
  const float* ones(int64_t count) {
    model_.owners.emplace_back(count * 4, "weights");
    auto* p = reinterpret_cast<float*>(model_.owners.back().get());
    ones_kernel<<<1, 256>>>(p, static_cast<int>(count));
    return p;
  }

 private:
  GpuModel& model_;
  uint32_t seed_ = 0;
};

std::shared_ptr<GpuModel> random_model(const Geometry& g, bool own_head) {
  auto model = std::make_shared<GpuModel>();
  model->geometry = g;
  Maker make(*model);
  model->embedding = make.matrix(own_head ? TensorType::kQ4_K : TensorType::kQ8_0, g.vocabulary, g.embedding);
  model->head = own_head ? make.matrix(TensorType::kQ6_K, g.vocabulary, g.embedding) : model->embedding;
  model->final_norm = make.ones(g.embedding);
  for (int64_t i = 0; i < g.layers; ++i) {
    const bool more = i < g.layers / 8 || i >= 7 * g.layers / 8 || (i - g.layers / 8) % 3 == 2;
    const TensorType better = more ? TensorType::kQ6_K : TensorType::kQ4_K;
    GpuLayer layer;
    layer.attention_norm = make.ones(g.embedding);
    layer.q = make.matrix(TensorType::kQ4_K, g.q_columns(), g.embedding);
    layer.k = make.matrix(TensorType::kQ4_K, g.kv_columns(), g.embedding);
    layer.v = make.matrix(better, g.kv_columns(), g.embedding);
    if (g.architecture == Architecture::kQwen2) {
      layer.q_bias = make.ones(g.q_columns());
      layer.k_bias = make.ones(g.kv_columns());
      layer.v_bias = make.ones(g.kv_columns());
    }
    layer.output = make.matrix(TensorType::kQ4_K, g.embedding, g.q_columns());
    layer.mlp_norm = make.ones(g.embedding);
    layer.gate = make.matrix(TensorType::kQ4_K, g.feed_forward, g.embedding);
    layer.up = make.matrix(TensorType::kQ4_K, g.feed_forward, g.embedding);
    layer.down = make.matrix(better, g.embedding, g.feed_forward);
    model->layers.push_back(layer);
  }
  check(cudaDeviceSynchronize(), "weights");
  return model;
}

}  // namespace
}  // namespace quire::cuda
