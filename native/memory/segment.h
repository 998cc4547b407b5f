// segment.h — one document of a memory as a file: written whole or not at all, believed only when every byte checks.
//
// In: a memory, the document's token ids, and its name (a hash of everything that its keys depend on; made in engine/memories/).
// Out: the file of docs/memory-format.md, or the document at the end of the memory. It decides nothing about which files
// there are, and a file can do no more than be refused. Little-endian machines only.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "native/memory/memory.h"

namespace quire {

// Raised by hand whenever the same tokens get other bits than before: kernels, layout, RoPE, summaries.
constexpr uint32_t kEngineAbi = 2;

using SegmentName = std::array<uint8_t, 32>;
// 64 hex digits. Throws "bad-option".
SegmentName segment_name(const std::string& hex);

// Writes document `index` of the memory to `file`, by way of `file`.PID.tmp in the same folder, readable by its user only; returns its
// bytes. tokens: the document's. Throws "disk-full", "internal" (another failure of the disk), "cancelled", "bad-option";
// whatever is thrown, neither a new `file` nor the temporary one is left.
int64_t save_segment(const Memory& memory, int64_t index, const std::vector<int32_t>& tokens, const SegmentName& name,
                     const std::string& file, const std::atomic<bool>& cancel);

struct LoadOutcome {
  enum Kind { kLoaded, kAbsent, kRefused } kind = kAbsent;
  std::string reason;  // of kRefused
};
// Appends the document in `file` to the memory, if it is the document of these tokens and this name at this position and all
// of its bytes check. Else the memory is as before. Throws "memory-full", "cancelled" (memory as before), "out-of-memory".
LoadOutcome load_segment(Memory& memory, const std::vector<int32_t>& tokens, const SegmentName& name,
                         const std::string& file, const std::atomic<bool>& cancel);

}  // namespace quire
