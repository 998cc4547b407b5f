// matmul_test.cu — the decode step's gemv and the chunk's gemm against the plain twin, for every weight type and odd shapes.
//
// Needs a GPU; without one every test is skipped, and says so.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "native/kernels/cuda/gemm.h"
#include "native/kernels/cuda/gemv.h"
#include "native/kernels/ops.h"
#include "test/native/kernels/cuda/on_device.h"
#include "test/native/kernels/gguf_reference.h"

namespace quire::cuda {
namespace {

using reference::Fill;

struct Rows {
  std::vector<float> floats;
  std::vector<int8_t> codes;
  std::vector<float> scales;
  std::vector<int32_t> sums;
  QuantRows quant;
  Rows(int64_t tokens, int64_t columns, ThreadPool& pool, uint32_t seed)
      : floats(tokens * columns), codes(tokens * columns), scales(tokens * columns / 32), sums(tokens * columns / 16) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, 1.0f);
    for (float& value : floats) value = normal(random);
    quant = {codes.data(), scales.data(), sums.data(), tokens, columns};
    plain_ops().quantize({floats.data(), &quant}, quire::Run{&pool, nullptr});
  }
};

class CudaMatmul : public ::testing::TestWithParam<reference::TypeName> {
 protected:
  void SetUp() override {
    if (!has_device()) GTEST_SKIP() << "no CUDA device";
  }
  ThreadPool pool{4};
};

// What rounding in float can do to a sum of these products.
double tolerance(const reference::SourceMatrix& m, const Rows& x, int64_t token, int64_t row, double relative) {
  double size = 0;
  for (int64_t k = 0; k < m.columns; ++k) size += m.magnitude(row, k) * std::fabs(x.floats[token * m.columns + k]);
  return relative * size + 1e-6;
}

TEST_P(CudaMatmul, GemvEqualsThePlainTwin) {
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{16, 256}, {48, 512}, {37, 1792}, {1000, 1024}}) {
    const auto source = reference::make_matrix(GetParam().type, rows, columns, Fill::kRandom, 7);
    const PackedMatrix packed = pack_matrix(source.type, source.data(), rows, columns, "test", pool);
    Rows x(1, columns, pool, 11);
    std::vector<float> bias(rows, 0.25f), start(rows, 3.0f), expected(start);
    MatmulArgs plain{&packed, &x.quant, x.floats.data(), bias.data(), true, expected.data(), rows, 1};
    plain_ops().matmul(plain, quire::Run{&pool, nullptr});

    DeviceBuffer<uint8_t> owner;
    GemvArgs args;
    OnDevice<float> out(start), device_bias(bias), floats(x.floats), scales(x.scales);
    OnDevice<int8_t> codes(x.codes);
    args.part[0] = {upload(packed, owner), device_bias.get(), out.get()};
    args.x = {codes.get(), scales.get(), floats.get()};
    args.accumulate = true;
    gemv(args, nullptr);
    const std::vector<float> got = out.download();
    for (int64_t r = 0; r < rows; ++r)
      ASSERT_NEAR(got[r], expected[r], tolerance(source, x, 0, r, 2e-6)) << rows << "x" << columns << " row " << r;
  }
}

TEST_P(CudaMatmul, GemvOfThreeMatricesWritesEachPart) {
  const int64_t columns = 512;
  Rows x(1, columns, pool, 5);
  OnDevice<float> floats(x.floats), scales(x.scales);
  OnDevice<int8_t> codes(x.codes);
  GemvArgs args;
  args.parts = 3;
  args.x = {codes.get(), scales.get(), floats.get()};
  const int64_t rows[3] = {64, 16, 32};
  const TensorType types[3] = {GetParam().type, GetParam().type, TensorType::kQ6_K};
  std::vector<PackedMatrix> packed;
  DeviceBuffer<uint8_t> owners[3];
  std::vector<OnDevice<float>> outs;
  for (int i = 0; i < 3; ++i) {
    const auto source = reference::make_matrix(types[i], rows[i], columns, Fill::kRandom, 20 + i);
    packed.push_back(pack_matrix(types[i], source.data(), rows[i], columns, "test", pool));
    outs.emplace_back(std::vector<float>(rows[i], NAN));
    args.part[i] = {upload(packed[i], owners[i]), nullptr, outs[i].get()};
  }
  gemv(args, nullptr);
  for (int i = 0; i < 3; ++i) {
    std::vector<float> expected(rows[i]);
    plain_ops().matmul({&packed[i], &x.quant, x.floats.data(), nullptr, false, expected.data(), rows[i], 1},
                       quire::Run{&pool, nullptr});
    const std::vector<float> got = outs[i].download();
    double size = 0;
    for (const float value : expected) size = std::fmax(size, std::fabs(value));
    for (int64_t r = 0; r < rows[i]; ++r) ASSERT_NEAR(got[r], expected[r], 1e-4 * size + 1e-5) << i << " " << r;
  }
}

