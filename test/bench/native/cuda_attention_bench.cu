// cuda_attention_bench.cu — one layer's attention of one token on the GPU: score, select and attend, apart and together.
//
// For each shape and context: random keys and values, summaries made by our kernel, budget 2 048 tokens, mean/spread, vote.
// Every call of a graph takes the next of several pools and queries, enough that what it reads has left the L2 cache since.
// Prints a JSON object a line: {heads, kvHeads, headSize, context, us, scoreUs, selectUs, attendUs, bytes, ...}: medians of
// graph replays divided by the calls in the graph. us: as an answer's step takes it, in one kernel where the device can, with summaries of summaryBits bits;
// threeKernelsUs and score, select, attend apart: the kernels of other devices. `quick` as an argument measures three contexts and not dense.
// test/bench/native/cuda_attention_peer.py runs this, times PyTorch's dense attention on the same card, and writes the rows.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <vector>

#include "native/kernels/cuda/attention.h"

namespace quire::cuda {
namespace {

constexpr int64_t kColdBytes = 512ll << 20;  // ten times the L2 of an H100
constexpr int kReplays = 31;

// Random numbers, near to normal: a hash's four 16-bit parts, summed.
__global__ void fill(__half* out, int64_t count, uint64_t seed, float spread) {
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < count;
       i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    uint64_t x = (static_cast<uint64_t>(i) + seed) * 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    x ^= x >> 31;
    const float sum = static_cast<float>(x & 0xffff) + static_cast<float>(x >> 16 & 0xffff) +
                      static_cast<float>(x >> 32 & 0xffff) + static_cast<float>(x >> 48);
    out[i] = __float2half_rn((sum / 65536.0f - 2.0f) * 1.7320508f * spread);
  }
}
__global__ void to_float(const __half* in, float* out, int64_t count) {
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) out[i] = __half2float(in[i]);
}
__global__ void read_all(const uint4* in, int64_t count, uint32_t* out) {
  uint32_t x = 0;
  int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (; i + 3 * step < count; i += 4 * step) {
    const uint4 a = __ldcs(in + i), b = __ldcs(in + i + step), c = __ldcs(in + i + 2 * step),
                d = __ldcs(in + i + 3 * step);
    x ^= a.x ^ a.y ^ a.z ^ a.w ^ b.x ^ b.y ^ b.z ^ b.w ^ c.x ^ c.y ^ c.z ^ c.w ^ d.x ^ d.y ^ d.z ^ d.w;
  }
  if (x == 0x12345678u) *out = x;
}

double median(std::vector<float> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Microseconds a call of `record`, which puts `calls` calls on the stream; how many kernels a call is.
double time_graph(cudaStream_t stream, int calls, const std::function<void()>& record, int64_t* kernels = nullptr) {
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "bench");
  record();
  check(cudaStreamEndCapture(stream, &graph), "bench");
  size_t nodes = 0;
  check(cudaGraphGetNodes(graph, nullptr, &nodes), "bench");
  if (kernels != nullptr) *kernels = static_cast<int64_t>(nodes) / calls;
  check(cudaGraphInstantiate(&executable, graph, 0), "bench");
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "bench");
  check(cudaEventCreate(&end), "bench");
  for (int i = 0; i < 3; ++i) check(cudaGraphLaunch(executable, stream), "bench");
  std::vector<float> times;
  for (int i = 0; i < kReplays; ++i) {
    check(cudaEventRecord(begin, stream), "bench");
    check(cudaGraphLaunch(executable, stream), "bench");
    check(cudaEventRecord(end, stream), "bench");
    check(cudaEventSynchronize(end), "bench");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin, end), "bench");
    times.push_back(milliseconds * 1000 / static_cast<float>(calls));
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  return median(times);
}

double read_gigabytes(cudaStream_t stream) {
  constexpr int64_t kBytes = 4ll << 30;
  DeviceBuffer<uint4> data(kBytes / 16);
  DeviceBuffer<uint32_t> out(1);
  fill<<<1024, 256, 0, stream>>>(reinterpret_cast<__half*>(data.get()), kBytes / 2, 1, 1.0f);
  const double us =
      time_graph(stream, 1, [&] { read_all<<<132 * 8, 512, 0, stream>>>(data.get(), kBytes / 16, out.get()); });
  return static_cast<double>(kBytes) / us / 1000;
}

