// launch.h — starts a kernel so that its beginning may overlap the end of the one before (programmatic dependent launch).
//
// A kernel started so must call wait_for_previous() before it reads what an earlier kernel wrote. Below compute 9.0 it is an
// ordinary launch.
#pragma once

#include "native/kernels/cuda/device.h"

namespace quire::cuda {

inline bool has_dependent_launch() {
  static const bool has = [] {
    int device = 0, major = 0;
    check(cudaGetDevice(&device), "launch");
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "launch");
    return major >= 9;
  }();
  return has;
}

template <typename... Parameters, typename... Arguments>
void launch_dependent(const char* where, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared,
                      cudaStream_t stream, Arguments... arguments) {
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = has_dependent_launch() ? 1 : 0;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), where);
}

}  // namespace quire::cuda
