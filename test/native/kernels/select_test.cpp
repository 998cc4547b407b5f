// select_test.cpp — select of every level: forced pages, the top of the others by each vote, ties, budgets that hold all, what
// is no number, and no dependence on threads.
#include <gtest/gtest.h>

#include <string>

#include "test/native/kernels/kv_pool.h"

namespace quire {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr Vote kVotes[] = {Vote::kSoftmax, Vote::kMax, Vote::kPerHead};

struct Selected {
  SelectArgs args;
  std::vector<float> scores, workspace;
  std::vector<int32_t> chosen;
  std::vector<int64_t> counts;
  Selected(Vote vote, int64_t heads, int64_t kv_heads, int64_t pages, int64_t budget) {
    args.vote = vote;
    args.heads = heads;
    args.kv_heads = kv_heads;
    args.head_size = 64;
    args.pages = pages;
    args.budget_pages = budget;
    scores = normal_floats(heads * pages, static_cast<uint32_t>(pages + heads), 20.0f);
  }
  int64_t lists() const { return args.vote == Vote::kPerHead ? args.heads : args.kv_heads; }
  void run(const Ops& ops, ThreadPool& pool) {
    workspace.assign(scores.size(), kNan);
    chosen.assign(static_cast<size_t>(lists() * args.budget_pages), -1);
    counts.assign(static_cast<size_t>(lists()), -1);
    args.scores = scores.data();
    args.workspace = workspace.data();
    args.chosen = chosen.data();
    args.chosen_count = counts.data();
    ops.select(args, {&pool, nullptr});
  }
  std::vector<int32_t> list(int64_t l) const {
    const auto begin = chosen.begin() + l * args.budget_pages;
    return {begin, begin + counts[static_cast<size_t>(l)]};
  }
};

// The value of each page that is not forced, in double precision.
std::vector<double> values_of(const Selected& s, int64_t list) {
  const SelectArgs& args = s.args;
  const int64_t heads = args.heads / s.lists();
  const int64_t begin = args.sink_pages, end = args.pages - args.recent_pages;
  std::vector<double> values(static_cast<size_t>(args.pages), args.vote == Vote::kSoftmax ? 0.0 : -kInfinity);
  for (int64_t h = list * heads; h < (list + 1) * heads; ++h) {
    const float* scores = s.scores.data() + h * args.pages;
    double max = -kInfinity, sum = 0;
    for (int64_t i = begin; i < end; ++i) max = std::max<double>(max, scores[i]);
    for (int64_t i = begin; i < end; ++i) sum += std::exp((scores[i] - max) / 8);
    for (int64_t i = begin; i < end; ++i) {
      double& value = values[static_cast<size_t>(i)];
      value = args.vote == Vote::kSoftmax ? value + std::exp((scores[i] - max) / 8) / sum
                                          : std::max<double>(value, scores[i]);
    }
  }
  return values;
}

TEST(Select, TakesTheForcedPagesAndTheBestOfTheOthers) {
  ThreadPool pool(2);
  struct Shape {
    int64_t heads, kv_heads;
  };
  for (const Ops* ops : available_cpu_ops())
    for (const Vote vote : kVotes)
      for (const Shape& shape : {Shape{1, 1}, Shape{4, 1}, Shape{14, 2}, Shape{12, 2}, Shape{9, 3}})
        for (const int64_t pages : {17, 64, 65, 300, 2000})
          for (const int64_t budget : {5, 6, 16}) {
            Selected s(vote, shape.heads, shape.kv_heads, pages, budget);
            s.run(*ops, pool);
            for (int64_t l = 0; l < s.lists(); ++l) {
              const std::string name = std::string(ops->name) + " vote " + std::to_string(static_cast<int>(vote)) +
                                       " pages " + std::to_string(pages) + " budget " + std::to_string(budget);
              const std::vector<int32_t> list = s.list(l);
              ASSERT_EQ(static_cast<int64_t>(list.size()), budget) << name;
              ASSERT_TRUE(std::is_sorted(list.begin(), list.end())) << name;
              ASSERT_EQ(std::adjacent_find(list.begin(), list.end()), list.end()) << name;
              ASSERT_EQ(list.front(), 0) << name;
              for (int64_t i = 1; i <= 4; ++i) ASSERT_EQ(list[static_cast<size_t>(budget - i)], pages - i) << name;
              const std::vector<double> values = values_of(s, l);
              double least = kInfinity, best_left = -kInfinity;
              size_t at = 0;
              for (int64_t i = 0; i < pages; ++i) {
                const bool taken = at < list.size() && list[at] == i;
                if (taken) ++at;
                if (i < 1 || i >= pages - 4) continue;
                double& bound = taken ? least : best_left;
                bound = taken ? std::min(bound, values[static_cast<size_t>(i)])
                              : std::max(bound, values[static_cast<size_t>(i)]);
              }
              // A softmax has rounding errors of its own: 1e-6 of a vote.
              const double slack = vote == Vote::kSoftmax ? 1e-6 * std::fabs(best_left) : 0;
              ASSERT_GE(least, best_left > -kInfinity ? best_left - slack : best_left) << name;
            }
          }
}

TEST(Select, TakesAllWhereTheBudgetHoldsThem) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops())
    for (const Vote vote : kVotes)
      for (const int64_t pages : {0, 1, 4, 5, 16}) {
        Selected s(vote, 4, 2, pages, 16);
        s.run(*ops, pool);
        std::vector<int32_t> all(static_cast<size_t>(pages));
        std::iota(all.begin(), all.end(), 0);
        for (int64_t l = 0; l < s.lists(); ++l) EXPECT_EQ(s.list(l), all) << ops->name;
      }
}

