// sampler_test.cpp — the next token from logits: greedy, drawn, cut, penalised, and refused options.
#include "native/decode/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "native/core/error.h"

namespace quire {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

int32_t greedy(std::vector<float> logits) { return Sampler(Sampling()).next(logits, {}); }

// How often each token is drawn in n draws.
std::map<int32_t, int> draws(const Sampling& options, const std::vector<float>& logits, int n,
                             const std::vector<int32_t>& answer = {}) {
  Sampler sampler(options);
  std::map<int32_t, int> seen;
  for (int i = 0; i < n; ++i) {
    std::vector<float> copy = logits;
    ++seen[sampler.next(copy, answer)];
  }
  return seen;
}

TEST(Sampler, GreedyTakesTheHighestAndTheLowerIdOfTwo) {
  EXPECT_EQ(greedy({1, 3, 2}), 1);
  EXPECT_EQ(greedy({3, 1, 3}), 0);
  EXPECT_EQ(greedy({kNan, -5, kNan}), 1);
  EXPECT_EQ(greedy({-kInf, kInf, 0}), 1);
}

TEST(Sampler, RefusesLogitsThatAreAllNotNumbers) {
  std::vector<float> logits{kNan, kNan};
  EXPECT_THROW(Sampler(Sampling()).next(logits, {}), Error);
}

TEST(Sampler, DrawsByProbability) {
  Sampling options;
  options.temperature = 1;
  const std::map<int32_t, int> seen = draws(options, {std::log(0.5f), std::log(0.3f), std::log(0.2f)}, 20000);
  EXPECT_NEAR(seen.at(0), 10000, 400);  // 5 standard deviations
  EXPECT_NEAR(seen.at(1), 6000, 350);
  EXPECT_NEAR(seen.at(2), 4000, 300);
}

TEST(Sampler, IsTheSameForASeed) {
  Sampling options;
  options.temperature = 1;
  options.seed = 42;
  const std::vector<float> logits{0, 0.1f, 0.2f, 0.3f};
  EXPECT_EQ(draws(options, logits, 50), draws(options, logits, 50));
}

TEST(Sampler, CutsByTopKTopPAndMinP) {
  const std::vector<float> logits{std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
  Sampling options;
  options.temperature = 1;
  options.top_k = 2;
  EXPECT_EQ(draws(options, logits, 500).size(), 2u);
  options.top_k = 0;
  options.top_p = 0.7f;  // 0.5 does not reach it, 0.8 does
  EXPECT_EQ(draws(options, logits, 500).size(), 2u);
  options.top_p = 1;
  options.min_p = 0.25f;  // at least 0.125
  EXPECT_EQ(draws(options, logits, 500).size(), 3u);
  options.top_p = 1e-6f;  // never fewer than one
  EXPECT_EQ(draws(options, logits, 100).size(), 1u);
}

TEST(Sampler, PenalisesTokensOfTheAnswerOnceEach) {
  Sampling options;
  options.repeat_penalty = 2;
  std::vector<float> logits{4, 3, -1};
  EXPECT_EQ(Sampler(options).next(logits, {0, 0, 2}), 1);
  EXPECT_FLOAT_EQ(logits[0], 2);
  EXPECT_FLOAT_EQ(logits[2], -2);
}

TEST(Sampler, RefusesOptionsOutOfRange) {
  const auto refused = [](void (*change)(Sampling&)) {
    Sampling options;
    change(options);
    try {
      Sampler sampler(options);
      return std::string("accepted");
    } catch (const Error& error) {
      return error.where();
    }
  };
  EXPECT_EQ(refused([](Sampling& s) { s.temperature = -1; }), "temperature");
  EXPECT_EQ(refused([](Sampling& s) { s.temperature = kNan; }), "temperature");
  EXPECT_EQ(refused([](Sampling& s) { s.top_k = -1; }), "topK");
  EXPECT_EQ(refused([](Sampling& s) { s.top_p = 0; }), "topP");
  EXPECT_EQ(refused([](Sampling& s) { s.min_p = 1.5f; }), "minP");
  EXPECT_EQ(refused([](Sampling& s) { s.repeat_penalty = 0; }), "repeatPenalty");
}

TEST(LogProbability, IsTheLogarithmOfTheSoftmax) {
  const std::vector<float> logits{1000, 1000 + std::log(3.0f)};
  EXPECT_NEAR(log_probability(logits, 0), std::log(0.25), 1e-4);
  EXPECT_NEAR(log_probability(logits, 1), std::log(0.75), 1e-4);
}

}  // namespace
}  // namespace quire
