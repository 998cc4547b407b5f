// model.cpp — see model.h. In order: the geometry, the tensor table, then one tensor after another.
#include "native/model/model.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "native/core/checked.h"
#include "native/core/half.h"

namespace quire {
namespace {

constexpr int64_t kMaxDimension = int64_t{1} << 40;
constexpr int64_t kMaxNameBytes = 64;  // GGUF's own limit

[[noreturn]] void refuse(const std::string& message, const std::string& where) {
  throw Error("invalid-model", message, where);
}

void check_range(const char* field, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high)
    refuse(std::string(field) + " is " + std::to_string(value) + ", outside " + std::to_string(low) + " to " +
               std::to_string(high),
           field);
}

int64_t tensor_bytes(const TensorEntry& tensor) {
  if (tensor.shape.empty() || tensor.shape.size() > 4) refuse("a tensor has 1 to 4 dimensions", tensor.name);
  const BlockShape block = block_shape(static_cast<TensorType>(tensor.type));
  if (block.columns == 0)
    throw Error("unsupported-model", "tensor type " + std::to_string(tensor.type) + " is not supported", tensor.name);
  int64_t elements = 1;
  for (const int64_t dimension : tensor.shape) {
    if (dimension <= 0 || dimension > kMaxDimension) refuse("a dimension is out of range", tensor.name);
    elements = checked_mul(elements, dimension, tensor.name);
  }
  if (tensor.shape[0] % block.columns != 0) refuse("the row length is no multiple of the type's block", tensor.name);
  return checked_mul(elements / block.columns, block.bytes, tensor.name);
}

// The tensor table of a file, checked as a whole: names, sizes, places, overlaps.
class TensorTable {
 public:
  TensorTable(const std::string& path, const std::vector<TensorEntry>& tensors) : path_(path) {
    std::error_code failure;
    if (!std::filesystem::is_regular_file(path, failure) || failure)
      throw Error("model-missing", "there is no model file " + path, path);
    file_bytes_ = static_cast<int64_t>(std::filesystem::file_size(path, failure));
    if (failure) throw Error("model-missing", "cannot read the size of " + path, path);
    std::vector<std::pair<int64_t, int64_t>> ranges;  // [begin, end) of each tensor
    for (const TensorEntry& tensor : tensors) {
      if (tensor.name.empty() || static_cast<int64_t>(tensor.name.size()) > kMaxNameBytes)
        refuse("a tensor's name is empty or too long", tensor.name);
      if (!tensors_.emplace(tensor.name, &tensor).second) refuse("two tensors have the same name", tensor.name);
      const int64_t bytes = tensor_bytes(tensor);
      if (tensor.offset < 0 || checked_add(tensor.offset, bytes, tensor.name) > file_bytes_)
        refuse("the tensor reaches beyond the end of the file", tensor.name);
      ranges.emplace_back(tensor.offset, tensor.offset + bytes);
    }
    std::sort(ranges.begin(), ranges.end());
    for (size_t i = 1; i < ranges.size(); ++i)
      if (ranges[i].first < ranges[i - 1].second) refuse("two tensors overlap in the file", path);
    stream_.open(path, std::ios::binary);
    if (!stream_) throw Error("model-missing", "cannot open " + path, path);
  }

  bool has(const std::string& name) const { return tensors_.count(name) > 0; }

  PackedMatrix matrix(const std::string& name, int64_t rows, int64_t columns, ThreadPool& pool) {
    const TensorEntry& tensor = expect(name, {columns, rows});
    read(tensor);
    return pack_matrix(static_cast<TensorType>(tensor.type), bytes_.data(), rows, columns, name.c_str(), pool);
  }

  // A vector, stored as F32, F16 or BF16.
  std::vector<float> vector(const std::string& name, int64_t size) {
    const TensorEntry& tensor = expect(name, {size});
    read(tensor);
    std::vector<float> values(static_cast<size_t>(size));
    for (int64_t i = 0; i < size; ++i) {
      float value = 0;
      switch (static_cast<TensorType>(tensor.type)) {
        case TensorType::kF32: value = bits_to_float(word<uint32_t>(i)); break;
        case TensorType::kF16: value = half_to_float(word<uint16_t>(i)); break;
        case TensorType::kBF16: value = bfloat16_to_float(word<uint16_t>(i)); break;
        default: throw Error("unsupported-model", "a norm or bias must be F32, F16 or BF16", name);
      }
      if (!std::isfinite(value)) refuse("a value is not a finite number", name);
      values[static_cast<size_t>(i)] = value;
    }
    return values;
  }

 private:
  const TensorEntry& expect(const std::string& name, const std::vector<int64_t>& shape) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) refuse("the tensor is missing", name);
    if (found->second->shape != shape) {
      std::string wanted;
      for (const int64_t dimension : shape) wanted += (wanted.empty() ? "" : " x ") + std::to_string(dimension);
      refuse("the tensor's shape does not fit the model's geometry; expected " + wanted, name);
    }
    return *found->second;
  }

  void read(const TensorEntry& tensor) {
    bytes_.resize(static_cast<size_t>(tensor_bytes(tensor)));
    stream_.clear();
    stream_.seekg(static_cast<std::streamoff>(tensor.offset));
    stream_.read(reinterpret_cast<char*>(bytes_.data()), static_cast<std::streamsize>(bytes_.size()));
    if (stream_.gcount() != static_cast<std::streamsize>(bytes_.size()))
      refuse("the file ended while the tensor was read; it changed or is cut off", tensor.name);
  }

  template <typename Word>
  Word word(int64_t i) const {
    Word value;
    std::memcpy(&value, bytes_.data() + i * static_cast<int64_t>(sizeof(Word)), sizeof(Word));
    return value;
  }

  std::string path_;
  int64_t file_bytes_ = 0;
  std::map<std::string, const TensorEntry*> tensors_;
  std::ifstream stream_;
  std::vector<std::byte> bytes_;  // of the tensor being read
};

