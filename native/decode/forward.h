// forward.h — the forward pass: a chunk of tokens through every layer, into a memory.
//
// Prefill attends to everything before it; a decode step loads only the pages that selection chose. Both are the same ops in
// the same order. Knows nothing of sampling or Node.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "native/decode/rope_table.h"
#include "native/kernels/ops.h"
#include "native/memory/memory.h"
#include "native/model/model.h"

namespace quire {

// How a decode step chooses its pages, or, where a chunk is read sparsely, a query block. Defaults: DESIGN §6.
struct Selection {
  int64_t page_budget = 1024;  // tokens' worth of pages per list; 0: dense
  Vote vote = Vote::kSoftmax;
  float spread_factor = 1;
  int64_t sink_pages = 1;
  int64_t recent_pages = 4;
  int64_t dense_layers = 0;  // first layers that stay dense
  bool force = false;        // score and select even where every page fits the budget, or where dense is faster
  bool observe = false;      // choose pages, but attend to all, and measure what the chosen ones would have captured
};

// Head's pages over all layers, lists and steps.
struct PageCounts {
  int64_t scored = 0;    // summaries read
  int64_t selected = 0;  // chosen by select
  int64_t attended = 0;  // keys and values read, dense layers included
  int64_t total = 0;     // what dense attention would have read
  double captured = 0;   // attention probability on chosen pages, summed over `observed` (only with Selection::observe)
  int64_t observed = 0;  // query heads × layers × steps
};

constexpr int64_t kMostSteps = 16;  // of one call of Forward::steps

class Forward {
 public:
  Forward(const ModelWeights& weights, const Ops& ops, ThreadPool& pool, const RopeScaling& scaling);

  // Appends a chunk. starts: see Memory::plan_append. When the call throws ("cancelled", "memory-full"), the memory is as
  // before. logits: null, or receives [T, V].
  // reading: null: every token attends to everything before it. Else the chunk is read sparsely: the tokens of a QueryBlock
  // attend to pages that they chose together from those before the block, and to the block. Then a chunk must begin where
  // a block of its document does ("bad-option"), so that no result depends on how the tokens were cut into chunks.
  void prefill(Memory& memory, const std::vector<int32_t>& tokens, const std::vector<int32_t>& starts,
               const std::atomic<bool>& cancel, std::vector<float>* logits, const Selection* reading = nullptr);

  // Appends one token of an answer, attending by selection. page_mass: null, or [pages of the list] grown and added to.
  void step(Memory& memory, int32_t token, const Selection& selection, const std::atomic<bool>& cancel,
            PageCounts& counts, std::vector<float>* page_mass) {
    steps(memory, &token, 1, selection, cancel, {&counts, page_mass, nullptr});
  }

  // Appends `count` tokens (≤ kMostSteps) as so many calls of step would, bit for bit, in one pass over the weights: each token
  // chooses its own pages, as if those behind it were not there yet. What comes of each step lies apart, so that the
  // first ones can be kept: keep_steps. When it throws, the memory is as before.
  struct StepResults {
    PageCounts* counts = nullptr;             // [count] added to
    std::vector<float>* page_mass = nullptr;  // [count] or null; each grown to the pages of its list and added to
    std::vector<float>* logits = nullptr;     // or null: receives [count, V]; grown to kMostSteps rows
  };
  void steps(Memory& memory, const int32_t* tokens, int64_t count, const Selection& selection,
             const std::atomic<bool>& cancel, const StepResults& results);
  // After steps(count): the tokens behind the first `kept` (≥ 1) are taken out of the memory again.
  void keep_steps(Memory& memory, int64_t count, int64_t kept);

  // Computes the summaries of the page being filled, in every layer; a document that ends there can then be selected.
  void close_page(const Memory& memory);
  // Computes the summary of `slot` from its first `count` tokens, in every layer (after roll_back or truncate).
  void summarize_page(const Memory& memory, int32_t slot, int32_t count);

