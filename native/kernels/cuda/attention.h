// attention.h — the table of contents of attention on CUDA: append, summarise, score, select, attend, and attention of a chunk.
//
// Letters as in ops.h. All pointers are device memory. A page of a KV head is its keys [P, D], then its values [P, D], both
// token-major, f16; a summary is [2, D] f16 a page, pages in slot order: [G, slots, 2, D] (the CPU's pages look otherwise inside).
// Every launcher checks the limits that its file states, launches on the stream, checks the launch; none waits or allocates.
// Limits of all: D is 64 or 128, H/G ≤ 8, compute capability ≥ 8.0. What each op means: kernels/cpu/plain_*.cpp.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "native/kernels/cuda/device.h"
#include "native/kernels/ops.h"

namespace quire::cuda {

constexpr int kMaxGroup = 8;  // query heads of a KV head: the N of one tensor-core tile

// append.cu: one token's K and V to the page that `state` names; when it fills the page, the page's summary too.
void append_step(const float* k, const float* v, const DeviceKv& kv, Summary summary, const StepState* state,
                 cudaStream_t stream);
// append.cu: T tokens, token t at k + t·stride. slots, places [T].
void append_chunk(const float* k, const float* v, int64_t stride, const int32_t* slots, const int32_t* places,
                  int64_t tokens, const DeviceKv& kv, cudaStream_t stream);
// summarise.cu: summaries of n pages, of their first counts[i] tokens. slots, counts [n].
void summarise(Summary summary, const int32_t* slots, const int32_t* counts, int64_t n, const DeviceKv& kv,
               cudaStream_t stream);
// summary_codes.cu: kv.codes and `grid` (kv.grid is not read) of the list's summaries. partial: code_partials() of them, scratch.
void code_summaries(const DeviceKv& kv, float2* grid, const DeviceList& list, int64_t pages, float2* partial,
                    cudaStream_t stream);
int64_t code_partials(const DeviceKv& kv);
// Whether an answer that begins behind so many pages has its summaries coded: where fewer bytes of them are read a layer (16 MB of
// f16), an H200 gains less than 3 %.
inline bool codes_pay(int64_t pages, int64_t kv_heads) { return pages * kv_heads >= 32768; }

// How pages are chosen. budget_pages 0: dense, all pages of the list.
struct PageSelection {
  Summary summary = Summary::kMeanSpread;
  float spread_factor = 1.0f;
  Vote vote = Vote::kSoftmax;
  int32_t budget_pages = 0;
  int32_t sink_pages = 1;
  int32_t recent_pages = 4;
};

// Neighbouring tokens of a chunk that is read sparsely: those of up to kQueryPages pages of one document. They choose together
// from the list's pages [0, first_page), and see their own.
struct alignas(16) ReadingBlock {
  int32_t first_token, tokens;  // of the chunk
  int32_t first_page, unused;   // in the list
};
constexpr int32_t kReadingChunk = 1024;  // pages of which sparse reading makes one partial maximum and sum
constexpr int32_t kMostRows = kQueryPages * kMaxGroup;  // rows that vote in one list

// A chosen page: where it stands in the list, and what attend needs of it.
struct alignas(16) ChosenPage {
  int32_t index, slot, count, unused;
};

// score.cu. Blocks go over the pages of one KV head each; score_blocks() of them, a number of the device's, not of the list's.
struct ScorePages {
  PageSelection selection;
  const float* q = nullptr;  // [H, D]
  int32_t heads = 0;
  DeviceKv kv;
  DeviceList list;
  const StepState* state = nullptr;  // n = state->pages
  float* scores = nullptr;           // [H, stride]
  int64_t stride = 0;                // ≥ n
  float2* partial = nullptr;         // [H, score_blocks]: maximum and sum of e^((s - maximum)/√D) over a block's pages
};
int32_t score_blocks(int32_t kv_heads);
void score_pages(const ScorePages& args, cudaStream_t stream);

// select.cu. A list per KV head (kSoftmax, kMax) or per query head (kPerHead).
struct SelectPages {
  PageSelection selection;
  int32_t heads = 0;
  int32_t kv_heads = 0;
  int32_t head_size = 0;
  DeviceList list;
  const StepState* state = nullptr;
  const ReadingBlock* blocks = nullptr;  // instead of state: list l is one of block l / lists_of_block (sparse reading)
  int32_t lists_of_block = 1;
  int64_t max_pages = 0;  // n ≤ max_pages; chooses how many blocks share a list
  const float* scores = nullptr;
  int64_t stride = 0;
  const float2* partial = nullptr;
  int32_t partial_blocks = 0;
  float* votes = nullptr;           // [lists, stride]: scratch
  ChosenPage* chosen = nullptr;     // [lists, budget_pages], ascending by index
  int32_t* chosen_count = nullptr;  // [lists]: min(n, budget_pages)
  int64_t* counters = nullptr;      // or null: [0] += n, per list
};
void select_pages(const SelectPages& args, cudaStream_t stream);  // a list's pages: state's, or those before its block

// attend.cu. Over `chosen` where it is not null, else over the whole list (one list, shared).
struct AttendPages {
  const float* q = nullptr;  // [H, D]
  float* out = nullptr;      // [H, D]
  int32_t heads = 0;
  float scale = 0;
  DeviceKv kv;
  DeviceList list;
  const StepState* state = nullptr;
  int32_t lists = 0;                   // G, or H for lists per query head
  const ChosenPage* chosen = nullptr;  // [lists, budget_pages], of which min(n, budget_pages) are set
  int32_t budget_pages = 0;
  float* page_mass = nullptr;       // or null: [n] += attention probability of each page, of all heads
  int64_t* counters = nullptr;      // or null: [1] += pages attended to, per list
  float* partial = nullptr;         // [lists, attend_parts, H/lists, D]
  float2* state_of_part = nullptr;  // [lists, attend_parts, H/lists]
  float* page_weight =
      nullptr;  // [lists, weight_stride, H/lists], only with page_mass: log2 of a page's sum of exponentials
  int64_t weight_stride = 0;     // ≥ entries
  uint32_t* arrivals = nullptr;  // [lists], zero at first; the kernel leaves it zero
};
int32_t attend_parts(int32_t lists);
void attend_pages(const AttendPages& args, cudaStream_t stream);

// attention_step.cu: RoPE → append → score → select → attend → quantise for one token of one layer, or as much of it as is asked
// for; attend alone where nothing is to be chosen. One kernel (attention_cluster.cu) where the device and the sizes allow.
// state and list must have been written before the kernel before this call started (not by it): score reads them early.
// recent_pages ≥ 1 holds the page being filled, whose summary may be in the making.
struct AttentionStep {
  float* q = nullptr;    // [H, D]; before RoPE where k is given, and then k follows it in memory
  float* out = nullptr;  // [H, D], or null where codes suffice
  int32_t heads = 0;
  float scale = 0;  // of q·k, 1/√D
  DeviceKv kv;
  DeviceList list;  // the count of its last page holds this step's token
  const StepState* state = nullptr;
  int64_t max_pages = 0;  // the step's list has at most so many pages: a graph's bucket
  PageSelection selection;
  float* page_mass = nullptr;
  int64_t* counters = nullptr;  // or null: [0] += pages scored, [1] += pages attended to
  void* workspace = nullptr;    // attention_step_workspace() bytes, zeroed once; calls on one stream may share it
  // The token's K and V [G, D] before RoPE, to be appended; null: q is turned, and the pages are as they should be.
  float* k = nullptr;
  const float* v = nullptr;
  const float* cosine = nullptr;  // [D/2] of the token's position
  const float* sine = nullptr;
  bool halves = false;  // pairs (d, d + D/2), else (2d, 2d + 1)
  // Or null: `out` quantised, [H·D] and [H·D/32] (rows.h). The three kernels need `out` as well.
  int8_t* codes = nullptr;
  float* code_scales = nullptr;
  bool one_kernel = true;  // false: the three kernels that every device has
};
// Whether the step chooses pages, or attends to the whole list.
bool selects(const AttentionStep& args);
// What score and select take from a step; their pieces of a workspace are the caller's to give.
ScorePages score_of(const AttentionStep& args);
SelectPages select_of(const AttentionStep& args);
int64_t attention_step_workspace(const AttentionStep& args);
void attention_step(const AttentionStep& args, cudaStream_t stream);
// One kernel of a step alone (0 score, 1 select, 2 attend), over what the former ones left in the workspace: for benches.
void attention_step_part(const AttentionStep& args, int part, cudaStream_t stream);

// attention_cluster.cu: the blocks that share a KV head's pages in one kernel, 0 where it must be several kernels.
int32_t cluster_blocks(const AttentionStep& args);
// scores [H, stride], stride ≥ max_pages: scratch, where something is chosen.
void attention_in_cluster(const AttentionStep& args, float* scores, int64_t stride, cudaStream_t stream);

// prefill_attention.cu: exact attention of T query tokens over one list. A row's bits do not depend on the other rows.
struct PrefillAttention {
  const float* q = nullptr;  // token t at q + t·stride, [H, D]
  int64_t stride = 0;
  float* out = nullptr;        // [T, H, D] or null
  __half* out_half = nullptr;  // [T, H, D] or null
  int64_t tokens = 0;          // T
  int32_t heads = 0;
  float scale = 0;
  DeviceKv kv;
  DeviceList list;
  const Visible* visible = nullptr;  // [T] on the device
  // Or the tokens of sparse reading's blocks (then `tokens` is not read): over their chosen pages, [blocks, G, budget_pages].
  const ReadingBlock* blocks = nullptr;
  int32_t block_count = 0;
  const ChosenPage* chosen = nullptr;
  const int32_t* chosen_count = nullptr;
  int32_t budget_pages = 0;
};
void prefill_attention(const PrefillAttention& args, cudaStream_t stream);

// reading.cu: the tokens of query blocks that choose from the pages before them. kSoftmax or kMax.
constexpr int32_t kReadingBatch = 64;  // blocks that are scored at once: the workspace holds their scores
struct ReadingAttention {
  PageSelection selection;  // budget_pages ≥ sink_pages + recent_pages
  const float* q = nullptr;
  int64_t stride = 0;
  float* out = nullptr;        // [T, H, D] or null
  __half* out_half = nullptr;  // [T, H, D] or null
  int32_t heads = 0;
  float scale = 0;
  DeviceKv kv;
  DeviceList list;
  const Visible* visible = nullptr;      // [T]
  const ReadingBlock* blocks = nullptr;  // on the device, each with first_page ≥ 1
  int32_t block_count = 0;
  int64_t most_pages = 0;  // of first_page
  void* workspace = nullptr;
};
int64_t reading_workspace(const ReadingAttention& args);
void reading_attention(const ReadingAttention& args, cudaStream_t stream);

}  // namespace quire::cuda
