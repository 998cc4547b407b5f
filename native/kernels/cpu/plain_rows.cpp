// plain_rows.cpp — the meaning of the ops that go over the rows of activations: embed, norm, quantize and swiglu.
//
// One task is one token, so no result depends on T or on the number of threads.
#include <cmath>
#include <cstring>
#include <limits>

#include "native/kernels/cpu/op_functions.h"

namespace quire::plain {
namespace {

// Codes, scale and sums of block b of row t, from 32 floats.
// scale = max|x| / 127, code = x · (127 / max|x|) rounded to nearest even. NaN counts as 0, ±∞ as ±FLT_MAX, so that a code
// is always within ±127; a block whose scale would be below the smallest normal float is all zeros.
void quantize_block(const float* x, const QuantRows& quant, int64_t t, int64_t b) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  float values[kQuantBlock];
  float largest = 0;
  for (int i = 0; i < kQuantBlock; ++i) {
    values[i] = std::isnan(x[i]) ? 0 : std::fmin(std::fmax(x[i], -kLargest), kLargest);
    largest = std::fmax(largest, std::fabs(values[i]));
  }
  float scale = largest / 127.0f;
  float inverse = 127.0f / largest;  // not finite only where it is dropped below
  if (scale < std::numeric_limits<float>::min()) scale = inverse = 0;
  int32_t sums[2] = {0, 0};
  for (int i = 0; i < kQuantBlock; ++i) {
    const auto code = static_cast<int32_t>(std::nearbyint(values[i] * inverse));
    quant.codes[t * quant.columns + b * kQuantBlock + i] = static_cast<int8_t>(code);
    sums[i / 16] += code;
  }
  quant.scales[t * (quant.columns / kQuantBlock) + b] = scale;
  quant.sums[t * (quant.columns / 16) + 2 * b] = sums[0];
  quant.sums[t * (quant.columns / 16) + 2 * b + 1] = sums[1];
}

// Sum of squares in 16 partial sums, column i in sum i % 16, added pairwise: the order that a register of 16 floats gives.
float sum_of_squares(const float* x, int64_t columns) {
  float sums[16] = {};
  for (int64_t i = 0; i < columns; ++i) sums[i % 16] += x[i] * x[i];
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) sums[i] += sums[i + width];
  return sums[0];
}

}  // namespace

void embed(const EmbedArgs& args, const Run& run) {
  run.pool->run(
      args.count, [&](int64_t t) { unpack_row(*args.table, args.tokens[t], args.out + t * args.table->columns); },
      run.cancel);
}

void norm(const NormArgs& args, const Run& run) {
  run.pool->run(
      args.tokens,
      [&](int64_t t) {
        const float* x = args.x + t * args.columns;
        const float mean = sum_of_squares(x, args.columns) / static_cast<float>(args.columns);
        const float factor = 1.0f / std::sqrt(mean + args.eps);
        // Blocks of 32 need no row of memory when only quantised rows are wanted.
        for (int64_t begin = 0; begin < args.columns; begin += kQuantBlock) {
          const int64_t count = args.columns - begin < kQuantBlock ? args.columns - begin : kQuantBlock;
          float values[kQuantBlock];
          for (int64_t i = 0; i < count; ++i) values[i] = x[begin + i] * factor * args.weight[begin + i];
          if (args.out != nullptr) std::memcpy(args.out + t * args.columns + begin, values, count * sizeof(float));
          if (args.quant != nullptr) quantize_block(values, *args.quant, t, begin / kQuantBlock);
        }
      },
      run.cancel);
}

void quantize(const QuantizeArgs& args, const Run& run) {
  const QuantRows& quant = *args.quant;
  run.pool->run(
      quant.tokens,
      [&](int64_t t) {
        for (int64_t b = 0; b < quant.columns / kQuantBlock; ++b)
          quantize_block(args.x + t * quant.columns + b * kQuantBlock, quant, t, b);
      },
      run.cancel);
}

void swiglu(const SwigluArgs& args, const Run& run) {
  run.pool->run(
      args.tokens,
      [&](int64_t t) {
        for (int64_t begin = 0; begin < args.columns; begin += kQuantBlock) {
          float values[kQuantBlock];
          for (int i = 0; i < kQuantBlock; ++i) {
            const float gate = args.gate[t * args.stride + begin + i];
            values[i] = gate / (1.0f + std::exp(-gate)) * args.up[t * args.stride + begin + i];
          }
          if (args.out != nullptr) std::memcpy(args.out + t * args.columns + begin, values, sizeof values);
          if (args.quant != nullptr) quantize_block(values, *args.quant, t, begin / kQuantBlock);
        }
      },
      run.cancel);
}

}  // namespace quire::plain
