// cpu_steps.cpp — what a decode step costs by length, on a real model: densely, as the defaults have it, and with selection forced.
//
//   bench_cpu_steps model.gguf table.txt [threads=2] [lengths=512,1088,2048] [steps=24] [budget=1024] [reading=2048]
//
// table.txt: test/bench/native/gguf-table.ts. Source is read sparsely to each length (a multiple of 64) in turn. There the three ways
// take turns step by step, so that a busy machine disturbs them alike; medians in seconds. One JSON object per line, with
// `ofDense` = default / dense, `selection` = the share of score and select in a step that selects, `ofFirst` = the first length's
// default step / this one's (1: as fast as there), `wakes` = how often a step had to wake a thread, which is its only lock.
#include <algorithm>
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

const Ops* real = nullptr;
double selecting = 0;  // seconds in score and select, of the caller

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::string option(int argc, char** argv, const std::string& name, const std::string& fallback) {
  for (int i = 3; i < argc; ++i)
    if (std::string(argv[i]).rfind(name + "=", 0) == 0) return argv[i] + name.size() + 1;
  return fallback;
}

std::vector<int64_t> numbers(const std::string& text) {
  std::vector<int64_t> found;
  for (size_t at = 0; at < text.size();) {
    found.push_back(std::atoll(text.c_str() + at));
    const size_t comma = text.find(',', at);
    at = comma == std::string::npos ? text.size() : comma + 1;
  }
  return found;
}

int run(int argc, char** argv) {
  if (argc < 3) throw Error("bad-option", "cpu_steps model.gguf table.txt", "arguments");
  const ModelTable table = read_model_table(argv[2]);
  const std::vector<int64_t> lengths = numbers(option(argc, argv, "lengths", "512,1088,2048"));
  const int64_t steps = std::atoll(option(argc, argv, "steps", "24").c_str());
  if (lengths.empty() || lengths.back() + steps > static_cast<int64_t>(table.tokens.size()))
    throw Error("bad-option", "the table has fewer tokens", "lengths");
  ThreadPool pool(std::atoi(option(argc, argv, "threads", "2").c_str()));
  real = &choose_cpu_ops("auto");
  Ops ops = *real;
  ops.score = [](const ScoreArgs& a, const Run& r) {
    const double begin = wall_clock();
    real->score(a, r);
    selecting += wall_clock() - begin;
  };
  ops.select = [](const SelectArgs& a, const Run& r) {
    const double begin = wall_clock();
    real->select(a, r);
    selecting += wall_clock() - begin;
  };
  const ModelWeights weights = open_model(argv[1], table.geometry, table.tensors, pool);
  Forward forward(weights, ops, pool, {});
  Memory memory(weights.geometry, (lengths.back() + steps) / kPageTokens + 4, Summary::kMeanSpread);
  const std::atomic<bool> cancel{false};
  Selection reading, ways[3];
  reading.page_budget = std::atoll(option(argc, argv, "reading", "2048").c_str());
  ways[0].page_budget = 0;
  ways[1].page_budget = ways[2].page_budget = std::atoll(option(argc, argv, "budget", "1024").c_str());
  ways[2].force = true;
  int64_t read = 0;
  double first = 0;
  std::vector<float> logits;
  for (const int64_t length : lengths) {
    read_document(forward, memory, table.tokens, read, length, &reading);
    read = length;
    std::vector<double> seconds[3];
    double selection = 0, forced = 0;
    int64_t wakes = 0;
    for (int64_t i = 0; i < 3 * steps; ++i) {
      const int way = static_cast<int>(i % 3);
      PageCounts counts;
      selecting = 0;
      const int64_t woken = pool.wakes();
      const double begin = wall_clock();
      forward.step(memory, table.tokens[static_cast<size_t>(length + i / 3)], ways[way], cancel, counts, nullptr);
      forward.last_logits(logits);
      const double taken = wall_clock() - begin;
      seconds[way].push_back(taken);
      wakes += pool.wakes() - woken;
      if (way == 2) {
        selection += selecting;
        forced += taken;
      }
      if (way < 2) memory.truncate(1, length + i / 3);
    }
    memory.truncate(1, length);
    forward.close_page(memory);
    const double dense = median(seconds[0]), usual = median(seconds[1]);
    if (first == 0) first = usual;
    std::printf(
        "{\"what\":\"step\",\"tokens\":%lld,\"dense\":%.5f,\"default\":%.5f,\"selecting\":%.5f,\"ofDense\":%.3f,"
        "\"selection\":%.4f,\"ofFirst\":%.3f,\"wakes\":%.3f}\n",
        static_cast<long long>(length), dense, usual, median(seconds[2]), usual / dense, selection / forced,
        first / usual, static_cast<double>(wakes) / static_cast<double>(3 * steps));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace quire

int main(int argc, char** argv) { return quire::run_program(quire::run, argc, argv); }
