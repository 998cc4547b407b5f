// device_matrix.cu — see device_matrix.h.
#include "native/kernels/cuda/device_matrix.h"

namespace quire::cuda {

DeviceMatrix upload(const PackedMatrix& matrix, DeviceBuffer<uint8_t>& owner) {
  owner = DeviceBuffer<uint8_t>(matrix.data.bytes(), "weights");
  check(cudaMemcpy(owner.get(), matrix.data.data(), static_cast<size_t>(matrix.data.bytes()), cudaMemcpyHostToDevice),
        "weights");
  return {matrix.type, static_cast<int32_t>(matrix.rows), static_cast<int32_t>(matrix.columns), matrix.group_bytes,
          owner.get()};
}

int64_t packed_group_bytes(TensorType type, int64_t columns) {
  const BlockShape shape = block_shape(type);
  if (type == TensorType::kF32 || type == TensorType::kF16 || type == TensorType::kBF16)
    return columns * shape.bytes * kRowGroup;
  return columns / shape.columns * packed_layout(type).chunk_bytes();
}

}  // namespace quire::cuda
