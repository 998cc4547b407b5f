// append_test.cpp — append and summarize of every level: where each number goes and how it is rounded; summaries against
// double precision, the plain twin's bits; Qwen2's key bias; what is no number.
#include <gtest/gtest.h>

#include <string>

#include "test/native/kernels/kv_pool.h"

namespace quire {
namespace {

struct Shape {
  int64_t kv_heads, head_size;
};
constexpr Shape kShapes[] = {{1, 64}, {2, 64}, {2, 128}, {3, 96}, {2, 40}};

// T tokens to the pages of a list, from its first page on.
struct Appended {
  std::vector<float> k, v;
  std::vector<int32_t> slots, places;
  AppendArgs args;
  Appended(const KvPool& pool, int64_t tokens, uint32_t seed) {
    args.stride = pool.kv.kv_heads * pool.kv.head_size + 5;
    k = normal_floats(tokens * args.stride + 1, seed, 3.0f);
    v = normal_floats(tokens * args.stride + 1, seed + 1);
    for (int64_t t = 0; t < tokens; ++t) {
      slots.push_back(pool.slots[static_cast<size_t>(t / kPageTokens)]);
      places.push_back(static_cast<int32_t>(t % kPageTokens));
    }
    args.k = k.data();
    args.v = v.data();
    args.slots = slots.data();
    args.places = places.data();
    args.tokens = tokens;
    args.kv = pool.kv;
  }
};

TEST(Append, PutsEachTokenInItsPlaceAndNothingElse) {
  ThreadPool pool(3);
  for (const Ops* ops : available_cpu_ops())
    for (const Shape& shape : kShapes)
      for (const int64_t tokens : {0, 1, 15, 16, 17, 70}) {
        KvPool kv(shape.kv_heads, shape.head_size, pages_for(96), 3);
        Appended appended(kv, tokens, 81);
        appended.k[0] = 1e6f;                // too large for a half
        appended.v[0] = 1.0f + 1.0f / 2048;  // halfway: to even
        std::vector<uint16_t> expected = kv.pages;
        KvLayer to = kv.kv;
        to.pages = expected.data();
        for (int64_t t = 0; t < tokens; ++t)
          for (int64_t g = 0; g < shape.kv_heads; ++g)
            for (int64_t d = 0; d < shape.head_size; ++d) {
              const int64_t from = t * appended.args.stride + g * shape.head_size + d;
              const int32_t slot = kv.slots[static_cast<size_t>(t / 16)];
              to.keys(g, slot)[d * 16 + t % 16] = float_to_half(appended.k[static_cast<size_t>(from)]);
              to.values(g, slot)[t % 16 * shape.head_size + d] = float_to_half(appended.v[static_cast<size_t>(from)]);
            }
        ops->append(appended.args, {&pool, nullptr});
        ASSERT_EQ(kv.pages, expected) << ops->name << " D " << shape.head_size << " tokens " << tokens;
        if (tokens > 0) {
          EXPECT_EQ(kv.kv.keys(0, kv.slots[0])[0], 0x7c00);
          EXPECT_EQ(kv.kv.values(0, kv.slots[0])[0], 0x3c00);
        }
      }
}

SummarizeArgs summary_of(const KvPool& kv, Summary kind) {
  return {kind, kv.slots.data(), kv.counts.data(), static_cast<int64_t>(kv.counts.size()), kv.kv};
}

// Within half a unit of the last place of a half, and of float arithmetic before it.
double tolerance(double value, double magnitude) { return std::fabs(value) / 2048 + 3e-8 + magnitude * 20 / (1 << 24); }

TEST(Summarize, IsMeanAndSpreadOrMinAndMaxOfTheKeysInUse) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops())
    for (const Shape& shape : kShapes)
      for (const Summary kind : {Summary::kMeanSpread, Summary::kMinMax}) {
        std::vector<int32_t> counts;
        for (int32_t count = 1; count <= 16; ++count) counts.push_back(count);
        KvPool kv(shape.kv_heads, shape.head_size, counts, 5);
        ops->summarize(summary_of(kv, kind), {&pool, nullptr});
        for (int64_t g = 0; g < shape.kv_heads; ++g)
          for (size_t i = 0; i < counts.size(); ++i)
            for (int64_t d = 0; d < shape.head_size; ++d) {
              const uint16_t* keys = kv.kv.keys(g, kv.slots[i]) + d * 16;
              double sum = 0, squares = 0, least = 1e9, most = -1e9, magnitude = 0;
              for (int j = 0; j < counts[i]; ++j) {
                const double key = half_to_float(keys[j]);
                sum += key, least = std::min(least, key), most = std::max(most, key);
                magnitude = std::max(magnitude, std::fabs(key));
              }
              const double mean = sum / counts[i];
              for (int j = 0; j < counts[i]; ++j) squares += std::pow(half_to_float(keys[j]) - mean, 2);
              const bool spread = kind == Summary::kMeanSpread;
              const double first = spread ? mean : least, second = spread ? std::sqrt(squares / counts[i]) : most;
              const std::string place = std::string(ops->name) + " D " + std::to_string(shape.head_size) + " page " +
                                        std::to_string(i) + " channel " + std::to_string(d);
              ASSERT_NEAR(half_to_float(kv.kv.summary(g, kv.slots[i], 0)[d * 16]), first, tolerance(first, magnitude))
                  << place;
              ASSERT_NEAR(half_to_float(kv.kv.summary(g, kv.slots[i], 1)[d * 16]), second, tolerance(second, magnitude))
                  << place;
            }
      }
}

