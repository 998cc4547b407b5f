// sampler.h — the next token from logits: greedy, or drawn by temperature, top-k, top-p and min-p, with a repeat penalty.
//
// Deterministic for a seed. Knows nothing of the model.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace quire {

struct Sampling {
  float temperature = 0;  // 0: greedy
  int64_t top_k = 0;      // 0: off
  float top_p = 1;        // 1: off
  float min_p = 0;        // 0: off; keeps tokens with at least min_p times the best probability
  float repeat_penalty =
      1;  // 1: off; divides positive logits of tokens already in the answer, multiplies negative ones
  uint64_t seed = 0;
};

class Sampler {
 public:
  // Throws "bad-option" naming the field for a value that is out of range or not a number.
  explicit Sampler(const Sampling& options);
  // logits: [V], changed in place by the penalty. answer: tokens sampled so far. Ties go to the lower id; NaN is never chosen
  // unless all are NaN, which throws "internal".
  int32_t next(std::vector<float>& logits, const std::vector<int32_t>& answer);

 private:
  Sampling options_;
  std::mt19937_64 random_;
  // Room that is used again: a token loop allocates nothing.
  std::vector<int32_t> seen_, candidates_;
  std::vector<double> weights_;
};

// Natural logarithm of the softmax probability of `token`.
float log_probability(const std::vector<float>& logits, int32_t token);

}  // namespace quire
