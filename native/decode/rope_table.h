// rope_table.h — cosines and sines of RoPE for the positions of a chunk, with YaRN where more than the trained length is asked.
//
// RoPE: arXiv:2104.09864. YaRN: arXiv:2309.00071, as llama.cpp and Hugging Face implement it (beta_fast 32, beta_slow 1,
// attention factor 0.1·ln(factor) + 1, applied to cosine and sine so that keys and queries both carry it).
#pragma once

#include <cstdint>
#include <vector>

namespace quire {

// factor: how many times the trained length, ≥ 1 (1: plain RoPE). original_context: trained length in tokens.
struct RopeScaling {
  float factor = 1;
  int64_t original_context = 0;
};

class RopeTable {
 public:
  RopeTable(int64_t head_size, float base, const RopeScaling& scaling);
  // Fills cosine and sine, [positions, head_size / 2] each. A value depends on its position alone.
  // They grow where they must.
  void fill(const std::vector<int64_t>& positions, std::vector<float>& cosine, std::vector<float>& sine) const;

  // What a backend needs that makes its own cosines.
  const std::vector<double>& frequencies() const { return frequencies_; }
  double attention_factor() const { return attention_factor_; }

 private:
  std::vector<double> frequencies_;  // [head_size / 2], radians per position
  double attention_factor_ = 1;
};

}  // namespace quire
