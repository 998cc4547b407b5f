// generate_test.cpp — the token loop: several steps at once are bit for bit the steps one by one, so that guessing changes no
// answer; and the loop allocates nothing.
#include "native/decode/generate.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <string>

#include "test/native/decode/tiny_model.h"

namespace {
std::atomic<int64_t> allocations{0};

void* count_and_allocate(std::size_t bytes) {
  ++allocations;
  if (void* const block = std::malloc(bytes > 0 ? bytes : 1)) return block;
  throw std::bad_alloc();
}
}  // namespace

// GCC takes free() of what malloc() gave to operator new for a mistake once both are inlined.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
void* operator new(std::size_t bytes) { return count_and_allocate(bytes); }
void* operator new[](std::size_t bytes) { return count_and_allocate(bytes); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t) noexcept { std::free(block); }

namespace quire {
namespace {

const std::atomic<bool> kNever{false};

std::vector<int32_t> some_tokens(int64_t count) {
  std::mt19937 random(3);
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>(random() % 50));
  return tokens;
}

struct Outcome {
  GenerateResult result;
  std::string digest;
};

// Reads 200 tokens in two documents, answers, and answers once more behind that.
class Loop {
 public:
  // One thread: on a busy machine two wait for each other at every op.
  explicit Loop(const Ops& ops) : pool_(1), model_(tiny_model({4, 2, 32}, pool_)), forward_(model_, ops, pool_, {}) {}

  Outcome answer(const GenerateOptions& options) {
    Memory memory(model_.geometry, 40, Summary::kMeanSpread);
    forward_.prefill(memory, text_, {0, 90}, kNever, nullptr);
    handed_.clear();
    handed_.reserve(1000);
    Outcome outcome;
    outcome.result = generate(forward_, memory, options, kNever, [&](int32_t token) { handed_.push_back(token); });
    outcome.digest = std::to_string(memory.digest()) + "," + std::to_string(memory.tokens());
    return outcome;
  }
  const std::vector<int32_t>& text() const { return text_; }
  const std::vector<int32_t>& handed() const { return handed_; }
  Forward& forward() { return forward_; }
  const ModelWeights& model() const { return model_; }

 private:
  ThreadPool pool_;
  ModelWeights model_;
  Forward forward_;
  std::vector<int32_t> text_ = some_tokens(200), handed_;
};

GenerateOptions options_of(int64_t budget, Vote vote, float temperature) {
  GenerateOptions options;
  options.max_tokens = 150;
  options.sampling.temperature = temperature;
  options.sampling.seed = 11;
  options.selection.page_budget = budget;
  options.selection.recent_pages = 1;
  options.selection.vote = vote;
  options.selection.force = budget > 0;
  options.page_mass = true;
  return options;
}

void expect_same(const Outcome& a, const Outcome& b) {
  EXPECT_EQ(a.result.tokens, b.result.tokens);
  EXPECT_EQ(a.result.stop, b.result.stop);
  EXPECT_EQ(a.digest, b.digest);
  EXPECT_EQ(a.result.page_mass, b.result.page_mass);
  EXPECT_EQ(a.result.counts.scored, b.result.counts.scored);
  EXPECT_EQ(a.result.counts.selected, b.result.counts.selected);
  EXPECT_EQ(a.result.counts.attended, b.result.counts.attended);
  EXPECT_EQ(a.result.counts.total, b.result.counts.total);
}

TEST(Generate, GuessesChangeNoBitOfAnAnswer) {
  for (const Ops* ops : available_cpu_ops()) {
    Loop loop(*ops);
    int64_t accepted = 0, rejected = 0;
    for (const int64_t budget : {0, 64, 96, 1024})
      for (const Vote vote : {Vote::kSoftmax, Vote::kPerHead})
        for (const float temperature : {0.0f, 0.3f}) {
          SCOPED_TRACE(std::string(ops->name) + " budget " + std::to_string(budget) + " t " +
                       std::to_string(temperature));
          GenerateOptions options = options_of(budget, vote, temperature);
          options.sampling.repeat_penalty = temperature == 0 && vote == Vote::kPerHead ? 1.1f : 1.0f;
          const Outcome alone = loop.answer(options);
          EXPECT_EQ(alone.result.drafted, 0);
          // What was read, then what will be said, with an error here and there.
          options.draft_from = loop.text();
          for (size_t i = 0; i < alone.result.tokens.size(); ++i)
            options.draft_from.push_back(i % 23 == 22 ? (alone.result.tokens[i] + 1) % 50 : alone.result.tokens[i]);
          const Outcome guessed = loop.answer(options);
          expect_same(alone, guessed);
          EXPECT_EQ(loop.handed(), guessed.result.tokens);
          accepted += guessed.result.accepted;
          rejected += guessed.result.drafted - guessed.result.accepted;
          // The text alone: what is copied there is copied by chance.
          options.draft_from = loop.text();
          expect_same(alone, loop.answer(options));
        }
    EXPECT_GT(accepted, 500);
    EXPECT_GT(rejected, 20);
  }
}

TEST(Generate, AStopTokenInsideAGuessEndsTheAnswerThere) {
  Loop loop(plain_ops());
  GenerateOptions options = options_of(64, Vote::kSoftmax, 0.8f);
  const Outcome whole = loop.answer(options);
  options.stop_tokens = {whole.result.tokens[60]};
  const Outcome alone = loop.answer(options);
  EXPECT_EQ(alone.result.stop, "stop-token");
  options.draft_from = whole.result.tokens;
  const Outcome guessed = loop.answer(options);
  expect_same(alone, guessed);
}

TEST(Generate, AFullMemoryEndsAnAnswerWhereItWouldWithoutGuesses) {
  Loop loop(plain_ops());
  GenerateOptions options = options_of(64, Vote::kSoftmax, 0);
  options.max_tokens = 10000;
  const Outcome alone = loop.answer(options);
  EXPECT_EQ(alone.result.stop, "full");
  options.draft_from = alone.result.tokens;
  expect_same(alone, loop.answer(options));
}

TEST(Generate, ALoopOfStepsAllocatesNothing) {
  for (const Ops* ops : available_cpu_ops()) {
    ThreadPool pool(2);
    const ModelWeights model = tiny_model({4, 2, 32}, pool);
    Forward forward(model, *ops, pool, {});
    Memory memory(model.geometry, 80, Summary::kMeanSpread);
    const std::vector<int32_t> text = some_tokens(200);
    forward.prefill(memory, text, {0}, kNever, nullptr);
    for (const int64_t budget : {0, 96})
      for (const bool guessing : {false, true}) {
        SCOPED_TRACE(std::string(ops->name) + " budget " + std::to_string(budget) + " guessing " +
                     std::to_string(guessing));
        GenerateOptions options = options_of(budget, Vote::kSoftmax, 0.5f);
        options.sampling.repeat_penalty = 1.2f;
        options.max_tokens = 100;
        if (guessing) options.draft_from = text;
        // The first answer finds out how much room steps and guesses need.
        std::vector<int64_t> at;
        at.reserve(400);
        for (int i = 0; i < 2; ++i)
          generate(forward, memory, options, kNever, [&](int32_t) { at.push_back(allocations); });
        ASSERT_EQ(at.size(), 200u);
        EXPECT_EQ(at[199] - at[100], 0);
      }
  }
}

}  // namespace
}  // namespace quire
