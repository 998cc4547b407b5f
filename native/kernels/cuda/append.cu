// append.cu — keys and values of tokens into their pages.
//
//   page[slot] keys[place][d] = f16(k[t, g, d])      values[place][d] = f16(v[t, g, d])
//
// k, v   [T, G, D]             f32  after RoPE
// pages  [G, slots, 2, P, D]   f16
//
// append_step: grid G, block D; one thread owns a channel. The token that fills its page makes the page's summary too: the
// page's keys are read once more, 4 KiB a KV head every 16th token. Slot and place come from device memory (StepState).
// append_chunk: grid (T, G), block D. Reads 8·G·D bytes a token and writes half of that.
// Twin: plain_append.cpp, equal to the bit. Needs D ∈ {64, 128}. T == 0 is a no-op.
#include "native/kernels/cuda/attention.h"
#include "native/kernels/cuda/device_launch.cuh"
#include "native/kernels/cuda/device_summary.cuh"

namespace quire::cuda {
namespace {

struct StepArgs {
  const float* k;
  const float* v;
  DeviceKv kv;
  Summary summary;
  const StepState* state;
};

struct ChunkArgs {
  const float* k;
  const float* v;
  int64_t stride;
  const int32_t* slots;
  const int32_t* places;
  DeviceKv kv;
};

__global__ void append_token(StepArgs args) {
  wait_for_former();
  let_next_start();
  const int64_t slot = args.state->slot;
  const int32_t place = args.state->place;
  const int64_t i = static_cast<int64_t>(blockIdx.y) * args.kv.head_size + threadIdx.x;
  put_channel(args.kv, blockIdx.y, slot, place, static_cast<int32_t>(threadIdx.x), args.k[i], args.v[i]);
  // A thread's channel is its own: no barrier between writing the key and reading the page's.
  if (place + 1 == kPageTokens) summarise_channel(args.kv, args.summary, blockIdx.y, slot, kPageTokens, threadIdx.x);
}

__global__ void append_tokens(ChunkArgs args) {
  wait_for_former();
  let_next_start();
  const int64_t t = blockIdx.x;
  const int64_t i = t * args.stride + blockIdx.y * args.kv.head_size + threadIdx.x;
  put_channel(args.kv, blockIdx.y, args.slots[t], args.places[t], static_cast<int32_t>(threadIdx.x), args.k[i],
              args.v[i]);
}

}  // namespace

void append_step(const float* k, const float* v, const DeviceKv& kv, Summary summary, const StepState* state,
                 cudaStream_t stream) {
  check_kv(kv, "append_step");
  launch<StepArgs>(append_token, dim3(1, static_cast<unsigned>(kv.kv_heads)), kv.head_size, 0, 1, device_limits(),
                   {k, v, kv, summary, state}, stream, "append_step");
}

void append_chunk(const float* k, const float* v, int64_t stride, const int32_t* slots, const int32_t* places,
                  int64_t tokens, const DeviceKv& kv, cudaStream_t stream) {
  check_kv(kv, "append_chunk");
  if (tokens == 0) return;
  launch<ChunkArgs>(append_tokens, dim3(static_cast<unsigned>(tokens), static_cast<unsigned>(kv.kv_heads)),
                    kv.head_size, 0, 1, device_limits(), {k, v, stride, slots, places, kv}, stream, "append_chunk");
}

}  // namespace quire::cuda
