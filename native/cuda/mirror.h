// mirror.h — pages between the device and Memory, whose layout is the CPU's: see mirror.cu.
#pragma once

#include "native/kernels/cuda/device.h"
#include "native/memory/memory.h"

namespace quire::cuda {

// Entries [first, first + pages) of the list, of one layer, from the device to the memory; and back.
void fetch(Memory& memory, int64_t layer, const DeviceKv& kv, int64_t first, int64_t pages, cudaStream_t stream);
void store(const Memory& memory, int64_t layer, const DeviceKv& kv, int64_t first, int64_t pages, cudaStream_t stream);

}  // namespace quire::cuda
