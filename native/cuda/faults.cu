// faults.cu — see faults.h.
#include "native/cuda/faults.h"

#include <cstdlib>
#include <string>
#include <utility>

#include "native/kernels/cuda/device.h"

namespace quire::cuda {
namespace {

__global__ void write_where_it_may_not(volatile int* nowhere) { *nowhere = 1; }

class FaultyDecoder : public Decoder {
 public:
  explicit FaultyDecoder(std::unique_ptr<Decoder> decoder) : decoder_(std::move(decoder)) {}
  void prefill(const std::vector<int32_t>& tokens, const std::vector<int32_t>& starts, const std::atomic<bool>& cancel,
               std::vector<float>* logits, const Selection* reading) override {
    decoder_->prefill(tokens, starts, cancel, logits, reading);
  }
  // The kernel is under way when the first step is launched: the fault shows wherever the loop waits next.
  GenerateResult generate(const GenerateOptions& options, const std::atomic<bool>& cancel,
                          const std::function<void(int32_t)>& on_token) override {
    write_where_it_may_not<<<1, 1>>>(reinterpret_cast<int*>(64));
    return decoder_->generate(options, cancel, on_token);
  }
  void summarize_page(int32_t slot, int32_t count) override { decoder_->summarize_page(slot, count); }
  void forget_last() override { decoder_->forget_last(); }
  void fetch_pages(int64_t first, int64_t pages) override { decoder_->fetch_pages(first, pages); }
  void store_pages(int64_t first, int64_t pages) override { decoder_->store_pages(first, pages); }

 private:
  std::unique_ptr<Decoder> decoder_;
};

}  // namespace

std::unique_ptr<Decoder> with_faults(std::unique_ptr<Decoder> decoder) {
  const char* const fault = std::getenv("QUIRE_GPU_FAULT");
  if (fault == nullptr || std::string(fault) != "illegal-access") return decoder;
  return std::make_unique<FaultyDecoder>(std::move(decoder));
}

}  // namespace quire::cuda
