// crc32c_test.cpp — the published check values, and the instruction against the table.
#include "native/core/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace quire {
namespace {

TEST(Crc32c, GivesTheValuesOfRfc3720) {
  const std::vector<uint8_t> zeros(32, 0), ones(32, 0xff);
  EXPECT_EQ(crc32c(0, zeros.data(), zeros.size()), 0x8a9136aau);
  EXPECT_EQ(crc32c(0, ones.data(), ones.size()), 0x62a8ab43u);
  EXPECT_EQ(crc32c(0, "123456789", 9), 0xe3069283u);
  EXPECT_EQ(crc32c(0, nullptr, 0), 0u);
}

TEST(Crc32c, IsTheSameByInstructionByTableAndInPieces) {
  std::mt19937 random(5);
  for (size_t size = 0; size < 100; ++size) {
    std::vector<uint8_t> bytes(size);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    const uint32_t whole = crc32c(0, bytes.data(), size);
    EXPECT_EQ(whole, crc32c_plain(0, bytes.data(), size));
    for (size_t cut = 0; cut <= size; cut += 7)
      EXPECT_EQ(whole, crc32c(crc32c(0, bytes.data(), cut), bytes.data() + cut, size - cut));
  }
}

}  // namespace
}  // namespace quire
