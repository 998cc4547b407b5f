// cuda_decode.cu — decode and prefill end to end on the device, at the shapes of DESIGN §11 with random weights, by context.
//
//   bench_cuda_decode [shape …] [--contexts 0,32768,131072] [--budget 2048] [--no-prefill]
//
// The loop is the engine's own (kernels/cuda/gpu_forward.h): what is timed is what answers. Weights are made on the device, with
// the types that Q4_K_M gives each tensor; the context is noise written to the pages. Decode: 128 tokens, greedy, no stop token,
// after 32 to warm up, median of 5. Prefill: 8 192 tokens, median of 3. Prints a JSON row each.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "native/cuda/gpu_forward.h"
#include "native/cuda/gpu_model.h"

namespace quire::cuda {
namespace {

// Random codes; scales of ±2^-12 … ±2^-11, so that weights are of the size that a model's are.
__global__ void weights_kernel(uint32_t* p, int64_t words, int64_t chunk_words, int header_words, int scale_words,
                               uint32_t seed) {
  for (int64_t i = blockIdx.x * 256ll + threadIdx.x; i < words; i += gridDim.x * 256ll) {
    uint32_t h = (static_cast<uint32_t>(i) ^ seed) * 2654435761u;
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    const int64_t in_chunk = i % chunk_words;
    if (in_chunk < scale_words)
      h = (h & 0x83ff83ffu) | 0x0c000c00u;
    else if (in_chunk < header_words)
      h &= 0x3f3f3f3fu;
    p[i] = h;
  }
}

__global__ void ones_kernel(float* p, int count) {
  for (int i = threadIdx.x; i < count; i += blockDim.x) p[i] = 1.0f;
}

struct Shape {
  const char* name;
  Geometry geometry;
  bool own_head;
};

Geometry geometry(Architecture a, int64_t l, int64_t h, int64_t g, int64_t d, int64_t e, int64_t f, int64_t v,
                  float base) {
  Geometry out;
  out.architecture = a;
  out.layers = l;
  out.heads = h;
  out.kv_heads = g;
  out.head_size = d;
  out.embedding = e;
  out.feed_forward = f;
  out.vocabulary = v;
  out.context = 131072;
  out.norm_epsilon = 1e-6f;
  out.rope_base = base;
  return out;
}

class Maker {
 public:
  explicit Maker(GpuModel& model) : model_(model) {}
  DeviceMatrix matrix(TensorType type, int64_t rows, int64_t columns) {
    if (columns % block_shape(type).columns != 0)  // as llama.cpp falls back
      type = type == TensorType::kQ6_K ? TensorType::kQ8_0 : TensorType::kQ5_0;
    const int64_t group = packed_group_bytes(type, columns);
    const int64_t bytes = (rows + 15) / 16 * group;
    model_.owners.emplace_back(bytes, "weights");
    const PackedLayout layout = packed_layout(type);
    const bool two = layout.header_bytes == 320 || layout.header_bytes == 64;
    weights_kernel<<<1024, 256>>>(reinterpret_cast<uint32_t*>(model_.owners.back().get()), bytes / 4,
                                  layout.chunk_bytes() / 4, static_cast<int>(layout.header_bytes / 4), two ? 16 : 8,
                                  ++seed_);
    check_launch("weights");
    model_.bytes += bytes;
    return {type, static_cast<int32_t>(rows), static_cast<int32_t>(columns), group, model_.owners.back().get()};
  }
  const float* ones(int64_t count) {
    model_.owners.emplace_back(count * 4, "weights");
    auto* p = reinterpret_cast<float*>(model_.owners.back().get());
    ones_kernel<<<1, 256>>>(p, static_cast<int>(count));
    return p;
  }

 private:
  GpuModel& model_;
  uint32_t seed_ = 0;
};

std::shared_ptr<GpuModel> random_model(const Geometry& g, bool own_head) {
  auto model = std::make_shared<GpuModel>();
  model->geometry = g;
  Maker make(*model);
  model->embedding = make.matrix(own_head ? TensorType::kQ4_K : TensorType::kQ8_0, g.vocabulary, g.embedding);
  model->head = own_head ? make.matrix(TensorType::kQ6_K, g.vocabulary, g.embedding) : model->embedding;
  model->final_norm = make.ones(g.embedding);
  for (int64_t i = 0; i < g.layers; ++i) {
    const bool more = i < g.layers / 8 || i >= 7 * g.layers / 8 || (i - g.layers / 8) % 3 == 2;
    const TensorType better = more ? TensorType::kQ6_K : TensorType::kQ4_K;
    GpuLayer layer;
    layer.attention_norm = make.ones(g.embedding);
    layer.q = make.matrix(TensorType::kQ4_K, g.q_columns(), g.embedding);
    layer.k = make.matrix(TensorType::kQ4_K, g.kv_columns(), g.embedding);
    layer.v = make.matrix(better, g.kv_columns(), g.embedding);
    if (g.architecture == Architecture::kQwen2) {
      layer.q_bias = make.ones(g.q_columns());
      layer.k_bias = make.ones(g.kv_columns());
      layer.v_bias = make.ones(g.kv_columns());
    }
    layer.output = make.matrix(TensorType::kQ4_K, g.embedding, g.q_columns());
    layer.mlp_norm = make.ones(g.embedding);
    layer.gate = make.matrix(TensorType::kQ4_K, g.feed_forward, g.embedding);
    layer.up = make.matrix(TensorType::kQ4_K, g.feed_forward, g.embedding);
    layer.down = make.matrix(better, g.embedding, g.feed_forward);
    model->layers.push_back(layer);
  }
  check(cudaDeviceSynchronize(), "weights");
  return model;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void bench_shape(const Shape& shape, const std::vector<int64_t>& contexts, int64_t budget, bool prefill,
                 const std::string& gpu) {
  const std::shared_ptr<GpuModel> model = random_model(shape.geometry, shape.own_head);
  const std::atomic<bool> cancel{false};
  for (const int64_t context : contexts) {
    for (const bool is_decode : {true, false}) {
      if (!is_decode && !prefill) continue;
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
        std::vector<int32_t> chunk(8192);
        for (size_t i = 0; i < chunk.size(); ++i) chunk[i] = static_cast<int32_t>(i * 7919 % 50000);
        for (int i = 0; i < 3; ++i) {
          const auto begin = std::chrono::steady_clock::now();
          const Memory::Mark mark = memory.mark();
          forward.prefill(chunk, {}, cancel, nullptr);
          const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
          seconds.push_back(took);
          memory.roll_back(mark);
        }
        std::printf(
            "{\"bench\":\"gpu\",\"what\":\"prefill\",\"gpu\":\"%s\",\"shape\":\"%s\",\"context\":%lld,\"tokens\":8192,"
            "\"attention\":\"dense\",\"quire\":%.0f}\n",
            gpu.c_str(), shape.name, static_cast<long long>(context), 8192 / median(seconds));
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
