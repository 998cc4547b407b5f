// matmul_tiles.h — what the fast matmuls share: activations laid out in panels, and the walk over tiles of 16 rows × up to
// kMaxTileTokens tokens. A level of instructions supplies the kernel of one tile (matmul_avx2.cpp, matmul_avx512.cpp).
//
// A tile goes over all columns in order with one accumulator per output, and each token's accumulator sees the same
// operations in every tile size: so no result depends on T, on how T is cut into tiles, or on the number of threads.
#pragma once

#include "native/kernels/ops.h"

namespace quire {

constexpr int kMaxTileTokens = 12;

// One block of 32 columns of one token. A panel is [K/32][tokens of the tile]: what a kernel reads is contiguous.
// The integer sums begin at `start`, −zero · Σ codes: [0] for columns 0–15 and [1] for 16–31 with Q6_K, which has a scale
// for each half; [0] for all 32 with the other types.
struct PanelEntry {
  int8_t codes[kQuantBlock];
  float scale;  // of the activations
  int32_t start[2];
  float sum;  // Σ codes of the block, for the minimum
};

// One call of a kernel.
struct Tile {
  const std::byte* group = nullptr;   // 16 packed rows
  const PanelEntry* panel = nullptr;  // [blocks][tokens], quantised weights
  const float* x = nullptr;           // [tokens, columns], float weights
  int64_t columns = 0;                // K
  int64_t rows = 0;                   // of the group, 1–16
  const float* bias = nullptr;        // [rows] or null
  bool accumulate = false;
  float* out = nullptr;  // [tokens, out_stride], at the group's first row
  int64_t out_stride = 0;
};
using TileKernel = void (*)(const Tile& tile);

// Kernels of one level for one weight type, by the tile's tokens: kernel[t] for 1 ≤ t ≤ max_tokens.
struct TileKernels {
  int max_tokens = 0;
  TileKernel kernel[kMaxTileTokens + 1] = {};
};

// The op matmul_several on these kernels: the tasks of all calls in one loop, so that threads wait for each other once. Throws
// "out-of-memory" when there is no room for the panels (1.5 · T · K bytes), which stay with the calling thread.
void run_tiles(const MatmulArgs* calls, int64_t count, const Run& run, const TileKernels& (*kernels_for)(TensorType));

}  // namespace quire
