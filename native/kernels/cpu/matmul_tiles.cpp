// matmul_tiles.cpp — see matmul_tiles.h.
#include "native/kernels/cpu/matmul_tiles.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "native/core/error.h"

namespace quire {
namespace {

// Panels that are used together stay in a core's second-level cache (1 MiB on Zen 4, 1.25–2 MiB on Intel servers) next to
// the rows they meet.
constexpr int64_t kPanelCacheBytes = 384 * 1024;
// Weights of one task times its tiles, at least: longer runs stream better, more tasks share better.
constexpr int64_t kTaskBytes = 64 * 1024;
constexpr int64_t kTasksPerThread = 4;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Tokens cut into tiles of nearly equal size: 13 tokens are 7 + 6, not 12 + 1.
struct Cut {
  int64_t tokens;
  int64_t tiles;
  int64_t begin(int64_t tile) const { return tokens * tile / tiles; }
};

void fill_panel(const QuantRows& x, int64_t first, int64_t tokens, int32_t zero, bool halves, PanelEntry* panel) {
  const int64_t blocks = x.columns / kQuantBlock;
  for (int64_t i = 0; i < tokens; ++i) {
    const int64_t t = first + i;
    const int8_t* codes = x.codes + t * x.columns;
    const float* scales = x.scales + t * blocks;
    const int32_t* sums = x.sums + t * blocks * 2;
    for (int64_t b = 0; b < blocks; ++b) {
      PanelEntry& entry = panel[b * tokens + i];
      std::memcpy(entry.codes, codes + b * kQuantBlock, kQuantBlock);
      const int32_t sum = sums[2 * b] + sums[2 * b + 1];
      entry.scale = scales[b];
      entry.start[0] = -zero * (halves ? sums[2 * b] : sum);
      entry.start[1] = -zero * sums[2 * b + 1];
      entry.sum = static_cast<float>(sum);
    }
  }
}

struct FreePanels {
  void operator()(PanelEntry* panels) const { ::operator delete(panels, std::align_val_t{64}); }
};

// Room for panels that grows with the largest matmul its thread has seen: the token loop allocates nothing.
class Panels {
 public:
  PanelEntry* room_for(int64_t entries) {
    if (entries <= entries_) return panels_.get();
    const int64_t bytes = entries * static_cast<int64_t>(sizeof(PanelEntry));
    panels_.reset();
    entries_ = 0;
    panels_.reset(
        static_cast<PanelEntry*>(::operator new(static_cast<size_t>(bytes), std::align_val_t{64}, std::nothrow)));
    if (panels_ == nullptr)
      throw Error("out-of-memory", "not enough memory for " + std::to_string(bytes) + " bytes of activations",
                  "matmul");
    entries_ = entries;
    return panels_.get();
  }

 private:
  std::unique_ptr<PanelEntry, FreePanels> panels_;
  int64_t entries_ = 0;
};

// One call, cut: a task is a band of tiles, whose panels stay in the cache, times a part of the row groups.
struct Job {
  const MatmulArgs* args = nullptr;
  const TileKernels* kernels = nullptr;
  Cut cut{0, 0};
  bool is_float = false;
  int64_t blocks = 0;
  int64_t band_tiles = 0;
  int64_t parts = 0;
  int64_t first_task = 0;
  PanelEntry* panels = nullptr;  // of all tiles, one after another; those of tile i begin at blocks · cut.begin(i)
};

Job make_job(const MatmulArgs& args, const TileKernels& kernels, int threads) {
  Job job;
  job.args = &args;
  job.kernels = &kernels;
  const PackedMatrix& weight = *args.weight;
  job.is_float = weight.is_float();
  job.blocks = weight.columns / kQuantBlock;
  job.cut = {args.tokens, ceil_div(args.tokens, kernels.max_tokens)};
  const int64_t token_bytes = job.is_float ? weight.columns * 4 : job.blocks * static_cast<int64_t>(sizeof(PanelEntry));
  job.band_tiles = std::min(job.cut.tiles, std::max<int64_t>(1, kPanelCacheBytes / (kernels.max_tokens * token_bytes)));
  const int64_t groups = weight.groups();
  job.parts = std::min(
      {groups, ceil_div(groups * weight.group_bytes * job.cut.tiles, kTaskBytes), int64_t{threads} * kTasksPerThread});
  return job;
}

void fill_tile(const Job& job, int64_t i) {
  const TensorType type = job.args->weight->type;
  fill_panel(*job.args->x_quant, job.cut.begin(i), job.cut.begin(i + 1) - job.cut.begin(i), packed_layout(type).zero,
             type == TensorType::kQ6_K, job.panels + job.blocks * job.cut.begin(i));
}

void run_task(const Job& job, int64_t task) {
  const MatmulArgs& args = *job.args;
  const PackedMatrix& weight = *args.weight;
  const int64_t columns = weight.columns;
  const int64_t groups = weight.groups();
  const int64_t first_tile = task / job.parts * job.band_tiles;
  const int64_t last_tile = std::min(first_tile + job.band_tiles, job.cut.tiles);
  const int64_t part = task % job.parts;
  Tile tile;
  tile.columns = columns;
  tile.accumulate = args.accumulate;
  tile.out_stride = args.out_stride;
  for (int64_t g = groups * part / job.parts; g < groups * (part + 1) / job.parts; ++g) {
    const int64_t row = g * kRowGroup;
    tile.group = weight.group(g);
    tile.rows = std::min(kRowGroup, weight.rows - row);
    tile.bias = args.bias == nullptr ? nullptr : args.bias + row;
    for (int64_t i = first_tile; i < last_tile; ++i) {
      const int64_t t = job.cut.begin(i);
      tile.panel = job.panels + (job.is_float ? 0 : job.blocks * t);
      tile.x = job.is_float ? args.x_float + t * columns : nullptr;
      tile.out = args.out + t * args.out_stride + row;
      job.kernels->kernel[job.cut.begin(i + 1) - t](tile);
    }
  }
}

}  // namespace

void run_tiles(const MatmulArgs* calls, int64_t count, const Run& run, const TileKernels& (*kernels_for)(TensorType)) {
  static thread_local Panels panels;
  Job jobs[kMostMatmuls];
  int64_t used = 0, entries = 0, tasks = 0, tiles = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (calls[i].tokens <= 0 || calls[i].weight->rows <= 0) continue;
    Job job = make_job(calls[i], kernels_for(calls[i].weight->type), run.pool->threads());
    job.first_task = tasks;
    tasks += ceil_div(job.cut.tiles, job.band_tiles) * job.parts;
    if (!job.is_float) entries += calls[i].tokens * job.blocks;
    tiles = std::max(tiles, job.is_float ? 0 : job.cut.tiles);
    jobs[used++] = job;
  }
  if (used == 0) return;
  PanelEntry* next = panels.room_for(entries);
  for (int64_t i = 0; i < used; ++i) {
    if (jobs[i].is_float) continue;
    jobs[i].panels = next;
    next += jobs[i].args->tokens * jobs[i].blocks;
  }
  const auto fill = [&](int64_t tile) {
    for (int64_t i = 0; i < used; ++i)
      if (!jobs[i].is_float && tile < jobs[i].cut.tiles) fill_tile(jobs[i], tile);
  };
  if (tiles == 1)
    fill(0);
  else
    run.pool->run(tiles, fill, run.cancel);
  run.pool->run(
      tasks,
      [&](int64_t task) {
        int64_t i = used - 1;
        while (jobs[i].first_task > task) --i;
        run_task(jobs[i], task - jobs[i].first_task);
      },
      run.cancel);
}

}  // namespace quire
