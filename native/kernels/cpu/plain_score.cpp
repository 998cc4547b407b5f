// plain_score.cpp — the meaning of score: how much each page may matter to a query token, from its summary alone.
//
//   score[h, i] = Σ_d q[h, d] · mean[g, i, d] + c · |q[h, d]| · spread[g, i, d]         g = h / (H/G)
//   score[h, i] = Σ_d max(q[h, d] · min[g, i, d], q[h, d] · max[g, i, d])               (Quest's bound, arXiv:2406.10774)
//
// q        [H, D]                  f32  after RoPE
// summary  [G, slots/16, 2, D, 16] f16
// score    [H, n]                  f32  out
//
// A sum is one accumulator over d in order. A task is 16 entries of the list and one KV head. Where a block of tokens selects
// together, the queries are the means that page_queries makes: query[g, r, h] = (Σ_{t of page r} q[t, g·H/G + h]) · 1/|r|.
#include <algorithm>
#include <cmath>

#include "native/core/half.h"
#include "native/kernels/cpu/op_functions.h"

namespace quire::plain {
namespace {

float score_page(const ScoreArgs& args, const float* q, const uint16_t* first, const uint16_t* second) {
  float sum = 0;
  for (int64_t d = 0; d < args.kv.head_size; ++d) {
    const float a = half_to_float(first[d * kSummaryGroup]);
    const float b = half_to_float(second[d * kSummaryGroup]);
    if (args.kind == Summary::kMeanSpread)
      sum = sum + q[d] * a + args.spread_factor * std::fabs(q[d]) * b;
    else
      sum += std::max(q[d] * a, q[d] * b);
  }
  return sum;
}

}  // namespace

void page_queries(const PageQueriesArgs& args, const Run& run) {
  const int64_t group = args.heads / args.kv_heads;
  const int64_t pages = (args.tokens + kPageTokens - 1) / kPageTokens;
  run.pool->run(
      args.kv_heads,
      [&](int64_t g) {
        for (int64_t r = 0; r < pages; ++r) {
          const int64_t begin = r * kPageTokens;
          const int64_t end = std::min(args.tokens, begin + kPageTokens);
          float* const out = args.out + (g * pages + r) * group * args.head_size;
          const int64_t size = group * args.head_size;
          std::fill(out, out + size, 0.0f);
          for (int64_t t = begin; t < end; ++t) {
            const float* const q = args.q + t * args.stride + g * size;
            for (int64_t d = 0; d < size; ++d) out[d] += q[d];
          }
          const float share = 1.0f / static_cast<float>(end - begin);
          for (int64_t d = 0; d < size; ++d) out[d] *= share;
        }
      },
      run.cancel);
}

void score(const ScoreArgs& args, const Run& run) {
  constexpr int64_t kEntries = 16;
  const int64_t pages = args.list.pages;
  const int64_t blocks = (pages + kEntries - 1) / kEntries;
  const int64_t group = args.heads / args.kv.kv_heads;
  run.pool->run(
      blocks * args.kv.kv_heads,
      [&](int64_t task) {
        const int64_t g = task / blocks;
        const int64_t begin = task % blocks * kEntries;
        const int64_t end = std::min(pages, begin + kEntries);
        for (int64_t i = begin; i < end; ++i) {
          const uint16_t* first = args.kv.summary(g, args.list.slot[i], 0);
          const uint16_t* second = args.kv.summary(g, args.list.slot[i], 1);
          for (int64_t h = g * group; h < (g + 1) * group; ++h)
            args.scores[h * pages + i] = score_page(args, args.q + h * args.kv.head_size, first, second);
        }
      },
      run.cancel);
}

}  // namespace quire::plain
