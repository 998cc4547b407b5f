// grow.h — working memory that only ever grows, so that a loop which has seen its largest call allocates nothing.
#pragma once

#include <cstdint>
#include <vector>

namespace quire {

// Makes room for `size` values; what the buffer held is kept.
template <typename T>
void grow(std::vector<T>& buffer, int64_t size) {
  if (static_cast<int64_t>(buffer.size()) < size) buffer.resize(static_cast<size_t>(size));
}

}  // namespace quire
