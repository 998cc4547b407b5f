// device_info.cu — see device_info.h.
#include "native/cuda/device_info.h"

#include "native/cuda/device_refusal.h"
#include "native/kernels/cuda/device.h"

namespace quire::cuda {

DeviceInfo device_info() {
  DriverFacts facts;
  cudaDriverGetVersion(&facts.driver);
  cudaRuntimeGetVersion(&facts.runtime);
  cudaDeviceProp properties = {};
  if (facts.driver / 1000 >= facts.runtime / 1000) {  // else any further call fails for that reason
    const cudaError_t counted = cudaGetDeviceCount(&facts.devices);
    if (counted != cudaSuccess) facts.devices = 0;
    facts.said = counted == cudaSuccess ? "the driver shows none" : cudaGetErrorString(counted);
    if (facts.devices > 0) {
      check(cudaGetDeviceProperties(&properties, 0), "cuda");
      facts.name = properties.name;
      facts.compute = properties.major * 10 + properties.minor;
    }
  }
  const std::string refusal = device_refusal(facts);
  if (!refusal.empty()) throw Error("backend-refused", refusal, "cuda");
  size_t free_bytes = 0, total = 0;
  check(cudaMemGetInfo(&free_bytes, &total), "cuda");
  return {facts.name, static_cast<int64_t>(total), static_cast<int64_t>(free_bytes), facts.compute};
}

}  // namespace quire::cuda
