// decoder.h — what the addon asks of a backend: fill a memory, answer from it. The CPU's is here; the device's is native/cuda/.
//
// A backend whose pages lie elsewhere keeps the books in Memory too, and brings pages to it and back on request, in the CPU's
// layout: so saving, loading and digests know one format.
#pragma once

#include "native/decode/generate.h"

namespace quire {

class Decoder {
 public:
  virtual ~Decoder() = default;
  // As Forward's and generate.h's.
  virtual void prefill(const std::vector<int32_t>& tokens, const std::vector<int32_t>& starts,
                       const std::atomic<bool>& cancel, std::vector<float>* logits,
                       const Selection* reading = nullptr) = 0;
  virtual GenerateResult generate(const GenerateOptions& options, const std::atomic<bool>& cancel,
                                  const std::function<void(int32_t)>& on_token) = 0;
  virtual void summarize_page(int32_t slot, int32_t count) = 0;
  virtual void forget_last() = 0;
  // Makes `pages` entries of the list from `first` on the same in Memory as they are where the backend has them; and back.
  virtual void fetch_pages(int64_t first, int64_t pages) = 0;
  virtual void store_pages(int64_t first, int64_t pages) = 0;
};

class CpuDecoder : public Decoder {
 public:
  CpuDecoder(const ModelWeights& weights, const Ops& ops, ThreadPool& pool, Memory& memory, const RopeScaling& rope)
      : memory_(memory), forward_(weights, ops, pool, rope) {}
  void prefill(const std::vector<int32_t>& tokens, const std::vector<int32_t>& starts, const std::atomic<bool>& cancel,
               std::vector<float>* logits, const Selection* reading = nullptr) override {
    forward_.prefill(memory_, tokens, starts, cancel, logits, reading);
  }
  GenerateResult generate(const GenerateOptions& options, const std::atomic<bool>& cancel,
                          const std::function<void(int32_t)>& on_token) override {
    return quire::generate(forward_, memory_, options, cancel, on_token);
  }
  void summarize_page(int32_t slot, int32_t count) override { forward_.summarize_page(memory_, slot, count); }
  void forget_last() override { forward_.forget_last(); }
  void fetch_pages(int64_t, int64_t) override {}
  void store_pages(int64_t, int64_t) override {}

 private:
  Memory& memory_;
  Forward forward_;
};

}  // namespace quire
