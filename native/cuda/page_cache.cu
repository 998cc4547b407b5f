// page_cache.cu — see page_cache.h: a cache of pages with second chance, run by the device alone.
//
// Tables, per layer and KV head, all int32: frame_of [slots] the frame that holds a page, −1 none; owner [F] the slot in a frame;
// stamp [F] the step that used it last; second [F] used since the hand passed; hand. A page that needs a frame takes the next one
// behind the hand that was not used since the hand came by (second chance), and none that this step uses.
// place_kernel: grid G, block 256, a list each; the only writer of the tables. fetch_kernel: grid kFetchBlocks, a page a block at
// a time, 16 bytes a thread: 64 blocks keep the link full (DESIGN §11). The page being filled is fetched at every step.
#include "native/cuda/page_cache.h"

#include <algorithm>

#include "native/kernels/cuda/device_launch.cuh"

namespace quire::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kFetchBlocks = 128;
static_assert(kSpareFrames == kThreads, "the hand looks at so many frames at once");

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

void place_pages(const PlaceArgs& args, int32_t lists, cudaStream_t stream) {
  launch<PlaceArgs>(place_kernel, dim3(static_cast<unsigned>(lists)), kThreads, static_cast<size_t>(args.budget) * 4, 1,
                    device_limits(), args, stream, "place");
}

void fetch_placed(const FetchArgs& args, int64_t page_halves, cudaStream_t stream) {
  launch<FetchArgs>(page_halves == 2 * kPageTokens * 64 ? fetch_kernel<256> : fetch_kernel<512>, dim3(kFetchBlocks),
                    kThreads, 0, 1, device_limits(), args, stream, "fetch");
}

void replay_trace(const ReplayArgs& args, cudaStream_t stream) {
  launch<ReplayArgs>(replay_kernel, dim3(static_cast<unsigned>(args.lists)), kThreads, 0, 1, device_limits(), args,
                     stream, "replay");
}

}  // namespace quire::cuda
