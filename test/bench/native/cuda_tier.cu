// cuda_tier.cu — KV beyond the device's memory, end to end: the 7B shape with random weights, a long memory, a cap for the KV.
//
//   bench_cuda_tier [--context 1048576] [--cap-gib 16] [--budget 2048] [--trace page_trace.bin]
//
// Decode: 128 tokens after 64 to warm up, median of 3, with three kinds of pages: "own", what the random weights choose (nearly the
// same at every step: the best case); "trace", what a real model loaded (page_trace.cpp), its lists given to this shape's in turn,
// a trace's page standing for one among as many of this memory as there are for each of the trace's; "worst", others at every step.
// Question: 64 tokens that attend to everything, median of 3; the link's own
// speed is measured beside it, a plain copy of 4 GiB from pinned memory. Prints a JSON row each.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "native/cuda/gpu_forward.h"
#include "native/cuda/page_tier.h"
#include "test/bench/native/random_model.cuh"

namespace quire::cuda {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// GB/s of a plain copy from the tier's own pinned memory to the device.
double link_speed(const __half* ram, int64_t bytes) {
  DeviceBuffer<uint8_t> to(bytes);
  std::vector<double> seconds;
  for (int i = 0; i < 4; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    check(cudaMemcpy(to.get(), ram, static_cast<size_t>(bytes), cudaMemcpyHostToDevice), "link");
    if (i > 0) seconds.push_back(seconds_since(begin));
  }
  return static_cast<double>(bytes) / median(seconds) / 1e9;
}

struct Trace {
  int32_t layers = 0, kv_heads = 0, pages = 0, steps = 0, list = 0;
  std::vector<int32_t> chosen;  // [steps, layers, kv_heads, pages]
};

Trace read_trace(const char* path) {
  Trace trace;
  std::FILE* const file = std::fopen(path, "rb");
  if (file == nullptr) throw Error("bad-option", "there is no such trace", path);
  int32_t head[5];
  bool whole = std::fread(head, sizeof head, 1, file) == 1;
  trace.layers = head[0];
  trace.kv_heads = head[1];
  trace.pages = head[2];
  trace.steps = head[3];
  trace.list = head[4];
  if (whole) trace.chosen.resize(static_cast<size_t>(trace.steps) * trace.layers * trace.kv_heads * trace.pages);
  whole = whole && std::fread(trace.chosen.data(), 4, trace.chosen.size(), file) == trace.chosen.size();
  std::fclose(file);
  if (!whole) throw Error("bad-option", "the trace is cut off", path);
  return trace;
}

// The trace for this shape: its lists in turn, a page where it stands in a memory of n pages.
DeviceBuffer<int32_t> spread(const Trace& trace, const Geometry& g, int64_t n) {
  const int64_t lists = g.layers * g.kv_heads, of_trace = static_cast<int64_t>(trace.layers) * trace.kv_heads;
  const int64_t each = std::max<int64_t>(1, n / trace.list);
  std::vector<int32_t> all;
  for (int64_t step = 0; step < trace.steps; ++step)
    for (int64_t list = 0; list < lists; ++list) {
      const int32_t* const from = trace.chosen.data() + (step * of_trace + list % of_trace) * trace.pages;
      for (int64_t i = 0; i < trace.pages; ++i)
        all.push_back(static_cast<int32_t>(from[i] < 0 ? -1 : from[i] * each + list * 7 % each));
    }
  DeviceBuffer<int32_t> there(static_cast<int64_t>(all.size()));
  check(cudaMemcpy(there.get(), all.data(), all.size() * 4, cudaMemcpyHostToDevice), "trace");
  return there;
}

// Other pages at every step: no cache helps.
Trace worst_trace(const Geometry& g, int64_t n, int64_t pages) {
  Trace trace;
  trace.layers = static_cast<int32_t>(g.layers);
  trace.kv_heads = static_cast<int32_t>(g.kv_heads);
  trace.pages = static_cast<int32_t>(pages);
  trace.steps = 512;
  trace.list = static_cast<int32_t>(n);
  const int64_t stretch = n / pages;  // a page from each
  uint32_t random = 1;
  for (int64_t i = 0; i < trace.steps * g.layers * g.kv_heads; ++i)
    for (int64_t page = 0; page < pages; ++page) {
      random = random * 1664525u + 1013904223u;  // its low bits come again soon: the high ones choose
      trace.chosen.push_back(
          static_cast<int32_t>(page * stretch + (static_cast<int64_t>(random >> 8) * stretch >> 24)));
    }
  return trace;
}

void bench_decode(GpuForward& forward, const char* pages_of, int64_t context, int64_t budget, int64_t cap) {
  const std::atomic<bool> cancel{false};
  PageTier& tier = *forward.tier();
  GenerateOptions options;
  options.selection.page_budget = budget;
  options.max_tokens = 64;
  forward.generate(options, cancel, [](int32_t) {});
  options.max_tokens = 128;
  std::vector<double> seconds;
  tier.reset_counts(nullptr);
  for (int i = 0; i < 3; ++i) {
    const GenerateResult result = forward.generate(options, cancel, [](int32_t) {});
    if (result.tokens.size() != 128) throw Error("internal", "not all tokens came", "decode");
    seconds.push_back(result.seconds / 128);
  }
  const TierCounts counts = tier.counts(nullptr);
  std::printf(
      "{\"bench\":\"gpu\",\"what\":\"tier-decode\",\"shape\":\"7B\",\"context\":%lld,\"capGiB\":%.1f,\"pageBudget\":%"
      "lld,"
      "\"pages\":\"%s\",\"quire\":%.1f,\"msPerToken\":%.3f,\"hitRate\":%.4f,\"fetchedMBPerToken\":%.2f,\"frames\":%lld}"
      "\n",
      static_cast<long long>(context), static_cast<double>(cap) / (1 << 30), static_cast<long long>(budget), pages_of,
      1 / median(seconds), median(seconds) * 1e3,
      1 - static_cast<double>(counts.fetched) / static_cast<double>(counts.asked),
      static_cast<double>(counts.fetched) * 64 * 128 / (3 * 128) / 1e6, static_cast<long long>(tier.frames()));
  std::fflush(stdout);
}

int bench(int argc, char** argv) {
  int64_t context = 1048576, cap = int64_t{16} << 30;
  std::vector<int64_t> budgets = {1024, 2048};
  const char* trace_file = nullptr;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--context") == 0) context = std::atoll(argv[i + 1]);
    if (std::strcmp(argv[i], "--cap-gib") == 0) cap = static_cast<int64_t>(std::atof(argv[i + 1]) * (1 << 30));
    if (std::strcmp(argv[i], "--budget") == 0) budgets = {std::atoll(argv[i + 1])};
    if (std::strcmp(argv[i], "--trace") == 0) trace_file = argv[i + 1];
  }
  Geometry g;
  g.architecture = Architecture::kQwen2;
  g.layers = 28;
  g.heads = 28;
  g.kv_heads = 4;
  g.head_size = 128;
  g.embedding = 3584;
  g.feed_forward = 18944;
  g.vocabulary = 152064;
  g.context = 131072;
  g.norm_epsilon = 1e-6f;
  g.rope_base = 1e6f;
  const auto model = random_model(g, true);
  const auto begin = std::chrono::steady_clock::now();
  Memory memory(g, context / kPageTokens + 256, Summary::kMeanSpread, Memory::Place::kDevice);
  GpuForward forward(model, memory, {}, cap);
  if (forward.tier() == nullptr) throw Error("bad-option", "all pages fit under the cap: there is no tier to measure");
  PageTier& tier = *forward.tier();
  forward.fill_with_noise(context);
  const double made = seconds_since(begin);
  const double link = link_speed(tier.pages(), int64_t{4} << 30);
  std::printf(
      "{\"bench\":\"gpu\",\"what\":\"tier-link\",\"gpu\":\"%s\",\"GBs\":%.1f,\"pinnedGB\":%.1f,\"madeIn\":%.1f}\n",
      device_info().name.c_str(), link, static_cast<double>(Memory::page_bytes(g)) * context / 16 / 1e9, made);
  std::fflush(stdout);