  // Logits [V] that follow the last token appended. Throws "bad-option" before any token.
  void last_logits(std::vector<float>& out);
  // Forgets the last token (after truncate): last_logits needs a new append first.
  void forget_last() { has_last_ = false; }

 private:
  // How the layers of one call attend.
  struct Attention {
    bool decode = false;                   // each token on its own, by selection
    const Selection* selection = nullptr;  // null: everything
    StepResults results;                   // decode only
  };
  // One token of a decode call.
  struct Step {
    int64_t row = 0;  // of the call
    PageList list;    // what lies before it, its own page with it
    Visible visible;
    PageCounts* counts = nullptr;
    float* page_mass = nullptr;  // [pages of the list] or null
  };
  void run(Memory& memory, const int32_t* tokens, const ChunkPlan& plan, const std::atomic<bool>& cancel,
           const Attention& attention, std::vector<float>* logits);
  // forward_attend.cpp
  void attend(const Memory& memory, int64_t layer, int64_t first, const ChunkPlan& plan, const Run& run,
              const Attention& attention);
  void attend_all(const Memory& memory, int64_t layer, int64_t first, int64_t end, const ChunkPlan& plan,
                  const Run& run);
  void attend_step(const Memory& memory, int64_t layer, const Step& step, const Selection& selection, const Run& run);
  void attend_step_all(const Memory& memory, int64_t layer, const Step& step, const Run& run);
  void attend_step_chosen(const Memory& memory, int64_t layer, const Step& step, const Selection& selection,
                          const Run& run);
  void attend_blocks(const Memory& memory, int64_t layer, int64_t first, const ChunkPlan& plan, const Run& run,
                     const Selection& selection);
  AttendArgs attend_args(const Memory& memory, int64_t layer, int64_t first, int64_t tokens);
  // What score and select work on: rows of q, those of a KV head together, over a list.
  struct Choice {
    PageList list;
    KvLayer kv;
    const float* q = nullptr;
    int64_t heads = 0;
    float* scores = nullptr;     // [heads, pages]
    float* workspace = nullptr;  // [heads, pages]
    int32_t* chosen = nullptr;   // [lists, budget]
    int64_t* chosen_count = nullptr;
  };
  int64_t choose(Summary summary, const Choice& choice, const Selection& selection, const Run& run) const;
  void project(const std::vector<float>& hidden, int64_t tokens, const Run& run, float* logits);
  void reserve(int64_t tokens);
  QuantRows quant_rows(int64_t first, int64_t tokens, int64_t columns);

  const ModelWeights& weights_;
  const Ops& ops_;
  ThreadPool& pool_;
  RopeTable rope_;

  // Working memory, grown to the largest chunk seen.
  int64_t reserved_ = 0;
  std::vector<float> x_;         // [T, E] the residual stream
  std::vector<float> normed_;    // [T, E] only for float weights and the final norm
  std::vector<float> qkv_;       // [T, (H + 2G)·D]
  std::vector<float> attended_;  // [T, H·D]
  std::vector<float> gate_up_;   // [T, 2F]
  std::vector<float> mlp_;       // [T, F] only for float weights
  std::vector<float> cosine_, sine_;
  std::vector<int8_t> codes_;
  std::vector<float> scales_;
  std::vector<int32_t> sums_;
  std::vector<float> attend_workspace_;
  // Of selection
  std::vector<float> page_queries_, scores_, select_workspace_, list_mass_;
  std::vector<int32_t> chosen_, chosen_slots_, chosen_counts_;
  std::vector<int64_t> chosen_count_;
  std::vector<PageList> lists_;
  std::vector<QueryBlock> choosing_;
  std::vector<Visible> visible_;
  std::vector<AttendArgs> calls_;
  ChunkPlan plan_;  // of the steps under way

  std::vector<float> last_hidden_;  // [E] of the last token appended, before the final norm
  bool has_last_ = false;
};

}  // namespace quire
