// draft.cpp — see draft.h.
#include "native/decode/draft.h"

#include <algorithm>

namespace quire {
namespace {

// Tokens that must agree: two stand together by chance in any source.
constexpr int64_t kFewestEqual = 3;
// More agreement than this is not looked for: of two places with as much, the later one is taken.
constexpr int64_t kMostEqual = 24;
constexpr int64_t kFirstReach = 4;
constexpr int64_t kMostReach = 15;
// What a guessed token costs, right or wrong, in steps: a row more through matmuls that are bound by memory, and its own
// attention. Reckoned from the ops' shares (results/cpu.json), not measured yet: `bench -- drafting`.
constexpr double kCost = 0.25;
constexpr double kFirstGain = 1;  // what may be lost before a pause
constexpr double kMostGain = 4;
constexpr int64_t kFirstPause = 16;
constexpr int64_t kMostPause = 512;

}  // namespace

Draft::Draft(const std::vector<int32_t>& text, int64_t room)
    : on_(!text.empty()), reach_(kFirstReach), gain_(kFirstGain), pause_(kFirstPause) {
  if (!on_) return;
  history_.reserve(text.size() + static_cast<size_t>(room));
  history_ = text;
}

void Draft::add(int32_t token) {
  if (!on_) return;
  history_.push_back(token);
  if (paused_ > 0) --paused_;
}

int64_t Draft::guess(int64_t most, int32_t* out) {
  const auto size = static_cast<int64_t>(history_.size());
  most = std::min(most, reach_);
  if (!on_ || paused_ > 0 || most < 1 || size <= kFewestEqual) return 0;
  const int32_t* const all = history_.data();
  const int32_t last = all[size - 1];
  int64_t best = kFewestEqual - 1, follows = -1;
  for (int64_t i = size - 2; i >= kFewestEqual - 1 && best < kMostEqual; --i) {
    if (all[i] != last) continue;
    int64_t equal = 1;
    while (equal < kMostEqual && equal <= i && all[i - equal] == all[size - 1 - equal]) ++equal;
    if (equal > best) {
      best = equal;
      follows = i + 1;
    }
  }
  if (follows < 0) return 0;
  // What repeats itself right up to its end goes on repeating.
  for (int64_t i = 0; i < most; ++i) out[i] = follows + i < size ? all[follows + i] : out[follows + i - size];
  return most;
}

void Draft::judge(int64_t guessed, int64_t right) {
  guessed_ += guessed;
  right_ += right;
  gain_ = std::min(kMostGain, gain_ + static_cast<double>(right) - kCost * static_cast<double>(guessed));
  reach_ = right == guessed ? std::min(kMostReach, 2 * reach_) : std::clamp(right + 1, int64_t{2}, kMostReach);
  if (gain_ < 0) {
    paused_ = pause_;
    pause_ = std::min(kMostPause, 2 * pause_);
    gain_ = kFirstGain;
    reach_ = kFirstReach;
  } else if (right > 0) {
    pause_ = kFirstPause;
  }
}

}  // namespace quire