TEST_P(CudaMatmul, SwigluIsQuantisedAsByThePlainTwin) {
  const int64_t rows = 96, columns = 768;
  const auto gate_source = reference::make_matrix(GetParam().type, rows, columns, Fill::kRandom, 1);
  const auto up_source = reference::make_matrix(GetParam().type, rows, columns, Fill::kRandom, 2);
  const PackedMatrix gate = pack_matrix(GetParam().type, gate_source.data(), rows, columns, "gate", pool);
  const PackedMatrix up = pack_matrix(GetParam().type, up_source.data(), rows, columns, "up", pool);
  Rows x(1, columns, pool, 3);
  std::vector<float> both(2 * rows), expected(rows), scales_expected(rows / 32);
  std::vector<int8_t> codes_expected(rows);
  std::vector<int32_t> sums(rows / 16);
  QuantRows quant{codes_expected.data(), scales_expected.data(), sums.data(), 1, rows};
  plain_ops().matmul({&gate, &x.quant, x.floats.data(), nullptr, false, both.data(), 2 * rows, 1},
                     quire::Run{&pool, nullptr});
  plain_ops().matmul({&up, &x.quant, x.floats.data(), nullptr, false, both.data() + rows, 2 * rows, 1},
                     quire::Run{&pool, nullptr});
  plain_ops().swiglu({both.data(), both.data() + rows, 2 * rows, 1, rows, expected.data(), &quant},
                     quire::Run{&pool, nullptr});

  DeviceBuffer<uint8_t> gate_owner, up_owner;
  OnDevice<float> floats(x.floats), scales(x.scales), out(std::vector<float>(rows, NAN));
  OnDevice<float> scales_out(std::vector<float>(rows / 32, NAN));
  OnDevice<int8_t> codes(x.codes), codes_out(std::vector<int8_t>(rows, 99));
  gemv_swiglu({upload(gate, gate_owner),
               upload(up, up_owner),
               {codes.get(), scales.get(), floats.get()},
               codes_out.get(),
               scales_out.get(),
               out.get()},
              nullptr);
  const auto got = out.download();
  const auto got_scales = scales_out.download();
  const auto got_codes = codes_out.download();
  for (int64_t r = 0; r < rows; ++r) {
    const float bound = 1e-3f * scales_expected[r / 32] * 127 + 1e-6f;
    ASSERT_NEAR(got[r], expected[r], bound) << r;
    ASSERT_NEAR(got_scales[r / 32] * got_codes[r], expected[r], bound + scales_expected[r / 32] * 0.51f) << r;
  }
}

TEST_P(CudaMatmul, GemmEqualsTheMatrixAndDoesNotDependOnTheChunk) {
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{128, 256}, {200, 768}}) {
    const auto source = reference::make_matrix(GetParam().type, rows, columns, Fill::kRandom, 9);
    const PackedMatrix packed = pack_matrix(source.type, source.data(), rows, columns, "test", pool);
    DeviceBuffer<uint8_t> owner;
    const DeviceMatrix weight = upload(packed, owner);
    const int64_t tokens = 161;
    Rows x(tokens, columns, pool, 13);
    std::vector<__half> halves(x.floats.size());
    for (size_t i = 0; i < halves.size(); ++i) {
      halves[i] = __float2half(x.floats[i]);
      x.floats[i] = __half2float(halves[i]);
    }
    std::vector<float> row_scale(tokens, 2.0f), bias(rows, 0.5f), start(tokens * rows, 1.0f);
    OnDevice<__half> device_x(halves);
    OnDevice<float> scale(row_scale), device_bias(bias), out(start);
    gemm({weight, device_x.get(), scale.get(), device_bias.get(), true, out.get(), rows, tokens}, nullptr);
    const auto got = out.download();
    for (int64_t t = 0; t < tokens; t += 5)
      for (int64_t r = 0; r < rows; r += 3) {
        double sum = 0;
        for (int64_t k = 0; k < columns; ++k) sum += static_cast<double>(source.at(r, k)) * x.floats[t * columns + k];
        ASSERT_NEAR(got[t * rows + r], 1.5 + 2 * sum, 2 * tolerance(source, x, t, r, 1e-3)) << t << " " << r;
      }
    // The last 3 tokens alone have the same bits.
    OnDevice<float> alone(std::vector<float>(3 * rows, 1.0f));
    gemm({weight, device_x.get() + (tokens - 3) * columns, scale.get(), device_bias.get(), true, alone.get(), rows, 3},
         nullptr);
    const auto few = alone.download();
    for (int64_t i = 0; i < 3 * rows; ++i) ASSERT_EQ(few[i], got[(tokens - 3) * rows + i]) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, CudaMatmul, ::testing::ValuesIn(reference::all_types()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace quire::cuda
