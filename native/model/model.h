// model.h — a model's weights in the form the ops read, and the geometry they were checked against.
//
// open_model trusts nothing of what JavaScript read from the GGUF header: every size is computed again with checked
// arithmetic, compared with the file and with the geometry, before a byte is read. It runs nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "native/core/thread_pool.h"
#include "native/kernels/packed_matrix.h"

namespace quire {

enum class Architecture { kLlama, kQwen2 };

// Letters as in ops.h.
struct Geometry {
  Architecture architecture = Architecture::kLlama;
  int64_t layers = 0;        // L
  int64_t heads = 0;         // H
  int64_t kv_heads = 0;      // G
  int64_t head_size = 0;     // D
  int64_t embedding = 0;     // E
  int64_t feed_forward = 0;  // F
  int64_t vocabulary = 0;    // V
  int64_t context = 0;       // trained length in tokens
  float norm_epsilon = 0;
  float rope_base = 0;

  int64_t q_columns() const { return heads * head_size; }
  int64_t kv_columns() const { return kv_heads * head_size; }
};

// One tensor as the header describes it. shape: columns first; offset: bytes from the beginning of the file.
struct TensorEntry {
  std::string name;
  int32_t type = 0;
  std::vector<int64_t> shape;
  int64_t offset = 0;
};

struct LayerWeights {
  std::vector<float> attention_norm;          // [E]
  PackedMatrix q, k, v;                       // [H·D, E], [G·D, E], [G·D, E]
  std::vector<float> q_bias, k_bias, v_bias;  // empty where the model has none
  PackedMatrix output;                        // [E, H·D]
  std::vector<float> mlp_norm;                // [E]
  PackedMatrix gate, up;                      // [F, E]
  PackedMatrix down;                          // [E, F]
};

struct ModelWeights {
  Geometry geometry;
  PackedMatrix embedding;            // [V, E]
  std::vector<LayerWeights> layers;  // [L]
  std::vector<float> final_norm;     // [E]
  PackedMatrix head;                 // [V, E]; no rows where the embedding serves as head
  int64_t bytes = 0;                 // of all packed matrices

  const PackedMatrix& output_head() const { return head.rows > 0 ? head : embedding; }
};

// Throws "invalid-model" when geometry is outside what any model of these architectures can have.
void check_geometry(const Geometry& geometry);

// Reads and packs all weights. Throws "invalid-model" or "unsupported-model" with the tensor's name, "model-missing" when
// there is no such regular file, "out-of-memory".
ModelWeights open_model(const std::string& path, const Geometry& geometry, const std::vector<TensorEntry>& tensors,
                        ThreadPool& pool);

}  // namespace quire
