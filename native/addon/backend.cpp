// backend.cpp — see backend.h.
#include "native/addon/backend.h"

#if defined(QUIRE_CUDA)
#include "native/cuda/faults.h"
#include "native/cuda/gpu_forward.h"
#endif

namespace quire {

#if defined(QUIRE_CUDA)

void place_model(ModelState& model) {
  model.device = cuda::upload_model(model.weights);
  model.weights.layers.clear();
  model.weights.embedding = PackedMatrix();
  model.weights.head = PackedMatrix();
}

std::unique_ptr<Decoder> make_decoder(ModelState& model, Memory& memory, const RopeScaling& rope) {
  return cuda::with_faults(
      std::make_unique<cuda::GpuForward>(std::static_pointer_cast<cuda::GpuModel>(model.device), memory, rope));
}

std::string backend_name(const ModelState&) { return "cuda " + cuda::device_info().name; }

int64_t work_bytes(const ModelState& model) { return cuda::work_bytes(model.weights.geometry); }

bool has_device_backend() { return true; }

Device find_device() {
  Device device;
  try {
    const cuda::DeviceInfo info = cuda::device_info();
    device.name = info.name;
    device.memory_bytes = static_cast<double>(info.memory_bytes);
    device.free_bytes = static_cast<double>(info.free_bytes);
  } catch (const Error& error) {
    device.refusal = error.what();
  }
  return device;
}

#else

void place_model(ModelState&) {}

std::unique_ptr<Decoder> make_decoder(ModelState& model, Memory& memory, const RopeScaling& rope) {
  return std::make_unique<CpuDecoder>(model.weights, model.ops, model.pool, memory, rope);
}

std::string backend_name(const ModelState& model) { return std::string("cpu ") + model.ops.name; }

int64_t work_bytes(const ModelState&) { return 0; }

bool has_device_backend() { return false; }
Device find_device() { return {}; }

#endif

}  // namespace quire
