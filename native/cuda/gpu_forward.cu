// gpu_forward.cu — see gpu_forward.h. `layers_of_chunk` and `layers_of_step` read like the model: norm, QKV, RoPE, append,
// attend, output, norm, MLP.
#include "native/cuda/gpu_forward.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <thread>
#include <tuple>

#include "native/cuda/gpu_model.h"
#include "native/cuda/mirror.h"
#include "native/cuda/page_tier.h"
#include "native/kernels/cuda/attention.h"
#include "native/kernels/cuda/gemm.h"
#include "native/kernels/cuda/gemv.h"
#include "native/kernels/cuda/rows.h"
#include "native/kernels/cuda/sample.h"

namespace quire::cuda {
namespace {

constexpr int64_t kChunkTokens = 4096;  // prefilled at once: 0.6 GB of working memory for a 7B; 2048 is 4 % slower
constexpr int kStepsAhead = 3;  // graphs under way: the device never waits for the host, and a cancel for three steps
constexpr int64_t kSmallestBucket = 64;  // pages

int64_t bucket_of(int64_t pages) {
  int64_t bucket = kSmallestBucket;
  while (bucket < pages) bucket *= 2;
  return bucket;
}

template <typename T>
void copy_in(T* to, const T* from, int64_t count, cudaStream_t stream) {
  check(cudaMemcpyAsync(to, from, static_cast<size_t>(count) * sizeof(T), cudaMemcpyHostToDevice, stream), "copy");
}

__global__ void noise_kernel(__half* p, int64_t count, uint32_t seed) {
  for (int64_t i = blockIdx.x * 256ll + threadIdx.x; i < count; i += gridDim.x * 256ll) {
    uint32_t h = (static_cast<uint32_t>(i) + seed) * 2654435761u;
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    p[i] = __float2half(static_cast<float>(h & 0xffff) / 32768.0f - 1.0f);
  }
}

void check_reading(const Selection& reading) {
  check_selection(reading);
  if (reading.observe || reading.vote == Vote::kPerHead)
    throw Error("bad-option", "reading sparsely needs one list for each KV head, and does not observe", "reading");
}

// Of the tokens [first, first + most), as many as end with a query block; a block is never longer than the least chunk.
int64_t whole_blocks(const ChunkPlan& plan, int64_t first, int64_t most) {
  int64_t tokens = 0;
  for (const QueryBlock& block : plan.blocks) {
    const int64_t end = block.first_token + block.tokens - first;
    if (end > 0 && end <= most) tokens = end;
  }
  return tokens;
}

}  // namespace

std::shared_ptr<GpuModel> upload_model(const ModelWeights& weights) {
  device_info();
  return std::make_shared<GpuModel>(GpuModel::upload(weights));
}
int64_t model_bytes(const GpuModel& model) { return model.bytes; }

int64_t work_bytes(const Geometry& g) {
  const int64_t qkv = g.q_columns() + 2 * g.kv_columns();
  const int64_t of_token = 4 * g.embedding + 2 * g.embedding + 4 * qkv + 2 * g.q_columns() + 8 * g.feed_forward +
                           2 * g.feed_forward + 64;  // the buffers of reserve_chunk
  constexpr int64_t kRest = int64_t{256} << 20;      // graphs, attention's workspace, logits, what the driver rounds up
  return kChunkTokens * of_token + kRest;
}

struct GpuForward::Impl {
  Impl(std::shared_ptr<GpuModel> of, Memory& books, const RopeScaling& scaling, int64_t device_bytes);
  ~Impl();

  const Geometry& geometry() const { return model->geometry; }
  DeviceKv kv(int64_t layer) const;
  DeviceList list() const { return {list_slots.get(), list_counts.get()}; }
  int64_t qkv_columns() const { return geometry().q_columns() + 2 * geometry().kv_columns(); }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(geometry().head_size)); }
  // As the kernels take it, of a page budget that the caller counts.
  PageSelection page_selection(const Selection& selection) const {
    PageSelection pages;
    pages.summary = memory.summary();
    pages.spread_factor = selection.spread_factor;
    pages.vote = selection.vote;
    pages.sink_pages = static_cast<int32_t>(selection.sink_pages);
    pages.recent_pages = static_cast<int32_t>(selection.recent_pages);
    return pages;
  }

  void reserve_chunk(int64_t tokens);
  void upload_list();
  void code_list(int64_t listed, int64_t budget_pages);
  void chunk(const std::vector<int32_t>& tokens, const ChunkPlan& plan, int64_t first, int64_t count,
             const Selection* selection, const std::atomic<bool>& cancel, float* logits);
  // How a chunk is read sparsely: its blocks that choose, and the runs of other tokens before, between and after them.
  struct Reading {
    const Selection* selection = nullptr;  // null: densely
    std::vector<ReadingBlock> blocks;
    std::vector<std::pair<int64_t, int64_t>> dense;  // first token, tokens
    int64_t touched = 0;                             // pages, in `touched` with their counts
  };
  Reading plan_reading(const Selection& selection, const ChunkPlan& plan, int64_t first, int64_t count);
  void attend_chunk(const DeviceKv& near, int64_t layer, int64_t tokens, const Reading& reading);
  void layers_of_chunk(int64_t tokens, const Reading& reading, const std::atomic<bool>& cancel);
  void project(const float* hidden);
  void keep_last();
  void place_pages(int64_t slots, int64_t device_bytes);
  void attend_tiered(AttentionStep attention, float* q, float* k, float* v, int64_t layer);
  void layers_of_step(const Selection& selection, int64_t bucket, float* mass);
  DeviceVector vector_of(const DeviceMatrix& weight) const;
  cudaGraphExec_t graph_of(const Selection& selection, int64_t bucket, bool sampled, bool drawn, bool mass);
  void drop_graphs();
  StepState state_now() const;
  void set_state(const StepState& state);

  std::shared_ptr<GpuModel> model;
  Memory& memory;
  RopeTable table;
  cudaStream_t stream = nullptr;

  DeviceBuffer<__half> pages, summaries;
  // The summaries in 8 bits (summary_codes.cu), where there is room: long lists are scored from them.
  DeviceBuffer<uint8_t> summary_codes;
  DeviceBuffer<float2> code_grid, code_space;
  bool coded = false;
  std::unique_ptr<PageTier> tier;  // instead of `pages` where those do not fit the device
  DeviceBuffer<int32_t> list_slots, list_counts;
  DeviceBuffer<double> frequencies;
  DeviceRope rope;

  // Of a step.
  DeviceBuffer<float> x, qkv, attended, cosine, sine, logits, last, normed, activated;
  DeviceBuffer<int8_t> codes, activated_codes;
  DeviceBuffer<float> scales, activated_scales, page_mass;
  DeviceBuffer<StepState> step;
  DeviceBuffer<uint8_t> workspace;
  DeviceBuffer<int64_t> counters;
  DeviceBuffer<SampleArgs> sample_args;
  DeviceBuffer<unsigned long long> sample_best;
  DeviceBuffer<uint32_t> arrivals, seen;
  MappedBuffer<Mapped> mapped;
  SampleSpace space;
  bool has_last = false;
  Selection graph_selection;
  std::map<std::tuple<int64_t, bool, bool, bool, bool>, cudaGraphExec_t> graphs;
  int64_t step_kernels = 0;

  // Of a chunk.
  DeviceBuffer<float> chunk_x, chunk_qkv, chunk_gate_up, row_scale;
  DeviceBuffer<__half> chunk_in, chunk_attended, chunk_activated;
  DeviceBuffer<int32_t> chunk_tokens, chunk_positions, chunk_slots, chunk_places, touched;
  DeviceBuffer<Visible> chunk_visible;
  DeviceBuffer<ReadingBlock> chunk_blocks;
  DeviceBuffer<uint8_t> reading_space;
};

