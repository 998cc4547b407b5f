// matmul_test.cpp — every level's matmul against a double-precision reference made from the GGUF blocks, against itself for
// other token counts, chunks and threads (bit for bit), and at the extremes of codes and scales.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "native/kernels/ops.h"
#include "test/native/kernels/gguf_reference.h"

namespace quire {
namespace {

using reference::Fill;
using reference::SourceMatrix;

constexpr float kUntouched = -12345.5f;

// Activations in both forms. Codes are given directly, so that the extremes of the type are met.
struct Activations {
  int64_t tokens;
  int64_t columns;
  std::vector<int8_t> codes;
  std::vector<float> scales;
  std::vector<int32_t> sums;
  std::vector<float> floats;

  Activations(int64_t tokens_in, int64_t columns_in, bool extreme, uint32_t seed)
      : tokens(tokens_in), columns(columns_in) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, 1.0f);
    // Float matrices may have any number of columns; their codes are not used.
    const int64_t blocks = columns / 32;
    codes.resize(static_cast<size_t>(tokens * blocks * 32));
    scales.resize(static_cast<size_t>(tokens * blocks));
    sums.resize(static_cast<size_t>(tokens * blocks * 2));
    for (size_t i = 0; i < codes.size(); ++i)
      codes[i] = static_cast<int8_t>(extreme ? (i / 64 % 2 == 0 ? -127 : 127) : static_cast<int>(random() % 255) - 127);
    for (size_t i = 0; i < scales.size(); ++i) scales[i] = i % 7 == 3 ? 0.0f : std::fabs(normal(random)) * 0.02f;
    for (size_t i = 0; i < codes.size(); ++i) sums[i / 16] += codes[i];
    floats.resize(static_cast<size_t>(tokens * columns));
    for (float& value : floats) value = normal(random);
  }

  QuantRows rows(int64_t first, int64_t count) {
    return {codes.data() + first * columns, scales.data() + first * (columns / 32),
            sums.data() + first * (columns / 16), count, columns};
  }
  // The value that the op sees.
  double at(bool is_float, int64_t t, int64_t k) const {
    if (is_float) return floats[static_cast<size_t>(t * columns + k)];
    return static_cast<double>(codes[static_cast<size_t>(t * columns + k)]) *
           scales[static_cast<size_t>(t * (columns / 32) + k / 32)];
  }
};

// Runs the op on tokens [first, first + count) of x.
void multiply(const Ops& ops, const PackedMatrix& weight, Activations& x, int64_t first, int64_t count,
              ThreadPool& pool, float* out, int64_t stride, const float* bias = nullptr, bool accumulate = false) {
  QuantRows quant = x.rows(first, count);
  MatmulArgs args;
  args.weight = &weight;
  args.x_quant = weight.is_float() ? nullptr : &quant;
  args.x_float = weight.is_float() ? x.floats.data() + first * x.columns : nullptr;
  args.bias = bias;
  args.accumulate = accumulate;
  args.out = out;
  args.out_stride = stride;
  args.tokens = count;
  ops.matmul(args, {&pool, nullptr});
}

// Rounding of one accumulator: every addition and product of a block rounds once, relative to what has been added up.
void expect_near_reference(const Ops& ops, const SourceMatrix& source, const PackedMatrix& weight, Activations& x,
                           bool with_bias, bool accumulate, ThreadPool& pool) {
  const int64_t stride = source.rows + 3;
  std::vector<float> bias(static_cast<size_t>(source.rows));
  for (size_t i = 0; i < bias.size(); ++i) bias[i] = static_cast<float>(i) * 0.25f - 1.0f;
  std::vector<float> out(static_cast<size_t>(x.tokens * stride), kUntouched);
  if (accumulate)
    for (int64_t t = 0; t < x.tokens; ++t)
      for (int64_t r = 0; r < source.rows; ++r) out[static_cast<size_t>(t * stride + r)] = static_cast<float>(t - r);
  multiply(ops, weight, x, 0, x.tokens, pool, out.data(), stride, with_bias ? bias.data() : nullptr, accumulate);

  const double roundings = static_cast<double>(weight.is_float() ? source.columns : source.columns / 32) + 10;
  double worst = 0;
  std::string place = "nowhere";
  for (int64_t t = 0; t < x.tokens; ++t) {
    for (int64_t r = 0; r < source.rows; ++r) {
      const double added = with_bias ? bias[static_cast<size_t>(r)] : 0.0;
      const double before = accumulate ? static_cast<double>(t - r) : 0.0;
      double expected = added + before;
      double magnitude = std::fabs(added) + std::fabs(before);
      for (int64_t k = 0; k < source.columns; ++k) {
        const double value = x.at(weight.is_float(), t, k);
        expected += source.at(r, k) * value;
        magnitude += source.magnitude(r, k) * std::fabs(value);
      }
      const double bound = roundings * std::ldexp(1.0, -24) * magnitude + 1e-30;
      const double error = std::fabs(out[static_cast<size_t>(t * stride + r)] - expected) / bound;
      if (!(error <= worst)) {
        worst = error;
        place = "token " + std::to_string(t) + " row " + std::to_string(r) + ": " +
                std::to_string(out[static_cast<size_t>(t * stride + r)]) + " instead of " + std::to_string(expected);
      }
    }
    for (int64_t r = source.rows; r < stride; ++r)
      ASSERT_EQ(out[static_cast<size_t>(t * stride + r)], kUntouched) << "wrote past the last row";
  }
  EXPECT_LE(worst, 1.0) << place;
}

