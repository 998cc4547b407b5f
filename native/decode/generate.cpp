// generate.cpp — see generate.h.
#include "native/decode/generate.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "native/decode/draft.h"
#include "native/decode/grow.h"

namespace quire {
namespace {

void check_count(const char* field, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high)
    throw Error("bad-option",
                std::string(field) + " must be between " + std::to_string(low) + " and " + std::to_string(high), field);
}

void add(PageCounts& to, const PageCounts& step) {
  to.scored += step.scored;
  to.selected += step.selected;
  to.attended += step.attended;
  to.total += step.total;
  to.captured += step.captured;
  to.observed += step.observed;
}

// Tokens that the memory still has room for.
int64_t room_of(const Memory& memory) {
  const int64_t last = memory.documents().empty() ? 0 : memory.documents().back().tokens % kPageTokens;
  return memory.free_pages() * kPageTokens + (last == 0 ? 0 : kPageTokens - last);
}

// One answer. What the loop fills has its room from the beginning: it allocates nothing.
class Answer {
 public:
  Answer(Forward& forward, Memory& memory, const GenerateOptions& options, const std::atomic<bool>& cancel,
         const std::function<void(int32_t)>& on_token)
      : forward_(forward),
        memory_(memory),
        options_(options),
        cancel_(cancel),
        on_token_(on_token),
        sampler_(options.sampling),
        limit_(options.forced.empty() ? options.max_tokens : static_cast<int64_t>(options.forced.size())),
        draft_(options.forced.empty() ? options.draft_from : std::vector<int32_t>(),
               std::min(limit_, room_of(memory))) {
    result_.stop = "length";
    result_.tokens.reserve(static_cast<size_t>(std::min(limit_, room_of(memory))));
    if (!options.page_mass) return;
    masses_.resize(options.draft_from.empty() ? 1 : kMostSteps);
    for (std::vector<float>& mass : masses_) mass.reserve(static_cast<size_t>(memory.capacity()));
    result_.page_mass.resize(static_cast<size_t>(memory.capacity()));
  }

  GenerateResult run() {
    const auto begin = std::chrono::steady_clock::now();
    if (limit_ > 0 && options_.forced.empty()) draw_all();
    if (!options_.forced.empty()) force_all();
    forward_.close_page(memory_);
    result_.page_mass.resize(options_.page_mass ? static_cast<size_t>(memory_.pages()) : 0);
    result_.drafted = draft_.guessed();
    result_.accepted = draft_.right();
    result_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return std::move(result_);
  }

 private:
  void force_all() {
    for (const int32_t token : options_.forced) {
      forward_.last_logits(logits_);
      if (token < 0 || token >= static_cast<int32_t>(logits_.size()))
        throw Error("bad-option", "a forced token is not in the vocabulary", "forced");
      result_.log_probabilities.push_back(log_probability(logits_, token));
      if (options_.logits) result_.logits.insert(result_.logits.end(), logits_.begin(), logits_.end());
      if (!hand_out(token) || !append(&token, 1)) return;
      keep(token, 0);
    }
  }

  // A token that was drawn is appended together with a guess of what follows it. Each guessed token is then drawn as if it had been
  // appended by itself: while the draw gives the guess, its step is kept. So the answer is the same without any guess.
  void draw_all() {
    int32_t batch[kMostSteps];
    forward_.last_logits(logits_);
    const size_t vocabulary = logits_.size();
    if (!options_.draft_from.empty()) grow(batch_logits_, kMostSteps * static_cast<int64_t>(vocabulary));
    bool more = draw(batch[0]);
    while (more) {
      const int64_t left = std::min(limit_ - made(), room_of(memory_)) - 1;
      const int64_t guessed = draft_.guess(std::min(left, kMostSteps - 1), batch + 1);
      if (!append(batch, guessed + 1)) return;
      keep(batch[0], 0);
      int64_t right = 0;
      int32_t next = 0;
      for (;;) {
        more = made() < limit_;
        if (!more) break;
        if (guessed > 0)
          logits_.assign(batch_logits_.begin() + right * static_cast<int64_t>(vocabulary),
                         batch_logits_.begin() + (right + 1) * static_cast<int64_t>(vocabulary));
        else
          forward_.last_logits(logits_);
        more = draw(next);
        if (!more || right == guessed || next != batch[right + 1]) break;
        keep(next, ++right);
      }
      if (guessed > 0) {
        forward_.keep_steps(memory_, guessed + 1, right + 1);
        draft_.judge(guessed, right);
      }
      batch[0] = next;
    }
  }