  const std::atomic<bool> cancel{false};
  std::vector<int32_t> question(64);
  for (size_t i = 0; i < question.size(); ++i) question[i] = static_cast<int32_t>(i * 7919 % 50000);
  std::vector<double> seconds;
  for (int i = 0; i < 3; ++i) {
    const Memory::Mark mark = memory.mark();
    const auto start = std::chrono::steady_clock::now();
    forward.prefill(question, {}, cancel, nullptr);
    seconds.push_back(seconds_since(start));
    if (i < 2) memory.roll_back(mark);
  }
  const double bytes = static_cast<double>(g.layers * g.kv_heads * memory.pages()) * 64 * 128;
  std::printf(
      "{\"bench\":\"gpu\",\"what\":\"tier-question\",\"shape\":\"7B\",\"context\":%lld,\"tokens\":64,\"seconds\":%.3f,"
      "\"GBs\":%.1f,"
      "\"shareOfLink\":%.3f}\n",
      static_cast<long long>(context), median(seconds), bytes / median(seconds) / 1e9,
      bytes / median(seconds) / 1e9 / link);
  std::fflush(stdout);

  for (const int64_t budget : budgets) bench_decode(forward, "own", context, budget, cap);
  const auto replay = [&](const char* name, const Trace& trace) {
    const DeviceBuffer<int32_t> there = spread(trace, g, memory.pages());
    tier.replay(there.get(), trace.steps, trace.pages);
    tier.forget(nullptr);
    check(cudaDeviceSynchronize(), "trace");
    bench_decode(forward, name, context, trace.pages * kPageTokens, cap);
  };
  // Each with another budget than the one before: graphs are captured anew, with the trace in them.
  if (trace_file != nullptr) replay("trace", read_trace(trace_file));
  for (const int64_t budget : {int64_t{2048}, int64_t{1024}})
    replay("worst", worst_trace(g, memory.pages(), budget / kPageTokens));
  return 0;
}

}  // namespace
}  // namespace quire::cuda

int main(int argc, char** argv) {
  try {
    return quire::cuda::bench(argc, argv);
  } catch (const quire::Error& error) {
    std::fprintf(stderr, "%s: %s (%s)\n", error.code().c_str(), error.what(), error.where().c_str());
    return 1;
  }
}
