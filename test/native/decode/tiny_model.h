// tiny_model.h — a model of two layers with random weights: small enough for any test, large enough to attend.
#pragma once

#include <vector>

#include "native/model/model.h"
#include "test/native/kernels/kv_pool.h"

namespace quire {

struct Shape {
  int64_t heads, kv_heads, head_size;
};

// Random weights, F32: 2 layers.
inline ModelWeights tiny_model(const Shape& shape, ThreadPool& pool) {
  ModelWeights model;
  Geometry& g = model.geometry;
  g.layers = 2;
  g.heads = shape.heads;
  g.kv_heads = shape.kv_heads;
  g.head_size = shape.head_size;
  g.embedding = 64;
  g.feed_forward = 96;
  g.vocabulary = 50;
  g.context = 4096;
  g.norm_epsilon = 1e-6f;
  g.rope_base = 10000;
  uint32_t seed = 1;
  const auto matrix = [&](int64_t rows, int64_t columns, float spread) {
    const std::vector<float> values = normal_floats(rows * columns, seed++, spread);
    return pack_matrix(TensorType::kF32, reinterpret_cast<const std::byte*>(values.data()), rows, columns, "test",
                       pool);
  };
  const std::vector<float> ones(static_cast<size_t>(g.embedding), 1.0f);
  model.embedding = matrix(g.vocabulary, g.embedding, 1);
  model.final_norm = ones;
  for (int64_t l = 0; l < g.layers; ++l) {
    LayerWeights layer;
    layer.attention_norm = layer.mlp_norm = ones;
    layer.q = matrix(g.q_columns(), g.embedding, 0.3f);
    layer.k = matrix(g.kv_columns(), g.embedding, 0.3f);
    layer.v = matrix(g.kv_columns(), g.embedding, 0.2f);
    layer.output = matrix(g.embedding, g.q_columns(), 0.2f);
    layer.gate = matrix(g.feed_forward, g.embedding, 0.1f);
    layer.up = matrix(g.feed_forward, g.embedding, 0.1f);
    layer.down = matrix(g.embedding, g.feed_forward, 0.1f);
    model.layers.push_back(std::move(layer));
  }
  return model;
}

}  // namespace quire
