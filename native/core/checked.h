// checked.h — integer arithmetic that throws instead of wrapping.
//
// Every size and offset that comes from a file goes through these; four known advisories of other GGUF loaders sit in
// four successive steps of one such sum, so there is one helper for all steps.
#pragma once

#include <cstdint>
#include <string>

#include "native/core/error.h"

namespace quire {

// a + b; throws "invalid-model" naming `where` when the sum leaves int64 or an operand is negative.
inline int64_t checked_add(int64_t a, int64_t b, const std::string& where) {
  int64_t sum = 0;
  if (a < 0 || b < 0 || __builtin_add_overflow(a, b, &sum)) throw Error("invalid-model", "a size overflows", where);
  return sum;
}

// a * b; throws like checked_add.
inline int64_t checked_mul(int64_t a, int64_t b, const std::string& where) {
  int64_t product = 0;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product)) throw Error("invalid-model", "a size overflows", where);
  return product;
}

// a rounded up to a multiple of unit (unit > 0); throws like checked_add.
inline int64_t checked_round_up(int64_t a, int64_t unit, const std::string& where) {
  return checked_add(a, unit - 1, where) / unit * unit;
}

}  // namespace quire
