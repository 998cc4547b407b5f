// attention_step.cu — attention of one token in one layer: RoPE → append → score → select → attend → quantise.
//
// This is the one way from a query to its output: what a benchmark times is what an answer uses. Where the device has clusters
// all of it is one kernel (attention_cluster.cu), else a kernel each. The workspace is divided here:
//   arrivals [256 bytes, zero], partial and state of attend's parts, page weights, and, where pages are chosen, scores, votes,
//   score's partials, chosen pages and their counts.
// A list that cannot outgrow the page budget (max_pages ≤ budget) skips score and select. A longer bucket runs all three; as
// long as n ≤ budget select hands on the whole list, and attend gives the bits of dense.
#include <algorithm>

#include "native/kernels/cuda/attention.h"
#include "native/kernels/cuda/device_summary.cuh"
#include "native/kernels/cuda/rows.h"

namespace quire::cuda {
namespace {

constexpr int64_t kAlign = 256;

int32_t list_count(const AttentionStep& args) {
  return selects(args) && args.selection.vote == Vote::kPerHead ? args.heads : args.kv.kv_heads;
}

// Hands out aligned pieces of the workspace, or only counts them where there is none.
class Pieces {
 public:
  explicit Pieces(void* base) : base_(static_cast<unsigned char*>(base)) {}
  template <typename T>
  T* take(int64_t count) {
    T* const piece = base_ != nullptr ? reinterpret_cast<T*>(base_ + used_) : nullptr;
    used_ += (count * static_cast<int64_t>(sizeof(T)) + kAlign - 1) / kAlign * kAlign;
    return piece;
  }
  int64_t used() const { return used_; }

 private:
  unsigned char* base_;
  int64_t used_ = 0;
};

struct Plan {
  ScorePages score;
  SelectPages select;
  AttendPages attend;
  int64_t bytes = 0;
};

Plan plan(const AttentionStep& args) {
  Plan plan;
  const int32_t lists = list_count(args);
  const int32_t per_list = args.heads / lists;
  const int64_t parts = attend_parts(lists);
  Pieces pieces(args.workspace);
  AttendPages& attend = plan.attend;
  attend.arrivals = pieces.take<uint32_t>(std::max<int64_t>(kAlign / 4, lists));
  attend.q = args.q;
  attend.out = args.out;
  attend.heads = args.heads;
  attend.scale = args.scale;
  attend.kv = args.kv;
  attend.list = args.list;
  attend.state = args.state;
  attend.lists = lists;
  attend.page_mass = args.page_mass;
  attend.counters = args.counters;
  attend.partial = pieces.take<float>(lists * parts * per_list * args.kv.head_size);
  attend.state_of_part = pieces.take<float2>(lists * parts * per_list);
  attend.budget_pages = args.selection.budget_pages;
  attend.weight_stride = selects(args) ? args.selection.budget_pages : args.max_pages;
  attend.page_weight = args.page_mass != nullptr ? pieces.take<float>(args.heads * attend.weight_stride) : nullptr;
  if (selects(args)) {
    ScorePages& score = plan.score = score_of(args);
    score.scores = pieces.take<float>(args.heads * score.stride);
    SelectPages& select = plan.select = select_of(args);
    score.partial = pieces.take<float2>(static_cast<int64_t>(args.heads) * select.partial_blocks);
    select.scores = score.scores;
    select.stride = score.stride;
    select.partial = score.partial;
    select.votes = pieces.take<float>(lists * score.stride);
    select.chosen = pieces.take<ChosenPage>(static_cast<int64_t>(lists) * args.selection.budget_pages);
    select.chosen_count = pieces.take<int32_t>(lists);
    attend.chosen = select.chosen;
  }
  plan.bytes = pieces.used();
  return plan;
}

}  // namespace

bool selects(const AttentionStep& args) {
  return args.selection.budget_pages > 0 && args.max_pages > args.selection.budget_pages;
}

ScorePages score_of(const AttentionStep& args) {
  ScorePages score;
  score.selection = args.selection;
  score.q = args.q;
  score.heads = args.heads;
  score.kv = args.kv;
  score.list = args.list;
  score.state = args.state;
  score.stride = (args.max_pages + 31) / 32 * 32;
  return score;
}

SelectPages select_of(const AttentionStep& args) {
  SelectPages select;
  select.selection = args.selection;
  select.heads = args.heads;
  select.kv_heads = args.kv.kv_heads;
  select.head_size = args.kv.head_size;
  select.list = args.list;
  select.state = args.state;
  select.max_pages = args.max_pages;
  select.partial_blocks = score_blocks(args.kv.kv_heads);
  select.counters = args.counters;
  return select;
}

int64_t attention_step_workspace(const AttentionStep& args) {
  AttentionStep counted = args;
  counted.workspace = nullptr;
  return plan(counted).bytes;
}

void attention_step_part(const AttentionStep& args, int part, cudaStream_t stream) {
  const Plan plan = quire::cuda::plan(args);
  if (part == 0) score_pages(plan.score, stream);
  if (part == 1) select_pages(plan.select, stream);
  if (part == 2) attend_pages(plan.attend, stream);
}

void attention_step(const AttentionStep& args, cudaStream_t stream) {
  check_kv(args.kv, "attention_step");
  if (args.heads <= 0 || args.heads % args.kv.kv_heads != 0 || args.heads > 512)
    throw Error("unsupported-model", "the query heads are not a multiple of the KV heads", "attention_step");
  if (args.heads / args.kv.kv_heads > kMaxGroup)
    throw Error("unsupported-model", "the CUDA backend runs up to 8 query heads for each KV head", "attention_step");
  const PageSelection& selection = args.selection;
  if (selects(args) && (selection.sink_pages < 0 || selection.recent_pages < 0 ||
                        selection.budget_pages < selection.sink_pages + selection.recent_pages))
    throw Error("internal", "the page budget does not hold the forced pages", "attention_step");
  const Plan plan = quire::cuda::plan(args);
  if (args.one_kernel && cluster_blocks(args) > 0) {
    attention_in_cluster(args, plan.score.scores, plan.score.stride, stream);
    return;
  }
  const int32_t size = args.kv.head_size;
  if (args.k != nullptr) {
    rope_step(args.q, args.heads + args.kv.kv_heads, size, args.cosine, args.sine, args.halves, stream);
    append_step(args.k, args.v, args.kv, selection.summary, args.state, stream);
  }
  if (selects(args)) {
    score_pages(plan.score, stream);
    select_pages(plan.select, stream);
  }
  attend_pages(plan.attend, stream);
  if (args.codes != nullptr) quantize_step(args.out, args.heads * size, args.codes, args.code_scales, stream);
}

}  // namespace quire::cuda
