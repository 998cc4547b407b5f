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

}  // namespace

void Forward::attend(const Memory& memory, int64_t layer, int64_t first, const ChunkPlan& plan, const Run& run,
                     const Attention& attention) {
  const int64_t pages = memory.pages();
  const auto tokens = static_cast<int64_t>(plan.visible.size());
  if (attention.decode) {
    attention.counts->total += pages * memory.layer(layer).kv_heads;
    if (selects(*attention.selection, layer, pages)) return attend_chosen(memory, layer, run, attention);
    attention.counts->attended += pages * memory.layer(layer).kv_heads;
  } else if (attention.selection != nullptr) {
    int64_t dense_from = first;  // blocks that do not select attend together
    for (const QueryBlock& block : plan.blocks) {
      const int64_t begin = std::max(first, block.first_token);
      const int64_t end = block.first_token + block.tokens;
      if (end <= first || !selects(*attention.selection, layer, block.first_page)) continue;
      if (begin > dense_from) attend_all(memory, layer, dense_from, begin, plan, run, attention);
      attend_block(memory, layer, begin, block, plan, run, *attention.selection);
      dense_from = end;
    }
    if (dense_from < tokens) attend_all(memory, layer, dense_from, tokens, plan, run, attention);
    return;
  }
  attend_all(memory, layer, first, tokens, plan, run, attention);
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
                         const Run& run, const Attention& attention) {
  const PageList list = memory.list();
  AttendArgs args = attend_args(memory, layer, first, end - first);
  args.lists = &list;
  args.list_count = 1;
  args.visible = plan.visible.data() + first;
  args.split = attention.decode;
  if (attention.page_mass != nullptr) {
    grow(list_mass_, list.pages);
    args.page_mass = list_mass_.data();
    args.mass_stride = list.pages;
  }
  grow(attend_workspace_, attend_workspace(args, pool_.threads()));
  args.workspace = attend_workspace_.data();
  ops_.attend(args, run);
  if (attention.page_mass != nullptr)
    for (int64_t i = 0; i < list.pages; ++i)
      (*attention.page_mass)[static_cast<size_t>(i)] += list_mass_[static_cast<size_t>(i)];
}

// Score and select: leaves chosen_ [lists, budget] and chosen_count_, and returns the budget. `heads` rows of q, those of a
// KV head together.
int64_t Forward::choose(const Memory& memory, int64_t layer, const PageList& list, const float* q, int64_t heads,
                        const Run& run, const Selection& selection) {
  const Geometry& g = weights_.geometry;
  const int64_t lists = selection.vote == Vote::kPerHead ? heads : g.kv_heads;
  const int64_t budget = std::min(list.pages, budget_pages(selection));
  grow(scores_, heads * list.pages);
  ops_.score({memory.summary(), selection.spread_factor, q, heads, list, memory.layer(layer), scores_.data()}, run);
  grow(select_workspace_, heads * list.pages);
  grow(chosen_, lists * budget);
  grow(chosen_count_, lists);
  SelectArgs select;
  select.vote = selection.vote;
  select.scores = scores_.data();
  select.heads = heads;
  select.kv_heads = g.kv_heads;
  select.head_size = g.head_size;
  select.pages = list.pages;
  select.budget_pages = budget;
  select.sink_pages = std::min(selection.sink_pages, budget);
  select.recent_pages = std::min(selection.recent_pages, budget - select.sink_pages);
  select.chosen = chosen_.data();
  select.chosen_count = chosen_count_.data();
  select.workspace = select_workspace_.data();
  ops_.select(select, run);
  return budget;
}

