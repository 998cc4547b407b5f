// plain_summary_codes.h — summary_codes.cu in plain loops: the twin that its tests, and the measure of what 8 bits change, are held to.
//
// n summaries of one KV head as floats, row i at x + i·width → the grid of every channel, and codes [n, width].
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace quire::plain {

struct CodeGrid {
  float middle = 0, step = 0;
};

inline std::vector<CodeGrid> code_grids(const float* x, int64_t n, int64_t width) {
  std::vector<CodeGrid> grids(static_cast<size_t>(width));
  for (int64_t d = 0; d < width; ++d) {
    float low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < n; ++i) {
      low = std::fmin(low, x[i * width + d]);
      high = std::fmax(high, x[i * width + d]);
    }
    if (low <= high) grids[static_cast<size_t>(d)] = {0.5f * (low + high), (high - low) / 254.0f};
  }
  return grids;
}

inline uint8_t code_of(float value, CodeGrid grid) {
  const float inverse = grid.step > 0 ? 1.0f / grid.step : 0.0f;
  const float off = value - grid.middle;
  const float steps = std::nearbyint(off * inverse);
  return static_cast<uint8_t>(128 + static_cast<int>(steps == steps ? std::clamp(steps, -127.0f, 127.0f) : 0.0f));
}

inline float value_of(uint8_t code, CodeGrid grid) {
  return grid.middle + grid.step * (static_cast<float>(code) - 128.0f);
}

}  // namespace quire::plain
