// attend_bench.cpp — how near attention, scoring and selection come to what the machine can do.
//
//   attend_bench [threads=2] [backend=auto] [case=all|prefill|decode|selected]
//
// prefill:   512 tokens at the end of a context, causal: flops against the peak of FMA
// decode:    one token, dense: bytes of pages against the bandwidth of plain reads
// selected:  one token, score + select + attend at a budget of 1024 tokens: against dense, and the share of each op
// Peaks are measured in the same run, before and after each case, since the machine may be shared: ratios are what counts.
// Decode rotates over layers that are larger than the caches together. One JSON object per line on standard output.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "native/core/aligned_buffer.h"
#include "native/kernels/ops.h"
#include "test/bench/native/ceilings.h"
#include "test/native/kernels/kv_pool.h"

namespace quire {
namespace {

#if defined(__x86_64__)
constexpr int64_t kFmaSteps = 100000;
__attribute__((target("avx512f"))) float fma_loop_512() {
  __m512 sums[12];
  for (int i = 0; i < 12; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  __m512 a = _mm512_set1_ps(1e-3f);
  __m512 b = _mm512_set1_ps(0.5f);
  for (int64_t step = 0; step < kFmaSteps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) sums[i] = _mm512_fmadd_ps(a, b, sums[i]);
    __asm__ volatile("" : "+v"(a), "+v"(b));
  }
  for (int i = 1; i < 12; ++i) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  return _mm512_reduce_add_ps(sums[0]);
}
__attribute__((target("avx2,fma"))) float fma_loop_256() {
  __m256 sums[10];
  for (int i = 0; i < 10; ++i) sums[i] = _mm256_set1_ps(static_cast<float>(i));
  __m256 a = _mm256_set1_ps(1e-3f);
  __m256 b = _mm256_set1_ps(0.5f);
  for (int64_t step = 0; step < kFmaSteps; ++step) {
#pragma GCC unroll 10
    for (int i = 0; i < 10; ++i) sums[i] = _mm256_fmadd_ps(a, b, sums[i]);
    __asm__ volatile("" : "+v"(a), "+v"(b));
  }
  for (int i = 1; i < 10; ++i) sums[0] = _mm256_add_ps(sums[0], sums[i]);
  return _mm256_cvtss_f32(sums[0]);
}
#endif

// Flops a second, in G, of all threads; 0 where it is not known.
double peak_gflops(ThreadPool& pool, bool wide) {
#if defined(__x86_64__)
  std::atomic<float> sink{0};
  const double seconds = best_seconds(
      wall_clock, [&] { pool.run(pool.threads(), [&](int64_t) { sink = wide ? fma_loop_512() : fma_loop_256(); }); });
  return static_cast<double>(kFmaSteps) * 2 * (wide ? 12 * 16 : 10 * 8) * pool.threads() / seconds * 1e-9;
#else
  (void)pool, (void)wide;
  return 0;
#endif
}

struct Shape {
  int64_t heads;
  int64_t kv_heads;
  int64_t head_size;
};

struct Bench {
  const Ops& ops;
  ThreadPool& pool;
  const AlignedBuffer& scratch;
  Run run{&pool, nullptr};
  bool wide = std::strcmp(ops.name, "avx512-vnni") == 0;
};

// Another layer with the same keys: making random ones takes longer than measuring.
std::unique_ptr<KvPool> copy_of(const KvPool& pool) {
  auto copy = std::make_unique<KvPool>(pool);
  copy->kv.pages = copy->pages.data();
  copy->kv.summaries = copy->summaries.data();
  return copy;
}

void run_attend(const Bench& bench, AttendArgs& args, std::vector<float>& workspace) {
  const auto floats = static_cast<size_t>(attend_workspace(args, bench.pool.threads()));
  if (workspace.size() < floats) workspace.resize(floats);
  args.workspace = workspace.data();
  bench.ops.attend(args, bench.run);
}

void print_shape(const Bench& bench, const char* name, const Shape& shape, int64_t context) {
  std::printf(
      "{\"bench\":\"%s\",\"backend\":\"%s\",\"threads\":%d,\"heads\":%lld,\"kvHeads\":%lld,\"headSize\":%lld,"
      "\"context\":%lld",
      name, bench.ops.name, bench.pool.threads(), static_cast<long long>(shape.heads),
      static_cast<long long>(shape.kv_heads), static_cast<long long>(shape.head_size), static_cast<long long>(context));
}

void prefill(const Bench& bench, const Shape& shape, int64_t context) {
  constexpr int64_t kTokens = 512;
  const KvPool layer(shape.kv_heads, shape.head_size, pages_for(context), 1, 1.0f, false);
  const PageList list = layer.list();
  const std::vector<float> q = normal_floats(kTokens * shape.heads * shape.head_size, 5);
  std::vector<float> out(q.size());
  std::vector<float> workspace;
  std::vector<Visible> visible;
  double keys = 0;
  for (int64_t t = 0; t < kTokens; ++t) {
    const int64_t position = context - kTokens + t;
    visible.push_back({static_cast<int32_t>(position / kPageTokens), static_cast<int32_t>(position % kPageTokens + 1)});
    keys += static_cast<double>(position + 1);
  }
  AttendArgs args;
  args.q = q.data();
  args.stride = shape.heads * shape.head_size;
  args.out = out.data();
  args.tokens = kTokens;
  args.heads = shape.heads;
  args.scale = 1.0f / std::sqrt(static_cast<float>(shape.head_size));
  args.kv = layer.kv;
  args.lists = &list;
  args.list_count = 1;
  args.visible = visible.data();
  double peak = peak_gflops(bench.pool, bench.wide);
  const double seconds = best_seconds(wall_clock, [&] { run_attend(bench, args, workspace); });
  peak = std::max(peak, peak_gflops(bench.pool, bench.wide));
  const double gflops = 4 * keys * static_cast<double>(shape.heads * shape.head_size) / seconds * 1e-9;
  print_shape(bench, "prefill", shape, context);
  std::printf(",\"tokens\":%lld,\"milliseconds\":%.2f,\"gflops\":%.1f,\"peakGflops\":%.1f,\"ofPeak\":%.3f}\n",
              static_cast<long long>(kTokens), seconds * 1e3, gflops, peak, peak > 0 ? gflops / peak : 0);
  std::fflush(stdout);
}

void decode(const Bench& bench, const Shape& shape, int64_t context) {
  constexpr int64_t kBudgetPages = 64;
  const int64_t pages = context / kPageTokens;
  const int64_t bytes = shape.kv_heads * pages * kPageTokens * shape.head_size * 4;
  std::vector<std::unique_ptr<KvPool>> layers;
  while (static_cast<int64_t>(layers.size()) * bytes < (192 << 20))
    layers.push_back(layers.empty()
                         ? std::make_unique<KvPool>(shape.kv_heads, shape.head_size, pages_for(context), 1, 1.0f, false)
                         : copy_of(*layers.front()));
  const PageList list = layers.front()->list();
  for (const auto& layer : layers)
    bench.ops.summarize({Summary::kMeanSpread, list.slot, list.count, pages, layer->kv}, bench.run);
  const std::vector<float> q = normal_floats(shape.heads * shape.head_size, 5);
  std::vector<float> out(q.size()), workspace, scores(static_cast<size_t>(shape.heads * pages)), votes(scores.size());
  std::vector<int32_t> chosen(static_cast<size_t>(shape.kv_heads * kBudgetPages)), slot(chosen.size());
  std::vector<int32_t> full(chosen.size(), kPageTokens);
  std::vector<int64_t> chosen_count(static_cast<size_t>(shape.kv_heads));
  AttendArgs dense;
  dense.q = q.data();
  dense.stride = shape.heads * shape.head_size;
  dense.out = out.data();
  dense.tokens = 1;
  dense.heads = shape.heads;
  dense.scale = 1.0f / std::sqrt(static_cast<float>(shape.head_size));
  dense.lists = &list;
  dense.list_count = 1;
  dense.split = true;

  size_t at = 0;
  const auto next_layer = [&]() -> const KvLayer& { return layers[at++ % layers.size()]->kv; };
  const auto calls = static_cast<int64_t>(std::max<size_t>(layers.size(), 8));
  const auto seconds_each = [&](const auto& task) {
    return best_seconds(wall_clock,
                        [&] {
                          for (int64_t i = 0; i < calls; ++i) task(next_layer());
                        }) /
           static_cast<double>(calls);
  };
  const auto run_dense = [&](const KvLayer& kv) {
    dense.kv = kv;
    run_attend(bench, dense, workspace);
  };
  ScoreArgs score{Summary::kMeanSpread, 1.0f, q.data(), shape.heads, list, {}, scores.data()};
  const auto run_score = [&](const KvLayer& kv) {
    score.kv = kv;
    bench.ops.score(score, bench.run);
  };
  SelectArgs select;
  select.scores = scores.data();
  select.heads = shape.heads;
  select.kv_heads = shape.kv_heads;
  select.head_size = shape.head_size;
  select.pages = pages;
  select.budget_pages = kBudgetPages;
  select.chosen = chosen.data();
  select.chosen_count = chosen_count.data();
  select.workspace = votes.data();
  const auto run_select = [&](const KvLayer&) { bench.ops.select(select, bench.run); };
  std::vector<PageList> lists;
  for (int64_t g = 0; g < shape.kv_heads; ++g)
    lists.push_back({slot.data() + g * kBudgetPages, full.data() + g * kBudgetPages, kBudgetPages});
  AttendArgs sparse = dense;
  sparse.lists = lists.data();
  sparse.list_count = shape.kv_heads;
  const auto run_sparse = [&](const KvLayer& kv) {
    for (size_t i = 0; i < chosen.size(); ++i) slot[i] = list.slot[chosen[i]];
    sparse.kv = kv;
    run_attend(bench, sparse, workspace);
  };

  double read = read_gbs(wall_clock, bench.pool, bench.scratch);
  double peak = peak_gflops(bench.pool, bench.wide);
  const double dense_seconds = seconds_each(run_dense);
  const double score_seconds = seconds_each(run_score);
  const double select_seconds = seconds_each(run_select);
  const double sparse_seconds = seconds_each(run_sparse);
  const double all_seconds = seconds_each([&](const KvLayer& kv) {
    run_score(kv);
    run_select(kv);
    run_sparse(kv);
  });
  read = std::max(read, read_gbs(wall_clock, bench.pool, bench.scratch));
  peak = std::max(peak, peak_gflops(bench.pool, bench.wide));
  const double dense_gbs = static_cast<double>(bytes) / dense_seconds * 1e-9;
  const double gflops =
      static_cast<double>(bytes / 4) * 4 * static_cast<double>(shape.heads / shape.kv_heads) / dense_seconds * 1e-9;
  const double score_gbs = static_cast<double>(bytes) / kPageTokens / score_seconds * 1e-9;
  print_shape(bench, "decode", shape, context);
  std::printf(",\"microseconds\":%.1f,\"gbs\":%.1f,\"readGBs\":%.1f,\"ofRead\":%.3f,\"ofPeakFlops\":%.3f}\n",
              dense_seconds * 1e6, dense_gbs, read, dense_gbs / read, peak > 0 ? gflops / peak : 0);
  print_shape(bench, "selected", shape, context);
  std::printf(
      ",\"budget\":%lld,\"microseconds\":%.1f,\"dense\":%.1f,\"speedup\":%.2f,\"score\":%.1f,\"select\":%.1f,"
      "\"attend\":%.1f,"
      "\"selectShare\":%.3f,\"scoreGBs\":%.1f,\"scoreOfRead\":%.3f}\n",
      static_cast<long long>(kBudgetPages * kPageTokens), all_seconds * 1e6, dense_seconds * 1e6,
      dense_seconds / all_seconds, score_seconds * 1e6, select_seconds * 1e6, sparse_seconds * 1e6,
      select_seconds / all_seconds, score_gbs, score_gbs / read);
  std::fflush(stdout);
}

int run(int argc, char** argv) {
  const auto option = [&](const std::string& name, const std::string& fallback) {
    for (int i = 1; i < argc; ++i)
      if (std::string(argv[i]).rfind(name + "=", 0) == 0) return std::string(argv[i]).substr(name.size() + 1);
    return fallback;
  };
  ThreadPool pool(std::atoi(option("threads", "2").c_str()));
  const std::string which = option("case", "all");
  AlignedBuffer scratch(int64_t{192} << 20);
  std::memset(scratch.data(), 1, static_cast<size_t>(scratch.bytes()));
  const Bench bench{choose_cpu_ops(option("backend", "auto").c_str()), pool, scratch};
  for (const Shape& shape : {Shape{14, 2, 64}, Shape{12, 2, 128}}) {
    if (which == "all" || which == "prefill")
      for (const int64_t context : {512, 8192}) prefill(bench, shape, context);
    if (which == "all" || which == "decode")
      for (const int64_t context : {4096, 16384, 30720}) decode(bench, shape, context);
  }
  return 0;
}

}  // namespace
}  // namespace quire

int main(int argc, char** argv) { return quire::run(argc, argv); }
