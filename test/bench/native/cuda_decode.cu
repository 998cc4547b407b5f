// cuda_decode.cu — decode and prefill end to end on the device, at the shapes of DESIGN §11 with random weights, by context.
//
//   bench_cuda_decode [shape …] [--contexts 0,32768,131072] [--budget 2048] [--no-prefill]
//
// The loop is the engine's own (kernels/cuda/gpu_forward.h): what is timed is what answers. Weights are made on the device, with
// the types that Q4_K_M gives each tensor; the context is noise written to the pages. Decode: 128 tokens, greedy, no stop token,
// after 32 to warm up, median of 5. Prefill: 8 192 tokens, median of 3,
// densely and, behind a context, sparsely with the same page budget. Prints a JSON row each.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "native/cuda/gpu_forward.h"
#include "test/bench/native/random_model.cuh"

namespace quire::cuda {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void bench_shape(const Shape& shape, const std::vector<int64_t>& contexts, int64_t budget, bool prefill,
                 const std::string& gpu) {
  const std::shared_ptr<GpuModel> model = random_model(shape.geometry, shape.own_head);
  const std::atomic<bool> cancel{false};
  for (const int64_t context : contexts) {
    for (const char* const what : {"decode", "dense", "sparse"}) {
      const bool is_decode = std::strcmp(what, "decode") == 0;
      const bool sparse = std::strcmp(what, "sparse") == 0;
      if ((!is_decode && !prefill) || (sparse && context <= budget)) continue;
      const int64_t tokens = std::max<int64_t>(context, 16) + (is_decode ? 1024 : 3 * 8192);
      Memory memory(shape.geometry, (tokens + 15) / 16 + 4, Summary::kMeanSpread, Memory::Place::kDevice);
      GpuForward forward(model, memory, {});
      forward.fill_with_noise(std::max<int64_t>(context, 16));
      std::vector<double> seconds;
      PageCounts counts;
      if (is_decode) {
        GenerateOptions options;
        options.selection.page_budget = budget;
        options.max_tokens = 32;
        forward.generate(options, cancel, [](int32_t) {});
        options.max_tokens = 128;
        for (int i = 0; i < 5; ++i) {
          const GenerateResult result = forward.generate(options, cancel, [](int32_t) {});
          if (result.tokens.size() != 128) throw Error("internal", "not all tokens came", shape.name);
          seconds.push_back(result.seconds / 128);
          counts = result.counts;
        }
        std::printf(
            "{\"bench\":\"gpu\",\"what\":\"decode\",\"gpu\":\"%s\",\"shape\":\"%s\",\"context\":%lld,\"pageBudget\":%"
            "lld,"
            "\"summary\":\"mean-spread\",\"vote\":\"softmax\",\"denseLayers\":0,\"quire\":%.1f,\"msPerToken\":%.3f,"
            "\"weightGB\":%.2f,\"weightGBs\":%.0f,\"attendedShare\":%.3f,\"kernels\":%lld}\n",
            gpu.c_str(), shape.name, static_cast<long long>(context), static_cast<long long>(budget),
            1 / median(seconds), median(seconds) * 1e3, model->bytes / 1e9,
            (model->bytes - (shape.own_head ? shape.geometry.vocabulary / 16 * model->embedding.group_bytes : 0)) /
                median(seconds) / 1e9,
            static_cast<double>(counts.attended) / std::max<double>(1, static_cast<double>(counts.total)),
            static_cast<long long>(forward.step_kernels()));
      } else {
        Selection reading;
        reading.page_budget = budget;
        std::vector<int32_t> chunk(8192);
        for (size_t i = 0; i < chunk.size(); ++i) chunk[i] = static_cast<int32_t>(i * 7919 % 50000);
        for (int i = 0; i < 3; ++i) {
          const auto begin = std::chrono::steady_clock::now();
          const Memory::Mark mark = memory.mark();
          forward.prefill(chunk, {}, cancel, nullptr, sparse ? &reading : nullptr);
          const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
          seconds.push_back(took);
          memory.roll_back(mark);
        }
        std::printf(
            "{\"bench\":\"gpu\",\"what\":\"prefill\",\"gpu\":\"%s\",\"shape\":\"%s\",\"context\":%lld,\"tokens\":8192,"
            "\"attention\":\"%s\",\"pageBudget\":%lld,\"quire\":%.0f}\n",
            gpu.c_str(), shape.name, static_cast<long long>(context), what, static_cast<long long>(sparse ? budget : 0),
            8192 / median(seconds));
      }
      std::fflush(stdout);
    }
  }
}

int bench(int argc, char** argv) {
  const Shape shapes[] = {
      {"0.5B", geometry(Architecture::kQwen2, 24, 14, 2, 64, 896, 4864, 151936, 1e6f), false},
      {"7B", geometry(Architecture::kQwen2, 28, 28, 4, 128, 3584, 18944, 152064, 1e6f), true},
      {"8B", geometry(Architecture::kLlama, 32, 32, 8, 128, 4096, 14336, 128256, 5e5f), true},
  };
  std::vector<std::string> names;
  std::vector<int64_t> contexts = {0, 32768, 131072};
  int64_t budget = 2048;
  bool prefill = true;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--contexts") == 0 && i + 1 < argc) {
      contexts.clear();
      for (char* p = std::strtok(argv[++i], ","); p != nullptr; p = std::strtok(nullptr, ","))
        contexts.push_back(std::atoll(p));
    } else if (std::strcmp(argv[i], "--budget") == 0 && i + 1 < argc) {
      budget = std::atoll(argv[++i]);
    } else if (std::strcmp(argv[i], "--no-prefill") == 0) {
      prefill = false;
    } else {
      names.emplace_back(argv[i]);
    }
  }
  const DeviceInfo device = device_info();
  for (const Shape& shape : shapes)
    if (names.empty() || std::find(names.begin(), names.end(), shape.name) != names.end())
      bench_shape(shape, contexts, budget, prefill, device.name);
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
