// page_tier.cu — see page_tier.h.
//
// Tables, per layer and KV head, all int32: frame_of [slots] the frame that holds a page, −1 none; owner [F] the slot in a frame;
// stamp [F] the step that used it last; second [F] used since the hand passed; hand. A page that needs a frame takes the next one
// behind the hand that was not used since the hand came by (second chance), and none that this step uses.
// place_kernel: grid G, block 256, a list each; the only writer of the tables. fetch_kernel: grid kFetchBlocks, a page a block at
// a time, 16 bytes a thread: 64 blocks keep the link full (DESIGN §11). The page being filled is fetched at every step.
#include "native/cuda/page_tier.h"

#include <algorithm>
#include <string>
#include <type_traits>

#include "native/kernels/cuda/device_launch.cuh"

namespace quire::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kFetchBlocks = 128;
constexpr int64_t kSpareFrames = kThreads;  // besides what a step may choose: the hand looks at so many at once

struct Fetch {
  int32_t slot, frame;
};

struct PlaceArgs {
  ChosenPage* chosen;  // [G, budget]; the slot becomes the frame
  int32_t budget;
  const StepState* state;
  int64_t slots, frames;
  int32_t *frame_of, *owner, *stamp, *second, *hand, *now;
  Fetch* fetches;        // [G, budget]
  int32_t* fetch_count;  // [G]
  unsigned long long* counts;
};

__device__ int32_t sum_before(bool mine, int32_t* warp_sums, int32_t* total) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const uint32_t votes = __ballot_sync(~0u, mine);
  __syncthreads();
  if (lane == 0) warp_sums[warp] = __popc(votes);
  __syncthreads();
  int32_t before = __popc(votes & ((1u << lane) - 1));
  int32_t all = 0;
  for (int w = 0; w < kThreads / 32; ++w) {
    if (w < warp) before += warp_sums[w];
    all += warp_sums[w];
  }
  *total = all;
  return before;
}

__global__ void __launch_bounds__(kThreads) place_kernel(PlaceArgs args) {
  __shared__ int32_t warp_sums[kThreads / 32];
  extern __shared__ int32_t missing[];  // [budget] entries without a frame
  const int64_t g = blockIdx.x;
  const int thread = static_cast<int>(threadIdx.x);
  ChosenPage* const chosen = args.chosen + g * args.budget;
  int32_t* const frame_of = args.frame_of + g * args.slots;
  int32_t* const owner = args.owner + g * args.frames;
  int32_t* const stamp = args.stamp + g * args.frames;
  int32_t* const second = args.second + g * args.frames;
  Fetch* const fetches = args.fetches + g * args.budget;
  wait_for_former();
  let_next_start();
  const int32_t n = args.state->pages;
  const int32_t entries = min(n, args.budget);
  const int32_t now = args.now[g] + 1;

  int32_t misses = 0, copies = 0;
  for (int32_t first = 0; first < entries; first += kThreads) {
    const int32_t i = first + thread;
    const bool present = i < entries;
    const int32_t slot = present ? chosen[i].slot : 0;
    const int32_t frame = present ? frame_of[slot] : 0;
    if (present && frame >= 0) {
      stamp[frame] = now;
      second[frame] = 1;
      chosen[i].slot = frame;
    }
    int32_t total;
    const int32_t rank = sum_before(present && frame < 0, warp_sums, &total);
    if (present && frame < 0) missing[misses + rank] = i;
    misses += total;
    // The page being filled has a token more than when it was fetched.
    const bool again = present && frame >= 0 && chosen[i].index == n - 1;
    const int32_t copy = sum_before(again, warp_sums, &total);
    if (again) fetches[copies + copy] = {slot, frame};
    copies += total;
  }
  __syncthreads();

  int32_t hand = args.hand[g];
  int32_t found = 0;
  while (found < misses) {
    const int32_t frame = static_cast<int32_t>((hand + static_cast<int64_t>(thread)) % args.frames);
    const bool used_now = stamp[frame] == now;
    const bool free = !used_now && second[frame] == 0;
    int32_t total;
    const int32_t rank = sum_before(free, warp_sums, &total);
    const bool last_of_all = free && found + rank == misses - 1;
    if (free && found + rank < misses) {
      const int32_t i = missing[found + rank];
      const int32_t slot = chosen[i].slot;
      if (owner[frame] >= 0) frame_of[owner[frame]] = -1;
      owner[frame] = slot;
      frame_of[slot] = frame;
      stamp[frame] = now;
      fetches[copies + found + rank] = {slot, frame};
      chosen[i].slot = frame;
    } else if (!free && !used_now) {
      second[frame] = 0;
    }
    // The hand stops behind the last frame that it gave away; what it looked at beyond keeps at most its second chance.
    const int32_t step = found + total >= misses ? 0 : kThreads;
    __shared__ int32_t stop;
    if (last_of_all) stop = thread + 1;
    __syncthreads();
    hand = static_cast<int32_t>((hand + static_cast<int64_t>(step > 0 ? step : stop)) % args.frames);
    found += min(total, misses - found);
  }
  if (thread == 0) {
    args.hand[g] = hand;
    args.now[g] = now;
    args.fetch_count[g] = copies + misses;
    atomicAdd(&args.counts[0], static_cast<unsigned long long>(entries));
    atomicAdd(&args.counts[1], static_cast<unsigned long long>(copies + misses));
  }
}

