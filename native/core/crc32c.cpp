// crc32c.cpp — see crc32c.h.
#include "native/core/crc32c.h"

#include <array>
#include <cstring>

namespace quire {
namespace {

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1u) != 0 ? 0x82f63b78u : 0u);
    table[i] = value;
  }
  return table;
}

constexpr std::array<uint32_t, 256> kTable = make_table();

#if defined(QUIRE_X86)
// The instruction is part of SSE4.2; newer versions of Clang count it apart.
#if defined(__clang__) && __clang_major__ >= 14
#define QUIRE_CRC32_TARGET "sse4.2,crc32"
#else
#define QUIRE_CRC32_TARGET "sse4.2"
#endif

// The compiler's built-ins, since intrinsic headers belong to kernels/.
__attribute__((target(QUIRE_CRC32_TARGET))) uint32_t crc32c_sse42(uint32_t before, const uint8_t* data, size_t bytes) {
  uint64_t state = ~before;
  for (; bytes >= 8; data += 8, bytes -= 8) {
    uint64_t word = 0;
    std::memcpy(&word, data, sizeof word);
    state = __builtin_ia32_crc32di(state, word);
  }
  auto narrow = static_cast<uint32_t>(state);
  for (; bytes > 0; ++data, --bytes) narrow = __builtin_ia32_crc32qi(narrow, *data);
  return ~narrow;
}
#endif

}  // namespace

uint32_t crc32c_plain(uint32_t before, const void* data, size_t bytes) {
  const auto* next = static_cast<const uint8_t*>(data);
  uint32_t state = ~before;
  for (; bytes > 0; ++next, --bytes) state = (state >> 8) ^ kTable[(state ^ *next) & 0xffu];
  return ~state;
}

uint32_t crc32c(uint32_t before, const void* data, size_t bytes) {
#if defined(QUIRE_X86)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction) return crc32c_sse42(before, static_cast<const uint8_t*>(data), bytes);
#endif
  return crc32c_plain(before, data, bytes);
}

}  // namespace quire
