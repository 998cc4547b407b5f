// attend_test.cpp — attend of every level: against softmax in double precision, within a bound that follows from float
// arithmetic; the same bits for other tiles, token counts, threads and ways of calling; page mass; what is no number.
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "test/native/kernels/kv_pool.h"

namespace quire {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr double kEpsilon = 1.0 / (1 << 24);

struct Call {
  AttendArgs args;
  std::vector<float> q, out, workspace, mass;
  std::vector<PageList> lists;
  std::vector<Visible> visible;

  Call(const KvPool& pool, int64_t tokens, int64_t heads, uint32_t seed, float spread = 1.0f) {
    const int64_t size = pool.kv.head_size;
    args.stride = heads * size + 8;
    q = normal_floats(tokens * args.stride + 1, seed, spread);
    args.tokens = tokens;
    args.heads = heads;
    args.scale = 1.0f / std::sqrt(static_cast<float>(size));
    args.kv = pool.kv;
    lists = {pool.list()};
  }
  void run(const Ops& ops, ThreadPool& pool) {
    out.assign(static_cast<size_t>(args.tokens * args.heads * args.kv.head_size), -7.0f);
    args.q = q.data();
    args.out = out.data();
    args.lists = lists.data();
    args.list_count = static_cast<int64_t>(lists.size());
    args.visible = visible.empty() ? nullptr : visible.data();
    if (args.mass_stride > 0) {
      mass.assign(static_cast<size_t>(args.list_count * args.mass_stride), -7.0f);
      args.page_mass = mass.data();
    }
    workspace.assign(static_cast<size_t>(attend_workspace(args, pool.threads())), std::nanf(""));
    args.workspace = workspace.data();
    ops.attend(args, {&pool, nullptr});
  }
};

// Token t of T sees the list up to its own place: the last T tokens of the list are those of the call.
std::vector<Visible> causal(const std::vector<int32_t>& counts, int64_t tokens) {
  std::vector<Visible> all;
  for (size_t i = 0; i < counts.size(); ++i)
    for (int32_t j = 1; j <= counts[i]; ++j) all.push_back({static_cast<int32_t>(i), j});
  return {all.end() - tokens, all.end()};
}

struct Expected {
  std::vector<double> out, page;
  double bound = 0;
};

Expected reference(const Call& call, int64_t t, int64_t h) {
  const AttendArgs& args = call.args;
  const int64_t size = args.kv.head_size;
  const int64_t g = h / (args.heads / args.kv.kv_heads);
  const auto lists = static_cast<int64_t>(call.lists.size());
  const PageList& list = call.lists[static_cast<size_t>(lists == 1 ? 0 : lists == args.heads ? h : g)];
  const float* q = call.q.data() + t * args.stride + h * size;
  std::vector<double> scores;
  std::vector<std::pair<int64_t, int>> where;
  double reach = 0, largest_value = 0, max = -kInfinity, sum = 0;
  for (int64_t i = 0; i < list.pages; ++i)
    for (int j = 0; j < list.count[i]; ++j) {
      if (!call.visible.empty()) {
        const Visible& v = call.visible[static_cast<size_t>(t)];
        if (i > v.page || (i == v.page && j >= v.count)) continue;
      }
      double s = 0, magnitude = 0;
      for (int64_t d = 0; d < size; ++d) {
        const double product = static_cast<double>(q[d]) * half_to_float(args.kv.keys(g, list.slot[i])[d * 16 + j]);
        s += product;
        magnitude += std::fabs(product);
      }
      scores.push_back(s * args.scale);
      where.push_back({i, j});
      reach = std::max(reach, magnitude * args.scale);
      max = std::max(max, scores.back());
    }
  Expected expected;
  expected.out.assign(static_cast<size_t>(size), 0);
  expected.page.assign(static_cast<size_t>(list.pages), 0);
  for (const double s : scores) sum += std::exp(s - max);
  for (size_t k = 0; k < scores.size(); ++k) {
    const double p = std::exp(scores[k] - max) / sum;
    expected.page[static_cast<size_t>(where[k].first)] += p;
    const uint16_t* values = args.kv.values(g, list.slot[where[k].first]) + where[k].second * size;
    for (int64_t d = 0; d < size; ++d) {
      expected.out[static_cast<size_t>(d)] += p * half_to_float(values[d]);
      largest_value = std::max(largest_value, std::fabs(static_cast<double>(half_to_float(values[d]))));
    }
  }
  // A score of D products is off by (D + 3) roundings of at most `reach`, which moves its weight by as much, in a numerator
  // and in the sum; adding n weights is n roundings more of each, of which the blocks' rescaling is part.
  const auto n = static_cast<double>(scores.size());
  expected.bound = kEpsilon * (2 * (static_cast<double>(size) + 3) * reach + 2 * n + 40) * largest_value + 1e-37;
  return expected;
}

void expect_near(const Call& call, const std::string& name) {
  const int64_t size = call.args.kv.head_size;
  double worst = 0;
  std::string place = "nowhere";
  for (int64_t t = 0; t < call.args.tokens; ++t)
    for (int64_t h = 0; h < call.args.heads; ++h) {
      const Expected expected = reference(call, t, h);
      for (int64_t d = 0; d < size; ++d) {
        const float got = call.out[static_cast<size_t>((t * call.args.heads + h) * size + d)];
        double share = std::fabs(got - expected.out[static_cast<size_t>(d)]) / expected.bound;
        if (std::isnan(share)) share = kInfinity;
        if (share <= worst) continue;
        worst = share;
        place = "token " + std::to_string(t) + " head " + std::to_string(h) + " channel " + std::to_string(d);
      }
    }
  EXPECT_LE(worst, 1.0) << name << ": share of the bound, worst at " << place;
}

struct Shape {
  int64_t heads, kv_heads, head_size;
};
constexpr Shape kShapes[] = {{1, 1, 64}, {4, 1, 64}, {12, 2, 128}, {14, 2, 64},
                             {8, 1, 64}, {9, 3, 64}, {10, 1, 96},  {2, 2, 40}};

std::string describe(const Ops& ops, const Shape& shape, int64_t tokens) {
  return std::string(ops.name) + " H " + std::to_string(shape.heads) + " G " + std::to_string(shape.kv_heads) + " D " +
         std::to_string(shape.head_size) + " tokens " + std::to_string(tokens);
}

TEST(Attend, DecodeIsSoftmaxOfTheWholeList) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops())
    for (const Shape& shape : kShapes)
      for (const int64_t tokens : {0, 1, 15, 16, 17, 64, 65, 1100}) {
        KvPool kv(shape.kv_heads, shape.head_size, pages_for(tokens), static_cast<uint32_t>(tokens + shape.heads));
        Call call(kv, 1, shape.heads, 3);
        for (const bool split : {false, true}) {
          call.args.split = split;
          call.run(*ops, pool);
          expect_near(call, describe(*ops, shape, tokens));
        }
      }
}

