// rows_test.cpp — embed, norm, quantize and swiglu of every level: against a double-precision reference, against the plain
// twin (bit for bit where that is promised), for other token counts and threads, and on inputs that are no numbers.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "native/kernels/ops.h"
#include "test/native/kernels/gguf_reference.h"

namespace quire {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kMax = std::numeric_limits<float>::max();

struct Quant {
  std::vector<int8_t> codes;
  std::vector<float> scales;
  std::vector<int32_t> sums;
  QuantRows rows;
  Quant(int64_t tokens, int64_t columns)
      : codes(static_cast<size_t>(tokens * columns)),
        scales(static_cast<size_t>(tokens * columns / 32)),
        sums(static_cast<size_t>(tokens * columns / 16)),
        rows{codes.data(), scales.data(), sums.data(), tokens, columns} {}
  bool operator==(const Quant& other) const {
    return codes == other.codes && scales == other.scales && sums == other.sums;
  }
};

std::vector<float> random_floats(int64_t count, uint32_t seed, float spread = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

// Codes as the definition has them, sums as they follow from the codes.
void expect_quantised(const float* x, const Quant& quant) {
  for (size_t b = 0; b < quant.scales.size(); ++b) {
    double largest = 0;
    for (size_t i = 0; i < 32; ++i) largest = std::fmax(largest, std::fabs(x[b * 32 + i]));
    ASSERT_NEAR(quant.scales[b], largest / 127.0, largest / 127.0 * 1e-7) << "block " << b;
    int32_t sums[2] = {0, 0};
    for (size_t i = 0; i < 32; ++i) {
      const int code = quant.codes[b * 32 + i];
      sums[i / 16] += code;
      const double exact = largest == 0 ? 0 : x[b * 32 + i] / (largest / 127.0);
      ASSERT_LE(std::fabs(code - exact), 0.5 + 127 * 1e-6) << "block " << b << " value " << i;
      ASSERT_LE(std::abs(code), 127);
    }
    ASSERT_EQ(quant.sums[2 * b], sums[0]);
    ASSERT_EQ(quant.sums[2 * b + 1], sums[1]);
  }
}

TEST(Rows, QuantizeRoundsToTheNearestCode) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops()) {
    for (const int64_t columns : {32, 96, 896}) {
      for (const int64_t tokens : {0, 1, 5}) {
        SCOPED_TRACE(std::string(ops->name) + " columns " + std::to_string(columns));
        const auto x = random_floats(tokens * columns, static_cast<uint32_t>(columns));
        Quant quant(tokens, columns);
        ops->quantize({x.data(), &quant.rows}, {&pool, nullptr});
        expect_quantised(x.data(), quant);
      }
    }
  }
}

TEST(Rows, QuantizeRoundsHalvesToEven) {
  ThreadPool pool(1);
  std::vector<float> x(32, 0.0f);
  const float halves[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f};
  const int expected[] = {0, 2, 2, 0, -2, -2, 126};
  for (size_t i = 0; i < 7; ++i) x[i] = halves[i];
  x[31] = 127.0f;  // scale 1
  for (const Ops* ops : available_cpu_ops()) {
    Quant quant(1, 32);
    ops->quantize({x.data(), &quant.rows}, {&pool, nullptr});
    for (size_t i = 0; i < 7; ++i) EXPECT_EQ(quant.codes[i], expected[i]) << ops->name << " " << halves[i];
  }
}

TEST(Rows, QuantizeTakesWhatIsNoNumber) {
  ThreadPool pool(1);
  for (const Ops* ops : available_cpu_ops()) {
    SCOPED_TRACE(ops->name);
    std::vector<float> x(32 * 5, 1.0f);
    x[3] = kNan;                                                          // block 0: NaN counts as 0
    x[32 + 4] = kInfinity, x[32 + 20] = -kInfinity;                       // block 1: as the largest number
    for (size_t i = 64; i < 96; ++i) x[i] = kNan;                         // block 2: nothing but NaN
    for (size_t i = 96; i < 128; ++i) x[i] = 1e-39f;                      // block 3: too small for a scale
    for (size_t i = 128; i < 160; ++i) x[i] = i % 2 == 0 ? kMax : -kMax;  // block 4: the largest numbers
    Quant quant(1, 160);
    ops->quantize({x.data(), &quant.rows}, {&pool, nullptr});
    EXPECT_EQ(quant.codes[3], 0);
    EXPECT_EQ(quant.codes[2], 127);
    EXPECT_EQ(quant.codes[32 + 4], 127);
    EXPECT_EQ(quant.codes[32 + 20], -127);
    EXPECT_EQ(quant.codes[32], 0);
    EXPECT_EQ(quant.scales[2], 0.0f);
    EXPECT_EQ(quant.scales[3], 0.0f);
    EXPECT_EQ(quant.sums[6], 0);
    for (size_t i = 64; i < 128; ++i) ASSERT_EQ(quant.codes[i], 0);
    for (size_t i = 128; i < 160; ++i) ASSERT_EQ(quant.codes[i], i % 2 == 0 ? 127 : -127);
    for (const float scale : quant.scales) EXPECT_TRUE(std::isfinite(scale));
  }
}

