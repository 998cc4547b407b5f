// attend_plan.cpp — see attend_plan.h.
#include "native/kernels/cpu/attend_plan.h"

#include <algorithm>

#include "native/core/error.h"

namespace quire {
namespace {

// Multiply-adds of a task: 10 ms of one 3 GHz core with AVX-512, so that a cancel is seen soon even on a slow or busy machine.
constexpr int64_t kTaskWork = 300'000'000;
constexpr int64_t kTasksPerThread = 4;  // the last tiles of a causal chunk have the most to do: some slack to share
constexpr int64_t kFewestRows = 12;     // two register tiles: below, a tile gains less than its keys cost to convert

void check(bool holds, const char* what) {
  if (!holds) throw Error("internal", what, "attend");
}

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t tile_rows(const AttendArgs& args, const AttendPlan& plan, int threads) {
  const int64_t most = std::min(kMaxTileRows, kTileFloats / args.kv.head_size);
  const int64_t work_of_row = std::max<int64_t>(1, 2 * plan.longest * kPageTokens * args.kv.head_size);
  const int64_t fair = divide_up(plan.rows * plan.groups, kTasksPerThread * threads);
  const int64_t wanted = std::max(kFewestRows, std::min(fair, kTaskWork / work_of_row));
  return std::min(most, wanted);
}

}  // namespace

AttendPlan plan_attend(const AttendArgs& args, int threads) {
  const int64_t head_size = args.kv.head_size;
  check(args.kv.kv_heads > 0 && args.heads > 0 && args.heads % args.kv.kv_heads == 0,
        "query heads are no multiple of KV heads");
  check(head_size > 0 && head_size <= kMaxHeadSize, "a head has 1 to 256 channels");
  check(args.list_count == 1 || args.list_count == args.kv.kv_heads || args.list_count == args.heads,
        "one list, one per KV head or one per query head");
  check(args.page_mass == nullptr || args.tokens <= 1, "page mass is for one token");

  AttendPlan plan;
  plan.groups = args.list_count > args.kv.kv_heads ? args.heads : args.kv.kv_heads;
  plan.group_heads = args.heads / plan.groups;
  plan.rows = args.tokens * plan.group_heads;
  for (int64_t i = 0; i < args.list_count; ++i) plan.longest = std::max(plan.longest, args.lists[i].pages);
  plan.parts = divide_up(plan.longest, kSplitPages);
  plan.blocks = divide_up(plan.longest, kKeyBlockPages);
  plan.tile_rows = tile_rows(args, plan, threads);
  plan.tiles = divide_up(plan.rows, plan.tile_rows);

  const auto place = [&](int64_t floats) {
    float* const begin = args.workspace == nullptr ? nullptr : args.workspace + plan.workspace;
    plan.workspace += floats;
    return begin;
  };
  const int64_t all_rows = args.tokens * args.heads;
  plan.state = place(2 * all_rows);
  plan.part_states = place(args.split ? all_rows * plan.parts * (head_size + 2) : 0);
  plan.page_sums = place(args.page_mass != nullptr ? args.heads * plan.longest : 0);
  plan.block_maxima = place(args.page_mass != nullptr ? args.heads * plan.blocks : 0);
  return plan;
}

int64_t attend_workspace(const AttendArgs& args, int threads) { return plan_attend(args, threads).workspace; }

}  // namespace quire
