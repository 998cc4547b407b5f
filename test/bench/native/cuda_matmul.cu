// cuda_matmul.cu — gemv and gemm alone: bytes, GB/s and share of the measured read speed; TFLOP/s of the prefill product.
//
// Weights are random bytes, many copies in turn so that none is in the second-level cache; a CUDA graph of launches, median of
// 9 replays. Prints a JSON row each.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <vector>

#include "native/kernels/cuda/gemm.h"
#include "native/kernels/cuda/gemv.h"

namespace quire::cuda {
namespace {

__global__ void fill_kernel(uint32_t* p, int64_t words) {
  for (int64_t i = blockIdx.x * 256ll + threadIdx.x; i < words; i += gridDim.x * 256ll) {
    uint32_t h = static_cast<uint32_t>(i) * 2654435761u;
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    p[i] = h & 0x2fff2fffu;  // as f16: small positive numbers
  }
}
__global__ void read_kernel(const uint4* p, int64_t count, uint32_t* out) {
  uint32_t sum = 0;
#pragma unroll 8
  for (int64_t i = blockIdx.x * 512ll + threadIdx.x; i < count; i += gridDim.x * 512ll) {
    const uint4 v = __ldcs(p + i);
    sum += v.x ^ v.y ^ v.z ^ v.w;
  }
  if (sum == 12345) *out = sum;
}

// Microseconds of one launch: `launches` of them in a graph, median of 9.
double time_graph(int launches, const std::function<void(int, cudaStream_t)>& launch) {
  cudaStream_t stream;
  check(cudaStreamCreate(&stream), "bench");
  for (int i = 0; i < launches; ++i) launch(i, stream);
  check(cudaStreamSynchronize(stream), "bench");
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "bench");
  for (int i = 0; i < launches; ++i) launch(i, stream);
  check(cudaStreamEndCapture(stream, &graph), "bench");
  check(cudaGraphInstantiate(&exec, graph, 0), "bench");
  cudaEvent_t begin, end;
  cudaEventCreate(&begin);
  cudaEventCreate(&end);
  std::vector<float> times;
  for (int i = 0; i < 11; ++i) {
    cudaEventRecord(begin, stream);
    check(cudaGraphLaunch(exec, stream), "bench");
    cudaEventRecord(end, stream);
    check(cudaEventSynchronize(end), "bench");
    float ms = 0;
    cudaEventElapsedTime(&ms, begin, end);
    if (i >= 2) times.push_back(ms);
  }
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
  std::sort(times.begin(), times.end());
  return times[times.size() / 2] * 1000.0 / launches;
}

struct Shape {
  const char* name;
  int rows, columns;
};

int bench() {
  constexpr int64_t kPool = int64_t{2} << 30;
  DeviceBuffer<uint8_t> pool(kPool);
  fill_kernel<<<1024, 256>>>(reinterpret_cast<uint32_t*>(pool.get()), kPool / 4);
  DeviceBuffer<float> out(int64_t{8192} * 28672 + 200000), scales(16384), floats(32768);
  DeviceBuffer<int8_t> codes(32768);
  fill_kernel<<<64, 256>>>(reinterpret_cast<uint32_t*>(codes.get()), 8192);
  fill_kernel<<<64, 256>>>(reinterpret_cast<uint32_t*>(scales.get()), 16384);
  fill_kernel<<<64, 256>>>(reinterpret_cast<uint32_t*>(floats.get()), 32768);
  check(cudaDeviceSynchronize(), "bench");
  cudaDeviceProp device;
  cudaGetDeviceProperties(&device, 0);
  const double read_us = time_graph(4, [&](int, cudaStream_t s) {
    read_kernel<<<132 * 8, 512, 0, s>>>(reinterpret_cast<const uint4*>(pool.get()), kPool / 16,
                                        reinterpret_cast<uint32_t*>(out.get()));
  });
  const double peak = kPool / read_us / 1e3;
  std::printf("{\"bench\":\"gpu\",\"what\":\"read\",\"gpu\":\"%s\",\"gbs\":%.0f}\n", device.name, peak);

  struct Named {
    TensorType type;
    const char* name;
  };
  const Named types[] = {{TensorType::kQ4_K, "Q4_K"}, {TensorType::kQ6_K, "Q6_K"}, {TensorType::kQ5_K, "Q5_K"},
                         {TensorType::kQ5_0, "Q5_0"}, {TensorType::kQ8_0, "Q8_0"}, {TensorType::kQ4_0, "Q4_0"},
                         {TensorType::kQ4_1, "Q4_1"}, {TensorType::kF16, "F16"}};
  const Shape shapes[] = {{"8B qo", 4096, 4096},
                          {"8B down", 4096, 14336},
                          {"7B down", 3584, 18944},
                          {"8B head", 128256, 4096},
                          {"0.5B o", 896, 896 + 128}};
  for (const Named& type : types)
    for (const Shape& shape : shapes) {
      const int64_t group_bytes = packed_group_bytes(type.type, shape.columns);
      const int64_t bytes = group_bytes * ((shape.rows + 15) / 16);
      if (bytes > kPool) continue;
      const int copies = static_cast<int>(std::min<int64_t>(kPool / bytes, 64));
      const double us = time_graph(copies, [&](int i, cudaStream_t s) {
        GemvArgs args;
        args.part[0] = {
            {type.type, shape.rows, shape.columns, group_bytes, pool.get() + i * bytes}, nullptr, out.get()};
        args.x = {codes.get(), scales.get(), floats.get()};
        gemv(args, s);
      });
      std::printf(
          "{\"bench\":\"gpu\",\"what\":\"gemv\",\"type\":\"%s\",\"shape\":\"%s\",\"us\":%.2f,\"gbs\":%.0f,\"share\":%."
          "2f}\n",
          type.name, shape.name, us, bytes / us / 1e3, bytes / us / 1e3 / peak);
    }
  for (const Shape& shape : {Shape{"8B gate+up", 14336, 4096}, {"7B gate+up", 18944, 3584}}) {
    const int64_t group_bytes = packed_group_bytes(TensorType::kQ4_K, shape.columns);
    const int64_t bytes = group_bytes * shape.rows / 16;
    const int copies = static_cast<int>(kPool / bytes / 2);
    const double us = time_graph(copies, [&](int i, cudaStream_t s) {
      GemvSwigluArgs args;
      args.gate = {TensorType::kQ4_K, shape.rows, shape.columns, group_bytes, pool.get() + 2 * i * bytes};
      args.up = {TensorType::kQ4_K, shape.rows, shape.columns, group_bytes, pool.get() + (2 * i + 1) * bytes};
      args.x = {codes.get(), scales.get(), floats.get()};
      args.codes = codes.get() + 16384 - 16384;
      args.scales = scales.get() + 8192;
      args.codes = reinterpret_cast<int8_t*>(out.get());
      gemv_swiglu(args, s);
    });
    std::printf(
        "{\"bench\":\"gpu\",\"what\":\"gemv_swiglu\",\"type\":\"Q4_K\",\"shape\":\"%s\",\"us\":%.2f,\"gbs\":%.0f,"
        "\"share\":%.2f}\n",
        shape.name, us, 2 * bytes / us / 1e3, 2 * bytes / us / 1e3 / peak);
  }
  DeviceBuffer<__half> x(int64_t{8192} * 18944);
  fill_kernel<<<1024, 256>>>(reinterpret_cast<uint32_t*>(x.get()), x.count() / 2);
  for (const Named& type : types)
    for (const Shape& shape : {Shape{"8B up", 14336, 4096}, {"8B down", 4096, 14336}})
      for (const int tokens : {512, 4096}) {
        const int64_t group_bytes = packed_group_bytes(type.type, shape.columns);
        const double us = time_graph(2, [&](int, cudaStream_t s) {
          GemmArgs args;
          args.weight = {type.type, shape.rows, shape.columns, group_bytes, pool.get()};
          args.x = x.get();
          args.out = out.get();
          args.out_stride = shape.rows;
          args.tokens = tokens;
          gemm(args, s);
        });
        std::printf(
            "{\"bench\":\"gpu\",\"what\":\"gemm\",\"type\":\"%s\",\"shape\":\"%s\",\"tokens\":%d,\"us\":%.0f,"
            "\"tflops\":%.0f}\n",
            type.name, shape.name, tokens, us, 2.0 * shape.rows * shape.columns * tokens / us / 1e6);
      }
  return 0;
}

}  // namespace
}  // namespace quire::cuda

int main() {
  try {
    return quire::cuda::bench();
  } catch (const quire::Error& error) {
    std::fprintf(stderr, "%s: %s (%s)\n", error.code().c_str(), error.what(), error.where().c_str());
    return 1;
  }
}