GpuForward::Impl::Impl(std::shared_ptr<GpuModel> of, Memory& books, const RopeScaling& scaling, int64_t device_bytes)
    : model(std::move(of)), memory(books), table(model->geometry.head_size, model->geometry.rope_base, scaling) {
  const Geometry& g = geometry();
  if (g.head_size != 64 && g.head_size != 128)
    throw Error("unsupported-model", "the CUDA backend needs a head size of 64 or 128", "attention.key_length");
  if (g.heads / g.kv_heads > kMaxGroup)
    throw Error("unsupported-model", "the CUDA backend takes at most 8 query heads for a KV head",
                "attention.head_count");
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
  const int64_t slots = checked_round_up(memory.capacity(), kSummaryGroup, "pages");
  place_pages(slots, device_bytes);
  check(cudaMemsetAsync(summaries.get(), 0, static_cast<size_t>(summaries.count()) * 2, stream), "summaries");
  const int64_t listed = bucket_of(memory.capacity());
  list_slots = DeviceBuffer<int32_t>(listed);
  list_counts = DeviceBuffer<int32_t>(listed);
  page_mass = DeviceBuffer<float>(listed);
  frequencies = DeviceBuffer<double>(g.head_size / 2);
  copy_in(frequencies.get(), table.frequencies().data(), g.head_size / 2, stream);
  rope = {frequencies.get(), table.attention_factor(), g.architecture == Architecture::kQwen2};

  const int64_t widest = std::max(g.embedding, g.q_columns());
  x = DeviceBuffer<float>(g.embedding);
  last = DeviceBuffer<float>(g.embedding);
  normed = DeviceBuffer<float>(g.embedding);
  qkv = DeviceBuffer<float>(qkv_columns());
  attended = DeviceBuffer<float>(g.q_columns());
  cosine = DeviceBuffer<float>(g.head_size / 2);
  sine = DeviceBuffer<float>(g.head_size / 2);
  logits = DeviceBuffer<float>(g.vocabulary);
  codes = DeviceBuffer<int8_t>(widest);
  scales = DeviceBuffer<float>(widest / kQuantBlock);
  activated = DeviceBuffer<float>(g.feed_forward);
  activated_codes = DeviceBuffer<int8_t>(g.feed_forward);
  activated_scales = DeviceBuffer<float>(g.feed_forward / kQuantBlock);
  step = DeviceBuffer<StepState>(1);
  counters = DeviceBuffer<int64_t>(2);
  sample_args = DeviceBuffer<SampleArgs>(1);
  sample_best = DeviceBuffer<unsigned long long>(1);
  arrivals = DeviceBuffer<uint32_t>(1);
  seen = DeviceBuffer<uint32_t>(g.vocabulary / 32 + 1);
  mapped = MappedBuffer<Mapped>(1);
  check(cudaMemsetAsync(sample_best.get(), 0, 8, stream), "sample");
  check(cudaMemsetAsync(arrivals.get(), 0, 4, stream), "sample");
  space.args = sample_args.get();
  space.best = sample_best.get();
  space.arrivals = arrivals.get();
  space.seen = seen.get();
  space.step = step.get();
  space.list_slots = list_slots.get();
  space.counters = counters.get();
  space.mapped = mapped.get();
  check(cudaStreamSynchronize(stream), "memory");
}

GpuForward::Impl::~Impl() {
  drop_graphs();
  if (stream != nullptr) {
    cudaStreamSynchronize(stream);
    cudaStreamDestroy(stream);
  }
}

