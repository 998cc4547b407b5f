// aligned_buffer.h — zeroed memory aligned to 64 bytes, one cache line and one AVX-512 register.
//
// Owns its bytes; moves, never copies. Large buffers come from the system page by page as they are touched, so a memory
// may be created for many more tokens than it ever holds. On Linux these are pages of 2 MiB where the system has them: weights
// and keys are read from end to end for every token, and 4 KiB pages cost a walk through the page table for each.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "native/core/checked.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace quire {

struct FreeBlock {
  int64_t mapped = 0;  // bytes; 0: from calloc
  void operator()(void* block) const {
#if defined(__linux__)
    if (mapped > 0) {
      munmap(block, static_cast<size_t>(mapped));
      return;
    }
#endif
    std::free(block);
  }
};

class AlignedBuffer {
 public:
  AlignedBuffer() = default;

  // Throws "out-of-memory" when the system has no such block.
  explicit AlignedBuffer(int64_t bytes, const std::string& where = "buffer") : bytes_(bytes) {
#if defined(__linux__)
    if (bytes >= 4 * kHugePage) {
      const int64_t mapped = checked_add(checked_round_up(bytes, kHugePage, where), kHugePage, where);
      void* const block =
          mmap(nullptr, static_cast<size_t>(mapped), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (block == MAP_FAILED)
        throw Error("out-of-memory", "not enough memory for " + std::to_string(bytes) + " bytes", where);
      block_ = std::unique_ptr<void, FreeBlock>(block, FreeBlock{mapped});
      const auto address = reinterpret_cast<uintptr_t>(block);
      data_ = static_cast<std::byte*>(block) + (kHugePage - address % kHugePage) % kHugePage;
      madvise(data_, static_cast<size_t>(mapped - kHugePage), MADV_HUGEPAGE);  // refused: small pages do as well
      return;
    }
#endif
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
  static constexpr int64_t kHugePage = int64_t{2} << 20;
  std::unique_ptr<void, FreeBlock> block_;
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace quire
