// packed_matrix_test.cpp — packing keeps every bit of a GGUF matrix, and refuses what is not one.
#include "native/kernels/packed_matrix.h"

#include <gtest/gtest.h>

#include <string>

#include "native/core/error.h"
#include "test/native/kernels/gguf_reference.h"

namespace quire {
namespace {

using reference::Fill;

void expect_same_values(const reference::SourceMatrix& source, const PackedMatrix& packed) {
  std::vector<float> row(static_cast<size_t>(source.columns));
  for (int64_t r = 0; r < source.rows; ++r) {
    unpack_row(packed, r, row.data());
    for (int64_t c = 0; c < source.columns; ++c)
      ASSERT_EQ(row[static_cast<size_t>(c)], source.at(r, c)) << "row " << r << " column " << c;
  }
}

TEST(PackedMatrix, UnpacksToTheValuesThatGgufDefines) {
  ThreadPool pool(2);
  for (const auto& [type, name] : reference::all_types()) {
    for (const int64_t rows : {1, 15, 16, 17, 33}) {
      for (const int64_t blocks : {1, 2, 5}) {
        SCOPED_TRACE(std::string(name) + " rows " + std::to_string(rows) + " blocks " + std::to_string(blocks));
        const auto source = reference::make_matrix(type, rows, blocks * block_shape(type).columns, Fill::kRandom,
                                                   static_cast<uint32_t>(rows * 10 + blocks));
        expect_same_values(source, pack_matrix(type, source.data(), rows, source.columns, "w", pool));
      }
    }
  }
}

TEST(PackedMatrix, KeepsLargestCodesAndScales) {
  ThreadPool pool(1);
  for (const auto& [type, name] : reference::all_types()) {
    SCOPED_TRACE(name);
    const auto source = reference::make_matrix(type, 17, 2 * block_shape(type).columns, Fill::kLargest, 1);
    expect_same_values(source, pack_matrix(type, source.data(), 17, source.columns, "w", pool));
  }
}

TEST(PackedMatrix, StaysWithinThreePercentOfTheFilesBytes) {
  ThreadPool pool(1);
  for (const auto& [type, name] : reference::all_types()) {
    const auto source = reference::make_matrix(type, 32, 512, Fill::kRandom, 1);
    const PackedMatrix packed = pack_matrix(type, source.data(), 32, 512, "w", pool);
    EXPECT_LE(static_cast<double>(packed.data.bytes()), 1.03 * static_cast<double>(source.bytes.size())) << name;
  }
}

TEST(PackedMatrix, PadsTheLastGroupWithZeroWeights) {
  ThreadPool pool(1);
  const auto source = reference::make_matrix(TensorType::kQ4_K, 17, 256, Fill::kRandom, 1);
  PackedMatrix packed = pack_matrix(TensorType::kQ4_K, source.data(), 17, 256, "w", pool);
  std::vector<float> row(256);
  for (int64_t r = 17; r < 32; ++r) {
    unpack_row(packed, r, row.data());
    for (const float value : row) ASSERT_EQ(value, 0.0f);
  }
}

TEST(PackedMatrix, RefusesScalesThatAreNotFinite) {
  ThreadPool pool(2);
  for (const auto& [type, name] : reference::all_types()) {
    for (const uint16_t bad : {uint16_t{0x7c00}, uint16_t{0xfc00}, uint16_t{0x7e01}}) {
      auto source = reference::make_matrix(type, 33, 2 * block_shape(type).columns, Fill::kRandom, 1);
      const BlockShape shape = block_shape(type);
      uint8_t* last = source.bytes.data() + source.bytes.size() - shape.bytes;
      const uint32_t wide = static_cast<uint32_t>(bad | 0x7f80u) << 16;
      if (type == TensorType::kF32)
        std::memcpy(last, &wide, 4);
      else if (type == TensorType::kBF16)
        std::memcpy(last, reinterpret_cast<const uint8_t*>(&wide) + 2, 2);
      else
        std::memcpy(last + (type == TensorType::kQ6_K ? 208 : 0), &bad, 2);
      try {
        pack_matrix(type, source.data(), 33, source.columns, "blk.3.ffn_up.weight", pool);
        FAIL() << name << " took a scale that is not finite";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), "invalid-model");
        EXPECT_EQ(error.where(), "blk.3.ffn_up.weight");
      }
    }
  }
}

TEST(PackedMatrix, RefusesMinimaThatAreNotFinite) {
  ThreadPool pool(1);
  for (const TensorType type : {TensorType::kQ4_1, TensorType::kQ5_1, TensorType::kQ4_K, TensorType::kQ5_K}) {
    auto source = reference::make_matrix(type, 1, block_shape(type).columns, Fill::kRandom, 1);
    const uint16_t bad = 0x7c00;
    std::memcpy(source.bytes.data() + 2, &bad, 2);
    EXPECT_THROW(pack_matrix(type, source.data(), 1, source.columns, "w", pool), Error);
  }
}

TEST(PackedMatrix, RefusesWrongShapesAndTypes) {
  ThreadPool pool(1);
  std::vector<std::byte> bytes(4096);
  EXPECT_THROW(pack_matrix(static_cast<TensorType>(2000), bytes.data(), 1, 32, "w", pool), Error);
  EXPECT_THROW(pack_matrix(TensorType::kQ4_K, bytes.data(), 1, 32, "w", pool), Error);
  EXPECT_THROW(pack_matrix(TensorType::kQ8_0, bytes.data(), 1, 33, "w", pool), Error);
  EXPECT_THROW(pack_matrix(TensorType::kQ8_0, bytes.data(), -1, 32, "w", pool), Error);
  EXPECT_THROW(pack_matrix(TensorType::kQ8_0, bytes.data(), 1, 0, "w", pool), Error);
  EXPECT_THROW(pack_matrix(TensorType::kQ8_0, bytes.data(), INT64_MAX, 32, "w", pool), Error);
  EXPECT_THROW(pack_matrix(TensorType::kQ8_0, bytes.data(), INT64_MAX - 31, INT64_MAX - 31, "w", pool), Error);
}

TEST(PackedMatrix, TakesAMatrixWithoutRows) {
  ThreadPool pool(2);
  EXPECT_EQ(pack_matrix(TensorType::kQ8_0, nullptr, 0, 32, "w", pool).groups(), 0);
}

TEST(PackedMatrix, KnowsTheBlockShapes) {
  EXPECT_EQ(block_shape(TensorType::kQ4_K).bytes, 144);
  EXPECT_EQ(block_shape(TensorType::kQ6_K).bytes, 210);
  EXPECT_EQ(block_shape(static_cast<TensorType>(10)).columns, 0);
}

}  // namespace
}  // namespace quire