std::vector<float> optional_vector(TensorTable& table, const std::string& name, int64_t size) {
  return table.has(name) ? table.vector(name, size) : std::vector<float>();
}

LayerWeights read_layer(TensorTable& table, const Geometry& g, int64_t index, ThreadPool& pool) {
  const std::string prefix = "blk." + std::to_string(index) + ".";
  LayerWeights layer;
  layer.attention_norm = table.vector(prefix + "attn_norm.weight", g.embedding);
  layer.q = table.matrix(prefix + "attn_q.weight", g.q_columns(), g.embedding, pool);
  layer.k = table.matrix(prefix + "attn_k.weight", g.kv_columns(), g.embedding, pool);
  layer.v = table.matrix(prefix + "attn_v.weight", g.kv_columns(), g.embedding, pool);
  layer.q_bias = optional_vector(table, prefix + "attn_q.bias", g.q_columns());
  layer.k_bias = optional_vector(table, prefix + "attn_k.bias", g.kv_columns());
  layer.v_bias = optional_vector(table, prefix + "attn_v.bias", g.kv_columns());
  if (g.architecture == Architecture::kQwen2 && (layer.q_bias.empty() || layer.k_bias.empty() || layer.v_bias.empty()))
    refuse("a qwen2 layer has biases for query, key and value", prefix + "attn_q.bias");
  layer.output = table.matrix(prefix + "attn_output.weight", g.embedding, g.q_columns(), pool);
  layer.mlp_norm = table.vector(prefix + "ffn_norm.weight", g.embedding);
  layer.gate = table.matrix(prefix + "ffn_gate.weight", g.feed_forward, g.embedding, pool);
  layer.up = table.matrix(prefix + "ffn_up.weight", g.feed_forward, g.embedding, pool);
  layer.down = table.matrix(prefix + "ffn_down.weight", g.embedding, g.feed_forward, pool);
  return layer;
}

int64_t layer_bytes(const LayerWeights& layer) {
  int64_t bytes = 0;
  for (const PackedMatrix* matrix : {&layer.q, &layer.k, &layer.v, &layer.output, &layer.gate, &layer.up, &layer.down})
    bytes += matrix->data.bytes();
  return bytes;
}

}  // namespace

void check_geometry(const Geometry& g) {
  check_range("block_count", g.layers, 1, 512);
  check_range("attention.head_count", g.heads, 1, 1024);
  check_range("attention.head_count_kv", g.kv_heads, 1, g.heads);
  if (g.heads % g.kv_heads != 0) refuse("the heads are no multiple of the KV heads", "attention.head_count_kv");
  check_range("attention.key_length", g.head_size, 16, 256);
  if (g.head_size % 16 != 0) refuse("the head size is no multiple of 16", "attention.key_length");
  check_range("embedding_length", g.embedding, 32, 1 << 20);
  check_range("feed_forward_length", g.feed_forward, 32, 1 << 22);
  if (g.embedding % 32 != 0) refuse("the embedding is no multiple of 32", "embedding_length");
  if (g.feed_forward % 32 != 0) refuse("the feed-forward size is no multiple of 32", "feed_forward_length");
  if (g.q_columns() % 32 != 0) refuse("heads times head size is no multiple of 32", "attention.head_count");
  check_range("vocabulary", g.vocabulary, 1, 1 << 24);
  check_range("context_length", g.context, 1, int64_t{1} << 31);
  if (!std::isfinite(g.norm_epsilon) || g.norm_epsilon <= 0 || g.norm_epsilon > 1)
    refuse("the norm's epsilon is not a small positive number", "attention.layer_norm_rms_epsilon");
  if (!std::isfinite(g.rope_base) || g.rope_base < 1) refuse("the RoPE base is not a number above 1", "rope.freq_base");
}

ModelWeights open_model(const std::string& path, const Geometry& geometry, const std::vector<TensorEntry>& tensors,
                        ThreadPool& pool) {
  check_geometry(geometry);
  TensorTable table(path, tensors);
  if (table.has("rope_freqs.weight"))
    throw Error("unsupported-model", "this model scales its RoPE frequencies by a table", "rope_freqs.weight");
  ModelWeights weights;
  weights.geometry = geometry;
  weights.embedding = table.matrix("token_embd.weight", geometry.vocabulary, geometry.embedding, pool);
  weights.final_norm = table.vector("output_norm.weight", geometry.embedding);
  if (table.has("output.weight"))
    weights.head = table.matrix("output.weight", geometry.vocabulary, geometry.embedding, pool);
  weights.bytes = weights.embedding.data.bytes() + weights.head.data.bytes();
  weights.layers.reserve(static_cast<size_t>(geometry.layers));
  for (int64_t i = 0; i < geometry.layers; ++i) {
    weights.layers.push_back(read_layer(table, geometry, i, pool));
    weights.bytes += layer_bytes(weights.layers.back());
  }
  return weights;
}

}  // namespace quire
