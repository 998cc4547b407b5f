// forward.cpp — see forward.h. `run` reads like the model: norm, QKV, RoPE, append, attend, output, norm, MLP.
#include "native/decode/forward.h"

#include <algorithm>

#include "native/decode/grow.h"

namespace quire {

namespace {

void throw_if_cancelled(const std::atomic<bool>& cancel) {
  if (cancel.load(std::memory_order_relaxed)) throw Error("cancelled", "the engine was asked to stop");
}

bool wants_float(const PackedMatrix& matrix) { return matrix.is_float(); }

bool any_float(std::initializer_list<const PackedMatrix*> matrices) {
  return std::any_of(matrices.begin(), matrices.end(), [](const PackedMatrix* m) { return m->is_float(); });
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
                      const std::atomic<bool>& cancel, std::vector<float>* logits, const Selection* reading) {
  for (const int32_t token : tokens)
    if (token < 0 || token >= weights_.geometry.vocabulary)
      throw Error("bad-option", "token id " + std::to_string(token) + " is not in the vocabulary", "tokens");
  if (reading != nullptr && (reading->vote == Vote::kPerHead || reading->observe))
    throw Error("bad-option", "a memory is read sparsely with a list per KV head, and observes nothing", "reading");
  if (tokens.empty()) return;
  const Memory::Mark before = memory.mark();
  const ChunkPlan plan = memory.plan_append(static_cast<int64_t>(tokens.size()), starts);
  Attention attention;
  attention.selection = reading;
  try {
    if (reading != nullptr && plan.begins_inside_block)
      throw Error("bad-option",
                  "a chunk that is read sparsely begins at a multiple of " + std::to_string(kQueryPages * kPageTokens) +
                      " tokens of its document",
                  "tokens");
    run(memory, tokens.data(), plan, cancel, attention, logits);
  } catch (...) {
    const int32_t shortened = memory.roll_back(before);
    if (shortened >= 0) summarize_page(memory, shortened, memory.list().count[memory.pages() - 1]);
    throw;
  }
}

void Forward::steps(Memory& memory, const int32_t* tokens, int64_t count, const Selection& selection,
                    const std::atomic<bool>& cancel, const StepResults& results) {
  if (count < 1 || count > kMostSteps) throw Error("internal", "too many steps at once", "steps");
  const Memory::Mark before = memory.mark();
  memory.plan_append(count, {}, plan_);
  Attention attention;
  attention.decode = true;
  attention.selection = &selection;
  attention.results = results;
  if (results.page_mass != nullptr)
    for (int64_t t = 0; t < count; ++t) grow(results.page_mass[t], plan_.visible[static_cast<size_t>(t)].page + 1);
  try {
    run(memory, tokens, plan_, cancel, attention, results.logits);
  } catch (...) {
    memory.roll_back(before);  // the page being filled has no summary yet: close_page makes it
    throw;
  }
}

void Forward::keep_steps(Memory& memory, int64_t count, int64_t kept) {
  if (kept < 1 || kept > count) throw Error("internal", "a step that was not made cannot be kept", "keep_steps");
  if (kept == count) return;
  Memory::Mark mark = memory.mark();
  mark.last_document_tokens -= count - kept;
  memory.roll_back(mark);  // as in steps
  const float* const last = x_.data() + (kept - 1) * weights_.geometry.embedding;
  std::copy(last, last + weights_.geometry.embedding, last_hidden_.begin());
}

void Forward::run(Memory& memory, const int32_t* tokens, const ChunkPlan& plan, const std::atomic<bool>& cancel,
                  const Attention& attention, std::vector<float>* logits) {
  const Geometry& g = weights_.geometry;
  const auto count = static_cast<int64_t>(plan.slots.size());
  const int64_t qkv_stride = g.q_columns() + 2 * g.kv_columns();
  const Run run{&pool_, &cancel};
  reserve(count);
  rope_.fill(plan.positions, cosine_, sine_);
  ops_.embed({&weights_.embedding, tokens, x_.data(), count}, run);

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
    const MatmulArgs qkv[] = {{&layer.q, &quant, normed, bias(layer.q_bias), false, q, qkv_stride, count},
                              {&layer.k, &quant, normed, bias(layer.k_bias), false, k, qkv_stride, count},
                              {&layer.v, &quant, normed, bias(layer.v_bias), false, v, qkv_stride, count}};
    ops_.matmul_several(qkv, 3, run);
    throw_if_cancelled(cancel);

    // RoPE + append + summary
    const bool halves = g.architecture == Architecture::kQwen2;
    ops_.rope({q, qkv_stride, cosine_.data(), sine_.data(), count, g.heads, g.head_size, halves}, run);
    ops_.rope({k, qkv_stride, cosine_.data(), sine_.data(), count, g.kv_heads, g.head_size, halves}, run);
    ops_.append({k, v, qkv_stride, plan.slots.data(), plan.places.data(), count, memory.layer(l)}, run);
    // While answering, the page being filled has no summary: it is forced.
    const bool filling = attention.decode && plan.touched_counts.back() < kPageTokens;
    const auto touched = static_cast<int64_t>(plan.touched_slots.size()) - (filling ? 1 : 0);
    if (touched > 0)
      ops_.summarize(
          {memory.summary(), plan.touched_slots.data(), plan.touched_counts.data(), touched, memory.layer(l)}, run);

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
    const MatmulArgs gate_up[] = {{&layer.gate, &hidden, normed, nullptr, false, gate, 2 * g.feed_forward, rest},
                                  {&layer.up, &hidden, normed, nullptr, false, up, 2 * g.feed_forward, rest}};
    ops_.matmul_several(gate_up, 2, run);
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
    if (attention.decode)
      grow(*logits, kMostSteps * g.vocabulary);
    else
      logits->resize(static_cast<size_t>(count * g.vocabulary));
    project(x_, count, run, logits->data());
    throw_if_cancelled(cancel);
  }
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