// Makes lists_ of the chosen entries of `list`, each followed by `own`. Returns the longest list's pages.
int64_t Forward::make_lists(const PageList& list, int64_t lists, int64_t budget, const PageList& own) {
  lists_.clear();
  const int64_t room = budget + own.pages;
  grow(chosen_slots_, lists * room);
  grow(chosen_counts_, lists * room);
  for (int64_t i = 0; i < lists; ++i) {
    const int32_t* const chosen = chosen_.data() + i * budget;
    int32_t* const slots = chosen_slots_.data() + i * room;
    int32_t* const counts = chosen_counts_.data() + i * room;
    const int64_t n = chosen_count_[static_cast<size_t>(i)];
    for (int64_t j = 0; j < n; ++j) {
      slots[j] = list.slot[chosen[j]];
      counts[j] = list.count[chosen[j]];
    }
    std::copy(own.slot, own.slot + own.pages, slots + n);
    std::copy(own.count, own.count + own.pages, counts + n);
    lists_.push_back({slots, counts, n + own.pages});
  }
  return room;
}

// The one token of a decode step, to the pages that it chose.
void Forward::attend_chosen(const Memory& memory, int64_t layer, const Run& run, const Attention& attention) {
  const Geometry& g = weights_.geometry;
  const Selection& selection = *attention.selection;
  const PageList list = memory.list();
  const int64_t lists = selection.vote == Vote::kPerHead ? g.heads : g.kv_heads;
  const int64_t budget = choose(memory, layer, list, qkv_.data(), g.heads, run, selection);
  attention.counts->scored += list.pages * g.kv_heads;
  int64_t longest = list.pages;
  if (selection.observe)
    lists_.assign(static_cast<size_t>(lists), list);
  else
    longest = make_lists(list, lists, budget, PageList{});
  for (int64_t i = 0; i < lists; ++i) {
    attention.counts->selected += chosen_count_[static_cast<size_t>(i)];
    attention.counts->attended += lists_[static_cast<size_t>(i)].pages;
  }
  AttendArgs args = attend_args(memory, layer, 0, 1);
  args.lists = lists_.data();
  args.list_count = lists;
  args.split = true;
  if (attention.page_mass != nullptr || selection.observe) {
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
      attention.counts->captured += selection.observe ? of_page : 0;
      if (attention.page_mass != nullptr) (*attention.page_mass)[static_cast<size_t>(chosen[j])] += of_page;
    }
  }
  if (selection.observe) attention.counts->observed += g.heads;
}

// The tokens of a query block from `first` on, to the pages before the block that its tokens chose together, and to the block's
// own as far as they see them. The queries of all its tokens choose, also where only the last tokens' outputs are wanted.
void Forward::attend_block(const Memory& memory, int64_t layer, int64_t first, const QueryBlock& block,
                           const ChunkPlan& plan, const Run& run, const Selection& selection) {
  const Geometry& g = weights_.geometry;
  const PageList list = memory.list();
  const PageList before{list.slot, list.count, block.first_page};
  const int64_t block_pages = (block.tokens + kPageTokens - 1) / kPageTokens;
  const PageList own{list.slot + block.first_page, list.count + block.first_page, block_pages};
  const int64_t end = block.first_token + block.tokens;

  const AttendArgs whole = attend_args(memory, layer, block.first_token, block.tokens);
  grow(page_queries_, block_pages * g.q_columns());
  ops_.page_queries({whole.q, whole.stride, block.tokens, g.heads, g.kv_heads, g.head_size, page_queries_.data()}, run);
  const int64_t budget = choose(memory, layer, before, page_queries_.data(), block_pages * g.heads, run, selection);
  make_lists(before, g.kv_heads, budget, own);

  visible_.clear();
  for (int64_t t = first; t < end; ++t) {
    Visible visible = plan.visible[static_cast<size_t>(t)];
    visible.page += static_cast<int32_t>(chosen_count_[0] - block.first_page);  // every list has as many
    visible_.push_back(visible);
  }
  AttendArgs args = attend_args(memory, layer, first, end - first);
  args.lists = lists_.data();
  args.list_count = g.kv_heads;
  args.visible = visible_.data();
  grow(attend_workspace_, attend_workspace(args, pool_.threads()));
  args.workspace = attend_workspace_.data();
  ops_.attend(args, run);
}

}  // namespace quire