TEST(Select, GivesTiesToTheLowerIndex) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops())
    for (const Vote vote : kVotes) {
      Selected s(vote, 2, 1, 40, 10);
      for (size_t i = 0; i < s.scores.size(); ++i) s.scores[i] = i % 2 == 0 ? 0.0f : -0.0f;  // which are equal
      s.scores[30] = s.scores[70] = 1.0f;
      s.run(*ops, pool);
      for (int64_t l = 0; l < s.lists(); ++l)
        EXPECT_EQ(s.list(l), (std::vector<int32_t>{0, 1, 2, 3, 4, 30, 36, 37, 38, 39})) << ops->name;
    }
}

TEST(Select, TakesWhatIsNoNumberLast) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops())
    for (const Vote vote : kVotes) {
      Selected s(vote, 2, 1, 20, 9);
      for (size_t i = 0; i < s.scores.size(); ++i) s.scores[i] = i % 4 == 0 ? kNan : i % 4 == 1 ? -kInfinity : -50.0f;
      for (const size_t h : {0, 20}) {
        s.scores[h + 7] = kInfinity;
        s.scores[h + 14] = kInfinity;
        s.scores[h + 10] = 3.0f;
      }
      s.run(*ops, pool);
      for (int64_t l = 0; l < s.lists(); ++l) {
        const std::vector<int32_t> list = s.list(l);
        ASSERT_EQ(list.size(), 9u) << ops->name;
        EXPECT_TRUE(std::count(list.begin(), list.end(), 7) == 1) << ops->name;
        EXPECT_TRUE(std::count(list.begin(), list.end(), 14) == 1) << ops->name;
        if (vote != Vote::kSoftmax) {
          EXPECT_EQ(list, (std::vector<int32_t>{0, 2, 7, 10, 14, 16, 17, 18, 19})) << ops->name;
        }
      }
    }
}

TEST(Select, TakesTheFirstPagesWhereNoScoreIsANumber) {
  ThreadPool pool(1);
  for (const Ops* ops : available_cpu_ops())
    for (const Vote vote : kVotes)
      for (const float score : {kNan, -kInfinity, kInfinity}) {
        Selected s(vote, 4, 2, 30, 8);
        std::fill(s.scores.begin(), s.scores.end(), score);
        s.run(*ops, pool);
        for (int64_t l = 0; l < s.lists(); ++l)
          EXPECT_EQ(s.list(l), (std::vector<int32_t>{0, 1, 2, 3, 26, 27, 28, 29})) << ops->name << " " << score;
      }
}

TEST(Select, DoesNotDependOnThreads) {
  ThreadPool one(1), three(3);
  for (const Ops* ops : available_cpu_ops())
    for (const Vote vote : kVotes) {
      Selected s(vote, 14, 2, 3000, 64), other = s;
      s.run(*ops, one);
      other.run(*ops, three);
      EXPECT_EQ(s.chosen, other.chosen) << ops->name;
    }
}

TEST(Select, RefusesABudgetThatDoesNotHoldTheForcedPages) {
  ThreadPool pool(1);
  for (const Ops* ops : available_cpu_ops()) {
    Selected s(Vote::kSoftmax, 2, 1, 30, 4);
    EXPECT_ANY_THROW(s.run(*ops, pool)) << ops->name;
  }
}

}  // namespace
}  // namespace quire
