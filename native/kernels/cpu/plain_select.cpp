// plain_select.cpp — the meaning of select: which pages a token attends to, from their scores.
//
//   kSoftmax  value[i] = Σ_{h in group} exp((s[h, i] − max_i s[h, ·]) / √D) / Σ_i …     over the pages that are not forced
//   kMax      value[i] = max_{h in group} s[h, i]
//   kPerHead  value[i] = s[h, i], a list per query head                                 (as in Quest, arXiv:2406.10774)
//
// scores [H, n] f32; chosen [lists, budget] ascending indices; a list's values are in the row of workspace [H, n] of its first
// query head.
//
// NaN counts as −∞. A head whose greatest score is +∞ gives its vote in equal parts to the pages that have it; one whose scores
// are all −∞ gives none. No page is counted twice: the first `sink_pages` and the last `recent_pages` are taken first. The
// others are not sorted: the value of the last one that fits is found digit by digit, then one pass takes what is above it, and
// of what equals it the lowest indices. A task is one list.
#include <algorithm>
#include <cmath>
#include <limits>

#include "native/core/half.h"
#include "native/kernels/cpu/op_functions.h"

namespace quire::plain {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float without_nan(float x) { return std::isnan(x) ? -kInfinity : x; }

// Adds one head's softmax over [begin, end) to the values.
void add_softmax(const float* scores, int64_t begin, int64_t end, float scale, float* values) {
  float largest = -kInfinity;
  for (int64_t i = begin; i < end; ++i) largest = std::max(largest, without_nan(scores[i]));
  if (largest == -kInfinity) return;
  const auto weight = [&](int64_t i) {
    return scores[i] == largest ? 1.0f : std::exp((without_nan(scores[i]) - largest) * scale);
  };
  double sum = 0;
  for (int64_t i = begin; i < end; ++i) sum += static_cast<double>(weight(i));
  const auto inverse = static_cast<float>(1.0 / sum);
  for (int64_t i = begin; i < end; ++i) values[i] += weight(i) * inverse;
}

void fill_values(const SelectArgs& args, int64_t first_head, int64_t heads, int64_t begin, int64_t end, float* values) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(args.head_size));
  std::fill(values + begin, values + end, args.vote == Vote::kSoftmax ? 0.0f : -kInfinity);
  for (int64_t h = first_head; h < first_head + heads; ++h) {
    const float* scores = args.scores + h * args.pages;
    if (args.vote == Vote::kSoftmax)
      add_softmax(scores, begin, end, scale, values);
    else
      for (int64_t i = begin; i < end; ++i) values[i] = std::max(values[i], without_nan(scores[i]));
  }
}

// A number that is greater where the float is; −0 and +0 are the same. Not for NaN.
uint32_t ordered(float x) {
  const uint32_t bits = float_to_bits(x + 0.0f);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// The k-th greatest (k ≥ 1) of the values in [begin, end), as `ordered` has it: its bytes from the highest, by counting.
uint32_t kth_greatest(const float* values, int64_t begin, int64_t end, int64_t k) {
  uint32_t found = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    int64_t counts[256] = {};
    for (int64_t i = begin; i < end; ++i) {
      const uint32_t key = ordered(values[i]);
      // The bytes above this one must be those found; shifting by 32 is not defined, hence in two steps.
      if (((key ^ found) >> shift) >> 8 == 0) ++counts[(key >> shift) & 0xff];
    }
    uint32_t digit = 255;
    while (counts[digit] < k) k -= counts[digit--];
    found |= digit << shift;
  }
  return found;
}

}  // namespace

void select(const SelectArgs& args, const Run& run) {
  const int64_t n = args.pages;
  const int64_t lists = args.vote == Vote::kPerHead ? args.heads : args.kv_heads;
  const int64_t heads = args.heads / lists;
  const bool all = n <= args.budget_pages;
  const int64_t begin = all ? n : args.sink_pages;
  const int64_t end = all ? n : n - args.recent_pages;
  const int64_t wanted = all ? 0 : args.budget_pages - args.sink_pages - args.recent_pages;
  run.pool->run(
      lists,
      [&](int64_t list) {
        float* values = args.workspace + list * heads * n;
        int32_t* chosen = args.chosen + list * args.budget_pages;
        int64_t count = 0;
        for (int64_t i = 0; i < begin; ++i) chosen[count++] = static_cast<int32_t>(i);
        if (wanted > 0) {
          fill_values(args, list * heads, heads, begin, end, values);
          const uint32_t last = kth_greatest(values, begin, end, wanted);
          int64_t equals = wanted;
          for (int64_t i = begin; i < end; ++i) equals -= ordered(values[i]) > last ? 1 : 0;
          for (int64_t i = begin; i < end; ++i) {
            const uint32_t key = ordered(values[i]);
            if (key > last || (key == last && equals-- > 0)) chosen[count++] = static_cast<int32_t>(i);
          }
        }
        for (int64_t i = end; i < n; ++i) chosen[count++] = static_cast<int32_t>(i);
        args.chosen_count[list] = count;
      },
      run.cancel);
}

}  // namespace quire::plain