  int64_t made() const { return static_cast<int64_t>(result_.tokens.size()); }

  // The token that follows by `logits_`. False: none does, and `stop` says why.
  bool draw(int32_t& token) {
    token = sampler_.next(logits_, result_.tokens);
    const auto& stops = options_.stop_tokens;
    if (std::find(stops.begin(), stops.end(), token) != stops.end()) {
      result_.stop = "stop-token";
      return false;
    }
    if (!hand_out(token)) return false;
    draft_.add(token);
    return true;
  }

  bool hand_out(int32_t token) {
    if (cancel_.load(std::memory_order_relaxed)) {
      result_.stop = "cancelled";
      return false;
    }
    on_token_(token);
    return true;
  }

  // False: a token was handed out but is not in the memory; the caller sees it missing from `tokens`.
  bool append(const int32_t* tokens, int64_t count) {
    for (int64_t i = 0; i < count; ++i) counts_[i] = {};
    for (std::vector<float>& mass : masses_) mass.clear();
    try {
      forward_.steps(memory_, tokens, count, options_.selection, cancel_,
                     {counts_, options_.page_mass ? masses_.data() : nullptr, count > 1 ? &batch_logits_ : nullptr});
      return true;
    } catch (const Error& error) {
      if (error.code() != "cancelled" && error.code() != "memory-full") throw;
      result_.stop = error.code() == "cancelled" ? "cancelled" : "full";
      return false;
    }
  }

  // The step in `row` is part of the answer.
  void keep(int32_t token, int64_t row) {
    result_.tokens.push_back(token);
    add(result_.counts, counts_[row]);
    if (!options_.page_mass) return;
    const std::vector<float>& mass = masses_[static_cast<size_t>(row)];
    for (size_t i = 0; i < mass.size(); ++i) result_.page_mass[i] += mass[i];
  }

  Forward& forward_;
  Memory& memory_;
  const GenerateOptions& options_;
  const std::atomic<bool>& cancel_;
  const std::function<void(int32_t)>& on_token_;
  Sampler sampler_;
  const int64_t limit_;
  Draft draft_;
  GenerateResult result_;
  std::vector<float> logits_;        // [V] of the next draw
  std::vector<float> batch_logits_;  // [kMostSteps, V] of a checked guess
  PageCounts counts_[kMostSteps];
  std::vector<std::vector<float>> masses_;  // [1 or kMostSteps][pages]
};

}  // namespace

void check_selection(const Selection& selection) {
  check_count("pageBudget", selection.page_budget, 0, int64_t{1} << 30);
  check_count("sinkPages", selection.sink_pages, 0, 1024);
  check_count("recentPages", selection.recent_pages, 1, 1024);  // the page being filled has no summary: it is forced
  check_count("denseLayers", selection.dense_layers, 0, 512);
  if (!std::isfinite(selection.spread_factor) || selection.spread_factor < 0 || selection.spread_factor > 100)
    throw Error("bad-option", "spreadFactor must be between 0 and 100", "spreadFactor");
}

GenerateResult generate(Forward& forward, Memory& memory, const GenerateOptions& options,
                        const std::atomic<bool>& cancel, const std::function<void(int32_t)>& on_token) {
  check_selection(options.selection);
  check_count("maxTokens", options.max_tokens, 0, int64_t{1} << 30);
  return Answer(forward, memory, options, cancel, on_token).run();
}

}  // namespace quire
