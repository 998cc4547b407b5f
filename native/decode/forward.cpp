// forward.cpp — see forward.h. `run` reads like the model: norm, QKV, RoPE, append, attend, output, norm, MLP.
#include "native/decode/forward.h"

#include <algorithm>
#include <cmath>

namespace quire {

struct Forward::Attention {
  bool decode = false;                   // one token, by selection
  const Selection* selection = nullptr;  // decode only
  PageCounts* counts = nullptr;          // decode only
  std::vector<float>* page_mass = nullptr;
};

namespace {

void throw_if_cancelled(const std::atomic<bool>& cancel) {
  if (cancel.load(std::memory_order_relaxed)) throw Error("cancelled", "the engine was asked to stop");
}

bool wants_float(const PackedMatrix& matrix) { return matrix.is_float(); }

bool any_float(std::initializer_list<const PackedMatrix*> matrices) {
  return std::any_of(matrices.begin(), matrices.end(), [](const PackedMatrix* m) { return m->is_float(); });
}

template <typename T>
void grow(std::vector<T>& buffer, int64_t size) {
  if (static_cast<int64_t>(buffer.size()) < size) buffer.resize(static_cast<size_t>(size));
}

}  // namespace

Forward::Forward(const ModelWeights& weights, const Ops& ops, ThreadPool& pool, const RopeScaling& scaling)
    : weights_(weights),
      ops_(ops),
      pool_(pool),
      rope_(weights.geometry.head_size, weights.geometry.rope_base, scaling),
      last_hidden_(static_cast<size_t>(weights.geometry.embedding)) {}

void Forward::reserve(int64_t tokens) {
  if (tokens <= reserved_) return;
  const Geometry& g = weights_.geometry;
  const int64_t widest = std::max({g.embedding, g.feed_forward, g.q_columns()});
  grow(x_, tokens * g.embedding);
  grow(normed_, tokens * g.embedding);
  grow(qkv_, tokens * (g.q_columns() + 2 * g.kv_columns()));
  grow(attended_, tokens * g.q_columns());
  grow(gate_up_, tokens * 2 * g.feed_forward);
  grow(mlp_, tokens * g.feed_forward);
  grow(codes_, tokens * widest);
  grow(scales_, tokens * widest / kQuantBlock);
  grow(sums_, tokens * widest / 16);
  reserved_ = tokens;
}

QuantRows Forward::quant_rows(int64_t first, int64_t tokens, int64_t columns) {
  QuantRows rows;
  rows.codes = codes_.data() + first * columns;
  rows.scales = scales_.data() + first * columns / kQuantBlock;
  rows.sums = sums_.data() + first * columns / 16;
  rows.tokens = tokens;
  rows.columns = columns;
  return rows;
}

void Forward::prefill(Memory& memory, const std::vector<int32_t>& tokens, const std::vector<int32_t>& starts,
                      const std::atomic<bool>& cancel, std::vector<float>* logits) {
  for (const int32_t token : tokens)
    if (token < 0 || token >= weights_.geometry.vocabulary)
      throw Error("bad-option", "token id " + std::to_string(token) + " is not in the vocabulary", "tokens");
  if (tokens.empty()) return;
  const Memory::Mark before = memory.mark();
  const ChunkPlan plan = memory.plan_append(static_cast<int64_t>(tokens.size()), starts);
  try {
    run(memory, tokens, plan, cancel, Attention{}, logits);
  } catch (...) {
    const int32_t shortened = memory.roll_back(before);
    if (shortened >= 0) summarize_page(memory, shortened, memory.list().count[memory.pages() - 1]);
    throw;
  }
}

void Forward::step(Memory& memory, int32_t token, const Selection& selection, const std::atomic<bool>& cancel,
                   PageCounts& counts, std::vector<float>* page_mass) {
  const Memory::Mark before = memory.mark();
  const ChunkPlan plan = memory.plan_append(1, {});
  Attention attention;
  attention.decode = true;
  attention.selection = &selection;
  attention.counts = &counts;
  attention.page_mass = page_mass;
  try {
    run(memory, {token}, plan, cancel, attention, nullptr);
  } catch (...) {
    memory.roll_back(before);  // the page being filled has no summary yet: close_page makes it
    throw;
  }
}

void Forward::run(Memory& memory, const std::vector<int32_t>& tokens, const ChunkPlan& plan,
                  const std::atomic<bool>& cancel, const Attention& attention, std::vector<float>* logits) {
  const Geometry& g = weights_.geometry;
  const auto count = static_cast<int64_t>(tokens.size());
  const int64_t qkv_stride = g.q_columns() + 2 * g.kv_columns();
  const Run run{&pool_, &cancel};
  reserve(count);
  rope_.fill(plan.positions, cosine_, sine_);
  ops_.embed({&weights_.embedding, tokens.data(), x_.data(), count}, run);

  for (int64_t l = 0; l < g.layers; ++l) {
    const LayerWeights& layer = weights_.layers[static_cast<size_t>(l)];
    throw_if_cancelled(cancel);

    // norm + QKV
    QuantRows quant = quant_rows(0, count, g.embedding);
    float* normed = any_float({&layer.q, &layer.k, &layer.v}) ? normed_.data() : nullptr;
    ops_.norm({x_.data(), layer.attention_norm.data(), g.norm_epsilon, count, g.embedding, normed, &quant}, run);
    float* q = qkv_.data();
    float* k = q + g.q_columns();
    float* v = k + g.kv_columns();
    const auto bias = [](const std::vector<float>& values) { return values.empty() ? nullptr : values.data(); };
    ops_.matmul({&layer.q, &quant, normed, bias(layer.q_bias), false, q, qkv_stride, count}, run);
    ops_.matmul({&layer.k, &quant, normed, bias(layer.k_bias), false, k, qkv_stride, count}, run);
    ops_.matmul({&layer.v, &quant, normed, bias(layer.v_bias), false, v, qkv_stride, count}, run);
    throw_if_cancelled(cancel);

    // RoPE + append + summary
    const bool halves = g.architecture == Architecture::kQwen2;
    ops_.rope({q, qkv_stride, cosine_.data(), sine_.data(), count, g.heads, g.head_size, halves}, run);
    ops_.rope({k, qkv_stride, cosine_.data(), sine_.data(), count, g.kv_heads, g.head_size, halves}, run);
    ops_.append({k, v, qkv_stride, plan.slots.data(), plan.places.data(), count, memory.layer(l)}, run);
    const bool page_filled = plan.touched_counts.back() == kPageTokens;
    if (!attention.decode || page_filled)
      ops_.summarize({memory.summary(), plan.touched_slots.data(), plan.touched_counts.data(),
                      static_cast<int64_t>(plan.touched_slots.size()), memory.layer(l)},
                     run);

    // What follows is needed of every token, except in the last layer, where only outputs that are asked for are.
    const int64_t first = l + 1 < g.layers || logits != nullptr ? 0 : count - 1;
    const int64_t rest = count - first;
    attend(memory, l, first, plan, run, attention);
    throw_if_cancelled(cancel);

    // output + residual
    QuantRows attended = quant_rows(0, rest, g.q_columns());
    float* const attended_floats = attended_.data() + first * g.q_columns();
    ops_.quantize({attended_floats, &attended}, run);
    float* const x = x_.data() + first * g.embedding;
    ops_.matmul({&layer.output, &attended, attended_floats, nullptr, true, x, g.embedding, rest}, run);

    // norm + MLP
    QuantRows hidden = quant_rows(0, rest, g.embedding);
    normed = any_float({&layer.gate, &layer.up}) ? normed_.data() : nullptr;
    ops_.norm({x, layer.mlp_norm.data(), g.norm_epsilon, rest, g.embedding, normed, &hidden}, run);
    float* const gate = gate_up_.data();
    float* const up = gate + g.feed_forward;
    ops_.matmul({&layer.gate, &hidden, normed, nullptr, false, gate, 2 * g.feed_forward, rest}, run);
    ops_.matmul({&layer.up, &hidden, normed, nullptr, false, up, 2 * g.feed_forward, rest}, run);
    throw_if_cancelled(cancel);
    QuantRows activated = quant_rows(0, rest, g.feed_forward);
    float* const activated_floats = wants_float(layer.down) ? mlp_.data() : nullptr;
    ops_.swiglu({gate, up, 2 * g.feed_forward, rest, g.feed_forward, activated_floats, &activated}, run);
    ops_.matmul({&layer.down, &activated, activated_floats, nullptr, true, x, g.embedding, rest}, run);
  }
  throw_if_cancelled(cancel);

  const float* const last = x_.data() + (count - 1) * g.embedding;
  std::copy(last, last + g.embedding, last_hidden_.begin());
  has_last_ = true;
  if (logits != nullptr) {
    logits->resize(static_cast<size_t>(count * g.vocabulary));
    project(x_, count, run, logits->data());
    throw_if_cancelled(cancel);
  }
}

void Forward::attend(const Memory& memory, int64_t layer, int64_t first, const ChunkPlan& plan, const Run& run,
                     const Attention& attention) {
  const Geometry& g = weights_.geometry;
  const PageList list = memory.list();
  if (attention.decode) {
    PageCounts& counts = *attention.counts;
    counts.total += list.pages * g.kv_heads;
    if (selects(memory, layer, *attention.selection)) {
      attend_selected(memory, layer, run, attention);
      return;
    }
    counts.attended += list.pages * g.kv_heads;
  }
  AttendArgs args;
  args.stride = g.q_columns() + 2 * g.kv_columns();
  args.q = qkv_.data() + first * args.stride;
  args.out = attended_.data() + first * g.q_columns();
  args.tokens = static_cast<int64_t>(plan.visible.size()) - first;
  args.heads = g.heads;
  args.scale = 1.0f / std::sqrt(static_cast<float>(g.head_size));
  args.kv = memory.layer(layer);
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

bool Forward::selects(const Memory& memory, int64_t layer, const Selection& selection) const {
  if (selection.page_budget <= 0 || layer < selection.dense_layers) return false;
  return selection.force || memory.pages() > selection.page_budget / kPageTokens;
}

void Forward::attend_selected(const Memory& memory, int64_t layer, const Run& run, const Attention& attention) {
  const Geometry& g = weights_.geometry;
  const Selection& selection = *attention.selection;
  const PageList list = memory.list();
  const int64_t lists = selection.vote == Vote::kPerHead ? g.heads : g.kv_heads;
  const int64_t forced = selection.sink_pages + selection.recent_pages;
  const int64_t budget = std::min(list.pages, std::max(selection.page_budget / kPageTokens, forced));
  const float* q = qkv_.data();

  // score
  grow(scores_, g.heads * list.pages);
  ops_.score({memory.summary(), selection.spread_factor, q, g.heads, list, memory.layer(layer), scores_.data()}, run);
  attention.counts->scored += list.pages * g.kv_heads;

  // select
  grow(select_workspace_, g.heads * list.pages);
  grow(chosen_, lists * budget);
  grow(chosen_count_, lists);
  SelectArgs select;
  select.vote = selection.vote;
  select.scores = scores_.data();
  select.heads = g.heads;
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

  // attend
  const int64_t longest = make_lists(list, lists, budget, selection);
  for (int64_t i = 0; i < lists; ++i) {
    attention.counts->selected += chosen_count_[static_cast<size_t>(i)];
    attention.counts->attended += lists_[static_cast<size_t>(i)].pages;
  }
  AttendArgs args;
  args.stride = g.q_columns() + 2 * g.kv_columns();
  args.q = q;
  args.out = attended_.data();
  args.tokens = 1;
  args.heads = g.heads;
  args.scale = 1.0f / std::sqrt(static_cast<float>(g.head_size));
  args.kv = memory.layer(layer);
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

int64_t Forward::make_lists(const PageList& list, int64_t lists, int64_t budget, const Selection& selection) {
  lists_.clear();
  if (selection.observe) {
    lists_.assign(static_cast<size_t>(lists), list);
    return list.pages;
  }
  grow(chosen_slots_, lists * budget);
  grow(chosen_counts_, lists * budget);
  for (int64_t i = 0; i < lists; ++i) {
    const int32_t* const chosen = chosen_.data() + i * budget;
    int32_t* const slots = chosen_slots_.data() + i * budget;
    int32_t* const counts = chosen_counts_.data() + i * budget;
    const int64_t n = chosen_count_[static_cast<size_t>(i)];
    for (int64_t j = 0; j < n; ++j) {
      slots[j] = list.slot[chosen[j]];
      counts[j] = list.count[chosen[j]];
    }
    lists_.push_back({slots, counts, n});
  }
  return budget;
}

void Forward::close_page(const Memory& memory) {
  if (memory.pages() == 0) return;
  const PageList list = memory.list();
  summarize_page(memory, list.slot[list.pages - 1], list.count[list.pages - 1]);
}

void Forward::summarize_page(const Memory& memory, int32_t slot, int32_t count) {
  const Run run{&pool_, nullptr};
  for (int64_t l = 0; l < weights_.geometry.layers; ++l)
    ops_.summarize({memory.summary(), &slot, &count, 1, memory.layer(l)}, run);
}

void Forward::project(const std::vector<float>& hidden, int64_t tokens, const Run& run, float* logits) {
  const Geometry& g = weights_.geometry;
  const PackedMatrix& head = weights_.output_head();
  QuantRows quant = quant_rows(0, tokens, g.embedding);
  float* const normed = wants_float(head) ? normed_.data() : nullptr;
  ops_.norm({hidden.data(), weights_.final_norm.data(), g.norm_epsilon, tokens, g.embedding, normed, &quant}, run);
  ops_.matmul({&head, &quant, normed, nullptr, false, logits, g.vocabulary, tokens}, run);
}

void Forward::last_logits(std::vector<float>& out) {
  if (!has_last_) throw Error("bad-option", "nothing was appended to this memory yet");
  reserve(1);
  out.resize(static_cast<size_t>(weights_.geometry.vocabulary));
  project(last_hidden_, 1, Run{&pool_, nullptr}, out.data());
}

}  // namespace quire
