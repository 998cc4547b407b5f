// crc32c.h — CRC-32C (Castagnoli, RFC 3720 B.4) of bytes, by the processor's instruction where it has one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quire {

// The checksum of what `before` is the checksum of, followed by `bytes` bytes. Begin with 0.
uint32_t crc32c(uint32_t before, const void* data, size_t bytes);
// The same by a table, on any processor.
uint32_t crc32c_plain(uint32_t before, const void* data, size_t bytes);

}  // namespace quire
