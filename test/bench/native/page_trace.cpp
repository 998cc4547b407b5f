// page_trace.cpp — which pages a real model loads while it answers: the trace that the page cache of KV beyond GPU memory replays.
//
//   bench_page_trace model.gguf table.txt context budget steps trace.bin       table: test/bench/native/gguf-table.ts
//
// Reads `context` tokens of source with the CPU backend, then lets the model go on, greedily, and keeps what `select` chose in
// every layer and KV head of every step. Trace: int32 L, G, pages of a list at most, steps, pages at the end; then int32
// [steps, L, G, pages]: ascending indices of the list, −1 where fewer were chosen. Prints one JSON row: how many of a step's
// pages the step before had too, and how many different ones there are.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "native/decode/generate.h"
#include "test/bench/native/model_table.h"
#include "test/bench/native/program.h"

namespace quire {
namespace {

// select of the backend, and a copy of what it chose: the op table is the border that the trace is taken at.
void (*chosen_by)(const SelectArgs&, const Run&) = nullptr;
std::vector<int32_t>* trace = nullptr;
int64_t kept_pages = 0;

void select_and_keep(const SelectArgs& args, const Run& run) {
  chosen_by(args, run);
  for (int64_t g = 0; g < args.kv_heads; ++g)
    for (int64_t i = 0; i < kept_pages; ++i)
      trace->push_back(i < args.chosen_count[g] ? args.chosen[g * args.budget_pages + i] : -1);
}

int run(int argc, char** argv) {
  if (argc != 7) throw Error("bad-option", "give a model, a table, a context, a budget, steps and a file");
  const ModelTable table = read_model_table(argv[2]);
  const Geometry& g = table.geometry;
  const int64_t context = std::atoll(argv[3]), budget = std::atoll(argv[4]), steps = std::atoll(argv[5]);
  if (static_cast<int64_t>(table.tokens.size()) < context) throw Error("bad-option", "the table has fewer tokens");
  ThreadPool pool(static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  const ModelWeights weights = open_model(argv[1], g, table.tensors, pool);
  Ops ops = choose_cpu_ops("auto");
  chosen_by = ops.select;
  ops.select = select_and_keep;
  std::vector<int32_t> pages;
  trace = &pages;
  kept_pages = budget / kPageTokens;

  Memory memory(g, (context + steps) / kPageTokens + 2, Summary::kMeanSpread);
  Forward forward(weights, ops, pool, {});
  const std::atomic<bool> cancel{false};
  for (int64_t first = 0; first < context; first += 512) {
    read_document(forward, memory, table.tokens, first, std::min(context, first + 512));
    std::fprintf(stderr, "%lld tokens read\n", static_cast<long long>(memory.tokens()));
  }
  pages.clear();
  GenerateOptions options;
  options.max_tokens = steps;
  options.selection.page_budget = budget;
  const GenerateResult result = generate(forward, memory, options, cancel, [](int32_t) {});

  const int64_t lists = g.layers * g.kv_heads;
  const auto done = static_cast<int64_t>(pages.size()) / (lists * kept_pages);
  double again = 0, different = 0;
  for (int64_t list = 0; list < lists; ++list) {
    std::set<int32_t> seen;
    for (int64_t step = 0; step < done; ++step) {
      const auto at = [&](int64_t s) { return pages.begin() + (s * lists + list) * kept_pages; };
      seen.insert(at(step), at(step) + kept_pages);
      if (step > 0)
        for (int64_t i = 0; i < kept_pages; ++i)
          again += std::binary_search(at(step - 1), at(step - 1) + kept_pages, at(step)[i]) ? 1 : 0;
    }
    different += static_cast<double>(seen.size());
  }
  std::FILE* const file = std::fopen(argv[6], "wb");
  if (file == nullptr) throw Error("disk-full", "the trace cannot be written", argv[6]);
  const int32_t head[5] = {static_cast<int32_t>(g.layers), static_cast<int32_t>(g.kv_heads),
                           static_cast<int32_t>(kept_pages), static_cast<int32_t>(done),
                           static_cast<int32_t>(memory.pages())};
  const bool whole =
      std::fwrite(head, sizeof head, 1, file) == 1 && std::fwrite(pages.data(), 4, pages.size(), file) == pages.size();
  if (std::fclose(file) != 0 || !whole) throw Error("disk-full", "the trace was cut off", argv[6]);
  std::printf(
      "{\"bench\":\"gpu\",\"what\":\"page-trace\",\"context\":%lld,\"pageBudget\":%lld,\"steps\":%lld,\"lists\":%lld,"
      "\"pages\":%lld,\"sameAsStepBefore\":%.4f,\"differentPages\":%.1f,\"answered\":%zu}\n",
      static_cast<long long>(context), static_cast<long long>(budget), static_cast<long long>(done),
      static_cast<long long>(lists), static_cast<long long>(memory.pages()),
      again / static_cast<double>(lists * kept_pages * std::max<int64_t>(1, done - 1)),
      different / static_cast<double>(lists), result.tokens.size());
  return 0;
}

}  // namespace
}  // namespace quire

int main(int argc, char** argv) { return quire::run_program(quire::run, argc, argv); }
