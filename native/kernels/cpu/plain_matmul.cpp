// plain_matmul.cpp — the meaning of matmul: quantised or float weights times activations, in plain loops.
//
//   out[t, r] = out?[t, r] + (Σ_b block[t, r, b] · s[t, b] + bias?[r])
//   block[t, r, b] = scale[r, b] · Σ_{k in b} code[r, k] · x[t, k] − minimum[r, b] · Σ_{k in b} x[t, k]
//
// b runs over blocks of 32 columns in order (Q6_K: a scale per 16), x are the activations' codes and s their scales. The
// sums over k are exact integers, the sum over b is one float accumulator. Only rows are split over threads, so nothing
// depends on T or on the number of threads.
#include "native/kernels/cpu/op_functions.h"

namespace quire::plain {
namespace {

// Tokens whose accumulators are kept while a row's blocks are read once; any number gives the same bits.
constexpr int64_t kTokensAtOnce = 64;

// Σ of one block for one token, in units of the activations' scale.
float block_product(const WeightBlock& weight, const int8_t* x) {
  int32_t dot[2] = {0, 0};
  int32_t sum = 0;
  for (int64_t c = 0; c < kBlockColumns; ++c) {
    dot[c / 16] += weight.codes[c] * x[c];
    sum += x[c];
  }
  return weight.scale[0] * static_cast<float>(dot[0]) + weight.scale[1] * static_cast<float>(dot[1]) -
         weight.minimum * static_cast<float>(sum);
}

void finish(const MatmulArgs& args, int64_t token, int64_t row, float sum) {
  float* out = args.out + token * args.out_stride + row;
  if (args.bias != nullptr) sum += args.bias[row];
  *out = args.accumulate ? *out + sum : sum;
}

void row_quantised(const MatmulArgs& args, int64_t row, int64_t first, int64_t count) {
  const QuantRows& x = *args.x_quant;
  const int64_t blocks = x.columns / kBlockColumns;
  float sums[kTokensAtOnce] = {};
  WeightBlock weight;
  for (int64_t b = 0; b < blocks; ++b) {
    read_block(*args.weight, row, b, &weight);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t t = first + i;
      sums[i] += block_product(weight, x.codes + t * x.columns + b * kBlockColumns) * x.scales[t * blocks + b];
    }
  }
  for (int64_t i = 0; i < count; ++i) finish(args, first + i, row, sums[i]);
}

void row_float(const MatmulArgs& args, int64_t row, int64_t first, int64_t count) {
  const int64_t columns = args.weight->columns;
  float sums[kTokensAtOnce] = {};
  for (int64_t k = 0; k < columns; ++k) {
    const float weight = read_float(*args.weight, row, k);
    for (int64_t i = 0; i < count; ++i) sums[i] += weight * args.x_float[(first + i) * columns + k];
  }
  for (int64_t i = 0; i < count; ++i) finish(args, first + i, row, sums[i]);
}

}  // namespace

void matmul(const MatmulArgs& args, const Run& run) {
  const bool is_float = args.weight->is_float();
  run.pool->run(
      args.weight->rows,
      [&](int64_t row) {
        for (int64_t first = 0; first < args.tokens; first += kTokensAtOnce) {
          const int64_t count = args.tokens - first < kTokensAtOnce ? args.tokens - first : kTokensAtOnce;
          is_float ? row_float(args, row, first, count) : row_quantised(args, row, first, count);
        }
      },
      run.cancel);
}

void matmul_several(const MatmulArgs* calls, int64_t count, const Run& run) {
  for (int64_t i = 0; i < count; ++i) matmul(calls[i], run);
}

}  // namespace quire::plain
