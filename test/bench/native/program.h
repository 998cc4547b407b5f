// program.h — what the native benches have in common as programs: reading a memory in chunks, and failures as a line and a status.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <vector>

#include "native/core/error.h"
#include "native/decode/forward.h"

namespace quire {

/// Prefills tokens [from, to) of one document that begins at token 0, 512 at a time; sparsely with `reading`.
inline void read_document(Forward& forward, Memory& memory, const std::vector<int32_t>& tokens, int64_t from,
                          int64_t to, const Selection* reading = nullptr) {
  const std::atomic<bool> cancel{false};
  for (int64_t first = from; first < to; first += 512)
    forward.prefill(memory, {tokens.begin() + first, tokens.begin() + std::min(to, first + 512)},
                    first == 0 ? std::vector<int32_t>{0} : std::vector<int32_t>{}, cancel, nullptr, reading);
}

/// The exit status of `run`; an Error is one line on standard error and status 1.
inline int run_program(int (*run)(int, char**), int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s: %s (%s)\n", error.code().c_str(), error.what(), error.where().c_str());
    return 1;
  }
}

}  // namespace quire
