// draft.h — guesses the next tokens of an answer that copies: what followed the last tokens where they stood before.
//
// In: the token ids that the model has read, and the answer token by token. Out: a few tokens to be checked in one pass; a guess
// costs time where it is wrong, it never changes an answer. Knows nothing of the model, nothing is timed: the guesses depend on the
// tokens alone. Method: prompt look-up decoding (A. Saxena, 2023), the lossless check of arXiv:2211.17192.
#pragma once

#include <cstdint>
#include <vector>

namespace quire {

class Draft {
 public:
  // text: what was read, in order; empty: nothing is ever guessed. room: tokens that the answer may have at most.
  Draft(const std::vector<int32_t>& text, int64_t room);
  // The next token of the answer.
  void add(int32_t token);
  // Up to `most` tokens that may follow, into `out`; how many. 0 also where guessing did not pay lately.
  int64_t guess(int64_t most, int32_t* out);
  // What became of the last guess.
  void judge(int64_t guessed, int64_t right);

  // Of all guesses.
  int64_t guessed() const { return guessed_; }
  int64_t right() const { return right_; }

 private:
  bool on_ = false;
  std::vector<int32_t> history_;  // the text, then the answer
  int64_t reach_;                 // tokens of the next guess
  double gain_;                   // steps saved lately, less what the guesses cost
  int64_t pause_;                 // tokens without a guess after the next loss
  int64_t paused_ = 0;            // of these, still to come
  int64_t guessed_ = 0;
  int64_t right_ = 0;
};

}  // namespace quire