struct Shape {
  int32_t heads, kv_heads, head_size;
};

void measure(cudaStream_t stream, const Shape& shape, int64_t context, double peak, bool quick) {
  const int64_t n = context / kPageTokens;
  constexpr int32_t kBudget = 2048 / kPageTokens;
  const int64_t page_halves = 2 * kPageTokens * shape.head_size;
  const int64_t halves = shape.kv_heads * n * page_halves;
  const double attend_bytes = 2.0 * shape.kv_heads * std::min<int64_t>(n, kBudget) * page_halves;
  const double least = n > kBudget ? 2.0 * shape.kv_heads * n * shape.head_size + attend_bytes : attend_bytes;
  size_t free_bytes = 0, total_bytes = 0;
  check(cudaMemGetInfo(&free_bytes, &total_bytes), "bench");
  const auto fits =
      static_cast<int64_t>(0.9 * static_cast<double>(free_bytes) / (2.0 * static_cast<double>(halves) * 35 / 32));
  const int64_t pools =
      std::max<int64_t>(1, std::min<int64_t>(fits, 1 + static_cast<int64_t>(static_cast<double>(kColdBytes) / least)));
  const int64_t summary_numbers = shape.kv_heads * n * 2 * shape.head_size,
                channels = shape.kv_heads * 2 * shape.head_size;
  DeviceBuffer<__half> pages(pools * halves), summaries(pools * summary_numbers);
  DeviceBuffer<uint8_t> codes(pools * summary_numbers);
  DeviceBuffer<float2> grid(pools * channels), partial(64 * channels);
  fill<<<2048, 256, 0, stream>>>(pages.get(), pools * halves, 77, 1.0f);
  const int calls = static_cast<int>(std::max<int64_t>(pools, 24));
  const int64_t q_floats = shape.heads * shape.head_size;
  DeviceBuffer<__half> q_half(calls * q_floats);
  DeviceBuffer<float> q(calls * q_floats), out(q_floats);
  fill<<<64, 256, 0, stream>>>(q_half.get(), calls * q_floats, 12345, 1.0f);
  to_float<<<1, 1024, 0, stream>>>(q_half.get(), q.get(), calls * q_floats);
  std::vector<int32_t> slots(static_cast<size_t>(n)), counts(static_cast<size_t>(n), kPageTokens);
  for (int64_t i = 0; i < n; ++i) slots[static_cast<size_t>(i)] = static_cast<int32_t>(i);
  DeviceBuffer<int32_t> slots_device(n), counts_device(n);
  check(cudaMemcpy(slots_device.get(), slots.data(), slots.size() * 4, cudaMemcpyHostToDevice), "bench");
  check(cudaMemcpy(counts_device.get(), counts.data(), counts.size() * 4, cudaMemcpyHostToDevice), "bench");
  StepState step;
  step.pages = static_cast<int32_t>(n);
  DeviceBuffer<StepState> state(1);
  check(cudaMemcpy(state.get(), &step, sizeof step, cudaMemcpyHostToDevice), "bench");

  const auto make = [&](int call, bool dense, bool coded = false) {
    const int64_t pool = call % pools;
    AttentionStep args;
    args.q = q.get() + call * q_floats;
    args.out = out.get();
    args.heads = shape.heads;
    args.scale = 1.0f / std::sqrt(static_cast<float>(shape.head_size));
    args.kv.pages = pages.get() + pool * halves;
    args.kv.summaries = summaries.get() + pool * summary_numbers;
    if (coded) {
      args.kv.codes = codes.get() + pool * summary_numbers;
      args.kv.grid = grid.get() + pool * channels;
    }
    args.kv.slots = n;
    args.kv.kv_heads = shape.kv_heads;
    args.kv.head_size = shape.head_size;
    args.list = {slots_device.get(), counts_device.get()};
    args.state = state.get();
    args.max_pages = n;
    args.selection.budget_pages = dense ? 0 : kBudget;
    return args;
  };
  for (int pool = 0; pool < pools; ++pool) {
    summarise(Summary::kMeanSpread, slots_device.get(), counts_device.get(), n, make(pool, false).kv, stream);
    code_summaries(make(pool, false, true).kv, grid.get() + pool * channels, make(0, false).list, n, partial.get(),
                   stream);
  }
  DeviceBuffer<unsigned char> workspace(
      std::max(attention_step_workspace(make(0, false)), attention_step_workspace(make(0, true))));
  check(cudaMemset(workspace.get(), 0, static_cast<size_t>(workspace.count())), "bench");
  int64_t kernels = 0;
  const auto run = [&](bool dense, bool coded, int only, bool one_kernel = true) {
    const auto record = [&] {
      for (int call = 0; call < calls; ++call) {
        AttentionStep args = make(call, dense, coded);
        args.workspace = workspace.get();
        args.one_kernel = one_kernel;
        if (only < 0)
          attention_step(args, stream);
        else
          attention_step_part(args, only, stream);
      }
    };
    return time_graph(stream, calls, record, only < 0 && !dense && one_kernel ? &kernels : nullptr);
  };
  const bool selects = n > kBudget;
  const bool coded = selects && codes_pay(n, shape.kv_heads);
  const double us16 = run(false, false, -1), us8 = selects ? run(false, true, -1) : us16;
  const double us = coded ? us8 : us16;
  const double score_us = selects ? run(false, coded, 0) : 0, select_us = selects ? run(false, coded, 1) : 0,
               attend_us = run(false, coded, 2);
  const double three_us = run(false, coded, -1, false);
  const double dense_us = quick ? 1 : run(true, false, -1);
  const double score_bytes = coded ? summary_numbers : 2 * summary_numbers;
  const double touched = n > kBudget ? score_bytes + attend_bytes : attend_bytes;
  std::printf(
      "{\"heads\":%d,\"kvHeads\":%d,\"headSize\":%d,\"context\":%lld,\"us\":%.2f,\"summaryBits\":%d,\"us16Bits\":%.2f,"
      "\"us8Bits\":%.2f,\"threeKernelsUs\":%.2f,\"scoreUs\":%.2f,\"selectUs\":%.2f,\"attendUs\":%.2f,\"ownDenseUs\":%."
      "2f,"
      "\"bytes\":%.0f,\"scoreGBs\":%.0f,\"attendGBs\":%.0f,\"ownDenseGBs\":%.0f,\"peakGBs\":%.0f,\"bytesShare\":%.3f,"
      "\"kernels\":%lld,\"pools\":%lld,\"calls\":%d}\n",
      shape.heads, shape.kv_heads, shape.head_size, static_cast<long long>(context), us, coded ? 8 : 16, us16, us8,
      three_us, score_us, select_us, attend_us, dense_us, touched, selects ? score_bytes / score_us / 1000 : 0.0,
      attend_bytes / attend_us / 1000, 2.0 * static_cast<double>(halves) / dense_us / 1000, peak,
      touched / (peak * 1000) / us, static_cast<long long>(kernels), static_cast<long long>(pools), calls);
  std::fflush(stdout);
}

}  // namespace
}  // namespace quire::cuda

int main(int count, char** arguments) {
  using namespace quire::cuda;
  try {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
      std::puts("no GPU on this machine: nothing was measured");
      return 0;
    }
    const bool quick = count > 1 && std::strcmp(arguments[1], "quick") == 0;
    cudaStream_t stream;
    check(cudaStreamCreate(&stream), "bench");
    const double peak = read_gigabytes(stream);
    const Shape shapes[] = {{32, 32, 128}, {32, 8, 128}, {28, 4, 128}, {14, 2, 64}};
    for (const Shape& shape : shapes)
      for (const int64_t context : quick ? std::vector<int64_t>{32768, 131072, 1048576}
                                         : std::vector<int64_t>{8192, 32768, 131072, 524288, 1048576})
        measure(stream, shape, context, peak, quick);
    return 0;
  } catch (const std::exception& error) {
    std::printf("failed: %s\n", error.what());
    return 1;
  }
}
