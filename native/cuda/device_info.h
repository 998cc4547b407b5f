// device_info.h — the device that is used. Includes no CUDA header.
#pragma once

#include <cstdint>
#include <string>

namespace quire::cuda {

struct DeviceInfo {
  std::string name;
  int64_t memory_bytes = 0;
  int64_t free_bytes = 0;
  int compute = 0;  // 90 for 9.0
};
// Throws "backend-refused" with the reason: no driver, too old a driver, no device, too old a device (device_refusal.h).
DeviceInfo device_info();

}  // namespace quire::cuda
