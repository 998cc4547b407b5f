// aligned_buffer.h — zeroed memory aligned to 64 bytes, one cache line and one AVX-512 register.
//
// Owns its bytes; moves, never copies. Large buffers come from the system page by page as they are touched, so a memory
// may be created for many more tokens than it ever holds.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "native/core/checked.h"

namespace quire {

class AlignedBuffer {
 public:
  AlignedBuffer() = default;

  // Throws "out-of-memory" when the system has no such block.
  explicit AlignedBuffer(int64_t bytes, const std::string& where = "buffer") : bytes_(bytes) {
    const int64_t whole = checked_add(checked_round_up(bytes, 64, where), 64, where);
    block_.reset(std::calloc(static_cast<size_t>(whole), 1));
    if (!block_) throw Error("out-of-memory", "not enough memory for " + std::to_string(bytes) + " bytes", where);
    const auto address = reinterpret_cast<uintptr_t>(block_.get());
    data_ = static_cast<std::byte*>(block_.get()) + ((64 - address % 64) % 64);
  }

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  template <typename T>
  T* as() {
    return reinterpret_cast<T*>(data_);
  }
  template <typename T>
  const T* as() const {
    return reinterpret_cast<const T*>(data_);
  }

 private:
  struct Free {
    void operator()(void* block) const { std::free(block); }
  };
  std::unique_ptr<void, Free> block_;
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace quire
