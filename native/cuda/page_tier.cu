// page_tier.cu — see page_tier.h: RAM, the cache's memory and its tables, a step's order of kernels, and layers streamed for a question.
// What the cache does at a step is page_cache.h's.
#include "native/cuda/page_tier.h"

#include <algorithm>
#include <string>
#include <type_traits>

#include "native/cuda/page_cache.h"

namespace quire::cuda {

struct PageTier::Impl {
  Geometry geometry;
  int64_t slots = 0, frames = 0;
  int64_t page_halves = 0;  // of a head's page
  __half* ram = nullptr;
  DeviceBuffer<__half> cache;
  DeviceBuffer<int32_t> tables;  // frame_of, owner, stamp, second, hand, now
  DeviceBuffer<Fetch> fetches;
  DeviceBuffer<int32_t> fetch_count;
  DeviceBuffer<unsigned long long> counts;
  DeviceBuffer<uint8_t> workspace;
  cudaStream_t copies = nullptr;
  cudaEvent_t copied[2] = {}, used[2] = {}, begun = nullptr;
  int64_t used_slots = 0;
  const int32_t* trace = nullptr;
  int64_t trace_steps = 0, trace_pages = 0;

  int64_t lists() const { return geometry.layers * geometry.kv_heads; }
  int64_t layer_halves() const { return geometry.kv_heads * slots * page_halves; }
  int32_t* table(int64_t which, int64_t layer) const {  // 0 frame_of; 1 owner, 2 stamp, 3 second; 4 hand, 5 now
    const int64_t g = geometry.kv_heads, all = lists();
    int32_t* const base = tables.get();
    if (which == 0) return base + layer * g * slots;
    if (which < 4) return base + all * slots + (which - 1) * all * frames + layer * g * frames;
    return base + all * (slots + 3 * frames) + (which - 4) * all + layer * g;
  }
  static int64_t table_ints(int64_t lists, int64_t slots, int64_t frames) { return lists * (slots + 3 * frames + 2); }
  void stream_layer(int64_t layer);
};

int64_t PageTier::least_bytes(const Geometry& g, int64_t slots) {
  const int64_t page = 4 * kPageTokens * g.head_size;
  const int64_t frames = std::max((2 * slots + g.layers - 1) / g.layers, 2 * kSpareFrames);
  return g.layers * g.kv_heads * frames * page + 4 * Impl::table_ints(g.layers * g.kv_heads, slots, frames);
}

PageTier::PageTier(const Geometry& geometry, int64_t slots, int64_t device_bytes) : impl_(std::make_unique<Impl>()) {
  Impl& m = *impl_;
  m.geometry = geometry;
  m.slots = slots;
  m.page_halves = 2 * kPageTokens * geometry.head_size;
  if (device_bytes < least_bytes(geometry, slots))
    throw Error("out-of-memory",
                "the GPU's share for pages is " + std::to_string(device_bytes >> 20) + " MiB, at least " +
                    std::to_string(least_bytes(geometry, slots) >> 20) + " MiB are needed for so long a memory",
                "pages");
  const int64_t of_frame = m.lists() * (2 * m.page_halves + 12);
  m.frames = (device_bytes - 4 * m.lists() * (slots + 2)) / of_frame;
  m.frames = std::min(m.frames, slots + kSpareFrames);
  m.frames = std::max(m.frames, (2 * slots + geometry.layers - 1) / geometry.layers);
  m.cache = DeviceBuffer<__half>(m.lists() * m.frames * m.page_halves, "page cache");
  m.tables = DeviceBuffer<int32_t>(Impl::table_ints(m.lists(), slots, m.frames), "page cache");
  m.fetch_count = DeviceBuffer<int32_t>(geometry.kv_heads);
  m.counts = DeviceBuffer<unsigned long long>(2);
  const auto bytes = static_cast<size_t>(geometry.layers * m.layer_halves()) * 2;
  if (cudaHostAlloc(reinterpret_cast<void**>(&m.ram), bytes, cudaHostAllocMapped | cudaHostAllocPortable) !=
      cudaSuccess) {
    cudaGetLastError();
    throw Error("out-of-memory", "the system gives no " + std::to_string(bytes >> 20) + " MiB of pinned memory",
                "pages");
  }
  check(cudaStreamCreateWithFlags(&m.copies, cudaStreamNonBlocking), "page tier");
  for (cudaEvent_t* event : {&m.copied[0], &m.copied[1], &m.used[0], &m.used[1], &m.begun})
    check(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "page tier");
  forget(m.copies);
  reset_counts(m.copies);
  check(cudaStreamSynchronize(m.copies), "page tier");
}

PageTier::~PageTier() {
  Impl& m = *impl_;
  if (m.copies != nullptr) {
    cudaStreamSynchronize(m.copies);
    cudaStreamDestroy(m.copies);
  }
  for (const cudaEvent_t event : {m.copied[0], m.copied[1], m.used[0], m.used[1], m.begun})
    if (event != nullptr) cudaEventDestroy(event);
  if (m.ram != nullptr) cudaFreeHost(m.ram);
}

__half* PageTier::pages() const { return impl_->ram; }
int64_t PageTier::frames() const { return impl_->frames; }

void PageTier::forget(cudaStream_t stream) {
  Impl& m = *impl_;
  const int64_t maps = m.lists() * (m.slots + m.frames);  // frame_of and owner: −1
  check(cudaMemsetAsync(m.tables.get(), 0xff, static_cast<size_t>(maps) * 4, stream), "page tier");
  check(cudaMemsetAsync(m.tables.get() + maps, 0, static_cast<size_t>(m.tables.count() - maps) * 4, stream),
        "page tier");
}

namespace {

struct Parts {
  ScorePages score;
  SelectPages select;
  AttendPages attend;
  int64_t bytes = 0;
};

// The workspace's pieces: arrivals first, which must stay zero, so that any bucket of lengths may use it.
Parts divide(const AttentionStep& args, uint8_t* workspace) {
  Parts parts;
  const int64_t lists = args.kv.kv_heads, heads = args.heads, budget = args.selection.budget_pages;
  const int64_t of_list = attend_parts(args.kv.kv_heads);
  const auto take = [&](auto*& piece, int64_t count) {
    using T = std::remove_reference_t<decltype(*piece)>;
    piece = workspace == nullptr ? nullptr : reinterpret_cast<T*>(workspace + parts.bytes);
    parts.bytes += (count * static_cast<int64_t>(sizeof(T)) + 255) / 256 * 256;
  };
  ScorePages& score = parts.score = score_of(args);
  SelectPages& select = parts.select = select_of(args);
  AttendPages& attend = parts.attend;
  take(attend.arrivals, std::max<int64_t>(64, lists));
  take(attend.partial, heads * of_list * args.kv.head_size);
  take(attend.state_of_part, heads * of_list);
  take(attend.page_weight, heads * budget);
  take(score.partial, heads * select.partial_blocks);
  take(select.chosen, lists * budget);
  take(select.chosen_count, lists);
  take(score.scores, heads * score.stride);
  take(select.votes, lists * score.stride);
  return parts;
}

}  // namespace

void PageTier::reserve(const AttentionStep& args) {
  if (!selects(args)) return;
  Impl& m = *impl_;
  if (args.selection.vote == Vote::kPerHead)
    throw Error("bad-option", "a list per query head needs all pages in the GPU's memory", "vote");
  if (m.frames < args.selection.budget_pages + kSpareFrames)
    throw Error("out-of-memory", "the GPU's share for pages is smaller than what a step loads", "page budget");
  m.fetches.grow(static_cast<int64_t>(args.kv.kv_heads) * args.selection.budget_pages);
  const int64_t bytes = divide(args, nullptr).bytes;
  if (bytes <= m.workspace.count()) return;
  m.workspace = DeviceBuffer<uint8_t>(bytes, "workspace");
  check(cudaMemset(m.workspace.get(), 0, static_cast<size_t>(bytes)), "workspace");
}

void PageTier::attend(const AttentionStep& args, int64_t layer, cudaStream_t stream) {
  if (!selects(args)) return attention_step(args, stream);  // dense: straight from RAM
  Impl& m = *impl_;
  const int32_t lists = args.kv.kv_heads;
  const int32_t budget = args.selection.budget_pages;
  Parts parts = divide(args, m.workspace.get());
  if (parts.bytes > m.workspace.count()) throw Error("internal", "the workspace was not reserved", "page tier");
  ScorePages& score = parts.score;
  SelectPages& select = parts.select;
  AttendPages& attend = parts.attend;
  score_pages(score, stream);
  select.scores = score.scores;
  select.stride = score.stride;
  select.partial = score.partial;
  select_pages(select, stream);
  if (m.trace != nullptr) {
    const int64_t of_layer = m.geometry.kv_heads * m.trace_pages;
    replay_trace({select.chosen, m.trace + layer * of_layer, budget, lists, static_cast<int32_t>(m.trace_pages),
                  m.geometry.layers * of_layer, m.trace_steps, args.state, args.list},
                 stream);
  }

  place_pages(
      {select.chosen, budget, args.state, m.slots, m.frames, m.table(0, layer), m.table(1, layer), m.table(2, layer),
       m.table(3, layer), m.table(4, layer), m.table(5, layer), m.fetches.get(), m.fetch_count.get(), m.counts.get()},
      lists, stream);
  const FetchArgs fetch = {m.fetches.get(),
                           m.fetch_count.get(),
                           lists,
                           budget,
                           reinterpret_cast<const uint4*>(args.kv.pages),
                           reinterpret_cast<uint4*>(m.cache.get() + layer * lists * m.frames * m.page_halves),
                           m.slots,
                           m.frames};
  fetch_placed(fetch, m.page_halves, stream);

  attend.q = args.q;
  attend.out = args.out;
  attend.heads = args.heads;
  attend.scale = args.scale;
  attend.kv = args.kv;
  attend.kv.pages = m.cache.get() + layer * lists * m.frames * m.page_halves;
  attend.kv.slots = m.frames;
  attend.list = args.list;
  attend.state = args.state;
  attend.lists = lists;
  attend.chosen = select.chosen;
  attend.budget_pages = budget;
  attend.page_mass = args.page_mass;
  attend.counters = args.counters;
  attend.weight_stride = budget;
  attend_pages(attend, stream);
}

void PageTier::Impl::stream_layer(int64_t layer) {
  if (layer >= geometry.layers || used_slots == 0) return;
  const int64_t buffer = layer % 2;
  check(cudaStreamWaitEvent(copies, used[buffer], 0), "page tier");
  for (int64_t g = 0; g < geometry.kv_heads; ++g)
    check(cudaMemcpyAsync(cache.get() + buffer * layer_halves() + g * slots * page_halves,
                          ram + layer * layer_halves() + g * slots * page_halves,
                          static_cast<size_t>(used_slots * page_halves) * 2, cudaMemcpyHostToDevice, copies),
          "page tier");
  check(cudaEventRecord(copied[buffer], copies), "page tier");
}

void PageTier::begin_chunk(int64_t used_slots, cudaStream_t stream) {
  Impl& m = *impl_;
  m.used_slots = std::min(used_slots, m.slots);
  forget(stream);
  check(cudaEventRecord(m.begun, stream), "page tier");
  check(cudaStreamWaitEvent(m.copies, m.begun, 0), "page tier");
  for (int64_t buffer = 0; buffer < 2; ++buffer) {
    check(cudaEventRecord(m.used[buffer], stream), "page tier");
    check(cudaEventRecord(m.copied[buffer], m.copies), "page tier");
    m.stream_layer(buffer);
  }
}

DeviceKv PageTier::staged(int64_t layer, const DeviceKv& kv, cudaStream_t stream) {
  Impl& m = *impl_;
  check(cudaStreamWaitEvent(stream, m.copied[layer % 2], 0), "page tier");
  DeviceKv there = kv;
  there.pages = m.cache.get() + layer % 2 * m.layer_halves();
  return there;
}

void PageTier::staged_done(int64_t layer, cudaStream_t stream) {
  check(cudaEventRecord(impl_->used[layer % 2], stream), "page tier");
  impl_->stream_layer(layer + 2);
}

TierCounts PageTier::counts(cudaStream_t stream) const {
  unsigned long long both[2];
  check(cudaMemcpyAsync(both, impl_->counts.get(), sizeof both, cudaMemcpyDeviceToHost, stream), "page tier");
  check(cudaStreamSynchronize(stream), "page tier");
  return {static_cast<int64_t>(both[0]), static_cast<int64_t>(both[1])};
}

void PageTier::reset_counts(cudaStream_t stream) {
  check(cudaMemsetAsync(impl_->counts.get(), 0, 16, stream), "page tier");
}

void PageTier::replay(const int32_t* trace, int64_t steps, int64_t pages) {
  Impl& m = *impl_;
  m.trace = trace;
  m.trace_steps = steps;
  m.trace_pages = pages;
}

}  // namespace quire::cuda
