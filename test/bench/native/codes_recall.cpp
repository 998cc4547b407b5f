// codes_recall.cpp — what summaries of 8 bits change in the pages that a real model chooses: run on the CPU backend, beside its answer.
//
//   bench_codes_recall model.gguf table.txt context budget steps            table: test/bench/native/gguf-table.ts
//
// Reads `context` tokens of source, lets the model go on greedily, and at every step, layer and KV head selects twice from the real
// query and the real summaries: as they are (f16) and coded as kernels/cuda/summary_codes.cu does (plain_summary_codes.h; the grid
// is made when the answer begins). Prints one JSON row: the share of chosen pages that both have (recall; forced pages not counted), the
// worst step's, the share of the exact votes that the other choice misses, and in how many lists the k-th vote is below half the mean.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "native/core/half.h"
#include "native/decode/generate.h"
#include "native/kernels/cuda/plain_summary_codes.h"
#include "test/bench/native/model_table.h"
#include "test/bench/native/program.h"

namespace quire {
namespace {

void (*scored_by)(const ScoreArgs&, const Run&) = nullptr;
void (*chosen_by)(const SelectArgs&, const Run&) = nullptr;
bool answering = false;
std::map<const void*, std::vector<std::vector<plain::CodeGrid>>> grids;  // of a layer's KV heads
std::vector<float> coded_scores;

struct Seen {
  double lists = 0, recall = 0, worst = 1, missed = 0, low = 0;
} seen;

std::vector<float> rows_of(const ScoreArgs& args, int64_t g) {
  const int64_t size = args.kv.head_size;
  std::vector<float> rows;
  rows.reserve(static_cast<size_t>(args.list.pages * 2 * size));
  for (int64_t i = 0; i < args.list.pages; ++i)
    for (int64_t w = 0; w < 2; ++w)
      for (int64_t d = 0; d < size; ++d)
        rows.push_back(half_to_float(args.kv.summary(g, args.list.slot[i], w)[d * kSummaryGroup]));
  return rows;
}

void score_both(const ScoreArgs& args, const Run& run) {
  scored_by(args, run);
  if (!answering) return;
  const int64_t size = args.kv.head_size, n = args.list.pages, group = args.heads / args.kv.kv_heads;
  coded_scores.assign(static_cast<size_t>(args.heads * n), 0.0f);
  auto& of_layer = grids[args.kv.summaries];
  const bool first = of_layer.empty();
  for (int64_t g = 0; g < args.kv.kv_heads; ++g) {
    const std::vector<float> rows = rows_of(args, g);
    if (first) of_layer.push_back(plain::code_grids(rows.data(), n, 2 * size));
    const auto& grid = of_layer[static_cast<size_t>(g)];
    for (int64_t i = 0; i < n; ++i) {
      std::vector<float> value(static_cast<size_t>(2 * size));
      for (size_t d = 0; d < value.size(); ++d)
        value[d] = plain::value_of(plain::code_of(rows[static_cast<size_t>(i * 2 * size) + d], grid[d]), grid[d]);
      for (int64_t h = g * group; h < (g + 1) * group; ++h) {
        float sum = 0;
        for (int64_t d = 0; d < size; ++d) {
          const float q = args.q[h * size + d];
          sum += q * value[static_cast<size_t>(d)] +
                 args.spread_factor * std::fabs(q) * value[static_cast<size_t>(size + d)];
        }
        coded_scores[static_cast<size_t>(h * n + i)] = sum;
      }
    }
  }
}

// The votes of the pages that are not forced, as plain_select.cpp sums them.
std::vector<double> votes_of(const SelectArgs& args, int64_t g) {
  const int64_t n = args.pages, group = args.heads / args.kv_heads;
  const int64_t begin = args.sink_pages, end = n - args.recent_pages;
  std::vector<double> votes(static_cast<size_t>(n));
  for (int64_t h = g * group; h < (g + 1) * group; ++h) {
    const float* const s = args.scores + h * n;
    const double largest = *std::max_element(s + begin, s + end);
    const double scale = 1 / std::sqrt(static_cast<double>(args.head_size));
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) sum += std::exp((s[i] - largest) * scale);
    for (int64_t i = begin; i < end; ++i) votes[static_cast<size_t>(i)] += std::exp((s[i] - largest) * scale) / sum;
  }
  return votes;
}

void choose_both(const SelectArgs& args, const Run& run) {
  chosen_by(args, run);
  if (!answering || args.pages <= args.budget_pages) return;
  SelectArgs coded = args;
  std::vector<int32_t> chosen(static_cast<size_t>(args.kv_heads * args.budget_pages));
  std::vector<int64_t> count(static_cast<size_t>(args.kv_heads));
  std::vector<float> workspace(coded_scores.size());
  coded.scores = coded_scores.data();
  coded.chosen = chosen.data();
  coded.chosen_count = count.data();
  coded.workspace = workspace.data();
  chosen_by(coded, run);
  const auto wanted = static_cast<double>(args.budget_pages - args.sink_pages - args.recent_pages);
  for (int64_t g = 0; g < args.kv_heads; ++g) {
    const std::vector<double> votes = votes_of(args, g);
    const auto* const exact = args.chosen + g * args.budget_pages;
    const auto other = chosen.begin() + g * args.budget_pages;
    double same = -static_cast<double>(args.sink_pages + args.recent_pages), of_exact = 0, of_other = 0,
           least = INFINITY;
    for (int64_t i = 0; i < args.budget_pages; ++i) {
      same += std::binary_search(other, other + args.budget_pages, exact[i]) ? 1 : 0;
      const double vote = votes[static_cast<size_t>(exact[i])];
      of_exact += vote;
      of_other += votes[static_cast<size_t>(other[i])];
      if (exact[i] >= args.sink_pages && exact[i] < args.pages - args.recent_pages) least = std::min(least, vote);
    }
    const double group = static_cast<double>(args.heads / args.kv_heads);
    seen.lists += 1;
    seen.recall += same / wanted;
    seen.worst = std::min(seen.worst, same / wanted);
    seen.missed += (of_exact - of_other) / group;
    seen.low += least < 0.5 * group / static_cast<double>(args.pages) ? 1 : 0;
  }
}

int run(int argc, char** argv) {
  if (argc != 6) throw Error("bad-option", "give a model, a table, a context, a budget and steps");
  const ModelTable table = read_model_table(argv[2]);
  const Geometry& g = table.geometry;
  const int64_t context = std::atoll(argv[3]), budget = std::atoll(argv[4]), steps = std::atoll(argv[5]);
  if (static_cast<int64_t>(table.tokens.size()) < context) throw Error("bad-option", "the table has fewer tokens");
  ThreadPool pool(static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  const ModelWeights weights = open_model(argv[1], g, table.tensors, pool);
  Ops ops = choose_cpu_ops("auto");
  scored_by = ops.score;
  chosen_by = ops.select;
  ops.score = score_both;
  ops.select = choose_both;
  Memory memory(g, (context + steps) / kPageTokens + 2, Summary::kMeanSpread);
  Forward forward(weights, ops, pool, {});
  const std::atomic<bool> cancel{false};
  read_document(forward, memory, table.tokens, 0, context);
  answering = true;
  GenerateOptions options;
  options.max_tokens = steps;
  options.selection.page_budget = budget;
  const GenerateResult result = generate(forward, memory, options, cancel, [](int32_t) {});
  std::printf(
      "{\"bench\":\"gpu\",\"what\":\"summary-codes\",\"context\":%lld,\"pageBudget\":%lld,\"steps\":%zu,\"lists\":%.0f,"
      "\"recall\":%.5f,\"worstRecall\":%.3f,\"votesMissed\":%.6f,\"kthBelowHalfMean\":%.3f}\n",
      static_cast<long long>(context), static_cast<long long>(budget), result.tokens.size(), seen.lists,
      seen.recall / seen.lists, seen.worst, seen.missed / seen.lists, seen.low / seen.lists);
  return 0;
}

}  // namespace
}  // namespace quire

int main(int argc, char** argv) { return quire::run_program(quire::run, argc, argv); }
