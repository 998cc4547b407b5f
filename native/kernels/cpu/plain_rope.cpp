// plain_rope.cpp — the meaning of rope: pairs of channels turned by position · frequency, in place.
//
//   (p, q) ← (p · cos − q · sin, p · sin + q · cos)                                    (RoPE, arXiv:2104.09864)
//
// x            [T, heads, D]  f32  in and out
// cosine, sine [T, D/2]       f32  of pair i at the token's position
//
// The pair i is (i, i + D/2) (`halves`, as qwen2 has them) or (2i, 2i + 1) (as llama has them in GGUF). A task is one token.
#include "native/kernels/cpu/op_functions.h"

namespace quire::plain {
namespace {

void rotate_head(float* x, const float* cosine, const float* sine, int64_t half, bool halves) {
  for (int64_t i = 0; i < half; ++i) {
    float& first = halves ? x[i] : x[2 * i];
    float& second = halves ? x[i + half] : x[2 * i + 1];
    const float p = first * cosine[i] - second * sine[i];
    const float q = first * sine[i] + second * cosine[i];
    first = p;
    second = q;
  }
}

}  // namespace

void rope(const RopeArgs& args, const Run& run) {
  const int64_t half = args.head_size / 2;
  run.pool->run(
      args.tokens,
      [&](int64_t t) {
        for (int64_t h = 0; h < args.heads; ++h)
          rotate_head(args.x + t * args.stride + h * args.head_size, args.cosine + t * half, args.sine + t * half, half,
                      args.halves);
      },
      run.cancel);
}

}  // namespace quire::plain
