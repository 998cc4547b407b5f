// plain_append.cpp — the meaning of append and summarize: keys and values into their pages, and what a page's keys are like.
//
//   mean[d] = Σ_j key[d, j] / count        spread[d] = √(Σ_j (key[d, j] − mean[d])² / count)
//   min[d]  = min_j key[d, j]              max[d]    = max_j key[d, j]                     (Quest, arXiv:2406.10774)
//
// k, v     [T, G, D]           f32  in
// page     [D, 16], [16, D]    f16  a head's keys, channel-major, then its values; rounded to nearest even
// summary  [slots/16, 2, D, 16] f16 per KV head: mean and spread, or min and max, of the first `count` keys as f16 holds them
//
// The spread takes a second pass: E[x²] − E[x]² in floats is nothing but rounding where the mean is large, as it is under
// Qwen2's key bias. A sum goes over the page's tokens in order. A task is one KV head (append), one page of one (summarize).
#include <cmath>
#include <limits>

#include "native/core/half.h"
#include "native/kernels/cpu/op_functions.h"

namespace quire::plain {
namespace {

void append_token(const AppendArgs& args, int64_t g, int64_t t) {
  const int64_t size = args.kv.head_size;
  const int32_t place = args.places[t];
  const float* k = args.k + t * args.stride + g * size;
  const float* v = args.v + t * args.stride + g * size;
  uint16_t* keys = args.kv.keys(g, args.slots[t]);
  uint16_t* values = args.kv.values(g, args.slots[t]);
  for (int64_t d = 0; d < size; ++d) {
    keys[d * kPageTokens + place] = float_to_half(k[d]);
    values[place * size + d] = float_to_half(v[d]);
  }
}

// An infinite key counts as the largest half, so that scores made of the summary are numbers.
float finite(float key) {
  constexpr float kLargestHalf = 65504.0f;
  return key > kLargestHalf ? kLargestHalf : key < -kLargestHalf ? -kLargestHalf : key;
}

struct Pair {
  float first, second;
};

Pair mean_and_spread(const float* keys, int count) {
  float sum = 0;
  for (int j = 0; j < count; ++j) sum += keys[j];
  const float mean = sum / static_cast<float>(count);
  float squares = 0;
  for (int j = 0; j < count; ++j) squares += (keys[j] - mean) * (keys[j] - mean);
  return {mean, std::sqrt(squares / static_cast<float>(count))};
}

Pair min_and_max(const float* keys, int count) {
  Pair range = {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()};
  for (int j = 0; j < count; ++j) {  // NaN is passed over
    range.first = keys[j] < range.first ? keys[j] : range.first;
    range.second = keys[j] > range.second ? keys[j] : range.second;
  }
  return range;
}

void summarize_page(const SummarizeArgs& args, int64_t g, int32_t slot, int count) {
  const uint16_t* keys = args.kv.keys(g, slot);
  uint16_t* first = args.kv.summary(g, slot, 0);
  uint16_t* second = args.kv.summary(g, slot, 1);
  for (int64_t d = 0; d < args.kv.head_size; ++d) {
    float channel[kPageTokens] = {};
    for (int j = 0; j < count; ++j) channel[j] = finite(half_to_float(keys[d * kPageTokens + j]));
    const Pair pair = args.kind == Summary::kMeanSpread ? mean_and_spread(channel, count) : min_and_max(channel, count);
    first[d * kSummaryGroup] = float_to_half(pair.first);
    second[d * kSummaryGroup] = float_to_half(pair.second);
  }
}

}  // namespace

void append(const AppendArgs& args, const Run& run) {
  run.pool->run(
      args.kv.kv_heads,
      [&](int64_t g) {
        for (int64_t t = 0; t < args.tokens; ++t) append_token(args, g, t);
      },
      run.cancel);
}

void summarize(const SummarizeArgs& args, const Run& run) {
  run.pool->run(
      args.kv.kv_heads * args.count,
      [&](int64_t task) {
        const int64_t i = task % args.count;
        summarize_page(args, task / args.count, args.slots[i], args.counts[i]);
      },
      run.cancel);
}

}  // namespace quire::plain