// Summaries on the device, and pages too where they fit into device_bytes (0: what is free, less what work takes).
void GpuForward::Impl::place_pages(int64_t slots, int64_t device_bytes) {
  const Geometry& g = geometry();
  const int64_t halves = checked_mul(g.layers * g.kv_heads * slots, 2 * kPageTokens * g.head_size, "pages");
  summaries = DeviceBuffer<__half>(g.layers * g.kv_heads * slots * 2 * g.head_size, "summaries");
  if (device_bytes == 0) {
    size_t free_bytes = 0, total = 0;
    check(cudaMemGetInfo(&free_bytes, &total), "pages");
    device_bytes = std::max<int64_t>(0, static_cast<int64_t>(free_bytes) - work_bytes(g));
  } else {
    device_bytes -= 2 * summaries.count();
  }
  if (2 * halves <= device_bytes) {
    pages = DeviceBuffer<__half>(halves, "pages");
    check(cudaMemsetAsync(pages.get(), 0, static_cast<size_t>(halves) * 2, stream), "pages");
    if (codes_pay(slots, g.kv_heads) && 2 * halves + summaries.count() <= device_bytes) {
      summary_codes = DeviceBuffer<uint8_t>(summaries.count(), "codes of summaries");
      code_grid = DeviceBuffer<float2>(g.layers * g.kv_heads * 2 * g.head_size);
      code_space = DeviceBuffer<float2>(code_partials(kv(0)));
    }
  } else {
    tier = std::make_unique<PageTier>(g, slots, device_bytes);
  }
}

DeviceKv GpuForward::Impl::kv(int64_t layer) const {
  const Geometry& g = geometry();
  DeviceKv kv;
  kv.slots = checked_round_up(memory.capacity(), kSummaryGroup, "pages");
  kv.kv_heads = static_cast<int32_t>(g.kv_heads);
  kv.head_size = static_cast<int32_t>(g.head_size);
  kv.pages = (tier ? tier->pages() : pages.get()) + layer * g.kv_heads * kv.slots * 2 * kPageTokens * g.head_size;
  kv.summaries = summaries.get() + layer * g.kv_heads * kv.slots * 2 * g.head_size;
  if (coded) {
    kv.codes = summary_codes.get() + layer * g.kv_heads * kv.slots * 2 * g.head_size;
    kv.grid = code_grid.get() + layer * g.kv_heads * 2 * g.head_size;
  }
  return kv;
}

// Codes of the list's summaries for the answer that begins; pages that it fills get theirs as they fill.
void GpuForward::Impl::code_list(int64_t listed, int64_t budget_pages) {
  const Geometry& g = geometry();
  coded = summary_codes.get() != nullptr && codes_pay(listed, g.kv_heads) && listed > budget_pages && budget_pages > 0;
  for (int64_t l = 0; coded && l < g.layers; ++l)
    code_summaries(kv(l), code_grid.get() + l * g.kv_heads * 2 * g.head_size, list(), listed, code_space.get(), stream);
}

void GpuForward::Impl::reserve_chunk(int64_t tokens) {
  const Geometry& g = geometry();
  chunk_x.grow(tokens * g.embedding);
  chunk_in.grow(tokens * g.embedding);
  chunk_qkv.grow(tokens * qkv_columns());
  chunk_attended.grow(tokens * g.q_columns());
  chunk_gate_up.grow(tokens * 2 * g.feed_forward);
  chunk_activated.grow(tokens * g.feed_forward);
  row_scale.grow(tokens);
  for (DeviceBuffer<int32_t>* buffer : {&chunk_tokens, &chunk_positions, &chunk_slots, &chunk_places})
    buffer->grow(tokens);
  touched.grow(2 * tokens + 2);
  chunk_visible.grow(tokens);
}

void GpuForward::Impl::upload_list() {
  const PageList list = memory.list();
  copy_in(list_slots.get(), list.slot, list.pages, stream);
  copy_in(list_counts.get(), list.count, list.pages, stream);
}

void GpuForward::Impl::chunk(const std::vector<int32_t>& tokens, const ChunkPlan& plan, int64_t first, int64_t count,
                             const Selection* selection, const std::atomic<bool>& cancel, float* out) {
  const Geometry& g = geometry();
  std::vector<int32_t> positions(plan.positions.begin() + first, plan.positions.begin() + first + count);
  copy_in(chunk_tokens.get(), tokens.data() + first, count, stream);
  copy_in(chunk_positions.get(), positions.data(), count, stream);
  copy_in(chunk_slots.get(), plan.slots.data() + first, count, stream);
  copy_in(chunk_places.get(), plan.places.data() + first, count, stream);
  copy_in(chunk_visible.get(), plan.visible.data() + first, count, stream);
  embed_chunk(model->embedding, chunk_tokens.get(), count, chunk_x.get(), stream);
  if (tier) {
    const PageList listed = memory.list();
    tier->begin_chunk(*std::max_element(listed.slot, listed.slot + listed.pages) + 1, stream);
  }
  const Reading reading = selection != nullptr ? plan_reading(*selection, plan, first, count) : Reading{};
  layers_of_chunk(count, reading, cancel);
  if (out != nullptr) {
    DeviceBuffer<float> chunk_logits(count * g.vocabulary, "logits");
    norm_chunk(chunk_x.get(), model->final_norm, g.norm_epsilon, count, static_cast<int32_t>(g.embedding),
               chunk_in.get(), row_scale.get(), stream);
    gemm({model->head, chunk_in.get(), row_scale.get(), nullptr, false, chunk_logits.get(), g.vocabulary, count},
         stream);
    check(cudaMemcpyAsync(out, chunk_logits.get(), static_cast<size_t>(count * g.vocabulary) * 4,
                          cudaMemcpyDeviceToHost, stream),
          "logits");
    check(cudaStreamSynchronize(stream), "logits");
  }
  check(cudaMemcpyAsync(last.get(), chunk_x.get() + (count - 1) * g.embedding, static_cast<size_t>(g.embedding) * 4,
                        cudaMemcpyDeviceToDevice, stream),
        "prefill");
  // A fault shows here; and what was launched may not run far ahead of a cancel.
  check(cudaStreamSynchronize(stream), "prefill");
}

