// segment.h — one document of a memory as a file: written whole or not at all, believed only when every byte checks.
//
// In: a memory, the document's token ids, and its name (a hash of everything that its keys depend on; made in engine/memories/).
// Out: the file of docs/memory-format.md, or the document, or some of its pages, at the end of the memory. It decides nothing about
// which files there are nor when they are on the disk (engine/memories/writing.ts), and a file can do no more than be refused.
// Little-endian machines only.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "native/memory/memory.h"

namespace quire {

// Raised by hand whenever the same tokens get other bits than before: kernels, layout, RoPE, summaries.
constexpr uint32_t kEngineAbi = 3;

using SegmentName = std::array<uint8_t, 32>;
// 64 hex digits. Throws "bad-option".
SegmentName segment_name(const std::string& hex);

// Writes document `index` of the memory to `file`, readable by its user only, in the place of one that was there; returns its bytes. It
// is not flushed: a name that others believe is the caller's to give. tokens: the document's. Throws "disk-full", "internal" (another
// failure of the disk), "cancelled", "bad-option"; whatever is thrown, no `file` is left.
int64_t save_segment(const Memory& memory, int64_t index, const std::vector<int32_t>& tokens, const SegmentName& name,
                     const std::string& file, const std::atomic<bool>& cancel);

// Which of a segment's tokens are wanted, and where they lay.
struct SegmentPart {
  int64_t segment_tokens = 0;  // of the whole segment
  int64_t first_page = 0;      // of the part within the segment
  int64_t position = 0;        // of the part's first token
};

struct LoadOutcome {
  enum Kind { kLoaded, kAbsent, kRefused } kind = kAbsent;
  std::string reason;  // of kRefused
};
// Appends a part of the segment in `file` to the memory as a document, if it is the segment of this name, size and position, the part
// holds these tokens, and all bytes of header and pages check. A part ends with a page or with its segment. Else the memory is as
// before. Throws "memory-full", "cancelled" (memory as before), "out-of-memory", "bad-option" for a part that no segment can have.
LoadOutcome load_segment(Memory& memory, const std::vector<int32_t>& tokens, const SegmentPart& part,
                         const SegmentName& name, const std::string& file, const std::atomic<bool>& cancel);

}  // namespace quire