TEST(Matmul, AgreesWithTheDoubleReferenceForEveryTypeAndShape) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops()) {
    for (const auto& [type, name] : reference::all_types()) {
      for (const int64_t rows : {1, 15, 16, 17, 33}) {
        for (const int64_t blocks : {1, 3}) {
          const int64_t columns = blocks * block_shape(type).columns;
          const auto seed = static_cast<uint32_t>(rows * 7 + blocks);
          const SourceMatrix source = reference::make_matrix(type, rows, columns, Fill::kRandom, seed);
          const PackedMatrix weight = pack_matrix(type, source.data(), rows, columns, "w", pool);
          for (const int64_t tokens : {0, 1, 2, 11, 12, 13, 37}) {
            SCOPED_TRACE(std::string(ops->name) + " " + name + " rows " + std::to_string(rows) + " columns " +
                         std::to_string(columns) + " tokens " + std::to_string(tokens));
            Activations x(tokens, columns, false, seed + static_cast<uint32_t>(tokens));
            expect_near_reference(*ops, source, weight, x, tokens % 2 == 1, tokens % 3 == 1, pool);
          }
        }
      }
    }
  }
}

TEST(Matmul, AgreesWithTheDoubleReferenceAtTheExtremes) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops()) {
    for (const auto& [type, name] : reference::all_types()) {
      for (const Fill fill : {Fill::kLargest, Fill::kZeroScales, Fill::kAllOnes}) {
        for (const int64_t tokens : {1, 5, 12}) {
          SCOPED_TRACE(std::string(ops->name) + " " + name + " fill " + std::to_string(static_cast<int>(fill)));
          const SourceMatrix source = reference::make_matrix(type, 17, 768, fill, 3);
          const PackedMatrix weight = pack_matrix(type, source.data(), 17, 768, "w", pool);
          Activations x(tokens, 768, true, 4);
          expect_near_reference(*ops, source, weight, x, false, false, pool);
        }
      }
    }
  }
}

TEST(Matmul, AgreesWithThePlainTwin) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops()) {
    for (const auto& [type, name] : reference::all_types()) {
      const SourceMatrix source = reference::make_matrix(type, 40, 1024, Fill::kRandom, 5);
      const PackedMatrix weight = pack_matrix(type, source.data(), 40, 1024, "w", pool);
      Activations x(13, 1024, false, 6);
      std::vector<float> plain(13 * 40), fast(13 * 40);
      multiply(plain_ops(), weight, x, 0, 13, pool, plain.data(), 40);
      multiply(*ops, weight, x, 0, 13, pool, fast.data(), 40);
      double squares = 0, difference = 0;
      for (size_t i = 0; i < plain.size(); ++i) {
        squares += static_cast<double>(plain[i]) * plain[i];
        difference += (static_cast<double>(plain[i]) - fast[i]) * (static_cast<double>(plain[i]) - fast[i]);
      }
      EXPECT_LE(std::sqrt(difference / squares), 2e-6) << ops->name << " " << name;
    }
  }
}

// The memory's promise: a key has the same bits however it was computed.
TEST(Matmul, GivesEachTokenTheSameBitsForAnyTokenCountChunkAndThreads) {
  constexpr int64_t kRows = 50;
  constexpr int64_t kTokens = 33;
  for (const Ops* ops : available_cpu_ops()) {
    for (const auto& [type, name] : reference::all_types()) {
      ThreadPool one(1);
      const SourceMatrix source = reference::make_matrix(type, kRows, 512, Fill::kRandom, 8);
      const PackedMatrix weight = pack_matrix(type, source.data(), kRows, 512, "w", one);
      Activations x(kTokens, 512, false, 9);
      std::vector<float> alone(kTokens * kRows);
      for (int64_t t = 0; t < kTokens; ++t) multiply(*ops, weight, x, t, 1, one, alone.data() + t * kRows, kRows);
      for (const int threads : {1, 2, 3}) {
        ThreadPool pool(threads);
        for (int64_t count = 1; count <= kTokens; ++count) {  // also the size of the chunks
          std::vector<float> out(kTokens * kRows);
          for (int64_t t = 0; t < kTokens; t += count)
            multiply(*ops, weight, x, t, std::min(count, kTokens - t), pool, out.data() + t * kRows, kRows);
          ASSERT_EQ(0, std::memcmp(out.data(), alone.data(), out.size() * sizeof(float)))
              << ops->name << " " << name << " chunks of " << count << ", threads " << threads;
        }
      }
    }
  }
}