// Tokens [first, first + count) of a call that begin and end with query blocks: which of them choose (as in Forward::attend).
GpuForward::Impl::Reading GpuForward::Impl::plan_reading(const Selection& selection, const ChunkPlan& plan,
                                                         int64_t first, int64_t count) {
  const Geometry& g = geometry();
  Reading reading;
  reading.selection = &selection;
  const PageList list = memory.list();
  int64_t dense_from = 0, most_pages = 0, first_page = list.pages, end_page = 0;
  for (const QueryBlock& block : plan.blocks) {
    const int64_t begin = block.first_token - first;
    if (begin < 0 || begin >= count) continue;
    first_page = std::min(first_page, block.first_page);
    end_page = std::max(end_page, block.first_page + (block.tokens + kPageTokens - 1) / kPageTokens);
    if (selection.page_budget <= 0 || block.first_page == 0) continue;
    if (!selection.force && block.first_page <= selection.page_budget / kPageTokens) continue;
    if (begin > dense_from) reading.dense.emplace_back(dense_from, begin - dense_from);
    dense_from = begin + block.tokens;
    reading.blocks.push_back(
        {static_cast<int32_t>(begin), static_cast<int32_t>(block.tokens), static_cast<int32_t>(block.first_page), 0});
    most_pages = std::max(most_pages, block.first_page);
  }
  if (dense_from < count) reading.dense.emplace_back(dense_from, count - dense_from);
  // Blocks choose among the pages of blocks before them in this chunk too: those need their summaries in every layer.
  reading.touched = end_page - first_page;
  copy_in(touched.get(), list.slot + first_page, reading.touched, stream);
  copy_in(touched.get() + reading.touched, list.count + first_page, reading.touched, stream);
  if (!reading.blocks.empty()) {
    const auto blocks = static_cast<int64_t>(reading.blocks.size());
    chunk_blocks.grow(blocks);
    copy_in(chunk_blocks.get(), reading.blocks.data(), blocks, stream);
    ReadingAttention sizes;
    sizes.heads = static_cast<int32_t>(g.heads);
    sizes.kv = kv(0);
    sizes.selection.budget_pages = static_cast<int32_t>(
        std::max(selection.page_budget / kPageTokens, selection.sink_pages + selection.recent_pages));
    sizes.most_pages = most_pages;
    sizes.block_count = static_cast<int32_t>(blocks);
    reading_space.grow(reading_workspace(sizes), "workspace");
  }
  check(cudaStreamSynchronize(stream), "reading");  // what was copied lies on this function's stack
  return reading;
}

void GpuForward::Impl::attend_chunk(const DeviceKv& near, int64_t layer, int64_t tokens, const Reading& reading) {
  const Geometry& g = geometry();
  PrefillAttention dense;
  dense.q = chunk_qkv.get();
  dense.stride = qkv_columns();
  dense.out_half = chunk_attended.get();  // an average of values, which are f16
  dense.tokens = tokens;
  dense.heads = static_cast<int32_t>(g.heads);
  dense.scale = scale();
  dense.kv = near;
  dense.list = list();
  dense.visible = chunk_visible.get();
  if (reading.selection == nullptr || reading.blocks.empty() || layer < reading.selection->dense_layers)
    return prefill_attention(dense, stream);
  for (const auto& [first, count] : reading.dense) {
    PrefillAttention part = dense;
    part.q += first * dense.stride;
    part.out_half += first * g.q_columns();
    part.visible += first;
    part.tokens = count;
    prefill_attention(part, stream);
  }
  const Selection& selection = *reading.selection;
  ReadingAttention sparse;
  sparse.selection = page_selection(selection);
  sparse.selection.budget_pages = static_cast<int32_t>(
      std::max(selection.page_budget / kPageTokens, selection.sink_pages + selection.recent_pages));
  sparse.q = dense.q;
  sparse.stride = dense.stride;
  sparse.out_half = dense.out_half;
  sparse.heads = dense.heads;
  sparse.scale = dense.scale;
  sparse.kv = near;
  sparse.list = dense.list;
  sparse.visible = dense.visible;
  sparse.blocks = chunk_blocks.get();
  sparse.block_count = static_cast<int32_t>(reading.blocks.size());
  for (const ReadingBlock& block : reading.blocks)
    sparse.most_pages = std::max<int64_t>(sparse.most_pages, block.first_page);
  sparse.workspace = reading_space.get();
  reading_attention(sparse, stream);
}

