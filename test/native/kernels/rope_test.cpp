// rope_test.cpp — rope of every level: both ways of pairing channels against rotations in double precision, the plain twin's
// bits, and nothing touched beside the heads.
#include <gtest/gtest.h>

#include <string>

#include "test/native/kernels/kv_pool.h"

namespace quire {
namespace {

TEST(Rope, TurnsEachPairByItsAngle) {
  ThreadPool pool(2);
  for (const Ops* ops : available_cpu_ops())
    for (const bool halves : {false, true})
      for (const int64_t size : {2, 64, 80, 96, 128})
        for (const int64_t tokens : {0, 1, 17}) {
          const int64_t heads = 3, stride = heads * size + 6;
          std::vector<float> x = normal_floats(tokens * stride, 91);
          const std::vector<float> before = x;
          std::vector<float> cosine, sine;
          for (int64_t i = 0; i < tokens * size / 2; ++i) {
            cosine.push_back(1.2f * std::cos(0.37f * static_cast<float>(i)));
            sine.push_back(1.2f * std::sin(0.37f * static_cast<float>(i)));
          }
          std::vector<float> twin = x;
          RopeArgs args{x.data(), stride, cosine.data(), sine.data(), tokens, heads, size, halves};
          ops->rope(args, {&pool, nullptr});
          args.x = twin.data();
          plain_ops().rope(args, {&pool, nullptr});
          ASSERT_EQ(x, twin) << ops->name;
          for (int64_t t = 0; t < tokens; ++t) {
            for (int64_t h = 0; h < heads; ++h)
              for (int64_t i = 0; i < size / 2; ++i) {
                const int64_t head = t * stride + h * size;
                const auto first = static_cast<size_t>(head + (halves ? i : 2 * i));
                const auto second = static_cast<size_t>(head + (halves ? i + size / 2 : 2 * i + 1));
                const double c = cosine[static_cast<size_t>(t * size / 2 + i)];
                const double s = sine[static_cast<size_t>(t * size / 2 + i)];
                const double p = before[first], q = before[second];
                const double bound = (std::fabs(p) + std::fabs(q)) * 1.2 * 2 / (1 << 24);
                const std::string place =
                    std::string(ops->name) + " D " + std::to_string(size) + " pair " + std::to_string(i);
                ASSERT_NEAR(x[first], p * c - q * s, bound) << place;
                ASSERT_NEAR(x[second], p * s + q * c, bound) << place;
              }
            for (int64_t i = heads * size; i < stride; ++i)
              ASSERT_EQ(x[static_cast<size_t>(t * stride + i)], before[static_cast<size_t>(t * stride + i)]);
          }
        }
}

}  // namespace
}  // namespace quire
