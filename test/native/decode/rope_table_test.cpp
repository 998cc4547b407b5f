// rope_table_test.cpp — RoPE's angles, and YaRN's three regions against its paper's formula.
#include "native/decode/rope_table.h"

#include <gtest/gtest.h>

#include <cmath>

#include "native/core/error.h"

namespace quire {
namespace {

struct Angles {
  std::vector<float> cosine, sine;
};

Angles at(const RopeTable& table, std::vector<int64_t> positions) {
  Angles angles;
  table.fill(positions, angles.cosine, angles.sine);
  return angles;
}

TEST(RopeTable, TurnsEachPairByPositionTimesItsFrequency) {
  const RopeTable table(64, 10000, {});
  const Angles angles = at(table, {0, 5, 30000});
  EXPECT_FLOAT_EQ(angles.cosine[0], 1);
  EXPECT_FLOAT_EQ(angles.sine[31], 0);
  for (int i = 0; i < 32; ++i) {
    EXPECT_NEAR(angles.cosine[32 + i], std::cos(5 * std::pow(10000.0, -i / 32.0)), 1e-6);
    EXPECT_NEAR(angles.sine[64 + i], std::sin(30000 * std::pow(10000.0, -i / 32.0)), 1e-5);
  }
}

TEST(RopeTable, AValueDependsOnItsPositionAlone) {
  const RopeTable table(64, 1e6f, {2, 32768});
  const Angles alone = at(table, {777});
  const Angles among = at(table, {1, 777, 9});
  for (int i = 0; i < 32; ++i) EXPECT_EQ(alone.cosine[i], among.cosine[32 + i]);
}

TEST(RopeTable, YarnLeavesFastPairsSlowsSlowOnesAndScalesBoth) {
  const double base = 1e6, context = 32768, factor = 4, size = 128;
  const RopeTable table(128, static_cast<float>(base), {4, 32768});
  const Angles angles = at(table, {1});
  const double scale = 0.1 * std::log(factor) + 1;
  const auto channel = [&](double turns) {
    return size * std::log(context / (turns * 2 * M_PI)) / (2 * std::log(base));
  };
  const double low = std::floor(channel(32)), high = std::ceil(channel(1));
  ASSERT_GT(low, 2);
  ASSERT_LT(high, 62);
  for (int i = 0; i < 64; ++i) {
    const double plain = std::pow(base, -2.0 * i / size);
    const double ramp = std::min(1.0, std::max(0.0, (i - low) / (high - low)));
    const double expected = plain * (1 - ramp) + plain / factor * ramp;
    EXPECT_NEAR(std::atan2(angles.sine[i], angles.cosine[i]), expected, 1e-5 * expected + 1e-7) << "pair " << i;
    EXPECT_NEAR(std::hypot(angles.sine[i], angles.cosine[i]), scale, 1e-5);
  }
}

TEST(RopeTable, RefusesFactorsThatAreNone) {
  EXPECT_THROW(RopeTable(64, 10000, {0.5f, 100}), Error);
  EXPECT_THROW(RopeTable(64, 10000, {NAN, 100}), Error);
  EXPECT_THROW(RopeTable(64, 10000, {2, 0}), Error);
}

}  // namespace
}  // namespace quire