TEST(Attend, PrefillIsCausal) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops())
    for (const Shape& shape : kShapes)
      for (const int64_t before : {0, 5, 200}) {
        const int64_t tokens = 33;
        KvPool kv(shape.kv_heads, shape.head_size, pages_for(before + tokens), 17);
        Call call(kv, tokens, shape.heads, 5);
        call.visible = causal(kv.counts, tokens);
        call.run(*ops, pool);
        expect_near(call, describe(*ops, shape, before));
      }
}

// Documents begin on a page of their own, so that pages in the middle of a list are partly filled.
TEST(Attend, PagesInTheMiddleMayBePartlyFilled) {
  ThreadPool pool(2);
  const std::vector<int32_t> counts = {16, 3, 16, 16, 16, 1, 15, 16, 16, 7, 16, 16, 2};
  for (const Ops* ops : available_cpu_ops())
    for (const Shape& shape : kShapes) {
      KvPool kv(shape.kv_heads, shape.head_size, counts, 23);
      Call decode(kv, 1, shape.heads, 6);
      decode.run(*ops, pool);
      expect_near(decode, describe(*ops, shape, 1));
      Call prefill(kv, 40, shape.heads, 7);
      prefill.visible = causal(counts, 40);
      prefill.run(*ops, pool);
      expect_near(prefill, describe(*ops, shape, 40));
    }
}

// The memory's promise: a token's bits do not depend on which tokens it was computed with.
TEST(Attend, HasTheSameBitsForAnyTokensThreadsAndSplit) {
  for (const Ops* ops : available_cpu_ops())
    for (const Shape& shape : kShapes) {
      // The plain twin takes rows one by one and is slow: a short list shows as much.
      std::vector<int32_t> counts = pages_for(ops == &plain_ops() ? 100 : 1200);
      counts[1] = 5;
      KvPool kv(shape.kv_heads, shape.head_size, counts, 31);
      ThreadPool one(1);
      Call all(kv, 64, shape.heads, 8);
      all.visible = causal(counts, 64);
      all.run(*ops, one);
      const auto expect_same = [&](int64_t tokens, int threads, bool split) {
        ThreadPool pool(threads);
        for (int64_t begin = 0; begin < 64; begin += tokens) {
          Call part = all;
          part.args.tokens = std::min<int64_t>(tokens, 64 - begin);
          part.q.erase(part.q.begin(), part.q.begin() + begin * part.args.stride);
          part.visible.erase(part.visible.begin(), part.visible.begin() + begin);
          part.args.split = split;
          part.run(*ops, pool);
          const int64_t row = shape.heads * shape.head_size;
          ASSERT_EQ(0, std::memcmp(part.out.data(), all.out.data() + begin * row, part.out.size() * sizeof(float)))
              << describe(*ops, shape, tokens) << " from " << begin << " threads " << threads << " split " << split;
        }
      };
      for (const int threads : {1, 2, 3})
        for (const int64_t tokens : {1, 5, 16, 64}) expect_same(tokens, threads, false);
      for (const int64_t tokens : {1, 5, 64}) expect_same(tokens, 2, true);
    }
}

