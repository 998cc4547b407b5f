// gpu_forward.h — the forward pass and the token loop on the device: what decode/forward.h and decode/generate.h are to the CPU.
//
// Weights, keys, values and lists live on the device; Memory keeps only the books. An answer's steps are CUDA graphs, one per
// power of two of the list's length: the step reads the true length, its token and its place from device memory and makes them
// the next one's, so that the host only starts graphs and passes tokens on. Knows nothing of Node; includes no CUDA header.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "native/cuda/device_info.h"
#include "native/decode/decoder.h"
#include "native/decode/rope_table.h"
#include "native/memory/memory.h"
#include "native/model/model.h"

namespace quire::cuda {

struct GpuModel;
class PageTier;

// Weights to the device. Throws "out-of-memory", "backend-refused".
std::shared_ptr<GpuModel> upload_model(const ModelWeights& weights);
int64_t model_bytes(const GpuModel& model);
// Bytes that a GpuForward takes besides the pages, at most: what a chunk and a step are computed in.
int64_t work_bytes(const Geometry& geometry);

class GpuForward : public Decoder {
 public:
  // memory: outlives this; Place::kDevice suffices where nothing is saved or loaded. Throws "out-of-memory" when its pages do not fit the device.
  // device_bytes: of the device's memory, for pages and summaries; 0: what is free. What does not fit stays in RAM (page_tier.h).
  GpuForward(std::shared_ptr<GpuModel> model, Memory& memory, const RopeScaling& scaling, int64_t device_bytes = 0);
  ~GpuForward() override;

  // As Forward::prefill: after a throw ("cancelled", "memory-full") the memory is as before.
  void prefill(const std::vector<int32_t>& tokens, const std::vector<int32_t>& starts, const std::atomic<bool>& cancel,
               std::vector<float>* logits, const Selection* reading = nullptr) override;
  // As quire::generate. Selection::observe and force are the CPU's alone: "bad-option".
  GenerateResult generate(const GenerateOptions& options, const std::atomic<bool>& cancel,
                          const std::function<void(int32_t)>& on_token) override;
  // Summaries of a page from its first `count` tokens, in every layer (after truncate).
  void summarize_page(int32_t slot, int32_t count) override;
  void forget_last() override;
  // Memory must have places for pages: Place::kHost.
  void fetch_pages(int64_t first, int64_t pages) override;
  void store_pages(int64_t first, int64_t pages) override;
  // Kernels of the step that was captured last; 0 before. For benches.
  int64_t step_kernels() const;
  // Makes the memory hold `tokens` tokens of noise without computing them. For benches.
  void fill_with_noise(int64_t tokens);
  // Null where all pages are on the device.
  PageTier* tier() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace quire::cuda
