// page_cache.h — the device's side of the page tier: which chosen pages have a frame of the cache, which are copied into one, by kernels.
//
// In: what select chose of one layer, and the layer's tables. Out: the chosen pages with frames in the place of slots, all of them
// filled. Nothing here knows where RAM comes from or when a layer's turn is (page_tier.h). Launchers wait for nothing.
#pragma once

#include "native/kernels/cuda/attention.h"

namespace quire::cuda {

constexpr int64_t kSpareFrames = 256;  // that a list's cache has besides what a step may choose

// A page that is copied over the link.
struct Fetch {
  int32_t slot, frame;
};

// Gives every chosen page a frame. Tables of one layer; fetches: what has to be copied then.
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
void place_pages(const PlaceArgs& args, int32_t lists, cudaStream_t stream);

// Copies pages from RAM to their frames. page_halves: of a head's page, 2·P·D.
struct FetchArgs {
  const Fetch* fetches;
  const int32_t* count;
  int32_t lists, budget;
  const uint4* ram;  // [G, slots, page]
  uint4* frames;     // [G, F, page]
  int64_t slots, frame_count;
};
void fetch_placed(const FetchArgs& args, int64_t page_halves, cudaStream_t stream);

// Benches: pages as a trace has them take the place of the chosen ones.
struct ReplayArgs {
  ChosenPage* chosen;
  const int32_t* trace;  // of the layer
  int32_t budget, lists, pages;
  int64_t stride;  // of a step
  int64_t steps;
  const StepState* state;
  DeviceList list;
};
void replay_trace(const ReplayArgs& args, cudaStream_t stream);

}  // namespace quire::cuda
