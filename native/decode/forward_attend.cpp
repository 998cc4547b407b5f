// forward_attend.cpp — how the tokens of a call attend: to everything, to the pages that a step chose, or to those that a query
// block chose. See forward.h.
//
// All three are the op `attend` over lists of pages. Where every page is chosen, the list is the memory's, and so are the bits.
#include <algorithm>
#include <cmath>

#include "native/decode/forward.h"
#include "native/decode/grow.h"

namespace quire {
namespace {

// Pages of a list that selection may choose, the forced ones among them.
int64_t budget_pages(const Selection& selection) {
  return std::max(selection.page_budget / kPageTokens, selection.sink_pages + selection.recent_pages);
}

// Whether a list of `pages` pages is chosen from.
bool selects(const Selection& selection, int64_t layer, int64_t pages) {
  if (selection.page_budget <= 0 || layer < selection.dense_layers || pages == 0) return false;
  return selection.force || pages > selection.page_budget / kPageTokens;
}

// Up to this many times the page budget a step is dense all the same: scoring and selecting take about as long as what they
// save there (`bench -- cpu-steps`; Zen 4, 2 threads, a busy machine). Not timed at run time: an answer may not depend on that.
constexpr int64_t kDenseBudgets = 2;

bool selects_in_step(const Selection& selection, int64_t layer, int64_t pages) {
  if (!selects(selection, layer, pages)) return false;
  return selection.force || selection.observe || pages > kDenseBudgets * (selection.page_budget / kPageTokens);
}

// The entries that a list chose, followed by `own`; `slots` and `counts` have room for them.
PageList list_of_chosen(const PageList& list, const int32_t* chosen, int64_t count, const PageList& own, int32_t* slots,
                        int32_t* counts) {
  for (int64_t j = 0; j < count; ++j) {
    slots[j] = list.slot[chosen[j]];
    counts[j] = list.count[chosen[j]];
  }
  std::copy(own.slot, own.slot + own.pages, slots + count);
  std::copy(own.count, own.count + own.pages, counts + count);
  return {slots, counts, count + own.pages};
}

}  // namespace

void Forward::attend(const Memory& memory, int64_t layer, int64_t first, const ChunkPlan& plan, const Run& run,
                     const Attention& attention) {
  const auto tokens = static_cast<int64_t>(plan.visible.size());
  if (attention.decode) {
    const PageList list = memory.list();
    for (int64_t t = first; t < tokens; ++t) {
      const Visible visible = plan.visible[static_cast<size_t>(t)];
      std::vector<float>* const mass = attention.results.page_mass;
      attend_step(memory, layer,
                  {t,
                   {list.slot, list.count, visible.page + 1},
                   visible,
                   attention.results.counts + t,
                   mass == nullptr ? nullptr : mass[t].data()},
                  *attention.selection, run);
    }
    return;
  }
  if (attention.selection == nullptr) return attend_all(memory, layer, first, tokens, plan, run);
  int64_t dense_from = first;  // what lies between blocks that choose attends together
  for (const QueryBlock& block : plan.blocks) {
    const int64_t end = block.first_token + block.tokens;
    if (end <= first || !selects(*attention.selection, layer, block.first_page)) continue;
    if (block.first_token > dense_from) attend_all(memory, layer, dense_from, block.first_token, plan, run);
    dense_from = end;
  }
  if (dense_from < tokens) attend_all(memory, layer, dense_from, tokens, plan, run);
  attend_blocks(memory, layer, first, plan, run, *attention.selection);
}

// Score and select. Returns the budget, which is a list's length in `chosen`.
int64_t Forward::choose(Summary summary, const Choice& choice, const Selection& selection, const Run& run) const {
  const int64_t budget = std::min(choice.list.pages, budget_pages(selection));
  ops_.score({summary, selection.spread_factor, choice.q, choice.heads, choice.list, choice.kv, choice.scores}, run);
  SelectArgs select;
  select.vote = selection.vote;
  select.scores = choice.scores;
  select.heads = choice.heads;
  select.kv_heads = choice.kv.kv_heads;
  select.head_size = choice.kv.head_size;
  select.pages = choice.list.pages;
  select.budget_pages = budget;
  select.sink_pages = std::min(selection.sink_pages, budget);
  select.recent_pages = std::min(selection.recent_pages, budget - select.sink_pages);
  select.chosen = choice.chosen;
  select.chosen_count = choice.chosen_count;
  select.workspace = choice.workspace;
  ops_.select(select, run);
  return budget;
}

AttendArgs Forward::attend_args(const Memory& memory, int64_t layer, int64_t first, int64_t tokens) {
  const Geometry& g = weights_.geometry;
  AttendArgs args;
  args.stride = g.q_columns() + 2 * g.kv_columns();
  args.q = qkv_.data() + first * args.stride;
  args.out = attended_.data() + first * g.q_columns();
  args.tokens = tokens;
  args.heads = g.heads;
  args.scale = 1.0f / std::sqrt(static_cast<float>(g.head_size));
  args.kv = memory.layer(layer);
  return args;
}

// Tokens [first, end) of the chunk, each to everything that it sees.
void Forward::attend_all(const Memory& memory, int64_t layer, int64_t first, int64_t end, const ChunkPlan& plan,
                         const Run& run) {
  const PageList list = memory.list();
  AttendArgs args = attend_args(memory, layer, first, end - first);
  args.lists = &list;
  args.list_count = 1;
  args.visible = plan.visible.data() + first;
  grow(attend_workspace_, attend_workspace(args, pool_.threads()));
  args.workspace = attend_workspace_.data();
  ops_.attend(args, run);
}

void Forward::attend_step(const Memory& memory, int64_t layer, const Step& step, const Selection& selection,
                          const Run& run) {
  const int64_t all = step.list.pages * memory.layer(layer).kv_heads;
  step.counts->total += all;
  if (selects_in_step(selection, layer, step.list.pages))
    return attend_step_chosen(memory, layer, step, selection, run);
  step.counts->attended += all;
  attend_step_all(memory, layer, step, run);
}

// One token of a decode step, to everything before it. Room is made for all that the memory can hold, so that a loop of steps
// allocates nothing.
void Forward::attend_step_all(const Memory& memory, int64_t layer, const Step& step, const Run& run) {
  AttendArgs args = attend_args(memory, layer, step.row, 1);
  PageList most = step.list;
  most.pages = memory.capacity();
  args.lists = &most;
  args.list_count = 1;
  args.visible = &step.visible;
  args.split = true;
  if (step.page_mass != nullptr) {
    grow(list_mass_, most.pages);
    args.page_mass = list_mass_.data();
    args.mass_stride = most.pages;
  }
  grow(attend_workspace_, attend_workspace(args, pool_.threads()));
  args.workspace = attend_workspace_.data();
  args.lists = &step.list;
  args.mass_stride = step.list.pages;
  ops_.attend(args, run);
  if (step.page_mass != nullptr)
    for (int64_t i = 0; i < step.list.pages; ++i) step.page_mass[i] += list_mass_[static_cast<size_t>(i)];
}

// One token of a decode step, to the pages that it chose.
void Forward::attend_step_chosen(const Memory& memory, int64_t layer, const Step& step, const Selection& selection,
                                 const Run& run) {
  const Geometry& g = weights_.geometry;
  const PageList& list = step.list;
  const int64_t lists = selection.vote == Vote::kPerHead ? g.heads : g.kv_heads;
  const int64_t most = memory.capacity();
  grow(scores_, g.heads * most);
  grow(select_workspace_, g.heads * most);
  grow(chosen_, lists * std::min(most, budget_pages(selection)));
  grow(chosen_count_, lists);
  AttendArgs args = attend_args(memory, layer, step.row, 1);
  Choice choice;
  choice.list = list;
  choice.kv = args.kv;
  choice.q = args.q;
  choice.heads = g.heads;
  choice.scores = scores_.data();
  choice.workspace = select_workspace_.data();
  choice.chosen = chosen_.data();
  choice.chosen_count = chosen_count_.data();
  const int64_t budget = choose(memory.summary(), choice, selection, run);
  step.counts->scored += list.pages * g.kv_heads;
  int64_t longest = list.pages;
  lists_.assign(static_cast<size_t>(lists), list);
  if (!selection.observe) {
    longest = budget;
    grow(chosen_slots_, lists * budget);
    grow(chosen_counts_, lists * budget);
    for (int64_t i = 0; i < lists; ++i) {
      int32_t* const counts = chosen_counts_.data() + i * budget;
      lists_[static_cast<size_t>(i)] = list_of_chosen(list, choice.chosen + i * budget, choice.chosen_count[i],
                                                      PageList{}, chosen_slots_.data() + i * budget, counts);
      counts[choice.chosen_count[i] - 1] = step.visible.count;  // its own page, which is forced
    }
  }
  for (int64_t i = 0; i < lists; ++i) {
    step.counts->selected += chosen_count_[static_cast<size_t>(i)];
    step.counts->attended += lists_[static_cast<size_t>(i)].pages;
  }
  args.lists = lists_.data();
  args.list_count = lists;
  args.visible = selection.observe ? &step.visible : nullptr;
  args.split = true;
  if (step.page_mass != nullptr || selection.observe) {
    grow(list_mass_, lists * longest);
    args.page_mass = list_mass_.data();
    args.mass_stride = longest;
  }
  grow(attend_workspace_, attend_workspace(args, pool_.threads()));
  args.workspace = attend_workspace_.data();
  ops_.attend(args, run);
  if (args.page_mass == nullptr) return;
  for (int64_t i = 0; i < lists; ++i) {
    const float* const mass = list_mass_.data() + i * longest;
    const int32_t* const chosen = chosen_.data() + i * budget;
    for (int64_t j = 0; j < chosen_count_[static_cast<size_t>(i)]; ++j) {
      const float of_page = mass[selection.observe ? chosen[j] : j];
      step.counts->captured += selection.observe ? of_page : 0;
      if (step.page_mass != nullptr) step.page_mass[chosen[j]] += of_page;
    }
  }
  if (selection.observe) step.counts->observed += g.heads;
}

// The tokens from `first` on of every query block that chooses: to the pages before the block that its tokens chose together,
// and to the block's own as far as they see them. The queries of all its tokens choose, also where only the last tokens'
// outputs are wanted. A task is a block and a KV head: the same ops as in a step, each run by one thread.
void Forward::attend_blocks(const Memory& memory, int64_t layer, int64_t first, const ChunkPlan& plan, const Run& run,
                            const Selection& selection) {
  const Geometry& g = weights_.geometry;
  const PageList list = memory.list();
  const int64_t group = g.heads / g.kv_heads;
  const int64_t most_rows = kQueryPages * group;
  choosing_.clear();
  for (const QueryBlock& block : plan.blocks)
    if (block.first_token + block.tokens > first && selects(selection, layer, block.first_page))
      choosing_.push_back(block);
  const auto count = static_cast<int64_t>(choosing_.size());
  const int64_t tasks = count * g.kv_heads;
  if (count == 0) return;
  const int64_t most_pages = choosing_.back().first_page;
  const int64_t budget_of_all = std::min(most_pages, budget_pages(selection));
  const int64_t room = budget_of_all + kQueryPages;
  grow(page_queries_, tasks * most_rows * g.head_size);
  grow(scores_, tasks * most_rows * most_pages);
  grow(select_workspace_, tasks * most_rows * most_pages);
  grow(chosen_, tasks * budget_of_all);
  grow(chosen_count_, tasks);
  grow(chosen_slots_, tasks * room);
  grow(chosen_counts_, tasks * room);
  lists_.resize(static_cast<size_t>(tasks));

  const auto choose_pages = [&](int64_t task) {
    const QueryBlock& block = choosing_[static_cast<size_t>(task / g.kv_heads)];
    const int64_t kv_head = task % g.kv_heads;
    const int64_t own = (block.tokens + kPageTokens - 1) / kPageTokens;
    ThreadPool alone(1);
    const Run here{&alone, run.cancel};
    const AttendArgs all = attend_args(memory, layer, block.first_token, block.tokens);
    float* const queries = page_queries_.data() + task * most_rows * g.head_size;
    ops_.page_queries({all.q + kv_head * group * g.head_size, all.stride, block.tokens, group, 1, g.head_size, queries},
                      here);
    Choice choice;
    choice.list = {list.slot, list.count, block.first_page};
    choice.kv = all.kv.head(kv_head);
    choice.q = queries;
    choice.heads = own * group;
    choice.scores = scores_.data() + task * most_rows * most_pages;
    choice.workspace = select_workspace_.data() + task * most_rows * most_pages;
    choice.chosen = chosen_.data() + task * budget_of_all;
    choice.chosen_count = chosen_count_.data() + task;
    choose(memory.summary(), choice, selection, here);
    lists_[static_cast<size_t>(task)] =
        list_of_chosen(choice.list, choice.chosen, *choice.chosen_count,
                       {list.slot + block.first_page, list.count + block.first_page, own},
                       chosen_slots_.data() + task * room, chosen_counts_.data() + task * room);
  };
  run.pool->run(tasks, choose_pages, run.cancel);
  if (run.cancel != nullptr && run.cancel->load(std::memory_order_relaxed)) return;  // lists may be missing

  visible_.clear();
  for (int64_t i = 0; i < count; ++i) {
    const QueryBlock& block = choosing_[static_cast<size_t>(i)];
    for (int64_t t = 0; t < block.tokens; ++t) {
      Visible visible = plan.visible[static_cast<size_t>(block.first_token + t)];
      // Every KV head's list has as many chosen pages.
      visible.page += static_cast<int32_t>(chosen_count_[static_cast<size_t>(i * g.kv_heads)] - block.first_page);
      visible_.push_back(visible);
    }
  }
  calls_.clear();
  int64_t seen = 0, workspace = 0;
  for (int64_t i = 0; i < count; ++i) {
    const QueryBlock& block = choosing_[static_cast<size_t>(i)];
    const int64_t begin = std::max(first, block.first_token);
    const int64_t end = block.first_token + block.tokens;
    AttendArgs args = attend_args(memory, layer, begin, end - begin);
    args.lists = lists_.data() + i * g.kv_heads;
    args.list_count = g.kv_heads;
    args.visible = visible_.data() + seen + (begin - block.first_token);
    seen += block.tokens;
    workspace += attend_workspace(args, pool_.threads());
    calls_.push_back(args);
  }
  grow(attend_workspace_, workspace);
  workspace = 0;
  for (AttendArgs& args : calls_) {
    args.workspace = attend_workspace_.data() + workspace;
    workspace += attend_workspace(args, pool_.threads());
  }
  ops_.attend_several(calls_.data(), count, run);
}

}  // namespace quire