void GpuForward::Impl::layers_of_chunk(int64_t tokens, const Reading& reading, const std::atomic<bool>& cancel) {
  const Geometry& g = geometry();
  const auto e = static_cast<int32_t>(g.embedding);
  const auto f = static_cast<int32_t>(g.feed_forward);
  const int64_t stride = qkv_columns();
  float* const q = chunk_qkv.get();
  float* const k = q + g.q_columns();
  float* const v = k + g.kv_columns();
  for (int64_t l = 0; l < g.layers; ++l) {
    const GpuLayer& layer = model->layers[static_cast<size_t>(l)];
    if (cancel.load(std::memory_order_relaxed)) {
      check(cudaStreamSynchronize(stream), "prefill");
      throw Error("cancelled", "the engine was asked to stop");
    }
    norm_chunk(chunk_x.get(), layer.attention_norm, g.norm_epsilon, tokens, e, chunk_in.get(), row_scale.get(), stream);
    gemm({layer.q, chunk_in.get(), row_scale.get(), layer.q_bias, false, q, stride, tokens}, stream);
    gemm({layer.k, chunk_in.get(), row_scale.get(), layer.k_bias, false, k, stride, tokens}, stream);
    gemm({layer.v, chunk_in.get(), row_scale.get(), layer.v_bias, false, v, stride, tokens}, stream);
    rope_chunk(q, stride, tokens, static_cast<int32_t>(g.heads + g.kv_heads), static_cast<int32_t>(g.head_size),
               chunk_positions.get(), rope, stream);
    append_chunk(k, v, stride, chunk_slots.get(), chunk_places.get(), tokens, kv(l), stream);
    const DeviceKv near = tier ? tier->staged(l, kv(l), stream) : kv(l);
    if (tier) append_chunk(k, v, stride, chunk_slots.get(), chunk_places.get(), tokens, near, stream);

    if (reading.selection != nullptr)
      summarise(memory.summary(), touched.get(), touched.get() + reading.touched, reading.touched, near, stream);
    attend_chunk(near, l, tokens, reading);
    if (tier) tier->staged_done(l, stream);
    gemm({layer.output, chunk_attended.get(), nullptr, nullptr, true, chunk_x.get(), g.embedding, tokens}, stream);

    norm_chunk(chunk_x.get(), layer.mlp_norm, g.norm_epsilon, tokens, e, chunk_in.get(), row_scale.get(), stream);
    gemm({layer.gate, chunk_in.get(), row_scale.get(), nullptr, false, chunk_gate_up.get(), 2 * f, tokens}, stream);
    gemm({layer.up, chunk_in.get(), row_scale.get(), nullptr, false, chunk_gate_up.get() + f, 2 * f, tokens}, stream);
    swiglu_chunk(chunk_gate_up.get(), tokens, f, chunk_activated.get(), row_scale.get(), stream);
    gemm({layer.down, chunk_activated.get(), row_scale.get(), nullptr, true, chunk_x.get(), g.embedding, tokens},
         stream);
  }
}

// Logits of a hidden state [E].
void GpuForward::Impl::project(const float* hidden) {
  const Geometry& g = geometry();
  norm_step(hidden, model->final_norm, g.norm_epsilon, static_cast<int32_t>(g.embedding), codes.get(), scales.get(),
            normed.get(), stream);
  GemvArgs head;
  head.part[0] = {model->head, nullptr, logits.get()};
  head.x = {codes.get(), scales.get(), normed.get()};
  gemv(head, stream);
}

// The hidden state of the step's token is what follows it will be projected from.
void GpuForward::Impl::keep_last() {
  check(cudaMemcpyAsync(last.get(), x.get(), static_cast<size_t>(geometry().embedding) * 4, cudaMemcpyDeviceToDevice,
                        stream),
        "step");
}

// RoPE, append, attention and its quantised output where pages lie in RAM: q, k and v of one token as gemv left them.
void GpuForward::Impl::attend_tiered(AttentionStep attention, float* q, float* k, float* v, int64_t layer) {
  const Geometry& g = geometry();
  rope_step(q, static_cast<int32_t>(g.heads + g.kv_heads), static_cast<int32_t>(g.head_size), cosine.get(), sine.get(),
            rope.halves, stream);
  append_step(k, v, kv(layer), memory.summary(), step.get(), stream);
  tier->attend(attention, layer, stream);
  quantize_step(attended.get(), static_cast<int32_t>(g.q_columns()), codes.get(), scales.get(), stream);
}

void GpuForward::Impl::layers_of_step(const Selection& selection, int64_t bucket, float* mass) {
  const Geometry& g = geometry();
  const auto e = static_cast<int32_t>(g.embedding);
  BeginStepArgs begin;
  begin.table = model->embedding;
  begin.step = step.get();
  begin.x = x.get();
  begin.rope = rope;
  begin.half = static_cast<int32_t>(g.head_size / 2);
  begin.cosine = cosine.get();
  begin.sine = sine.get();
  begin.list_counts = list_counts.get();
  begin_step(begin, stream);
  float* const q = qkv.get();
  float* const k = q + g.q_columns();
  float* const v = k + g.kv_columns();
  for (int64_t l = 0; l < g.layers; ++l) {
    const GpuLayer& layer = model->layers[static_cast<size_t>(l)];
    const DeviceVector in = {codes.get(), scales.get(), normed.get()};
    const auto floats = [&](const DeviceMatrix& a, const DeviceMatrix& b) {
      return a.is_float() || b.is_float() ? normed.get() : nullptr;
    };
    norm_step(x.get(), layer.attention_norm, g.norm_epsilon, e, codes.get(), scales.get(),
              layer.v.is_float() ? normed.get() : floats(layer.q, layer.k), stream);
    GemvArgs project;
    project.parts = 3;
    project.part[0] = {layer.q, layer.q_bias, q};
    project.part[1] = {layer.k, layer.k_bias, k};
    project.part[2] = {layer.v, layer.v_bias, v};
    project.x = in;
    gemv(project, stream);
    AttentionStep attention;
    attention.q = q;
    attention.out = attended.get();
    attention.heads = static_cast<int32_t>(g.heads);
    attention.scale = scale();
    attention.kv = kv(l);
    attention.list = list();
    attention.state = step.get();
    attention.max_pages = bucket;
    attention.selection = page_selection(selection);
    attention.selection.budget_pages =
        l < selection.dense_layers ? 0 : static_cast<int32_t>(selection.page_budget / kPageTokens);
    attention.page_mass = mass;
    attention.counters = counters.get();
    attention.workspace = workspace.get();
    if (tier) {
      attend_tiered(attention, q, k, v, l);
    } else {
      attention.k = k;
      attention.v = v;
      attention.cosine = cosine.get();
      attention.sine = sine.get();
      attention.halves = rope.halves;
      attention.codes = codes.get();
      attention.code_scales = scales.get();
      attention_step(attention, stream);
    }
    GemvArgs output;
    output.part[0] = {layer.output, nullptr, x.get()};
    output.x = {codes.get(), scales.get(), attended.get()};
    output.accumulate = true;
    gemv(output, stream);

    norm_step(x.get(), layer.mlp_norm, g.norm_epsilon, e, codes.get(), scales.get(), floats(layer.gate, layer.up),
              stream);
    GemvSwigluArgs mlp;
    mlp.gate = layer.gate;
    mlp.up = layer.up;
    mlp.x = in;
    mlp.codes = activated_codes.get();
    mlp.scales = activated_scales.get();
    mlp.floats = layer.down.is_float() ? activated.get() : nullptr;
    gemv_swiglu(mlp, stream);
    GemvArgs down;
    down.part[0] = {layer.down, nullptr, x.get()};
    down.x = {activated_codes.get(), activated_scales.get(), activated.get()};
    down.accumulate = true;
    gemv(down, stream);
  }
}

