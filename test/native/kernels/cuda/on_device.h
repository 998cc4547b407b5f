// on_device.h — vectors on the device, for tests: copied there when made, back by download().
#pragma once

#include <vector>

#include "native/kernels/cuda/device.h"

namespace quire::cuda {

inline bool has_device() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

template <typename T>
class OnDevice {
 public:
  explicit OnDevice(const std::vector<T>& values) : buffer_(static_cast<int64_t>(values.size())) {
    check(cudaMemcpy(buffer_.get(), values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), "upload");
  }
  T* get() { return buffer_.get(); }
  std::vector<T> download() const {
    std::vector<T> values(static_cast<size_t>(buffer_.count()));
    check(cudaDeviceSynchronize(), "kernel");
    check(cudaMemcpy(values.data(), buffer_.get(), values.size() * sizeof(T), cudaMemcpyDeviceToHost), "download");
    return values;
  }

 private:
  DeviceBuffer<T> buffer_;
};

}  // namespace quire::cuda
