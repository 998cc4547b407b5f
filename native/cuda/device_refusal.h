// device_refusal.h — whether a device can be used, from what the driver says of itself; and if not, why, for the user to read.
//
// A function of numbers, so that every reason is tested on machines without a GPU. device_info.cu fills the facts in.
#pragma once

#include <string>

namespace quire::cuda {

struct DriverFacts {
  int driver = 0;         // the newest CUDA that the driver serves, 13000 for 13.0; 0: there is no driver
  int runtime = 0;        // the CUDA that this was built with
  int devices = 0;        // that the driver shows
  const char* said = "";  // by the driver where it shows none
  std::string name;       // of the first device
  int compute = 0;        // of it, 90 for 9.0
};

constexpr int kLeastCompute = 80;  // m16n8k16 tiles of f16, asynchronous copies

// Why the device cannot be used; empty where it can.
inline std::string device_refusal(const DriverFacts& facts) {
  const auto version = [](int v) { return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10); };
  if (facts.driver == 0) return "there is no NVIDIA driver";
  // A driver serves every release of its own major version.
  if (facts.driver / 1000 < facts.runtime / 1000)
    return "the NVIDIA driver is for CUDA " + version(facts.driver) + ", CUDA " + version(facts.runtime / 1000 * 1000) +
           " or later is needed: update the driver";
  if (facts.devices == 0) return std::string("no NVIDIA GPU can be used: ") + facts.said;
  if (facts.compute < kLeastCompute)
    return facts.name + " has compute capability " + std::to_string(facts.compute / 10) + "." +
           std::to_string(facts.compute % 10) + ", 8.0 or later is needed";
  return "";
}

}  // namespace quire::cuda