void GpuForward::Impl::drop_graphs() {
  for (const auto& [key, graph] : graphs) cudaGraphExecDestroy(graph);
  graphs.clear();
}

// sampled: the step also projects and chooses the next token; else the host sets it (teacher forcing).
cudaGraphExec_t GpuForward::Impl::graph_of(const Selection& selection, int64_t bucket, bool sampled, bool drawn,
                                           bool mass) {
  const Selection& s = graph_selection;
  const auto same = std::tie(s.page_budget, s.vote, s.spread_factor, s.sink_pages, s.recent_pages, s.dense_layers) ==
                    std::tie(selection.page_budget, selection.vote, selection.spread_factor, selection.sink_pages,
                             selection.recent_pages, selection.dense_layers);
  if (!same) drop_graphs();
  graph_selection = selection;
  const auto key = std::make_tuple(bucket, sampled, drawn, mass, coded);
  const auto found = graphs.find(key);
  if (found != graphs.end()) return found->second;
  cudaGraph_t graph = nullptr;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "graph");
  try {
    layers_of_step(selection, bucket, mass ? page_mass.get() : nullptr);
    if (sampled) {
      project(x.get());
      sample_step(space, static_cast<int32_t>(geometry().vocabulary), drawn, stream);
    }
  } catch (...) {
    cudaStreamEndCapture(stream, &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    throw;
  }
  check(cudaStreamEndCapture(stream, &graph), "graph");
  size_t nodes = 0;
  check(cudaGraphGetNodes(graph, nullptr, &nodes), "graph");
  step_kernels = static_cast<int64_t>(nodes);  // a step is made of kernels alone
  cudaGraphExec_t exec = nullptr;
  const cudaError_t made = cudaGraphInstantiate(&exec, graph, 0);
  cudaGraphDestroy(graph);
  check(made, "graph");
  graphs.emplace(key, exec);
  return exec;
}

// The state whose advance() leads to the next token of the last document.
StepState GpuForward::Impl::state_now() const {
  const PageList list = memory.list();
  StepState state;
  state.position = static_cast<int32_t>(memory.next_position()) - 1;
  state.pages = static_cast<int32_t>(list.pages);
  state.slot = list.slot[list.pages - 1];
  state.last_count = list.count[list.pages - 1];
  state.place = state.last_count - 1;
  return state;
}

void GpuForward::Impl::set_state(const StepState& state) {
  copy_in(step.get(), &state, 1, stream);
  check(cudaStreamSynchronize(stream), "step");
}

GpuForward::GpuForward(std::shared_ptr<GpuModel> model, Memory& memory, const RopeScaling& scaling,
                       int64_t device_bytes)
    : impl_(std::make_unique<Impl>(std::move(model), memory, scaling, device_bytes)) {}
GpuForward::~GpuForward() = default;

int64_t GpuForward::step_kernels() const { return impl_->step_kernels; }

void GpuForward::forget_last() { impl_->has_last = false; }

void GpuForward::summarize_page(int32_t slot, int32_t count) {
  Impl& m = *impl_;
  m.touched.grow(2);
  const int32_t both[2] = {slot, count};
  copy_in(m.touched.get(), both, 2, m.stream);
  for (int64_t l = 0; l < m.geometry().layers; ++l)
    summarise(m.memory.summary(), m.touched.get(), m.touched.get() + 1, 1, m.kv(l), m.stream);
  check(cudaStreamSynchronize(m.stream), "summarise");
}

