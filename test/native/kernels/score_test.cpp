// score_test.cpp — score of every level: both formulas against sums in double precision, for lists in and out of the order of
// their slots; the same bits wherever a page is in the list; Quest's bound.
#include <gtest/gtest.h>

#include <string>

#include "test/native/kernels/kv_pool.h"

namespace quire {
namespace {

constexpr double kEpsilon = 1.0 / (1 << 24);

struct Shape {
  int64_t heads, kv_heads, head_size;
};
constexpr Shape kShapes[] = {{1, 1, 64}, {4, 1, 64}, {12, 2, 128}, {14, 2, 64}, {8, 1, 96}, {9, 3, 64}, {13, 1, 72}};

// Pages with summaries made by the plain twin.
struct Scored {
  KvPool kv;
  std::vector<float> q, scores;
  ScoreArgs args;
  Scored(const Shape& shape, int64_t pages, Summary kind, bool shuffled, uint32_t seed)
      : kv(shape.kv_heads, shape.head_size, pages_for(pages * kPageTokens - 3), seed, 1.0f, shuffled),
        q(normal_floats(shape.heads * shape.head_size, seed + 1)) {
    ThreadPool pool(1);
    plain_ops().summarize({kind, kv.slots.data(), kv.counts.data(), pages, kv.kv}, {&pool, nullptr});
    args = {kind, 0.7f, q.data(), shape.heads, kv.list(), kv.kv, nullptr};
  }
  void run(const Ops& ops, ThreadPool& pool) {
    scores.assign(static_cast<size_t>(args.heads * args.list.pages), -7.0f);
    args.scores = scores.data();
    ops.score(args, {&pool, nullptr});
  }
};

void expect_near(const Scored& scored, const std::string& name) {
  const ScoreArgs& args = scored.args;
  const int64_t size = args.kv.head_size;
  double worst = 0;
  std::string place = "nowhere";
  for (int64_t h = 0; h < args.heads; ++h)
    for (int64_t i = 0; i < args.list.pages; ++i) {
      const int64_t g = h / (args.heads / args.kv.kv_heads);
      double expected = 0, magnitude = 0;
      for (int64_t d = 0; d < size; ++d) {
        const double q = args.q[h * size + d];
        const double first = half_to_float(args.kv.summary(g, args.list.slot[i], 0)[d * kSummaryGroup]);
        const double second = half_to_float(args.kv.summary(g, args.list.slot[i], 1)[d * kSummaryGroup]);
        if (args.kind == Summary::kMeanSpread)
          expected += q * first + static_cast<double>(args.spread_factor) * std::fabs(q) * second;
        else
          expected += std::max(q * first, q * second);
        magnitude += std::fabs(q * first) + std::fabs(q * second);
      }
      // 2·D products and as many additions, each rounded once.
      const double bound = kEpsilon * (2 * static_cast<double>(size) + 3) * magnitude;
      double share = std::fabs(scored.scores[static_cast<size_t>(h * args.list.pages + i)] - expected) / bound;
      if (std::isnan(share)) share = std::numeric_limits<double>::infinity();
      if (share <= worst) continue;
      worst = share;
      place = "head " + std::to_string(h) + " entry " + std::to_string(i);
    }
  EXPECT_LE(worst, 1.0) << name << ": share of the bound, worst at " << place;
}

TEST(Score, IsTheFormulaForListsInAndOutOfOrder) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops())
    for (const Shape& shape : kShapes)
      for (const Summary kind : {Summary::kMeanSpread, Summary::kMinMax})
        for (const int64_t pages : {1, 15, 16, 17, 40, 300})
          for (const bool shuffled : {false, true}) {
            Scored scored(shape, pages, kind, shuffled, 71);
            scored.run(*ops, pool);
            expect_near(scored, std::string(ops->name) + " H " + std::to_string(shape.heads) + " D " +
                                    std::to_string(shape.head_size) + " pages " + std::to_string(pages));
          }
}

TEST(Score, OfNoPagesIsNothing) {
  ThreadPool pool(1);
  for (const Ops* ops : available_cpu_ops()) {
    Scored scored(kShapes[3], 4, Summary::kMeanSpread, true, 72);
    scored.args.list.pages = 0;
    scored.run(*ops, pool);
    EXPECT_TRUE(scored.scores.empty());
  }
}