TEST(Matmul, HasTheSameBitsWhenPanelsAndRowsAreCutIntoBands) {
  constexpr int64_t kRows = 600;
  constexpr int64_t kColumns = 9216;
  constexpr int64_t kTokens = 100;
  for (const Ops* ops : available_cpu_ops()) {
    if (ops == &plain_ops()) continue;  // has no bands
    ThreadPool one(1), three(3);
    const SourceMatrix source = reference::make_matrix(TensorType::kQ4_K, kRows, kColumns, Fill::kRandom, 10);
    const PackedMatrix weight = pack_matrix(TensorType::kQ4_K, source.data(), kRows, kColumns, "w", three);
    Activations x(kTokens, kColumns, false, 11);
    std::vector<float> alone(kTokens * kRows), together(kTokens * kRows);
    for (int64_t t = 0; t < kTokens; ++t) multiply(*ops, weight, x, t, 1, one, alone.data() + t * kRows, kRows);
    multiply(*ops, weight, x, 0, kTokens, three, together.data(), kRows);
    EXPECT_EQ(0, std::memcmp(alone.data(), together.data(), alone.size() * sizeof(float))) << ops->name;
  }
}

TEST(Matmul, SeveralAtOnceHaveTheBitsOfEachAlone) {
  constexpr int64_t kColumns = 512;
  const TensorType types[] = {TensorType::kQ6_K, TensorType::kF16, TensorType::kQ5_0, TensorType::kQ4_K};
  const int64_t rows[] = {600, 17, 16, 40};
  ThreadPool pool(3);
  for (const Ops* ops : available_cpu_ops())
    for (const int64_t tokens : {1, 12, 100}) {
      Activations x(tokens, kColumns, false, 21);
      QuantRows quant = x.rows(0, tokens);
      const std::vector<float> bias(600, 0.5f);
      std::vector<PackedMatrix> weights;
      std::vector<std::vector<float>> alone, together;
      std::vector<MatmulArgs> calls;
      for (int i = 0; i < 4; ++i) {
        const SourceMatrix source = reference::make_matrix(types[i], rows[i], kColumns, Fill::kRandom, 22);
        weights.push_back(pack_matrix(types[i], source.data(), rows[i], kColumns, "w", pool));
        alone.emplace_back(static_cast<size_t>(tokens * rows[i]), 1.0f);
        together.push_back(alone.back());
      }
      for (size_t i = 0; i < 4; ++i) {
        MatmulArgs args{&weights[i], &quant,          x.floats.data(), i == 0 ? bias.data() : nullptr,
                        i == 1,      alone[i].data(), rows[i],         tokens};
        ops->matmul(args, {&pool, nullptr});
        args.out = together[i].data();
        calls.push_back(args);
      }
      ops->matmul_several(calls.data(), kMostMatmuls, {&pool, nullptr});
      EXPECT_EQ(together, alone) << ops->name << ", " << tokens << " tokens";
    }
}

TEST(Matmul, SkipsItsWorkWhenCancelled) {
  ThreadPool pool(2);
  const std::atomic<bool> cancel{true};
  for (const Ops* ops : available_cpu_ops()) {
    const SourceMatrix source = reference::make_matrix(TensorType::kQ8_0, 64, 64, Fill::kRandom, 12);
    const PackedMatrix weight = pack_matrix(TensorType::kQ8_0, source.data(), 64, 64, "w", pool);
    Activations x(30, 64, false, 13);
    QuantRows quant = x.rows(0, 30);
    std::vector<float> out(30 * 64, kUntouched);
    MatmulArgs args;
    args.weight = &weight;
    args.x_quant = &quant;
    args.out = out.data();
    args.out_stride = 64;
    args.tokens = 30;
    ops->matmul(args, {&pool, &cancel});
    EXPECT_EQ(out, std::vector<float>(30 * 64, kUntouched)) << ops->name;
  }
}

}  // namespace
}  // namespace quire
