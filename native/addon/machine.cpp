// machine.cpp — what this machine has: processor, cores, memory, and the backends it can run.
#include "native/addon/machine.h"

#include <fstream>
#include <string>
#include <thread>

#include "native/addon/backend.h"
#include "native/kernels/ops.h"

#if defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(_WIN32)
#include <windows.h>
#endif

namespace quire {
namespace {

struct MachineMemory {
  double total = 0, available = 0;  // bytes
};

#if defined(__APPLE__)
MachineMemory machine_memory() {
  uint64_t total = 0;
  size_t size = sizeof total;
  sysctlbyname("hw.memsize", &total, &size, nullptr, 0);
  return {static_cast<double>(total), static_cast<double>(total) / 2};
}
std::string cpu_name() {
  char name[256] = {};
  size_t size = sizeof name - 1;
  sysctlbyname("machdep.cpu.brand_string", name, &size, nullptr, 0);
  return name;
}
#elif defined(_WIN32)
MachineMemory machine_memory() {
  MEMORYSTATUSEX status;
  status.dwLength = sizeof status;
  GlobalMemoryStatusEx(&status);
  return {static_cast<double>(status.ullTotalPhys), static_cast<double>(status.ullAvailPhys)};
}
std::string cpu_name() { return "unknown processor"; }
#else
MachineMemory machine_memory() {
  MachineMemory memory;
  std::ifstream info("/proc/meminfo");
  std::string key;
  double kib = 0;
  std::string unit;
  while (info >> key >> kib) {
    if (key == "MemTotal:") memory.total = kib * 1024;
    if (key == "MemAvailable:") memory.available = kib * 1024;
    std::getline(info, unit);
  }
  return memory;
}
std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  std::string line;
  while (std::getline(info, line))
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown processor";
}
#endif

}  // namespace

Napi::Value machine_call(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const MachineMemory memory = machine_memory();
  Napi::Object machine = Napi::Object::New(env);
  Napi::Array backends = Napi::Array::New(env);
  for (const Ops* ops : available_cpu_ops()) backends.Set(backends.Length(), Napi::String::New(env, ops->name));
  machine.Set("cpuBackends", backends);
  machine.Set("cpuName", cpu_name());
  machine.Set("cores", static_cast<double>(std::thread::hardware_concurrency()));
  machine.Set("memoryBytes", memory.total);
  machine.Set("availableBytes", memory.available);
  if (has_device_backend()) {
    const Device device = find_device();
    Napi::Object gpu = Napi::Object::New(env);
    gpu.Set("name", device.name);
    gpu.Set("refusal", device.refusal);
    gpu.Set("memoryBytes", device.memory_bytes);
    gpu.Set("freeBytes", device.free_bytes);
    machine.Set("gpu", gpu);
  }
  return machine;
}

}  // namespace quire