TEST(Attend, AListForEachGroupOrHeadHoldsItsOwnPages) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops())
    for (const Shape& shape : kShapes)
      for (const int64_t lists : {shape.kv_heads, shape.heads}) {
        KvPool kv(shape.kv_heads, shape.head_size, pages_for(1300), 37);
        std::vector<std::vector<int32_t>> slots(static_cast<size_t>(lists)), counts(static_cast<size_t>(lists));
        std::mt19937 random(5);
        Call call(kv, 1, shape.heads, 9);
        call.lists.clear();
        for (size_t l = 0; l < slots.size(); ++l) {
          for (size_t i = 0; i < kv.counts.size(); ++i)
            if (random() % 3 == 0 && l != 1) slots[l].push_back(kv.slots[i]), counts[l].push_back(kv.counts[i]);
          call.lists.push_back({slots[l].data(), counts[l].data(), static_cast<int64_t>(slots[l].size())});
        }
        call.args.split = true;
        call.run(*ops, pool);
        expect_near(call, describe(*ops, shape, lists));
      }
}

TEST(Attend, ABlockOfTokensSeesTheEndOfEachGroupsListCausally) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops())
    for (const Shape& shape : kShapes)
      for (const int64_t tokens : {1, 17, 64}) {
        KvPool kv(shape.kv_heads, shape.head_size, pages_for(1300 + tokens), 38);
        const auto own = static_cast<size_t>((tokens + kPageTokens - 1) / kPageTokens);
        std::vector<std::vector<int32_t>> slots(static_cast<size_t>(shape.kv_heads)), counts = slots;
        Call call(kv, tokens, shape.heads, 19);
        call.lists.clear();
        for (size_t l = 0; l < slots.size(); ++l) {
          for (size_t i = 0; i < 40; ++i) {  // as many of its own in each list
            const size_t page = (i * (2 * l + 1)) % 80;
            slots[l].push_back(kv.slots[page]), counts[l].push_back(kPageTokens);
          }
          for (size_t i = 0; i < own; ++i) {
            slots[l].push_back(kv.slots[81 + i]);
            counts[l].push_back(static_cast<int32_t>(std::min<int64_t>(16, tokens - static_cast<int64_t>(i) * 16)));
          }
          call.lists.push_back({slots[l].data(), counts[l].data(), static_cast<int64_t>(slots[l].size())});
        }
        call.visible = causal(counts[0], tokens);
        call.run(*ops, pool);
        expect_near(call, describe(*ops, shape, tokens));
      }
}

TEST(Attend, EveryPageChosenHasTheBitsOfTheDenseList) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops())
    for (const Shape& shape : kShapes) {
      KvPool kv(shape.kv_heads, shape.head_size, pages_for(2100), 41);
      Call dense(kv, 1, shape.heads, 10);
      dense.visible = causal(kv.counts, 1);
      dense.args.split = true;
      dense.run(*ops, pool);
      for (const int64_t lists : {shape.kv_heads, shape.heads}) {
        Call chosen(kv, 1, shape.heads, 10);
        chosen.lists.assign(static_cast<size_t>(lists), kv.list());
        chosen.args.split = true;
        chosen.run(*ops, pool);
        EXPECT_EQ(chosen.out, dense.out) << describe(*ops, shape, lists);
      }
    }
}

