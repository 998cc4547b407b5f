// cpu_shares.cpp — where the time of reading and of answering goes, op by op, on a real model, beside the machine's ceilings.
//
//   bench_cpu_shares model.gguf table.txt [threads=2] [lengths=512,4096] [steps=16] [budget=1024] [reading=2048]
//
// table.txt: test/bench/native/gguf-table.ts. One JSON object per line: the ceilings, then per length and way the seconds, each op's
// share of the time spent in ops, and for a step the bytes that it reads (weights, keys and values, summaries) and what part
// of the read bandwidth they are. Ops that run inside a task (sparse reading) count a thread's time divided by the threads.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "native/decode/forward.h"
#include "test/bench/native/ceilings.h"
#include "test/bench/native/model_table.h"
#include "test/bench/native/program.h"

namespace quire {
namespace {

constexpr const char* kNames[] = {"embed",     "norm",         "quantize", "matmul", "rope",   "append",
                                  "summarize", "page_queries", "score",    "select", "attend", "swiglu"};
constexpr size_t kOps = sizeof kNames / sizeof *kNames;

const Ops* real = nullptr;
int threads_of_all = 1;
std::array<std::atomic<int64_t>, kOps> spent;  // nanoseconds

template <typename Call>
void timed(size_t op, const Run& run, const Call& call) {
  const double begin = wall_clock();
  call();
  const double seconds = wall_clock() - begin;
  spent[op] += static_cast<int64_t>(seconds * 1e9) / (run.pool->threads() < threads_of_all ? threads_of_all : 1);
}

Ops timed_ops() {
  Ops ops;
  ops.name = real->name;
  ops.embed = [](const EmbedArgs& a, const Run& r) { timed(0, r, [&] { real->embed(a, r); }); };
  ops.norm = [](const NormArgs& a, const Run& r) { timed(1, r, [&] { real->norm(a, r); }); };
  ops.quantize = [](const QuantizeArgs& a, const Run& r) { timed(2, r, [&] { real->quantize(a, r); }); };
  ops.matmul = [](const MatmulArgs& a, const Run& r) { timed(3, r, [&] { real->matmul(a, r); }); };
  ops.matmul_several = [](const MatmulArgs* a, int64_t n, const Run& r) {
    timed(3, r, [&] { real->matmul_several(a, n, r); });
  };
  ops.rope = [](const RopeArgs& a, const Run& r) { timed(4, r, [&] { real->rope(a, r); }); };
  ops.append = [](const AppendArgs& a, const Run& r) { timed(5, r, [&] { real->append(a, r); }); };
  ops.summarize = [](const SummarizeArgs& a, const Run& r) { timed(6, r, [&] { real->summarize(a, r); }); };
  ops.page_queries = [](const PageQueriesArgs& a, const Run& r) { timed(7, r, [&] { real->page_queries(a, r); }); };
  ops.score = [](const ScoreArgs& a, const Run& r) { timed(8, r, [&] { real->score(a, r); }); };
  ops.select = [](const SelectArgs& a, const Run& r) { timed(9, r, [&] { real->select(a, r); }); };
  ops.attend = [](const AttendArgs& a, const Run& r) { timed(10, r, [&] { real->attend(a, r); }); };
  ops.attend_several = [](const AttendArgs* a, int64_t n, const Run& r) {
    timed(10, r, [&] { real->attend_several(a, n, r); });
  };
  ops.swiglu = [](const SwigluArgs& a, const Run& r) { timed(11, r, [&] { real->swiglu(a, r); }); };
  return ops;
}

void print_shares() {
  int64_t all = 0;
  for (const auto& op : spent) all += op;
  std::printf("\"shares\":{");
  for (size_t i = 0; i < kOps; ++i)
    std::printf("%s\"%s\":%.4f", i == 0 ? "" : ",", kNames[i],
                all > 0 ? static_cast<double>(spent[i]) / static_cast<double>(all) : 0.0);
  std::printf("}}\n");
  std::fflush(stdout);
}

void forget() {
  for (auto& op : spent) op = 0;
}

// Bytes of the weights that one step reads.
int64_t step_weights(const ModelWeights& weights) {
  int64_t bytes = 0;
  const auto add = [&](const PackedMatrix& m) { bytes += m.groups() * m.group_bytes; };
  for (const LayerWeights& l : weights.layers)
    for (const PackedMatrix* m : {&l.q, &l.k, &l.v, &l.output, &l.gate, &l.up, &l.down}) add(*m);
  add(weights.output_head());
  return bytes;
}

struct Bench {
  const ModelTable& table;
  const ModelWeights& weights;
  const Ops& ops;
  ThreadPool& pool;
  double read_gbs;
  int64_t steps;

