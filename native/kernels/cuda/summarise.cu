// summarise.cu — what is known of a head's page without loading it: per channel the mean and spread of its keys, or the
// minimum and maximum (Quest, arXiv:2406.10774). The formula is in device_summary.cuh.
//
// pages      [G, slots, 2, P, D]  f16  in: the first counts[i] keys of each page
// summaries  [G, slots, 2, D]     f16  out
//
// Grid (n, G), block D; one thread owns a channel of a page. Reads 32·D bytes a page and KV head, coalesced, and writes 4·D.
// Needs D ∈ {64, 128} and 1 ≤ counts[i] ≤ 16. n == 0 is a no-op. Twin: plain_append.cpp, equal to the bit.
#include "native/kernels/cuda/attention.h"
#include "native/kernels/cuda/device_launch.cuh"
#include "native/kernels/cuda/device_summary.cuh"

namespace quire::cuda {
namespace {

struct Args {
  DeviceKv kv;
  Summary summary;
  const int32_t* slots;
  const int32_t* counts;
};

__global__ void summarise_pages(Args args) {
  wait_for_former();
  let_next_start();
  const int64_t i = blockIdx.x;
  summarise_channel(args.kv, args.summary, blockIdx.y, args.slots[i], args.counts[i],
                    static_cast<int32_t>(threadIdx.x));
}

}  // namespace

void summarise(Summary summary, const int32_t* slots, const int32_t* counts, int64_t n, const DeviceKv& kv,
               cudaStream_t stream) {
  check_kv(kv, "summarise");
  if (n == 0) return;
  launch<Args>(summarise_pages, dim3(static_cast<unsigned>(n), static_cast<unsigned>(kv.kv_heads)), kv.head_size, 0, 1,
               device_limits(), {kv, summary, slots, counts}, stream, "summarise");
}

}  // namespace quire::cuda
