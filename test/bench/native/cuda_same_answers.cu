// cuda_same_answers.cu — does the device say what the processor says? Logits of a real model, teacher-forced.
//
//   bench_cuda_same_answers model.gguf table.txt        table: test/bench/native/gguf-table.ts
//
// The CPU backend's logits after each token against the device's, once from prefill (matrix products on tensor cores) and once
// from decode steps (gemv, append, attention by pages). Prints the mean and largest Kullback-Leibler divergence KL(CPU ‖ GPU)
// and the share of positions with the same first choice; also whether prefill gives the same bits for another chunking, and
// whether greedy decoding says the same as the CPU.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "native/cuda/gpu_forward.h"
#include "native/decode/generate.h"
#include "test/bench/native/model_table.h"

namespace quire::cuda {
namespace {

struct Difference {
  double mean = 0, largest = 0;
  int64_t same = 0, positions = 0;
};

Difference compare(const float* a, const float* b, int64_t rows, int64_t vocabulary) {
  Difference result;
  result.positions = rows;
  for (int64_t t = 0; t < rows; ++t, a += vocabulary, b += vocabulary) {
    const auto log_sum = [&](const float* x) {
      const double top = *std::max_element(x, x + vocabulary);
      double sum = 0;
      for (int64_t i = 0; i < vocabulary; ++i) sum += std::exp(x[i] - top);
      return top + std::log(sum);
    };
    const double la = log_sum(a), lb = log_sum(b);
    double kl = 0;
    for (int64_t i = 0; i < vocabulary; ++i) kl += std::exp(a[i] - la) * ((a[i] - la) - (b[i] - lb));
    result.mean += kl / static_cast<double>(rows);
    result.largest = std::max(result.largest, kl);
    result.same += std::max_element(a, a + vocabulary) - a == std::max_element(b, b + vocabulary) - b ? 1 : 0;
  }
  return result;
}

void print(const char* what, const Difference& d) {
  std::printf(
      "{\"bench\":\"gpu\",\"what\":\"same-answers\",\"path\":\"%s\",\"positions\":%lld,\"meanKl\":%.6f,\"maxKl\":%.5f,"
      "\"sameFirst\":%.4f}\n",
      what, static_cast<long long>(d.positions), d.mean, d.largest,
      static_cast<double>(d.same) / static_cast<double>(d.positions));
  std::fflush(stdout);
}

PackedMatrix as_floats(const PackedMatrix& matrix, ThreadPool& pool) {
  std::vector<float> values(static_cast<size_t>(matrix.rows * matrix.columns));
  for (int64_t r = 0; r < matrix.rows; ++r) unpack_row(matrix, r, values.data() + r * matrix.columns);
  return pack_matrix(TensorType::kF32, reinterpret_cast<const std::byte*>(values.data()), matrix.rows, matrix.columns,
                     "floats", pool);
}

ModelWeights as_floats(const ModelWeights& weights, ThreadPool& pool) {
  ModelWeights floats;
  floats.geometry = weights.geometry;
  floats.embedding = as_floats(weights.embedding, pool);
  if (weights.head.rows > 0) floats.head = as_floats(weights.head, pool);
  floats.final_norm = weights.final_norm;
  for (const LayerWeights& from : weights.layers) {
    LayerWeights layer;
    layer.attention_norm = from.attention_norm;
    layer.q = as_floats(from.q, pool);
    layer.k = as_floats(from.k, pool);
    layer.v = as_floats(from.v, pool);
    layer.q_bias = from.q_bias;
    layer.k_bias = from.k_bias;
    layer.v_bias = from.v_bias;
    layer.output = as_floats(from.output, pool);
    layer.mlp_norm = from.mlp_norm;
    layer.gate = as_floats(from.gate, pool);
    layer.up = as_floats(from.up, pool);
    layer.down = as_floats(from.down, pool);
    floats.layers.push_back(std::move(layer));
  }
  return floats;
}

int run(const char* file, const char* table_file) {
  const ModelTable table = read_model_table(table_file);
  const Geometry& g = table.geometry;
  ThreadPool pool(8);
  const ModelWeights weights = open_model(file, g, table.tensors, pool);
  const auto n = static_cast<int64_t>(table.tokens.size());
  const std::atomic<bool> cancel{false};
  const int64_t pages = n / 16 + 64;

  Memory cpu_memory(g, pages, Summary::kMeanSpread);
  Forward cpu(weights, choose_cpu_ops("auto"), pool, {});
  std::vector<float> expected;
  cpu.prefill(cpu_memory, table.tokens, {0}, cancel, &expected);

  // Who is further from the model itself: the CPU, whose activations are 8-bit, or the device? The same weights as F32, whose
  // activations no backend rounds.
  std::vector<float> exact;
  {
    const ModelWeights floats = as_floats(weights, pool);
    Memory exact_memory(g, pages, Summary::kMeanSpread);
    Forward(floats, choose_cpu_ops("auto"), pool, {}).prefill(exact_memory, table.tokens, {0}, cancel, &exact);
  }
  print("exact-cpu", compare(exact.data(), expected.data(), n, g.vocabulary));

  const auto model = upload_model(weights);
  Memory memory(g, pages, Summary::kMeanSpread, Memory::Place::kDevice);
  GpuForward gpu(model, memory, {});
  std::vector<float> got;
  gpu.prefill(table.tokens, {0}, cancel, &got);
  print("exact-gpu-prefill", compare(exact.data(), got.data(), n, g.vocabulary));
  print("prefill", compare(expected.data(), got.data(), n, g.vocabulary));

  Memory other_memory(g, pages, Summary::kMeanSpread, Memory::Place::kDevice);
  GpuForward other(model, other_memory, {});
  std::vector<float> tail;
  const int64_t cut = n - 37;
  other.prefill({table.tokens.begin(), table.tokens.begin() + 5}, {0}, cancel, nullptr);
  other.prefill({table.tokens.begin() + 5, table.tokens.begin() + cut}, {}, cancel, nullptr);
  other.prefill({table.tokens.begin() + cut, table.tokens.end()}, {}, cancel, &tail);
  std::printf("{\"bench\":\"gpu\",\"what\":\"same-bits\",\"chunking\":%s}\n",
              std::equal(tail.begin(), tail.end(), got.begin() + cut * g.vocabulary) ? "true" : "false");

  // Decode steps over the second half.
  for (const int64_t budget : {int64_t{0}, int64_t{128}}) {
    const int64_t half = n / 2;
    const std::vector<int32_t> first(table.tokens.begin(), table.tokens.begin() + half);
    GenerateOptions options;
    options.forced.assign(table.tokens.begin() + half, table.tokens.end());
    options.logits = true;
    options.selection.page_budget = budget;
    Memory step_memory(g, pages, Summary::kMeanSpread, Memory::Place::kDevice);
    GpuForward steps(model, step_memory, {});
    steps.prefill(first, {0}, cancel, nullptr);
    const GenerateResult result = steps.generate(options, cancel, [](int32_t) {});
    Memory cpu_step_memory(g, pages, Summary::kMeanSpread);
    Forward cpu_steps(weights, choose_cpu_ops("auto"), pool, {});
    cpu_steps.prefill(cpu_step_memory, first, {0}, cancel, nullptr);
    const GenerateResult plain = generate(cpu_steps, cpu_step_memory, options, cancel, [](int32_t) {});
    print(budget == 0 ? "decode-dense" : "decode-budget-128",
          compare(plain.logits.data(), result.logits.data(), n - half, g.vocabulary));
    if (budget == 0) {
      const float* const of_step = exact.data() + (half - 1) * g.vocabulary;
      print("exact-cpu-decode", compare(of_step, plain.logits.data(), n - half, g.vocabulary));
      print("exact-gpu-decode", compare(of_step, result.logits.data(), n - half, g.vocabulary));
    }
    std::printf("{\"what\":\"counts\",\"cpu\":[%lld,%lld,%lld],\"gpu\":[%lld,%lld,%lld]}\n",
                static_cast<long long>(plain.counts.scored), static_cast<long long>(plain.counts.attended),
                static_cast<long long>(plain.counts.total), static_cast<long long>(result.counts.scored),
                static_cast<long long>(result.counts.attended), static_cast<long long>(result.counts.total));

    // Greedy, 64 tokens, from the same place.
    GenerateOptions greedy;
    greedy.max_tokens = 64;
    greedy.selection.page_budget = budget;
    const GenerateResult a = steps.generate(greedy, cancel, [](int32_t) {});
    const GenerateResult b = generate(cpu_steps, cpu_step_memory, greedy, cancel, [](int32_t) {});
    size_t same = 0;
    while (same < a.tokens.size() && same < b.tokens.size() && a.tokens[same] == b.tokens[same]) ++same;
    std::printf(
        "{\"bench\":\"gpu\",\"what\":\"greedy\",\"budget\":%lld,\"sameTokens\":%zu,\"of\":%zu,\"stop\":\"%s\","
        "\"tokensPerSecond\":%.1f}\n",
        static_cast<long long>(budget), same, b.tokens.size(), a.stop.c_str(),
        static_cast<double>(a.tokens.size()) / a.seconds);
    // Drawn: the same seed gives the same tokens.
    greedy.sampling.temperature = 0.8f;
    greedy.sampling.top_k = 40;
    greedy.sampling.top_p = 0.95f;
    greedy.sampling.min_p = 0.02f;
    greedy.sampling.repeat_penalty = 1.1f;
    greedy.sampling.seed = 7;
    const GenerateResult c = steps.generate(greedy, cancel, [](int32_t) {});
    std::printf("{\"what\":\"drawn\",\"tokens\":%zu,\"distinct\":%zu,\"stop\":\"%s\"}\n", c.tokens.size(),
                std::vector<int32_t>(c.tokens).size(), c.stop.c_str());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace quire::cuda

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    return quire::cuda::run(argv[1], argv[2]);
  } catch (const quire::Error& error) {
    std::fprintf(stderr, "%s: %s (%s)\n", error.code().c_str(), error.what(), error.where().c_str());
    return 1;
  }
}