  void run(int64_t length, const Selection* reading, const std::vector<Selection>& ways) {
    const std::atomic<bool> cancel{false};
    Memory memory(weights.geometry, (length + steps) / kPageTokens + 4, Summary::kMeanSpread);
    Forward forward(weights, ops, pool, {});
    forget();
    const double begin = wall_clock();
    read_document(forward, memory, table.tokens, 0, length, reading);
    std::printf("{\"what\":\"prefill\",\"tokens\":%lld,\"mode\":\"%s\",\"seconds\":%.3f,",
                static_cast<long long>(length), reading == nullptr ? "dense" : "sparse", wall_clock() - begin);
    print_shares();
    for (const Selection& way : ways) step(memory, forward, length, way);
  }

  void step(Memory& memory, Forward& forward, int64_t length, const Selection& way) {
    const std::atomic<bool> cancel{false};
    const Geometry& g = weights.geometry;
    PageCounts counts;
    std::vector<float> logits;
    forget();
    const double begin = wall_clock();
    for (int64_t i = 0; i < steps; ++i) {
      forward.last_logits(logits);
      forward.step(memory, table.tokens[static_cast<size_t>(length + i)], way, cancel, counts, nullptr);
    }
    const double seconds = (wall_clock() - begin) / static_cast<double>(steps);
    memory.truncate(1, length);
    forward.close_page(memory);
    const double kv = static_cast<double>(counts.attended) * 2 * kPageTokens * 2 * static_cast<double>(g.head_size);
    const double summaries = static_cast<double>(counts.scored) * 4 * static_cast<double>(g.head_size);
    const double bytes = static_cast<double>(step_weights(weights)) + (kv + summaries) / static_cast<double>(steps);
    std::printf(
        "{\"what\":\"decode\",\"tokens\":%lld,\"mode\":\"%s\",\"seconds\":%.5f,\"bytesPerToken\":%.0f,\"readGBs\":%.1f,"
        "\"ofRead\":%.3f,",
        static_cast<long long>(length), way.page_budget == 0 ? "dense" : "sparse", seconds, bytes, read_gbs,
        bytes / seconds * 1e-9 / read_gbs);
    print_shares();
  }
};

int64_t option(int argc, char** argv, const std::string& name, int64_t fallback) {
  for (int i = 3; i < argc; ++i)
    if (std::string(argv[i]).rfind(name + "=", 0) == 0) return std::atoll(argv[i] + name.size() + 1);
  return fallback;
}

int run(int argc, char** argv) {
  if (argc < 3) throw Error("bad-option", "cpu_shares model.gguf table.txt", "arguments");
  const ModelTable table = read_model_table(argv[2]);
  threads_of_all = static_cast<int>(option(argc, argv, "threads", 2));
  ThreadPool pool(threads_of_all);
  real = &choose_cpu_ops("auto");
  const Ops ops = timed_ops();
  const ModelWeights weights = open_model(argv[1], table.geometry, table.tensors, pool);
  AlignedBuffer scratch(256 << 20);
  std::memset(scratch.data(), 1, static_cast<size_t>(scratch.bytes()));  // pages that were never written are one page
  const bool vnni = std::string(real->name) == "avx512-vnni";
  const double read = read_gbs(wall_clock, pool, scratch);
  std::printf("{\"what\":\"ceilings\",\"backend\":\"%s\",\"threads\":%d,\"readGBs\":%.1f,\"int8Gmacs\":%.1f}\n",
              real->name, threads_of_all, read, peak_gmacs(wall_clock, pool, vnni));
  Selection dense, sparse, reading;
  dense.page_budget = 0;
  sparse.page_budget = option(argc, argv, "budget", 1024);
  reading.page_budget = option(argc, argv, "reading", 2048);
  Bench bench{table, weights, ops, pool, read, option(argc, argv, "steps", 16)};
  std::string lengths = "512,4096";
  for (int i = 3; i < argc; ++i)
    if (std::string(argv[i]).rfind("lengths=", 0) == 0) lengths = argv[i] + 8;
  for (size_t at = 0; at < lengths.size();
       at = lengths.find(',', at) == std::string::npos ? lengths.size() : lengths.find(',', at) + 1) {
    const int64_t length = std::atoll(lengths.c_str() + at);
    if (length + bench.steps > static_cast<int64_t>(table.tokens.size()))
      throw Error("bad-option", "the table has fewer tokens", "lengths");
    bench.run(length, nullptr, {dense, sparse});
    bench.run(length, &reading, {});
  }
  return 0;
}

}  // namespace
}  // namespace quire

int main(int argc, char** argv) { return quire::run_program(quire::run, argc, argv); }
