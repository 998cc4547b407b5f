// generate.h — the token loop: sample, hand out, append, until a stop token, the length, or a cancel; guesses (draft.h) are
// checked several tokens at once.
//
// Runs on a native thread; nothing is asked of the caller per token.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "native/decode/forward.h"
#include "native/decode/sampler.h"

namespace quire {

struct GenerateOptions {
  int64_t max_tokens = 0;
  Sampling sampling;
  Selection selection;
  std::vector<int32_t> stop_tokens;
  bool page_mass = false;
  std::vector<int32_t> forced;  // teacher forcing: these tokens instead of sampled ones; empty: none
  bool logits = false;          // with forced: the logits before each token
  std::vector<int32_t>
      draft_from;  // text that the answer may copy: guesses from it are checked several at once; empty: none
};

struct GenerateResult {
  std::vector<int32_t> tokens;  // all of them are part of the memory; a stop token is not among them
  std::string stop;             // "stop-token", "length", "cancelled", "full"
  double seconds = 0;
  PageCounts counts;
  int64_t drafted = 0;                   // tokens guessed (draft.h)
  int64_t accepted = 0;                  // of these, the ones that are part of the answer
  std::vector<float> page_mass;          // [pages of the list]
  std::vector<float> log_probabilities;  // of forced tokens
  std::vector<float> logits;             // [forced, V]
};

// Throws "bad-option" for a range that no run can have. on_token is called with each token before it is appended.
GenerateResult generate(Forward& forward, Memory& memory, const GenerateOptions& options,
                        const std::atomic<bool>& cancel, const std::function<void(int32_t)>& on_token);

// Throws "bad-option" naming the field.
void check_selection(const Selection& selection);

}  // namespace quire
