// generate.cpp — see generate.h.
#include "native/decode/generate.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace quire {
namespace {

void check_count(const char* field, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high)
    throw Error("bad-option",
                std::string(field) + " must be between " + std::to_string(low) + " and " + std::to_string(high), field);
}

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
  Sampler sampler(options.sampling);
  const bool forced = !options.forced.empty();
  const int64_t limit = forced ? static_cast<int64_t>(options.forced.size()) : options.max_tokens;
  const auto begin = std::chrono::steady_clock::now();

  GenerateResult result;
  result.stop = "length";
  std::vector<float> logits;
  for (int64_t i = 0; i < limit; ++i) {
    forward.last_logits(logits);
    int32_t token = 0;
    if (forced) {
      token = options.forced[static_cast<size_t>(i)];
      if (token < 0 || token >= static_cast<int32_t>(logits.size()))
        throw Error("bad-option", "a forced token is not in the vocabulary", "forced");
      result.log_probabilities.push_back(log_probability(logits, token));
      if (options.logits) result.logits.insert(result.logits.end(), logits.begin(), logits.end());
    } else {
      token = sampler.next(logits, result.tokens);
      const auto& stops = options.stop_tokens;
      if (std::find(stops.begin(), stops.end(), token) != stops.end()) {
        result.stop = "stop-token";
        break;
      }
    }
    if (cancel.load(std::memory_order_relaxed)) {
      result.stop = "cancelled";
      break;
    }
    on_token(token);
    if (options.page_mass) result.page_mass.resize(static_cast<size_t>(memory.pages() + 1));
    try {
      forward.step(memory, token, options.selection, cancel, result.counts,
                   options.page_mass ? &result.page_mass : nullptr);
    } catch (const Error& error) {
      // The token was handed out but is not in the memory: the caller sees it missing from `tokens`.
      if (error.code() != "cancelled" && error.code() != "memory-full") throw;
      result.stop = error.code() == "cancelled" ? "cancelled" : "full";
      break;
    }
    result.tokens.push_back(token);
  }
  forward.close_page(memory);
  result.page_mass.resize(options.page_mass ? static_cast<size_t>(memory.pages()) : 0);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

}  // namespace quire
