// kv_pool.h — a layer's pages for tests: random keys and values of tokens in a list of pages whose slots are in no order.
// What no token holds is NaN, so that a kernel which reads too much shows it.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "native/core/half.h"
#include "native/kernels/ops.h"

namespace quire {

inline std::vector<float> normal_floats(int64_t count, uint32_t seed, float spread = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

struct KvPool {
  std::vector<uint16_t> pages, summaries;
  std::vector<int32_t> slots, counts;
  KvLayer kv;

  // counts: tokens of each page of the list.
  KvPool(int64_t kv_heads, int64_t head_size, std::vector<int32_t> page_counts, uint32_t seed, float spread = 1.0f,
         bool shuffled = true)
      : counts(std::move(page_counts)) {
    const auto n = static_cast<int64_t>(counts.size());
    kv.kv_heads = kv_heads;
    kv.head_size = head_size;
    kv.slots = (n + 3 + kSummaryGroup - 1) / kSummaryGroup * kSummaryGroup;
    pages.assign(static_cast<size_t>(kv_heads * kv.slots * 2 * kPageTokens * head_size), 0x7e00);
    summaries.assign(static_cast<size_t>(kv_heads * kv.slots * 2 * head_size), 0x7e00);
    kv.pages = pages.data();
    kv.summaries = summaries.data();
    std::vector<int32_t> all(static_cast<size_t>(kv.slots));
    std::iota(all.begin(), all.end(), 0);
    std::mt19937 random(seed);
    if (shuffled) std::shuffle(all.begin(), all.end(), random);
    slots.assign(all.begin(), all.begin() + n);
    std::normal_distribution<float> normal(0.0f, spread);
    for (int64_t g = 0; g < kv_heads; ++g)
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < counts[static_cast<size_t>(i)]; ++j)
          for (int64_t d = 0; d < head_size; ++d) {
            kv.keys(g, slots[static_cast<size_t>(i)])[d * kPageTokens + j] = float_to_half(normal(random));
            kv.values(g, slots[static_cast<size_t>(i)])[j * head_size + d] = float_to_half(normal(random));
          }
  }
  PageList list() const { return {slots.data(), counts.data(), static_cast<int64_t>(counts.size())}; }
};

// Pages for so many tokens, all but the last full.
inline std::vector<int32_t> pages_for(int64_t tokens) {
  std::vector<int32_t> counts;
  for (; tokens > 0; tokens -= kPageTokens)
    counts.push_back(static_cast<int32_t>(std::min<int64_t>(tokens, kPageTokens)));
  return counts;
}

}  // namespace quire