TEST(Rows, QuantizeAndNormHaveThePlainTwinsBits) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops()) {
    for (const int64_t columns : {32, 64, 576, 896, 1536}) {
      for (const float spread : {1.0f, 1e-20f, 1e18f}) {
        SCOPED_TRACE(std::string(ops->name) + " columns " + std::to_string(columns));
        auto x = random_floats(7 * columns, static_cast<uint32_t>(columns) + 1, spread);
        x[5] = kNan;
        x[static_cast<size_t>(columns) + 6] = kInfinity;
        const auto weight = random_floats(columns, 3);
        Quant plain(7, columns), fast(7, columns);
        plain_ops().quantize({x.data(), &plain.rows}, {&pool, nullptr});
        ops->quantize({x.data(), &fast.rows}, {&pool, nullptr});
        EXPECT_TRUE(plain == fast);
        std::vector<float> plain_out(x.size()), fast_out(x.size());
        plain_ops().norm({x.data(), weight.data(), 1e-6f, 7, columns, plain_out.data(), &plain.rows}, {&pool, nullptr});
        ops->norm({x.data(), weight.data(), 1e-6f, 7, columns, fast_out.data(), &fast.rows}, {&pool, nullptr});
        EXPECT_TRUE(plain == fast);
        for (size_t i = 0; i < x.size(); ++i)
          ASSERT_TRUE(plain_out[i] == fast_out[i] || (std::isnan(plain_out[i]) && std::isnan(fast_out[i]))) << i;
      }
    }
  }
}

TEST(Rows, NormAgreesWithTheDoubleReference) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops()) {
    for (const int64_t columns : {1, 7, 16, 33, 64, 896}) {
      for (const int64_t tokens : {0, 1, 3}) {
        const auto x = random_floats(tokens * columns, static_cast<uint32_t>(columns) + 5, 3.0f);
        const auto weight = random_floats(columns, 6);
        std::vector<float> out(x.size() + 8, -1.0f);
        ops->norm({x.data(), weight.data(), 1e-5f, tokens, columns, out.data(), nullptr}, {&pool, nullptr});
        for (int64_t t = 0; t < tokens; ++t) {
          double squares = 0;
          for (int64_t i = 0; i < columns; ++i)
            squares += std::pow(static_cast<double>(x[static_cast<size_t>(t * columns + i)]), 2);
          const double factor = 1.0 / std::sqrt(squares / static_cast<double>(columns) + 1e-5);
          for (int64_t i = 0; i < columns; ++i) {
            const auto at = static_cast<size_t>(t * columns + i);
            const double expected = x[at] * factor * weight[static_cast<size_t>(i)];
            // Half the relative error of a sum of columns/16 + 4 rounded additions, and a few roundings after it.
            const double bound = std::fabs(expected) * std::ldexp(static_cast<double>(columns) / 32 + 8, -24);
            ASSERT_NEAR(out[at], expected, bound) << ops->name << " columns " << columns << " token " << t << " " << i;
          }
        }
        for (size_t i = x.size(); i < out.size(); ++i) ASSERT_EQ(out[i], -1.0f) << "wrote past the end";
      }
    }
  }
}

TEST(Rows, SwigluIsWithinFourUnitsInTheLastPlace) {
  ThreadPool pool(2);
  constexpr int64_t kColumns = 64 * 1024;
  std::vector<float> joint(2 * kColumns);  // gate and up side by side, as one matmul leaves them
  for (int64_t i = 0; i < kColumns; ++i) {
    joint[static_cast<size_t>(i)] = -87.0f + 174.0f * static_cast<float>(i) / kColumns;
    joint[static_cast<size_t>(kColumns + i)] = 1.0f + static_cast<float>(i % 13) / 16.0f;
  }
  for (const Ops* ops : available_cpu_ops()) {
    std::vector<float> out(kColumns);
    Quant quant(1, kColumns);
    ops->swiglu({joint.data(), joint.data() + kColumns, 2 * kColumns, 1, kColumns, out.data(), &quant.rows},
                {&pool, nullptr});
    double worst = 0;
    float place = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      const double gate = joint[i];
      const double expected = gate / (1.0 + std::exp(-gate)) * joint[kColumns + i];
      const double error = std::fabs(out[i] - expected) / (std::fabs(expected) * std::ldexp(1.0, -23) + 1e-300);
      if (!(error <= worst)) worst = error, place = joint[i];
    }
    EXPECT_LE(worst, 4.0) << ops->name << " at gate " << place;
    expect_quantised(out.data(), quant);
  }
}

