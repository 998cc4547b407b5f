// small_geometry.h — the shape of a model as small as the tests of memory need it: two layers of two KV heads.
#pragma once

#include "native/model/model.h"

namespace quire {

inline Geometry small_geometry() {
  Geometry g;
  g.layers = 2;
  g.heads = 4;
  g.kv_heads = 2;
  g.head_size = 16;
  g.embedding = 64;
  g.feed_forward = 64;
  g.vocabulary = 1000;
  g.context = 1000;
  g.norm_epsilon = 1e-5f;
  g.rope_base = 10000;
  return g;
}

}  // namespace quire
