// attend_plan.h — how one attend call is cut into tasks and its workspace into pieces; the same for every instruction set.
//
// A group is what shares keys: one KV head with the H/G query heads that read the same list, or one query head where every
// query head has a list of its own. A row is one query head of one token, row t · heads + h of its group. A tile is some
// neighbouring rows of a group, a matter of speed only: no row's arithmetic sees it. A part is kSplitPages entries of a list.
#pragma once

#include "native/kernels/ops.h"

namespace quire {

constexpr int64_t kBlockKeys = kKeyBlockPages * kPageTokens;  // keys of a key block
constexpr int64_t kMaxHeadSize = 256;                         // D: a key block as floats lies on a thread's stack
constexpr int64_t kTileFloats = 8192;                         // rows · D of a tile, likewise; 32 KiB each for q and out
constexpr int64_t kMaxTileRows = 128;

struct AttendPlan {
  int64_t groups = 0;       // G, or H with a list per query head
  int64_t group_heads = 0;  // query heads of a group
  int64_t rows = 0;         // T · group_heads
  int64_t tile_rows = 0;    // of the last tile there may be fewer
  int64_t tiles = 0;        // of a group
  int64_t parts = 0;        // of the longest list
  int64_t blocks = 0;       // key blocks of the longest list
  int64_t longest = 0;      // pages of the longest list
  // In the workspace.
  float* state = nullptr;        // [T, H, 2]             maximum and sum of a row
  float* part_states = nullptr;  // [T, H, parts, D + 2]  maximum, sum, Σ p·v; when split
  float* page_sums = nullptr;  // [H, longest]          Σ p over a page, relative to its block's maximum; for page mass
  float* block_maxima = nullptr;  // [H, blocks]           the running maximum when the block was added; for page mass
  int64_t workspace = 0;          // floats of it
};

// Throws "internal" when the arguments are not what ops.h says. Needs no workspace to be there.
AttendPlan plan_attend(const AttendArgs& args, int threads);

inline int64_t kv_head_of(const AttendArgs& args, int64_t head) { return head / (args.heads / args.kv.kv_heads); }
inline const PageList& list_of(const AttendArgs& args, int64_t group) {
  return args.lists[args.list_count == 1 ? 0 : group];
}

}  // namespace quire