TEST(Score, HasTheSameBitsWhereverThePageIs) {
  for (const Ops* ops : available_cpu_ops())
    for (const Shape& shape : kShapes) {
      ThreadPool one(1);
      ThreadPool three(3);
      Scored scored(shape, 200, Summary::kMeanSpread, false, 73);
      scored.run(*ops, one);
      std::vector<int32_t> order(200);
      std::iota(order.begin(), order.end(), 0);
      std::mt19937 random(9);
      std::shuffle(order.begin(), order.end(), random);
      order.resize(131);
      Scored other = scored;
      std::vector<int32_t> slots;
      for (const int32_t i : order) slots.push_back(scored.kv.slots[static_cast<size_t>(i)]);
      other.args.list = {slots.data(), scored.kv.counts.data(), 131};
      other.run(*ops, three);
      for (int64_t h = 0; h < shape.heads; ++h)
        for (int64_t i = 0; i < 131; ++i)
          ASSERT_EQ(other.scores[static_cast<size_t>(h * 131 + i)],
                    scored.scores[static_cast<size_t>(h * 200 + order[static_cast<size_t>(i)])])
              << ops->name << " head " << h << " entry " << i;
    }
}

// Quest's score is at least q·k of every key of the page (arXiv:2406.10774, section 3.3).
TEST(Score, OfMinAndMaxIsAnUpperBound) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops())
    for (const Shape& shape : kShapes) {
      Scored scored(shape, 30, Summary::kMinMax, true, 74);
      scored.run(*ops, pool);
      const int64_t size = shape.head_size;
      for (int64_t h = 0; h < shape.heads; ++h)
        for (size_t i = 0; i < 30; ++i)
          for (int j = 0; j < scored.kv.counts[i]; ++j) {
            double product = 0;
            const uint16_t* keys = scored.kv.kv.keys(h / (shape.heads / shape.kv_heads), scored.kv.slots[i]);
            for (int64_t d = 0; d < size; ++d)
              product +=
                  static_cast<double>(scored.q[static_cast<size_t>(h * size + d)]) * half_to_float(keys[d * 16 + j]);
            ASSERT_GE(scored.scores[static_cast<size_t>(h) * 30 + i], product - 1e-4) << ops->name;
          }
    }
}

TEST(PageQueries, AreTheMeansOfEachPagesQueries) {
  ThreadPool pool(2);
  for (const Shape& shape : kShapes) {
    for (const int64_t tokens : {1, 15, 16, 17, 40, 64}) {
      const int64_t group = shape.heads / shape.kv_heads;
      const int64_t pages = (tokens + kPageTokens - 1) / kPageTokens;
      const int64_t stride = shape.heads * shape.head_size + 8;
      const std::vector<float> q = normal_floats(tokens * stride, 5);
      for (const Ops* ops : available_cpu_ops()) {
        std::vector<float> means(static_cast<size_t>(pages * shape.heads * shape.head_size), -7.0f);
        ops->page_queries({q.data(), stride, tokens, shape.heads, shape.kv_heads, shape.head_size, means.data()},
                          {&pool, nullptr});
        for (int64_t r = 0; r < pages; ++r)
          for (int64_t h = 0; h < shape.heads; ++h)
            for (int64_t d = 0; d < shape.head_size; ++d) {
              const int64_t end = std::min(tokens, (r + 1) * kPageTokens);
              double sum = 0, magnitude = 0;
              for (int64_t t = r * kPageTokens; t < end; ++t) {
                sum += q[static_cast<size_t>(t * stride + h * shape.head_size + d)];
                magnitude += std::fabs(q[static_cast<size_t>(t * stride + h * shape.head_size + d)]);
              }
              const auto count = static_cast<double>(end - r * kPageTokens);
              const int64_t row = (h / group * pages + r) * group + h % group;
              ASSERT_NEAR(means[static_cast<size_t>(row * shape.head_size + d)], sum / count,
                          18 * kEpsilon * magnitude / count)
                  << ops->name << ", " << tokens << " tokens, page " << r << ", head " << h;
            }
      }
    }
  }
}

}  // namespace
}  // namespace quire