void GpuForward::prefill(const std::vector<int32_t>& tokens, const std::vector<int32_t>& starts,
                         const std::atomic<bool>& cancel, std::vector<float>* logits, const Selection* reading) {
  Impl& m = *impl_;
  if (reading != nullptr) check_reading(*reading);
  const Geometry& g = m.geometry();
  for (const int32_t token : tokens)
    if (token < 0 || token >= g.vocabulary)
      throw Error("bad-option", "token id " + std::to_string(token) + " is not in the vocabulary", "tokens");
  if (tokens.empty()) return;
  const auto count = static_cast<int64_t>(tokens.size());
  const Memory::Mark before = m.memory.mark();
  const ChunkPlan plan = m.memory.plan_append(count, starts);
  try {
    const int64_t most = logits != nullptr ? 256 : kChunkTokens;  // logits are 0.6 MB a token
    m.reserve_chunk(std::min(most, count));
    m.upload_list();
    if (logits != nullptr) logits->resize(static_cast<size_t>(count * g.vocabulary));
    if (reading != nullptr && plan.begins_inside_block)
      throw Error("bad-option", "a chunk that is read sparsely must begin where a query block does", "reading");
    for (int64_t first = 0, here = 0; first < count; first += here) {
      here = std::min(most, count - first);
      if (reading != nullptr && first + here < count) here = whole_blocks(plan, first, here);
      m.chunk(tokens, plan, first, here, reading, cancel,
              logits == nullptr ? nullptr : logits->data() + first * g.vocabulary);
    }
    const auto n = static_cast<int64_t>(plan.touched_slots.size());
    m.touched.grow(2 * n);
    copy_in(m.touched.get(), plan.touched_slots.data(), n, m.stream);
    copy_in(m.touched.get() + n, plan.touched_counts.data(), n, m.stream);
    for (int64_t l = 0; l < g.layers; ++l)
      summarise(m.memory.summary(), m.touched.get(), m.touched.get() + n, n, m.kv(l), m.stream);
    check(cudaStreamSynchronize(m.stream), "prefill");
    m.has_last = true;
  } catch (const Error& error) {
    const int32_t shortened = m.memory.roll_back(before);
    if (shortened >= 0 && error.code() != "device-fault")
      summarize_page(shortened, m.memory.list().count[m.memory.pages() - 1]);
    throw;
  }
}

void GpuForward::fetch_pages(int64_t first, int64_t pages) {
  for (int64_t l = 0; l < impl_->geometry().layers; ++l)
    fetch(impl_->memory, l, impl_->kv(l), first, pages, impl_->stream);
}

void GpuForward::store_pages(int64_t first, int64_t pages) {
  for (int64_t l = 0; l < impl_->geometry().layers; ++l)
    store(impl_->memory, l, impl_->kv(l), first, pages, impl_->stream);
  if (impl_->tier) impl_->tier->forget(impl_->stream);
}

