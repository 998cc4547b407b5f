// model_table.h — what gguf-table.ts wrote: a model's geometry and tensors, and tokens of source.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "native/core/error.h"
#include "native/model/model.h"

namespace quire {

struct ModelTable {
  Geometry geometry;
  std::vector<TensorEntry> tensors;
  std::vector<int32_t> tokens;
};

// Throws "bad-option" when it is cut off.
inline ModelTable read_model_table(const char* path) {
  std::ifstream in(path);
  ModelTable table;
  Geometry& g = table.geometry;
  std::string architecture;
  int64_t tensors = 0, tokens = 0;
  in >> architecture >> g.layers >> g.heads >> g.kv_heads >> g.head_size >> g.embedding >> g.feed_forward >>
      g.vocabulary >> g.context >> g.norm_epsilon >> g.rope_base >> tensors;
  g.architecture = architecture == "qwen2" ? Architecture::kQwen2 : Architecture::kLlama;
  for (int64_t i = 0; i < tensors; ++i) {
    TensorEntry entry;
    int64_t dimensions = 0;
    in >> entry.name >> entry.type >> entry.offset >> dimensions;
    for (int64_t d = 0; d < dimensions; ++d) {
      int64_t size = 0;
      in >> size;
      entry.shape.push_back(size);
    }
    table.tensors.push_back(entry);
  }
  in >> tokens;
  table.tokens.resize(static_cast<size_t>(tokens));
  for (int32_t& token : table.tokens) in >> token;
  if (!in) throw Error("bad-option", "the table is cut off", path);
  return table;
}

}  // namespace quire
