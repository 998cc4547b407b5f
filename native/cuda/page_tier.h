// page_tier.h — keys and values beyond the device's memory: all pages in pinned RAM of the host, mapped, and a cache of recently
// chosen ones on the device. Summaries stay on the device: choosing needs nothing of the host.
//
// A step: score and select as ever; then every chosen page is given a frame of the cache, what was not in one is copied from RAM
// by the device itself, and attend reads frames. A chunk, which attends to everything: a layer's pages are streamed to the device
// while the layer before is computed, over the cache's frames, which are cold after it. The host is asked nothing in a step.
#pragma once

#include <memory>

#include "native/kernels/cuda/attention.h"
#include "native/model/model.h"

namespace quire::cuda {

// Since the last reset, over layers, KV heads and steps.
struct TierCounts {
  int64_t asked = 0;    // pages that were chosen
  int64_t fetched = 0;  // of them, copied from RAM; 64·D bytes each
};

class PageTier {
 public:
  // slots: pages of the list at most. device_bytes: for frames and their tables, not for summaries.
  // Throws "out-of-memory" where the host cannot pin so much or the device's share holds no two layers.
  PageTier(const Geometry& geometry, int64_t slots, int64_t device_bytes);
  ~PageTier();
  // Least device_bytes for a list of so many pages: two layers of it, and tables.
  static int64_t least_bytes(const Geometry& geometry, int64_t slots);

  // [L, G, slots, 2, P·D] in RAM, read and written by host and device through this pointer.
  __half* pages() const;
  // Frames hold copies that may be old: called after pages were written other than by the step that fills them.
  void forget(cudaStream_t stream);

  // attention_step over RAM and cache, of one layer. args.kv: RAM's pages and the summaries. reserve: before the first, with the
  // longest list's max_pages, since attend allocates nothing.
  void reserve(const AttentionStep& args);
  void attend(const AttentionStep& args, int64_t layer, cudaStream_t stream);

  // Streaming, layers in order: begin_chunk, then for every layer staged (waits until it is there; its pages are as in RAM when
  // the chunk began) and, when everything that reads it was launched, staged_done. used_slots: slots below it hold something.
  void begin_chunk(int64_t used_slots, cudaStream_t stream);
  DeviceKv staged(int64_t layer, const DeviceKv& kv, cudaStream_t stream);
  void staged_done(int64_t layer, cudaStream_t stream);

  TierCounts counts(cudaStream_t stream) const;
  void reset_counts(cudaStream_t stream);
  int64_t frames() const;  // of a layer's KV head
  // Steps take what `trace` says instead of what was selected: [steps, L, G, pages] ascending indices of the list, on the device.
  // For benches: random weights choose at random.
  void replay(const int32_t* trace, int64_t steps, int64_t pages);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace quire::cuda
