// device_launch.cuh — launching with the attributes of newer devices, and the device's side of programmatic launches.
//
// From compute capability 9.0 on a kernel may be put on the machine while the one before it still runs. The rule of this
// folder: a kernel calls wait_for_former() before it touches what a former kernel writes, and only then let_next_start(). So
// when a kernel starts, all but its direct forerunner are complete. On older devices both are nothing, and kernels queue up.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "native/kernels/cuda/device.h"

namespace quire::cuda {

__device__ inline void wait_for_former() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ inline void let_next_start() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

struct DeviceLimits {
  int multiprocessors = 0;
  int shared_bytes = 0;  // of one block, at most
  int major = 0;
};

inline DeviceLimits device_limits() {
  DeviceLimits limits;
  int device = 0;
  check(cudaGetDevice(&device), "device limits");
  check(cudaDeviceGetAttribute(&limits.multiprocessors, cudaDevAttrMultiProcessorCount, device), "device limits");
  check(cudaDeviceGetAttribute(&limits.shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), "device limits");
  check(cudaDeviceGetAttribute(&limits.major, cudaDevAttrComputeCapabilityMajor, device), "device limits");
  return limits;
}

// Launches with a struct of arguments. cluster: neighbouring blocks of x that share their shared memory; 1 on devices before 9.0.
template <typename Args>
void launch(void (*kernel)(Args), dim3 grid, int threads, size_t shared, int cluster, const DeviceLimits& limits,
            const Args& args, cudaStream_t stream, const char* where) {
  // All kernels ask for the same division of the first cache: two that differ cannot lie on a multiprocessor together.
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, cudaSharedmemCarveoutMaxShared),
        where);
  if (shared > 0)  // past 48 KiB, with what a kernel declares itself, only if it is allowed to
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)), where);
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  cudaLaunchAttribute attributes[2] = {};
  if (limits.major >= 9) {
    attributes[config.numAttrs].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[config.numAttrs++].val.programmaticStreamSerializationAllowed = 1;
  }
  if (cluster > 1) {
    attributes[config.numAttrs].id = cudaLaunchAttributeClusterDimension;
    attributes[config.numAttrs++].val.clusterDim = {static_cast<unsigned>(cluster), 1, 1};
  }
  config.attrs = attributes;
  check(cudaLaunchKernelEx(&config, kernel, args), where);
}

}  // namespace quire::cuda