TEST(Summarize, HasThePlainTwinsBitsAndTouchesNoOtherSlot) {
  ThreadPool pool(3);
  for (const Ops* ops : available_cpu_ops())
    for (const Shape& shape : kShapes)
      for (const Summary kind : {Summary::kMeanSpread, Summary::kMinMax}) {
        KvPool kv(shape.kv_heads, shape.head_size, {16, 3, 16, 1, 16, 9}, 7);
        kv.kv.keys(0, kv.slots[0])[5] = 0x7c00;  // infinite: counts as the largest half
        kv.kv.keys(0, kv.slots[1])[16 + 2] = 0xfc00;
        plain_ops().summarize(summary_of(kv, kind), {&pool, nullptr});
        const std::vector<uint16_t> expected = kv.summaries;
        std::fill(kv.summaries.begin(), kv.summaries.end(), uint16_t{0x7e00});
        ops->summarize(summary_of(kv, kind), {&pool, nullptr});
        EXPECT_EQ(kv.summaries, expected) << ops->name << " D " << shape.head_size;
      }
}

// E[x²] − E[x]² in floats made spreads of zero or NaN under Qwen2's key bias: a large mean and a small spread.
TEST(Summarize, SpreadSurvivesALargeMean) {
  ThreadPool pool(1);
  for (const Ops* ops : available_cpu_ops()) {
    KvPool kv(1, 64, {16}, 9);
    uint16_t* keys = kv.kv.keys(0, kv.slots[0]);
    for (int64_t d = 0; d < 64; ++d)
      for (int j = 0; j < 16; ++j) keys[d * 16 + j] = float_to_half(200.0f + (j % 2 == 0 ? 0.125f : -0.125f));
    ops->summarize(summary_of(kv, Summary::kMeanSpread), {&pool, nullptr});
    for (int64_t d = 0; d < 64; ++d) {
      EXPECT_EQ(half_to_float(kv.kv.summary(0, kv.slots[0], 0)[d * 16]), 200.0f) << ops->name;
      EXPECT_EQ(half_to_float(kv.kv.summary(0, kv.slots[0], 1)[d * 16]), 0.125f) << ops->name;
    }
  }
}

}  // namespace
}  // namespace quire
