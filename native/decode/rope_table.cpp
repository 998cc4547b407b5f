// rope_table.cpp — see rope_table.h.
#include "native/decode/rope_table.h"

#include <algorithm>
#include <cmath>

#include "native/core/error.h"

namespace quire {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kBetaFast = 32;  // rotations over the trained length above which a channel is left alone
constexpr double kBetaSlow = 1;   // and below which it is slowed by the whole factor

// The channel pair that makes `rotations` turns over the trained length.
double channel_of(double rotations, double head_size, double base, double context) {
  return head_size * std::log(context / (rotations * 2 * kPi)) / (2 * std::log(base));
}

}  // namespace

RopeTable::RopeTable(int64_t head_size, float base, const RopeScaling& scaling) {
  const bool yarn = scaling.factor > 1;
  if (!std::isfinite(scaling.factor) || scaling.factor < 1 || (yarn && scaling.original_context < 1))
    throw Error("bad-option", "a RoPE factor is at least 1 and needs the trained length", "rope");
  const auto size = static_cast<double>(head_size);
  const auto context = static_cast<double>(scaling.original_context);
  double low = 0, high = 0;
  if (yarn) {
    low = std::max(0.0, std::floor(channel_of(kBetaFast, size, base, context)));
    high = std::min(size - 1, std::ceil(channel_of(kBetaSlow, size, base, context)));
    attention_factor_ = 0.1 * std::log(static_cast<double>(scaling.factor)) + 1;
  }
  for (int64_t i = 0; i < head_size / 2; ++i) {
    double frequency = std::pow(static_cast<double>(base), -2.0 * static_cast<double>(i) / size);
    if (yarn) {
      const double ramp = std::clamp((static_cast<double>(i) - low) / std::max(0.001, high - low), 0.0, 1.0);
      frequency = frequency * (1 - ramp) + frequency / static_cast<double>(scaling.factor) * ramp;
    }
    frequencies_.push_back(frequency);
  }
}

void RopeTable::fill(const std::vector<int64_t>& positions, std::vector<float>& cosine,
                     std::vector<float>& sine) const {
  const size_t half = frequencies_.size();
  cosine.resize(positions.size() * half);
  sine.resize(positions.size() * half);
  for (size_t t = 0; t < positions.size(); ++t)
    for (size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(positions[t]) * frequencies_[i];
      cosine[t * half + i] = static_cast<float>(std::cos(angle) * attention_factor_);
      sine[t * half + i] = static_cast<float>(std::sin(angle) * attention_factor_);
    }
}

}  // namespace quire
