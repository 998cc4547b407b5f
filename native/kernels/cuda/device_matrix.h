// device_matrix.h — a packed weight matrix on the device: the bytes of packed_matrix.h as they are.
//
// The 16-row interleave that feeds a 64-byte register on the processor feeds 16 lanes × 16 bytes here, coalesced; so both
// backends read one format and nothing is packed twice.
#pragma once

#include "native/kernels/cuda/device.h"
#include "native/kernels/packed_matrix.h"

namespace quire::cuda {

// A view; the bytes belong to a DeviceBuffer.
struct DeviceMatrix {
  TensorType type = TensorType::kF32;
  int32_t rows = 0;     // N
  int32_t columns = 0;  // K
  int64_t group_bytes = 0;
  const uint8_t* data = nullptr;  // [ceil(N/16), group_bytes]
  __host__ __device__ int32_t groups() const { return (rows + 15) / 16; }
  __host__ __device__ bool is_float() const {
    return type == TensorType::kF32 || type == TensorType::kF16 || type == TensorType::kBF16;
  }
};

// Copies a matrix to the device; `owner` gets the bytes.
DeviceMatrix upload(const PackedMatrix& matrix, DeviceBuffer<uint8_t>& owner);

// Bytes of 16 rows of `columns` columns; what pack_matrix computes, for benches that make weights on the device.
int64_t packed_group_bytes(TensorType type, int64_t columns);

}  // namespace quire::cuda