TEST(Attend, PageMassIsTheProbabilityOfEachEntry) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops())
    for (const Shape& shape : kShapes)
      for (const int64_t lists : {int64_t{1}, shape.kv_heads, shape.heads})
        for (const bool split : {false, true}) {
          KvPool kv(shape.kv_heads, shape.head_size, pages_for(1200), 43);
          Call call(kv, 1, shape.heads, 11, 3.0f);
          call.lists.assign(static_cast<size_t>(lists), kv.list());
          call.args.split = split;
          const auto pages = static_cast<int64_t>(kv.counts.size());
          call.args.mass_stride = pages + 3;
          call.run(*ops, pool);
          std::vector<double> expected(call.mass.size(), 0);
          double bound = 0;
          for (int64_t h = 0; h < shape.heads; ++h) {
            const Expected row = reference(call, 0, h);
            bound = std::max(bound, row.bound);
            for (int64_t i = 0; i < pages; ++i)
              expected[static_cast<size_t>(h / (shape.heads / lists) * call.args.mass_stride + i)] +=
                  row.page[static_cast<size_t>(i)];
          }
          for (int64_t l = 0; l < lists; ++l)
            for (int64_t i = 0; i < pages; ++i) {
              const auto at = static_cast<size_t>(l * call.args.mass_stride + i);
              ASSERT_NEAR(call.mass[at], expected[at], bound * static_cast<double>(shape.heads))
                  << describe(*ops, shape, lists) << " list " << l << " page " << i;
            }
        }
}

TEST(Attend, HugeScoresLeaveOneKey) {
  ThreadPool pool(1);
  for (const Ops* ops : available_cpu_ops()) {
    KvPool kv(1, 64, pages_for(300), 47, 30.0f);
    Call call(kv, 3, 7, 12, 1000.0f);
    call.run(*ops, pool);
    expect_near(call, ops->name);
  }
}

// Scores that grow from block to block rescale everything before; scores of minus infinity count nothing.
TEST(Attend, InfiniteKeysGiveNothingOrNoNumber) {
  ThreadPool pool(1);
  for (const Ops* ops : available_cpu_ops())
    for (const int64_t heads : {1, 7, 20}) {
      KvPool kv(1, 64, pages_for(130), 53);
      Call call(kv, 1, heads, 13);
      for (float& q : call.q) q = std::fabs(q) + 0.1f;
      for (int64_t i = 0; i < 4; ++i)  // the first block is all −∞
        for (int64_t j = 0; j < 16; ++j) kv.kv.keys(0, kv.slots[static_cast<size_t>(i)])[j] = 0xfc00;
      call.run(*ops, pool);
      KvPool rest = kv;
      Call without(rest, 1, heads, 13);
      without.q = call.q;
      without.args.kv = kv.kv;
      without.lists = {{kv.slots.data() + 4, kv.counts.data() + 4, static_cast<int64_t>(kv.counts.size()) - 4}};
      without.run(*ops, pool);
      EXPECT_EQ(call.out, without.out) << ops->name << " heads " << heads;

      kv.kv.keys(0, kv.slots[5])[3] = 0x7c00;  // a score of +∞ has no softmax
      call.run(*ops, pool);
      for (const float x : call.out) ASSERT_TRUE(std::isnan(x)) << ops->name;
    }
}

TEST(Attend, AllKeysOfMinusInfinityGiveZeros) {
  ThreadPool pool(1);
  for (const Ops* ops : available_cpu_ops()) {
    KvPool kv(1, 64, pages_for(40), 59);
    Call call(kv, 1, 2, 14);
    for (float& q : call.q) q = 1.0f;
    for (const int32_t slot : kv.slots)
      for (int j = 0; j < 16; ++j) kv.kv.keys(0, slot)[j] = 0xfc00;
    call.run(*ops, pool);
    for (const float x : call.out) ASSERT_EQ(x, 0.0f) << ops->name;
  }
}

// A value that a token must not see, infinite, once made rows of the same tile NaN: 0 · ∞.
TEST(Attend, AnInfiniteValueIsOnlySeenByTokensAfterIt) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops())
    for (const Shape& shape : kShapes) {
      KvPool kv(shape.kv_heads, shape.head_size, pages_for(80), 61);
      for (int64_t g = 0; g < shape.kv_heads; ++g) kv.kv.values(g, kv.slots[4])[8 * shape.head_size] = 0x7c00;
      Call call(kv, 16, shape.heads, 15);
      call.visible = causal(kv.counts, 16);
      call.run(*ops, pool);
      for (int64_t t = 0; t < 16; ++t)
        for (int64_t h = 0; h < shape.heads; ++h)
          ASSERT_EQ(std::isfinite(call.out[static_cast<size_t>((t * shape.heads + h) * shape.head_size)]), t < 8)
              << describe(*ops, shape, t);
    }
}

TEST(Attend, StopsWhenCancelled) {
  ThreadPool pool(2);
  const std::atomic<bool> cancel{true};
  for (const Ops* ops : available_cpu_ops()) {
    KvPool kv(2, 64, pages_for(100), 67);
    Call call(kv, 4, 4, 16);
    call.run(*ops, pool);
    call.out.assign(call.out.size(), -7.0f);
    ops->attend(call.args, {&pool, &cancel});
    for (const float x : call.out) ASSERT_EQ(x, -7.0f);
  }
}

}  // namespace
}  // namespace quire
