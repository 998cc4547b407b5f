// sampler.cpp — see sampler.h.
#include "native/decode/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "native/core/error.h"

namespace quire {
namespace {

void check(const char* field, double value, double low, double high) {
  if (!(value >= low && value <= high))
    throw Error("bad-option",
                std::string(field) + " must be between " + std::to_string(low) + " and " + std::to_string(high), field);
}

int32_t best(const std::vector<float>& logits) {
  int32_t choice = -1;
  for (size_t i = 0; i < logits.size(); ++i)
    if (!std::isnan(logits[i]) && (choice < 0 || logits[i] > logits[static_cast<size_t>(choice)]))
      choice = static_cast<int32_t>(i);
  if (choice < 0) throw Error("internal", "every logit is not a number");
  return choice;
}

}  // namespace

Sampler::Sampler(const Sampling& options) : options_(options), random_(options.seed) {
  check("temperature", options.temperature, 0, 10);
  check("topK", static_cast<double>(options.top_k), 0, 1 << 24);
  check("topP", options.top_p, std::numeric_limits<float>::min(), 1);
  check("minP", options.min_p, 0, 1);
  check("repeatPenalty", options.repeat_penalty, 0.1, 10);
}

int32_t Sampler::next(std::vector<float>& logits, const std::vector<int32_t>& answer) {
  if (options_.repeat_penalty != 1.0f) {
    seen_.reserve(answer.capacity());
    seen_.assign(answer.begin(), answer.end());
    std::sort(seen_.begin(), seen_.end());
    seen_.erase(std::unique(seen_.begin(), seen_.end()), seen_.end());
    for (const int32_t token : seen_) {
      float& logit = logits[static_cast<size_t>(token)];
      logit = logit > 0 ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
    }
  }
  const int32_t top = best(logits);
  if (options_.temperature == 0) return top;

  // Candidates that could be drawn at all: within the reach of double's exp below the best.
  const double best_logit = logits[static_cast<size_t>(top)];
  const double temperature = options_.temperature;
  candidates_.clear();
  candidates_.reserve(logits.size());
  weights_.reserve(logits.size());
  for (size_t i = 0; i < logits.size(); ++i)
    if ((logits[i] - best_logit) / temperature > -40) candidates_.push_back(static_cast<int32_t>(i));
  std::sort(candidates_.begin(), candidates_.end(), [&](int32_t a, int32_t b) {
    const float la = logits[static_cast<size_t>(a)], lb = logits[static_cast<size_t>(b)];
    return la != lb ? la > lb : a < b;
  });
  if (options_.top_k > 0 && static_cast<int64_t>(candidates_.size()) > options_.top_k)
    candidates_.resize(static_cast<size_t>(options_.top_k));
  weights_.clear();
  double sum = 0;
  for (const int32_t token : candidates_) {
    weights_.push_back(std::exp((logits[static_cast<size_t>(token)] - best_logit) / temperature));
    sum += weights_.back();
  }
  // The smallest set whose probability reaches top_p, and of it what reaches min_p times the best (whose weight is 1).
  size_t kept = 0;
  double mass = 0;
  while (kept < weights_.size() && (kept == 0 || (mass < options_.top_p * sum && weights_[kept] >= options_.min_p)))
    mass += weights_[kept++];
  double draw = std::uniform_real_distribution<double>(0, mass)(random_);
  for (size_t i = 0; i < kept; ++i) {
    draw -= weights_[i];
    if (draw < 0) return candidates_[i];
  }
  return candidates_[kept - 1];
}

float log_probability(const std::vector<float>& logits, int32_t token) {
  const float top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit - top));
  return static_cast<float>(static_cast<double>(logits[static_cast<size_t>(token)] - top) - std::log(sum));
}

}  // namespace quire