TEST(Rows, SwigluStaysCalmBeyondTheExponentialsRange) {
  ThreadPool pool(1);
  std::vector<float> gate(32, 0.0f), up(32, 1.0f), out(32);
  gate[0] = 500.0f, gate[1] = -500.0f, gate[2] = kNan, gate[3] = -0.0f, gate[4] = 88.5f, gate[5] = -90.0f;
  for (const Ops* ops : available_cpu_ops()) {
    ops->swiglu({gate.data(), up.data(), 32, 1, 32, out.data(), nullptr}, {&pool, nullptr});
    EXPECT_EQ(out[0], 500.0f) << ops->name;
    EXPECT_NEAR(out[1], 0.0f, 1e-30f) << ops->name;
    EXPECT_TRUE(std::isnan(out[2])) << ops->name;
    EXPECT_EQ(out[3], 0.0f) << ops->name;
    EXPECT_EQ(out[4], 88.5f) << ops->name;
    EXPECT_NEAR(out[5], 0.0f, 1e-30f) << ops->name;
  }
}

TEST(Rows, ATokensResultDoesNotDependOnTheOthersOrOnThreads) {
  constexpr int64_t kColumns = 160;
  constexpr int64_t kTokens = 9;
  const auto x = random_floats(kTokens * 2 * kColumns, 11, 2.0f);
  const auto weight = random_floats(kColumns, 12);
  for (const Ops* ops : available_cpu_ops()) {
    ThreadPool one(1);
    std::vector<float> norm_alone(kTokens * kColumns), gate_alone(kTokens * kColumns);
    for (int64_t t = 0; t < kTokens; ++t) {
      const float* row = x.data() + t * 2 * kColumns;
      ops->norm({row, weight.data(), 1e-6f, 1, kColumns, norm_alone.data() + t * kColumns, nullptr}, {&one, nullptr});
      ops->swiglu({row, row + kColumns, 2 * kColumns, 1, kColumns, gate_alone.data() + t * kColumns, nullptr},
                  {&one, nullptr});
    }
    std::vector<float> packed(kTokens * kColumns);
    for (int64_t t = 0; t < kTokens; ++t)
      std::copy_n(x.data() + t * 2 * kColumns, kColumns, packed.data() + t * kColumns);
    for (const int threads : {1, 2, 3}) {
      ThreadPool pool(threads);
      std::vector<float> out(kTokens * kColumns);
      ops->norm({packed.data(), weight.data(), 1e-6f, kTokens, kColumns, out.data(), nullptr}, {&pool, nullptr});
      EXPECT_EQ(out, norm_alone) << ops->name;
      ops->swiglu({x.data(), x.data() + kColumns, 2 * kColumns, kTokens, kColumns, out.data(), nullptr},
                  {&pool, nullptr});
      EXPECT_EQ(out, gate_alone) << ops->name;
    }
  }
}

TEST(Rows, EmbedGivesTheRowsOfTheTokens) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops()) {
    for (const auto& [type, name] : reference::kQuantTypes) {
      const auto source = reference::make_matrix(type, 37, 512, reference::Fill::kRandom, 13);
      const PackedMatrix table = pack_matrix(type, source.data(), 37, 512, "token_embd.weight", pool);
      const int32_t tokens[] = {36, 0, 0, 17};
      std::vector<float> out(4 * 512);
      ops->embed({&table, tokens, out.data(), 4}, {&pool, nullptr});
      for (int64_t t = 0; t < 4; ++t)
        for (int64_t k = 0; k < 512; ++k)
          ASSERT_EQ(out[static_cast<size_t>(t * 512 + k)], source.at(tokens[t], k)) << ops->name << " " << name;
    }
  }
}

TEST(CpuOps, ListsPlainLastAndKnowsEveryName) {
  const auto available = available_cpu_ops();
  ASSERT_FALSE(available.empty());
  EXPECT_EQ(available.back(), &plain_ops());
  EXPECT_EQ(&choose_cpu_ops("auto"), available.front());
  for (const Ops* ops : available) EXPECT_EQ(&choose_cpu_ops(ops->name), ops);
  EXPECT_THROW(choose_cpu_ops("avx1024"), Error);
}

}  // namespace
}  // namespace quire
