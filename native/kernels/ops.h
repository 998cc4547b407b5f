// ops.h — the table of contents of the engine's arithmetic: every op of a layer, its argument struct, and the table a
// backend fills.
//
// Letters: L layers, T tokens of the call, H query heads, G KV heads, D head size, E embedding, F feed-forward size,
// V vocabulary, N and K a matrix's rows and columns, P = 16 tokens a page, n pages in a list.
// Each op has a plain-loop twin (kernels/cpu/plain_*.cpp); the fast paths are tested against it.
// No op lets a result of one token depend on the other tokens of the call, on T or on the number of threads: on that the
// memory's promise rests that a key has the same bits however it was computed.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "native/core/thread_pool.h"
#include "native/kernels/packed_matrix.h"

namespace quire {

constexpr int kPageTokens = 16;    // P: also one AVX-512 register of floats
constexpr int kKeyBlockPages = 4;  // attend goes through a list in blocks of 4 pages, counted from its beginning
constexpr int kQueryPages = 4;     // sparse reading: pages of one document whose tokens select together
constexpr int kSplitPages = 16;    // decode attention is split into parts of 16 pages of the list, merged in order
constexpr int kSummaryGroup = 16;  // summaries of 16 neighbouring page slots are interleaved, a register again
constexpr int kQuantBlock = 32;    // activations have one scale per 32 values
constexpr int kMostMatmuls = 4;

// What every op gets: where to run and when to stop early. An op that was cancelled leaves its output undefined.
struct Run {
  ThreadPool* pool = nullptr;
  const std::atomic<bool>* cancel = nullptr;  // may be null
};

// Activations of T tokens as signed 8-bit codes, a scale per kQuantBlock values: x ≈ scale · code, |code| ≤ 127.
struct QuantRows {
  int8_t* codes = nullptr;  // [T, K]
  float* scales = nullptr;  // [T, K/32]
  int32_t* sums = nullptr;  // [T, K/16]  sum of the codes of each 16 values (two per block)
  int64_t tokens = 0;       // T
  int64_t columns = 0;      // K, a multiple of 32
};

// x = embedding[token] as float.
struct EmbedArgs {
  const PackedMatrix* table = nullptr;  // [V, E]
  const int32_t* tokens = nullptr;      // [T], each in [0, V)
  float* out = nullptr;                 // [T, E]
  int64_t count = 0;                    // T
};

// out = x / sqrt(mean(x²) + eps) · weight, given as floats, as quantised rows, or both.
struct NormArgs {
  const float* x = nullptr;       // [T, E]
  const float* weight = nullptr;  // [E]
  float eps = 0;
  int64_t tokens = 0;          // T
  int64_t columns = 0;         // E, a multiple of 32 where `quant` is set
  float* out = nullptr;        // [T, E] or null
  QuantRows* quant = nullptr;  // or null
};

// out = quantised x.
struct QuantizeArgs {
  const float* x = nullptr;  // [T, K]
  QuantRows* quant = nullptr;
};

// out[t, r] = (accumulate ? out[t, r] : 0) + bias[r] + Σ_k weight[r, k] · x[t, k].
// The products of a block of 32 columns are summed exactly in integers; blocks are added in order of k in float, in one
// accumulator per output. Float weights (F32, F16, BF16) take x_float, the others x_quant.
struct MatmulArgs {
  const PackedMatrix* weight = nullptr;  // [N, K]
  const QuantRows* x_quant = nullptr;    // [T, K]
  const float* x_float = nullptr;        // [T, K], only read for float weights
  const float* bias = nullptr;           // [N] or null
  bool accumulate = false;
  float* out = nullptr;    // [T, out_stride]
  int64_t out_stride = 0;  // ≥ N
  int64_t tokens = 0;      // T
};

// Rotates pairs of channels in place by position · frequency (RoPE, arXiv:2104.09864).
struct RopeArgs {
  float* x = nullptr;  // [T, heads, D]; token t begins at x + t · stride
  int64_t stride = 0;
  const float* cosine = nullptr;  // [T, D/2], the YaRN attention factor already in it
  const float* sine = nullptr;    // [T, D/2]
  int64_t tokens = 0;
  int64_t heads = 0;
  int64_t head_size = 0;
  bool halves = false;  // true: pairs (d, d + D/2) (qwen2); false: pairs (2d, 2d + 1) (llama in GGUF)
};

// The pages of one layer. A head's page is its keys [D, P], channel-major so that the 16 tokens of a channel fill a register,
// then its values [P, D]; both f16. Slots are places in the pool; a memory is a list of them.
struct KvLayer {
  uint16_t* pages = nullptr;      // [G, slots, 2, P·D]
  uint16_t* summaries = nullptr;  // [G, slots/16, 2, D, 16]: mean and spread, or min and max, after RoPE
  int64_t slots = 0;              // a multiple of kSummaryGroup
  int64_t kv_heads = 0;
  int64_t head_size = 0;
  uint16_t* keys(int64_t g, int64_t slot) const { return pages + (g * slots + slot) * 2 * kPageTokens * head_size; }
  uint16_t* values(int64_t g, int64_t slot) const { return keys(g, slot) + kPageTokens * head_size; }
  // Channel d of the summary's vector w (0: mean or min, 1: spread or max) is at [d · kSummaryGroup].
  uint16_t* summary(int64_t g, int64_t slot, int64_t w) const {
    return summaries + ((g * (slots / kSummaryGroup) + slot / kSummaryGroup) * 2 + w) * head_size * kSummaryGroup +
           slot % kSummaryGroup;
  }
  // KV head g alone, as a layer with one.
  KvLayer head(int64_t g) const { return {keys(g, 0), summary(g, 0, 0), slots, 1, head_size}; }
};

enum class Summary { kMeanSpread, kMinMax };

// Writes the keys and values of T tokens to their pages, rounded to f16.
struct AppendArgs {
  const float* k = nullptr;  // [T, G, D] after RoPE; token t begins at k + t · stride
  const float* v = nullptr;  // [T, G, D]; likewise
  int64_t stride = 0;
  const int32_t* slots = nullptr;   // [T] page slot of each token
  const int32_t* places = nullptr;  // [T] place in its page, 0..15
  int64_t tokens = 0;
  KvLayer kv;
};

// Computes the summaries of pages from the f16 keys they hold, the first `counts[i]` (≥ 1) tokens of each.
// Mean and spread (the standard deviation of the population) in two passes: one pass fails under Qwen2's key bias.
struct SummarizeArgs {
  Summary kind = Summary::kMeanSpread;
  const int32_t* slots = nullptr;   // [n]
  const int32_t* counts = nullptr;  // [n], 1..16
  int64_t count = 0;                // n
  KvLayer kv;
};

// An ordered list of pages. Entry i is slot[i], of which the first count[i] (1..16) tokens are in use.
struct PageList {
  const int32_t* slot = nullptr;
  const int32_t* count = nullptr;
  int64_t pages = 0;  // n
};

// How much of a list a query token sees: all pages before `page`, and the first `count` tokens of `page`.
struct Visible {
  int32_t page = 0;
  int32_t count = 0;
};

// Importance of each page of a list to one query token, from the summaries alone.
//   mean/spread: s[h,i] = Σ_d q_d·mean_d + c·|q_d|·spread_d      (c = spread_factor)
//   min/max:     s[h,i] = Σ_d max(q_d·min_d, q_d·max_d)          (Quest, arXiv:2406.10774)
struct ScoreArgs {
  Summary kind = Summary::kMeanSpread;
  float spread_factor = 1.0f;
  const float* q = nullptr;  // [H, D] after RoPE
  int64_t heads = 0;         // H
  PageList list;
  KvLayer kv;
  float* scores = nullptr;  // [H, n]
};

// The mean query of each page of a query block: what `score` is given where the tokens of a block select together. A page's
// mean is the sum over its tokens in order, times 1 / their number.
struct PageQueriesArgs {
  const float* q = nullptr;  // [T, H, D] after RoPE, T ≤ 16·kQueryPages; token t begins at q + t · stride
  int64_t stride = 0;
  int64_t tokens = 0;     // T, the first of them the first of a page
  int64_t heads = 0;      // H
  int64_t kv_heads = 0;   // G
  int64_t head_size = 0;  // D
  float* out = nullptr;   // [G, ceil(T/16), H/G, D]
};

enum class Vote { kSoftmax, kMax, kPerHead };

// Chooses page indices of the list for each KV head (kSoftmax, kMax) or each query head (kPerHead).
//   kSoftmax: softmax of s[h,·]/√D over the pages that are not forced, summed over the group's query heads
//   kMax:     the maximum of s[h,·] over the group's query heads
//   kPerHead: s[h,·] itself, a list per query head, as in the paper
// Forced: the first `sink_pages`, the last `recent_pages` (which hold the page being filled). The top of the others fills
// the budget; ties go to the lower index; NaN counts as -inf. The chosen indices are in ascending order.
// All n pages are chosen when n ≤ budget_pages. Needs budget_pages ≥ sink_pages + recent_pages.
struct SelectArgs {
  Vote vote = Vote::kSoftmax;
  const float* scores = nullptr;  // [H, n]
  int64_t heads = 0;              // H
  int64_t kv_heads = 0;           // G
  int64_t head_size = 0;          // D
  int64_t pages = 0;              // n
  int64_t budget_pages = 0;
  int64_t sink_pages = 1;
  int64_t recent_pages = 4;
  int32_t* chosen = nullptr;        // [lists, budget_pages], lists = H for kPerHead, else G
  int64_t* chosen_count = nullptr;  // [lists]
  float* workspace = nullptr;       // [H, n]
};

// Exact attention of T query tokens over lists of pages (softmax(q·k·scale)·v), streaming over key blocks of 4 pages with
// a running maximum (FlashAttention, arXiv:2205.14135). When `split`, parts of kSplitPages are computed apart and merged in
// order (decode: more tasks than KV heads); a part's borders depend on the list only. Dense decode is the same op over the
// list of all pages, so that choosing every page gives the same bits.
struct AttendArgs {
  const float* q = nullptr;  // [T, H, D]; token t begins at q + t · stride
  int64_t stride = 0;
  float* out = nullptr;  // [T, H, D], dense
  int64_t tokens = 0;
  int64_t heads = 0;  // H
  float scale = 0;
  KvLayer kv;
  const PageList* lists = nullptr;   // [lists]
  int64_t list_count = 0;            // 1: shared by all; G: one per KV head; H: one per query head
  const Visible* visible = nullptr;  // [T] in entries of every list; null: everything is visible
  bool split = false;
  float* page_mass = nullptr;  // [lists, mass_stride] or null; T == 1: attention probability of each list entry, summed
  int64_t mass_stride = 0;     //   over the query heads that use the list
  float* workspace = nullptr;  // attend_workspace() floats
};
// Floats of workspace that attend needs for these arguments on `threads` threads.
int64_t attend_workspace(const AttendArgs& args, int threads);

// out = quantised silu(gate) · up, silu(x) = x / (1 + e^-x).
struct SwigluArgs {
  const float* gate = nullptr;  // [T, F]; token t begins at gate + t · stride
  const float* up = nullptr;    // [T, F]; likewise
  int64_t stride = 0;
  int64_t tokens = 0;
  int64_t columns = 0;         // F, a multiple of 32
  float* out = nullptr;        // [T, F] or null
  QuantRows* quant = nullptr;  // or null
};

// The ops of a backend.
struct Ops {
  const char* name = nullptr;  // "plain", "avx2", "avx512-vnni"
  void (*embed)(const EmbedArgs&, const Run&) = nullptr;
  void (*norm)(const NormArgs&, const Run&) = nullptr;
  void (*quantize)(const QuantizeArgs&, const Run&) = nullptr;
  void (*matmul)(const MatmulArgs&, const Run&) = nullptr;
  // At most kMostMatmuls calls of matmul as one; none reads what another writes.
  void (*matmul_several)(const MatmulArgs*, int64_t count, const Run&) = nullptr;
  void (*rope)(const RopeArgs&, const Run&) = nullptr;
  void (*append)(const AppendArgs&, const Run&) = nullptr;
  void (*summarize)(const SummarizeArgs&, const Run&) = nullptr;
  void (*page_queries)(const PageQueriesArgs&, const Run&) = nullptr;
  void (*score)(const ScoreArgs&, const Run&) = nullptr;
  void (*select)(const SelectArgs&, const Run&) = nullptr;
  void (*attend)(const AttendArgs&, const Run&) = nullptr;
  // Several calls of attend as one: `count` of them, none split, without page mass, each with a workspace of its own.
  void (*attend_several)(const AttendArgs*, int64_t count, const Run&) = nullptr;
  void (*swiglu)(const SwigluArgs&, const Run&) = nullptr;
};

// Plain loops, the meaning of every op; runs anywhere.
const Ops& plain_ops();
// The named table, or the best that this processor runs for "auto". Throws "bad-option" for an unknown name and for one that
// this processor cannot run.
const Ops& choose_cpu_ops(const char* name);
// The tables that this processor and system can run, best first; "plain" is always the last.
std::vector<const Ops*> available_cpu_ops();

}  // namespace quire
