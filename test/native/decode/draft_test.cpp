// draft_test.cpp — what is guessed from a text, and when guessing stops because it does not pay.
#include "native/decode/draft.h"

#include <gtest/gtest.h>

namespace quire {
namespace {

std::vector<int32_t> guess(Draft& draft, int64_t most) {
  int32_t out[16];
  const int64_t count = draft.guess(most, out);
  return {out, out + count};
}

Draft after(const std::vector<int32_t>& text, const std::vector<int32_t>& answer) {
  Draft draft(text, 100);
  for (const int32_t token : answer) draft.add(token);
  return draft;
}

TEST(Draft, GuessesWhatFollowedTheLastTokens) {
  Draft draft = after({1, 2, 3, 4, 5, 6, 7, 8, 9}, {2, 3, 4});
  EXPECT_EQ(guess(draft, 15), (std::vector<int32_t>{5, 6, 7, 8}));
  EXPECT_EQ(guess(draft, 2), (std::vector<int32_t>{5, 6}));
  EXPECT_TRUE(guess(draft, 0).empty());
}

TEST(Draft, TwoTokensInCommonAreNotEnough) {
  Draft draft = after({1, 2, 3, 4, 5}, {9, 2, 3});
  EXPECT_TRUE(guess(draft, 15).empty());
}

TEST(Draft, PrefersTheLongestMatchThenTheLatest) {
  Draft longest = after({0, 1, 2, 3, 50, 8, 1, 2, 3, 60, 7}, {0, 1, 2, 3});
  EXPECT_EQ(guess(longest, 1), std::vector<int32_t>{50});
  Draft latest = after({8, 1, 2, 3, 50, 8, 1, 2, 3, 60, 7}, {9, 1, 2, 3});
  EXPECT_EQ(guess(latest, 1), std::vector<int32_t>{60});
}

TEST(Draft, TheAnswerItselfIsCopiedFromToo) {
  Draft draft = after({90}, {1, 2, 3, 4, 1, 2, 3});
  EXPECT_EQ(guess(draft, 15), (std::vector<int32_t>{4, 1, 2, 3}));
}

TEST(Draft, WithoutTextNothingIsGuessed) {
  Draft draft = after({}, {1, 2, 3, 4, 1, 2, 3});
  EXPECT_TRUE(guess(draft, 15).empty());
}

TEST(Draft, ReachesFurtherWhileItIsRight) {
  std::vector<int32_t> text;
  for (int32_t i = 0; i < 64; ++i) text.push_back(i);
  Draft draft = after(text, {0, 1, 2});
  EXPECT_EQ(guess(draft, 15).size(), 4u);
  draft.judge(4, 4);
  EXPECT_EQ(guess(draft, 15).size(), 8u);
  draft.judge(8, 2);
  EXPECT_EQ(guess(draft, 15).size(), 3u);
  EXPECT_EQ(draft.guessed(), 12);
  EXPECT_EQ(draft.right(), 6);
}

TEST(Draft, PausesWhenItDoesNotPayAndLongerEachTime) {
  std::vector<int32_t> text(64, 7);
  Draft draft = after(text, {7, 7, 7});
  std::vector<int64_t> pauses;
  for (int64_t tokens = 0, silent = 0; tokens < 400; ++tokens) {
    const auto count = static_cast<int64_t>(guess(draft, 15).size());
    if (count == 0) {
      ++silent;
    } else {
      if (silent > 0) pauses.push_back(silent);
      silent = 0;
      draft.judge(count, 0);
    }
    draft.add(7);
  }
  ASSERT_GE(pauses.size(), 3u);
  for (size_t i = 1; i < pauses.size(); ++i) EXPECT_GT(pauses[i], pauses[i - 1]);
}

}  // namespace
}  // namespace quire