GenerateResult GpuForward::generate(const GenerateOptions& options, const std::atomic<bool>& cancel,
                                    const std::function<void(int32_t)>& on_token) {
  Impl& m = *impl_;
  const Geometry& g = m.geometry();
  check_selection(options.selection);
  if (options.selection.observe || options.selection.force)
    throw Error("bad-option", "observe and force are for the CPU backend", "selection");
  if (options.max_tokens < 0) throw Error("bad-option", "maxTokens must not be negative", "maxTokens");
  if (!m.has_last) throw Error("bad-option", "nothing was appended to this memory yet");
  if (static_cast<int>(options.stop_tokens.size()) > kMaxStops)
    throw Error("bad-option", "there are more than " + std::to_string(kMaxStops) + " stop tokens", "stopTokens");
  Sampler check_of_sampling(options.sampling);  // throws for what is out of range
  const bool forced = !options.forced.empty();
  const int64_t wanted = forced ? static_cast<int64_t>(options.forced.size()) : options.max_tokens;
  const auto begin = std::chrono::steady_clock::now();

  // Every token gets its place before the first one is known; what was not used is given back.
  const Memory::Mark before = m.memory.mark();
  const StepState start = m.state_now();
  const int64_t room = m.memory.free_pages() * kPageTokens + kPageTokens - 1 - start.place;
  const int64_t limit = std::min(wanted, room);
  m.memory.plan_append(limit, {});
  m.upload_list();
  m.code_list(start.pages, options.selection.page_budget / kPageTokens);
  AttentionStep sizes;
  sizes.heads = static_cast<int32_t>(g.heads);
  sizes.kv = m.kv(0);
  sizes.max_pages = bucket_of(m.memory.capacity());
  sizes.selection.vote = options.selection.vote;
  sizes.selection.budget_pages = static_cast<int32_t>(options.selection.page_budget / kPageTokens);
  sizes.page_mass = m.page_mass.get();
  if (m.tier) m.tier->reserve(sizes);
  const int64_t workspace = attention_step_workspace(sizes);
  if (workspace > m.workspace.count()) {
    m.drop_graphs();
    m.workspace.grow(workspace, "workspace");
    check(cudaMemsetAsync(m.workspace.get(), 0, static_cast<size_t>(workspace), m.stream), "workspace");
  }
  check(cudaMemsetAsync(m.counters.get(), 0, 16, m.stream), "counters");
  check(cudaMemsetAsync(m.seen.get(), 0, static_cast<size_t>(m.seen.count()) * 4, m.stream), "sample");
  if (options.page_mass)
    check(cudaMemsetAsync(m.page_mass.get(), 0, static_cast<size_t>(m.page_mass.count()) * 4, m.stream), "mass");
  const auto pages_after = [&](int64_t steps) { return start.pages + (start.place + steps) / kPageTokens; };

  GenerateResult result;
  result.stop = "length";
  int64_t done = 0;  // tokens appended
  try {
    if (forced) {
      std::vector<float> logits(static_cast<size_t>(g.vocabulary));
      StepState state = start;
      for (; done < limit; ++done) {
        m.project(m.last.get());
        check(cudaMemcpyAsync(logits.data(), m.logits.get(), logits.size() * 4, cudaMemcpyDeviceToHost, m.stream),
              "logits");
        check(cudaStreamSynchronize(m.stream), "logits");
        state.token = options.forced[static_cast<size_t>(done)];
        if (state.token < 0 || state.token >= g.vocabulary)
          throw Error("bad-option", "a forced token is not in the vocabulary", "forced");
        if (cancel.load(std::memory_order_relaxed)) {
          result.stop = "cancelled";
          break;
        }
        result.log_probabilities.push_back(log_probability(logits, state.token));
        if (options.logits) result.logits.insert(result.logits.end(), logits.begin(), logits.end());
        on_token(state.token);
        ++state.position;
        state.pages = static_cast<int32_t>(pages_after(done + 1));
        state.place = static_cast<int32_t>((start.place + done + 1) % kPageTokens);
        state.slot = m.memory.list().slot[state.pages - 1];
        state.last_count = state.place + 1;
        m.set_state(state);
        check(cudaGraphLaunch(m.graph_of(options.selection, bucket_of(state.pages), false, false, options.page_mass),
                              m.stream),
              "step");
        m.keep_last();
        result.tokens.push_back(state.token);
      }
      check(cudaStreamSynchronize(m.stream), "step");
    } else {
      SampleArgs args;
      args.logits = m.logits.get();
      args.vocabulary = static_cast<int32_t>(g.vocabulary);
      args.temperature = options.sampling.temperature;
      args.greedy = args.temperature == 0;
      args.top_p = options.sampling.top_p;
      args.min_p = options.sampling.min_p;
      args.penalty = options.sampling.repeat_penalty;
      args.top_k = static_cast<int32_t>(options.sampling.top_k);
      args.seed = options.sampling.seed;
      args.limit = static_cast<int32_t>(limit);
      args.stop_count = static_cast<int32_t>(options.stop_tokens.size());
      std::copy(options.stop_tokens.begin(), options.stop_tokens.end(), args.stops);
      Mapped& mapped = *m.mapped.get();
      mapped.cancel = mapped.emitted = mapped.stopped = 0;
      copy_in(m.sample_args.get(), &args, 1, m.stream);
      m.set_state(start);
      m.project(m.last.get());
      sample_step(m.space, args.vocabulary, !args.greedy, m.stream);
      int64_t launched = 0;
      int64_t handed = 0;
      while (true) {
        if (cancel.load(std::memory_order_relaxed)) mapped.cancel = 1;
        const bool stopped = mapped.stopped != kGoing;
        const int64_t emitted = mapped.emitted;
        for (; handed < emitted; ++handed) {
          result.tokens.push_back(mapped.tokens[handed % kRing]);
          on_token(result.tokens.back());
        }
        if (stopped && handed == mapped.emitted) break;
        if (!stopped && launched < limit && launched < emitted + kStepsAhead) {
          ++launched;
          const int64_t bucket = bucket_of(pages_after(launched));
          check(cudaGraphLaunch(m.graph_of(options.selection, bucket, true, !args.greedy, options.page_mass), m.stream),
                "step");
          continue;
        }
        const cudaError_t state = cudaStreamQuery(m.stream);
        if (state != cudaSuccess && state != cudaErrorNotReady) check(state, "step");
        std::this_thread::sleep_for(std::chrono::microseconds(50));
      }
      check(cudaStreamSynchronize(m.stream), "step");
      done = handed;
      if (done > 0) m.keep_last();
      if (mapped.stopped == kStopToken) result.stop = "stop-token";
      if (mapped.stopped == kCancelled) result.stop = "cancelled";
      if (mapped.stopped == kNoNumber) throw Error("internal", "every logit is not a number");
      result.counts.scored = mapped.counters[0];
      result.counts.attended = mapped.counters[1];
    }
    if (result.stop == "length" && limit < wanted) result.stop = "full";
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (forced) {
      int64_t both[2];
      check(cudaMemcpy(both, m.counters.get(), 16, cudaMemcpyDeviceToHost), "counters");
      result.counts.scored = both[0];
      result.counts.attended = both[1];
    }
    result.counts.selected = result.counts.scored > 0 ? result.counts.attended : 0;
    for (int64_t i = 1; i <= done; ++i) result.counts.total += pages_after(i) * g.kv_heads * g.layers;
  } catch (...) {
    m.coded = false;
    m.memory.roll_back(before);
    m.has_last = false;
    throw;
  }
  m.coded = false;
  const Document& document = m.memory.documents().back();
  m.memory.truncate(static_cast<int64_t>(m.memory.documents().size()), document.tokens - (limit - done));
  const PageList list = m.memory.list();
  summarize_page(list.slot[list.pages - 1], list.count[list.pages - 1]);
  if (options.page_mass) {
    result.page_mass.resize(static_cast<size_t>(list.pages));
    check(cudaMemcpy(result.page_mass.data(), m.page_mass.get(), result.page_mass.size() * 4, cudaMemcpyDeviceToHost),
          "mass");
  }
  return result;
}

void GpuForward::fill_with_noise(int64_t tokens) {
  Impl& m = *impl_;
  const ChunkPlan plan =
      m.memory.plan_append(tokens, m.memory.documents().empty() ? std::vector<int32_t>{0} : std::vector<int32_t>{});
  const int64_t layer = 2 * kPageTokens * m.geometry().head_size * m.geometry().kv_heads * m.kv(0).slots;
  noise_kernel<<<1024, 256, 0, m.stream>>>(m.kv(0).pages, m.geometry().layers * layer, 1);
  check_launch("noise");
  m.upload_list();
  const auto n = static_cast<int64_t>(plan.touched_slots.size());
  m.touched.grow(2 * n);
  copy_in(m.touched.get(), plan.touched_slots.data(), n, m.stream);
  copy_in(m.touched.get() + n, plan.touched_counts.data(), n, m.stream);
  for (int64_t l = 0; l < m.geometry().layers; ++l)
    summarise(m.memory.summary(), m.touched.get(), m.touched.get() + n, n, m.kv(l), m.stream);
  check(cudaMemsetAsync(m.last.get(), 0x3c, static_cast<size_t>(m.last.count()) * 4, m.stream), "noise");
  check(cudaStreamSynchronize(m.stream), "noise");
  m.has_last = true;
}

PageTier* GpuForward::tier() const { return impl_->tier.get(); }

}  // namespace quire::cuda
