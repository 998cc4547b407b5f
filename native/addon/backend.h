// backend.h — which backend this addon file has: the CPU's, or (built with QUIRE_CUDA) the device's. Nothing else asks.
#pragma once

#include <memory>
#include <string>

#include "native/addon/model_handle.h"
#include "native/decode/decoder.h"

namespace quire {

// Called when the weights are read: the device gets them, and the host's copy is dropped. Throws "backend-refused" with the
// reason, "out-of-memory".
void place_model(ModelState& model);
std::unique_ptr<Decoder> make_decoder(ModelState& model, Memory& memory, const RopeScaling& rope);
// "cpu avx2", "cuda NVIDIA H100".
std::string backend_name(const ModelState& model);
// Bytes on the device that a memory's decoder takes besides the pages; 0 on the processor.
int64_t work_bytes(const ModelState& model);

// What machine() says of the device: empty where this addon has none.
struct Device {
  std::string name;
  std::string refusal;  // why it cannot be used; empty if it can
  double memory_bytes = 0, free_bytes = 0;
};
bool has_device_backend();
Device find_device();

}  // namespace quire
