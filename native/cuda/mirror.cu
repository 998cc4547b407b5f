// mirror.cu — pages between the device and the host, for saving, loading and digests.
//
// On the device keys are token-major [P, D] and a summary lies by itself; on the CPU keys are channel-major [D, P] and the
// summaries of 16 slots are interleaved. A kernel turns the keys over on the way, so that both backends save one format.
// Staging [n, G, record]: keys [D, P], values [P, D], summary [2, D], f16. At most kBatch pages are under way.
#include "native/cuda/mirror.h"

#include <algorithm>
#include <vector>

namespace quire::cuda {
namespace {

constexpr int64_t kBatch = 512;

int64_t record_halves(int32_t head_size) { return 2 * kPageTokens * head_size + 2 * head_size; }

template <bool kToDevice>
__global__ void turn_kernel(DeviceKv kv, const int32_t* slots, __half* staging, int64_t record) {
  const int64_t g = blockIdx.y;
  const int size = kv.head_size;
  const int64_t slot = slots[blockIdx.x];
  __half* page = kv.pages + (g * kv.slots + slot) * 2 * kPageTokens * size;
  __half* summary = kv.summaries + (g * kv.slots + slot) * 2 * size;
  __half* out = staging + (blockIdx.x * static_cast<int64_t>(kv.kv_heads) + g) * record;
  const auto move = [](__half& device, __half& host) {
    if (kToDevice)
      device = host;
    else
      host = device;
  };
  for (int i = threadIdx.x; i < kPageTokens * size; i += blockDim.x) {
    move(page[i], out[i % size * kPageTokens + i / size]);
    move(page[kPageTokens * size + i], out[kPageTokens * size + i]);
  }
  for (int i = threadIdx.x; i < 2 * size; i += blockDim.x) move(summary[i], out[2 * kPageTokens * size + i]);
}

template <bool kToDevice, typename AnyMemory>
void transfer(AnyMemory& memory, int64_t layer, const DeviceKv& kv, int64_t first, int64_t pages, cudaStream_t stream) {
  const int64_t record = record_halves(kv.head_size);
  const int64_t page_halves = 2 * kPageTokens * kv.head_size;
  const int64_t batch = std::min(kBatch, pages);
  if (batch <= 0) return;
  const KvLayer& host = memory.layer(layer);
  const int32_t* const slots = memory.list().slot + first;
  DeviceBuffer<int32_t> device_slots(batch);
  DeviceBuffer<__half> staging(batch * kv.kv_heads * record);
  std::vector<uint16_t> bytes(static_cast<size_t>(staging.count()));
  for (int64_t begin = 0; begin < pages; begin += batch) {
    const int64_t n = std::min(batch, pages - begin);
    const auto size = static_cast<size_t>(n * kv.kv_heads * record) * 2;
    const dim3 grid(static_cast<unsigned>(n), kv.kv_heads);
    check(cudaMemcpyAsync(device_slots.get(), slots + begin, n * 4, cudaMemcpyHostToDevice, stream), "mirror");
    if (!kToDevice) {
      turn_kernel<false><<<grid, 256, 0, stream>>>(kv, device_slots.get(), staging.get(), record);
      check_launch("mirror");
      check(cudaMemcpyAsync(bytes.data(), staging.get(), size, cudaMemcpyDeviceToHost, stream), "mirror");
      check(cudaStreamSynchronize(stream), "mirror");
    }
    for (int64_t i = 0; i < n; ++i)
      for (int64_t g = 0; g < kv.kv_heads; ++g) {
        uint16_t* const from = bytes.data() + (i * kv.kv_heads + g) * record;
        uint16_t* const page = host.keys(g, slots[begin + i]);
        if (kToDevice)
          std::copy(page, page + page_halves, from);
        else
          std::copy(from, from + page_halves, page);
        for (int64_t w = 0; w < 2; ++w)
          for (int64_t d = 0; d < kv.head_size; ++d) {
            uint16_t& on_host = host.summary(g, slots[begin + i], w)[d * kSummaryGroup];
            uint16_t& staged = from[page_halves + w * kv.head_size + d];
            if (kToDevice)
              staged = on_host;
            else
              on_host = staged;
          }
      }
    if (kToDevice) {
      check(cudaMemcpyAsync(staging.get(), bytes.data(), size, cudaMemcpyHostToDevice, stream), "mirror");
      turn_kernel<true><<<grid, 256, 0, stream>>>(kv, device_slots.get(), staging.get(), record);
      check_launch("mirror");
      check(cudaStreamSynchronize(stream), "mirror");
    }
  }
}

}  // namespace

void fetch(Memory& memory, int64_t layer, const DeviceKv& kv, int64_t first, int64_t pages, cudaStream_t stream) {
  transfer<false>(memory, layer, kv, first, pages, stream);
}
void store(const Memory& memory, int64_t layer, const DeviceKv& kv, int64_t first, int64_t pages, cudaStream_t stream) {
  transfer<true>(memory, layer, kv, first, pages, stream);
}

}  // namespace quire::cuda
