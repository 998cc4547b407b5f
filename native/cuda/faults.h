// faults.h — faults of a device, provoked: so that what follows one is tested on a real device. Includes no CUDA header.
#pragma once

#include <memory>

#include "native/decode/decoder.h"

namespace quire::cuda {

// The decoder itself; or, where the environment says QUIRE_GPU_FAULT=illegal-access, one whose answers begin with a kernel that
// writes where it may not: the real thing, after which the process can use the device no more.
std::unique_ptr<Decoder> with_faults(std::unique_ptr<Decoder> decoder);

}  // namespace quire::cuda
