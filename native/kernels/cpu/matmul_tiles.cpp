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

}  // namespace

void run_tiles(const MatmulArgs& args, const Run& run, const TileKernels& kernels) {
  if (args.tokens <= 0 || args.weight->rows <= 0) return;
  const PackedMatrix& weight = *args.weight;
  const bool is_float = weight.is_float();
  const int64_t columns = weight.columns;
  const int64_t blocks = columns / kQuantBlock;
  const Cut cut{args.tokens, ceil_div(args.tokens, kernels.max_tokens)};

  // Panels of all tiles, one after another; those of tile i begin at blocks · cut.begin(i).
  std::unique_ptr<PanelEntry, FreePanels> panels;
  if (!is_float) {
    const int64_t bytes = args.tokens * blocks * static_cast<int64_t>(sizeof(PanelEntry));
    panels.reset(
        static_cast<PanelEntry*>(::operator new(static_cast<size_t>(bytes), std::align_val_t{64}, std::nothrow)));
    if (panels == nullptr)
      throw Error("out-of-memory", "not enough memory for " + std::to_string(bytes) + " bytes of activations",
                  "matmul");
    const int32_t zero = packed_layout(weight.type).zero;
    const auto fill = [&](int64_t i) {
      fill_panel(*args.x_quant, cut.begin(i), cut.begin(i + 1) - cut.begin(i), zero, weight.type == TensorType::kQ6_K,
                 panels.get() + blocks * cut.begin(i));
    };
    if (cut.tiles == 1)
      fill(0);
    else
      run.pool->run(cut.tiles, fill, run.cancel);
  }

  // A task is a band of tiles, whose panels stay in the cache, times a part of the row groups.
  const int64_t token_bytes = is_float ? columns * 4 : blocks * static_cast<int64_t>(sizeof(PanelEntry));
  const int64_t cached_tiles = std::max<int64_t>(1, kPanelCacheBytes / (kernels.max_tokens * token_bytes));
  const int64_t band_tiles = std::min(cut.tiles, cached_tiles);
  const int64_t bands = ceil_div(cut.tiles, band_tiles);
  const int64_t groups = weight.groups();
  const int64_t parts = std::min({groups, ceil_div(groups * weight.group_bytes * cut.tiles, kTaskBytes),
                                  int64_t{run.pool->threads()} * kTasksPerThread});

  run.pool->run(
      bands * parts,
      [&](int64_t task) {
        const int64_t first_tile = task / parts * band_tiles;
        const int64_t last_tile = std::min(first_tile + band_tiles, cut.tiles);
        const int64_t part = task % parts;
        Tile tile;
        tile.columns = columns;
        tile.accumulate = args.accumulate;
        tile.out_stride = args.out_stride;
        for (int64_t g = groups * part / parts; g < groups * (part + 1) / parts; ++g) {
          const int64_t row = g * kRowGroup;
          tile.group = weight.group(g);
          tile.rows = std::min(kRowGroup, weight.rows - row);
          tile.bias = args.bias == nullptr ? nullptr : args.bias + row;
          for (int64_t i = first_tile; i < last_tile; ++i) {
            const int64_t t = cut.begin(i);
            tile.panel = panels.get() + (is_float ? 0 : blocks * t);
            tile.x = is_float ? args.x_float + t * columns : nullptr;
            tile.out = args.out + t * args.out_stride + row;
            kernels.kernel[cut.begin(i + 1) - t](tile);
          }
        }
      },
      run.cancel);
}

}  // namespace quire