struct FetchArgs {
  const Fetch* fetches;
  const int32_t* count;
  int32_t lists, budget;
  const uint4* ram;  // [G, slots, page]
  uint4* frames;     // [G, F, page]
  int64_t slots, frame_count;
};

template <int kPageVectors>  // of 16 bytes
__global__ void __launch_bounds__(kThreads) fetch_kernel(FetchArgs args) {
  wait_for_former();
  let_next_start();
  constexpr int kEach = kPageVectors / kThreads;
  int32_t list = 0;
  int32_t at = static_cast<int32_t>(blockIdx.x);
  while (true) {
    while (list < args.lists && at >= args.count[list]) at -= args.count[list++];
    if (list == args.lists) return;
    const Fetch fetch = args.fetches[static_cast<int64_t>(list) * args.budget + at];
    const uint4* const from = args.ram + (list * args.slots + fetch.slot) * kPageVectors + threadIdx.x;
    uint4* const to = args.frames + (list * args.frame_count + fetch.frame) * kPageVectors + threadIdx.x;
    uint4 value[kEach];
#pragma unroll
    for (int k = 0; k < kEach; ++k) value[k] = __ldcv(from + k * kThreads);
#pragma unroll
    for (int k = 0; k < kEach; ++k) to[k * kThreads] = value[k];
    at += static_cast<int32_t>(gridDim.x);
  }
}

struct ReplayArgs {
  ChosenPage* chosen;
  const int32_t* trace;  // of the layer
  int32_t budget, lists, pages;
  int64_t stride;  // of a step
  int64_t steps;
  const StepState* state;
  DeviceList list;
};

// Chosen pages as the trace has them; of its indices, the last stands for the list's last.
__global__ void replay_kernel(ReplayArgs args) {
  wait_for_former();
  let_next_start();
  const int64_t g = blockIdx.x;
  const int64_t step = args.state->position % args.steps;
  const int32_t n = args.state->pages;
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < min(args.budget, args.pages); i += kThreads) {
    const int32_t traced = args.trace[step * args.stride + g * args.pages + i];
    const int32_t index = i == args.budget - 1 || traced < 0 ? n - 1 : traced % n;
    args.chosen[g * args.budget + i] = {index, args.list.slot[index], args.list.count[index], 0};
  }
}

}  // namespace

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
  const DeviceLimits limits = device_limits();
  if (m.trace != nullptr) {
    const int64_t of_layer = m.geometry.kv_heads * m.trace_pages;
    launch<ReplayArgs>(replay_kernel, dim3(static_cast<unsigned>(lists)), kThreads, 0, 1, limits,
                       {select.chosen, m.trace + layer * of_layer, budget, lists, static_cast<int32_t>(m.trace_pages),
                        m.geometry.layers * of_layer, m.trace_steps, args.state, args.list},
                       stream, "replay");
  }

  launch<PlaceArgs>(
      place_kernel, dim3(static_cast<unsigned>(lists)), kThreads, static_cast<size_t>(budget) * 4, 1, limits,
      {select.chosen, budget, args.state, m.slots, m.frames, m.table(0, layer), m.table(1, layer), m.table(2, layer),
       m.table(3, layer), m.table(4, layer), m.table(5, layer), m.fetches.get(), m.fetch_count.get(), m.counts.get()},
      stream, "place");
  const FetchArgs fetch = {m.fetches.get(),
                           m.fetch_count.get(),
                           lists,
                           budget,
                           reinterpret_cast<const uint4*>(args.kv.pages),
                           reinterpret_cast<uint4*>(m.cache.get() + layer * lists * m.frames * m.page_halves),
                           m.slots,
                           m.frames};
  launch<FetchArgs>(args.kv.head_size == 64 ? fetch_kernel<256> : fetch_kernel<512>, dim3(kFetchBlocks), kThreads, 0, 1,
                    limits, fetch, stream, "fetch");

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
