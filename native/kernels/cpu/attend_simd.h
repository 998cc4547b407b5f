// attend_simd.h — attend in vector registers, for any instruction set. Meaning: plain_attend.cpp; cut: attend_plan.h.
//
//   s = q·K of a key block   lanes are keys: register += q[d] · K[d][16 keys], d in order; no sum across lanes
//   m' = max(m, max s)       p = 2^(s − m'), kept = 2^(m − m'); q is scaled by scale · log2 e beforehand
//   l = l · kept + Σ p       by lane
//   o = o · kept + Σ p_j·V_j lanes are channels, j in order
//
// After each part of kSplitPages the row's (m, l, o) is merged into its total by the same rule, also when not `split`, so a row
// has the same bits in prefill and decode. What it costs is hidden: a merge per 256 keys.
// A task is a tile of rows of a group. With many rows it turns each key block into floats once (L1, or L2 where D > 64) and
// goes over it in register tiles of up to 6 rows; with few (decode) it reads the halves directly. Whatever the tile, each row's
// sums are in the same order; rows of a register tile that see different keys are done one by one.
//
// V is the instruction set: see attend_avx512.cpp. It has internal linkage, hence so has all that is made from it here; no
// function of this file may be other than a template over V, or the linker could hand its code to a lesser processor.
#pragma once

#include <cstdint>

#include "native/kernels/cpu/attend_plan.h"
#include "native/kernels/cpu/op_functions.h"

namespace quire {

constexpr int64_t kMostCalls = 64;  // of attend_several in one loop

// How many tokens of each of the block's pages a row sees, a byte each.
union PageCounts4 {
  uint8_t of[kKeyBlockPages];
  uint32_t all;
};
constexpr uint32_t kAllSeen = 0x10101010;

// The pages of a key block, as halves where they lie or as floats in the task's buffers.
template <class T>
struct KeyBlock {
  const T* keys[kKeyBlockPages];
  const T* values[kKeyBlockPages];
  const char* next[kKeyBlockPages];  // pages to fetch meanwhile
};

template <class V>
class AttendTile {
  using Reg = typename V::Reg;
  static constexpr int kLanes = V::kLanes;
  static constexpr int kPageRegs = kPageTokens / kLanes;
  static constexpr int kBlockRegs = kBlockKeys / kLanes;
  static constexpr int kTileRows = V::kTileRows;  // most rows of a register tile

 public:
  AttendTile(const AttendArgs& args, const AttendPlan& plan, int64_t group, int64_t tile)
      : args_(args), plan_(plan), list_(list_of(args, group)), size_(args.kv.head_size), group_(group) {
    first_row_ = tile * plan.tile_rows;
    rows_ = plan.rows - first_row_ < plan.tile_rows ? plan.rows - first_row_ : plan.tile_rows;
    kv_head_ = kv_head_of(args, group * plan.group_heads);
    direct_ = rows_ <= V::kDirectRows;
    pack_queries();
  }

  // One part of the list, its state left to be merged.
  void attend_part(int64_t part) {
    add_part(part);
    for (int64_t r = 0; r < rows_; ++r) {
      float* state = part_state(r, part);
      state[0] = max_[r];
      state[1] = V::sum(V::load(sum_ + r * kLanes));
      for (int64_t d = 0; d < size_; d += kLanes) V::store(state + 2 + d, V::load(out_ + r * size_ + d));
    }
  }

  // Everything the rows see, part after part.
  void attend_all() {
    clear_total();
    for (int64_t part = 0; part * kSplitPages < pages_seen_; ++part) {
      add_part(part);
      for (int64_t r = 0; r < rows_; ++r) merge(r, max_[r], V::sum(V::load(sum_ + r * kLanes)), out_ + r * size_);
    }
    finish();
  }

  // Merges what attend_part left.
  void merge_parts() {
    clear_total();
    for (int64_t r = 0; r < rows_; ++r)
      for (int64_t part = 0; part * kSplitPages < list_.pages; ++part) {
        const float* state = part_state(r, part);
        merge(r, state[0], state[1], state + 2);
      }
    finish();
  }

 private:
  int64_t token_of(int64_t r) const { return (first_row_ + r) / plan_.group_heads; }
  int64_t head_of(int64_t r) const { return group_ * plan_.group_heads + (first_row_ + r) % plan_.group_heads; }
  float* part_state(int64_t r, int64_t part) const {
    const int64_t row = token_of(r) * args_.heads + head_of(r);
    return plan_.part_states + (row * plan_.parts + part) * (size_ + 2);
  }
  // Rows of the register tile that begins at r.
  int64_t tile_at(int64_t r) const {
    const int64_t most = direct_ ? rows_ : kTileRows;
    return rows_ - r < most ? rows_ - r : most;
  }

  // Queries as [register tile][D][its rows], scaled so that a power of 2 is what is left to take.
  void pack_queries() {
    const float scale = args_.scale * 1.44269504088896341f;
    for (int64_t begin = 0; begin < rows_; begin += tile_at(begin)) {
      const int64_t count = tile_at(begin);
      for (int64_t r = 0; r < count; ++r) {
        const float* q = args_.q + token_of(begin + r) * args_.stride + head_of(begin + r) * size_;
        for (int64_t d = 0; d < size_; ++d) queries_[begin * size_ + d * count + r] = q[d] * scale;
      }
    }
    pages_seen_ = 0;
    for (int64_t r = 0; r < rows_; ++r) {
      if (args_.visible != nullptr) {
        const Visible& visible = args_.visible[token_of(r)];
        row_pages_[r] = visible.page + 1;
        row_last_[r] = visible.count;
      } else {
        row_pages_[r] = static_cast<int32_t>(list_.pages);
        row_last_[r] = kPageTokens;
      }
      if (row_pages_[r] > pages_seen_) pages_seen_ = row_pages_[r];
    }
  }

  void add_part(int64_t part) {
    for (int64_t r = 0; r < rows_; ++r) {
      max_[r] = V::kMinusInfinity;
      V::store(sum_ + r * kLanes, V::zero());
    }
    for (int64_t i = 0; i < rows_ * size_; i += kLanes) V::store(out_ + i, V::zero());
    const int64_t begin = part * kSplitPages;
    int64_t end = begin + kSplitPages;
    if (end > pages_seen_) end = pages_seen_;
    for (int64_t first = begin; first < end; first += kKeyBlockPages) add_block(first, end);
  }

  // Entries [first, first + 4) of the list, those before `end`.
  void add_block(int64_t first, int64_t end) {
    const int64_t pages = end - first < kKeyBlockPages ? end - first : kKeyBlockPages;
    uint8_t most[kKeyBlockPages] = {};
    for (int64_t r = 0; r < rows_; ++r) {
      PageCounts4 counts;
      counts.all = 0;
      if (r > 0 && token_of(r) == token_of(r - 1)) {
        counts = counts_[r - 1];
      } else {
        for (int64_t i = 0; i < pages; ++i) {
          const int64_t entry = first + i;
          int32_t seen = entry < row_pages_[r] ? list_.count[entry] : 0;
          if (entry + 1 == row_pages_[r] && row_last_[r] < seen) seen = row_last_[r];
          counts.of[i] = static_cast<uint8_t>(seen);
          if (counts.of[i] > most[i]) most[i] = counts.of[i];
        }
      }
      counts_[r] = counts;
    }
    if (direct_) {
      KeyBlock<uint16_t> block;
      for (int64_t i = 0; i < kKeyBlockPages; ++i) {
        const int64_t entry = first + (i < pages ? i : 0);  // a page that is not there is computed and masked
        const int64_t next = entry + kKeyBlockPages < end ? entry + kKeyBlockPages : entry;
        block.keys[i] = args_.kv.keys(kv_head_, list_.slot[entry]);
        block.values[i] = args_.kv.values(kv_head_, list_.slot[entry]);
        block.next[i] = reinterpret_cast<const char*>(args_.kv.keys(kv_head_, list_.slot[next]));
      }
      add_rows(block, first);
    } else {
      KeyBlock<float> block;
      for (int64_t i = 0; i < kKeyBlockPages; ++i) {
        const int64_t page = kPageTokens * size_;
        block.keys[i] = keys_ + (i < pages ? i : 0) * page;
        block.values[i] = values_ + i * page;
        block.next[i] = nullptr;
        if (i >= pages) continue;
        const uint16_t* keys = args_.kv.keys(kv_head_, list_.slot[first + i]);
        const uint16_t* values = args_.kv.values(kv_head_, list_.slot[first + i]);
        for (int64_t d = 0; d < page; d += kLanes) V::store(keys_ + i * page + d, V::load(keys + d));
        for (int64_t d = 0; d < most[i] * size_; d += kLanes) V::store(values_ + i * page + d, V::load(values + d));
      }
      add_rows(block, first);
    }
  }

  template <class T>
  void add_rows(const KeyBlock<T>& block, int64_t first) {
    for (int64_t begin = 0; begin < rows_; begin += tile_at(begin)) {
      const int64_t count = tile_at(begin);
      const float* q = queries_ + begin * size_;
      bool same = true;
      for (int64_t r = 1; r < count; ++r) same = same && counts_[begin + r].all == counts_[begin].all;
      if (same) {
        if (counts_[begin].all != 0) add_tile(block, first, begin, count, q, count);
      } else {
        for (int64_t r = 0; r < count; ++r)
          if (counts_[begin + r].all != 0) add_tile(block, first, begin + r, 1, q + r, count);
      }
    }
  }

  // `count` rows from `row` on; their queries are `step` floats apart from channel to channel.
  template <class T>
  void add_tile(const KeyBlock<T>& block, int64_t first, int64_t row, int64_t count, const float* q, int64_t step) {
    switch (count) {
      case 1: return add_tile_of<1>(block, first, row, q, step);
      case 2: return add_tile_of<2>(block, first, row, q, step);
      case 3: return add_tile_of<3>(block, first, row, q, step);
      case 4: return add_tile_of<4>(block, first, row, q, step);
      case 5: return add_tile_of<5>(block, first, row, q, step);
      case 6: return add_tile_of<6>(block, first, row, q, step);
      default: break;
    }
    if constexpr (sizeof(T) == sizeof(uint16_t) && V::kDirectRows == 8) {
      if (count == 7) add_tile_of<7>(block, first, row, q, step);
      if (count == 8) add_tile_of<8>(block, first, row, q, step);
    }
  }

  template <int kRows, class T>
  void add_tile_of(const KeyBlock<T>& block, int64_t first, int64_t row, const float* q, int64_t step) {
    alignas(64) float scores[kRows * kBlockKeys];
    float kept[kRows];
    const PageCounts4 counts = counts_[row];
    constexpr int kPages = V::kTileRegs / (kRows * kPageRegs) >= 4   ? 4
                           : V::kTileRegs / (kRows * kPageRegs) >= 2 ? 2
                                                                     : 1;
    for (int page = 0; page < kKeyBlockPages; page += kPages) score<kRows, kPages>(block, page, q, step, scores);
    for (int r = 0; r < kRows; ++r) kept[r] = weigh(scores + r * kBlockKeys, counts, row + r, first);
    constexpr int kRegs = V::kTileRegs / kRows >= 4 ? 4 : V::kTileRegs / kRows >= 2 ? 2 : 1;
    int64_t d = 0;
    for (; d + kRegs * kLanes <= size_; d += kRegs * kLanes)
      gather<kRows, kRegs>(block, counts, scores, kept, out_ + row * size_, d);
    for (; d < size_; d += kLanes) gather<kRows, 1>(block, counts, scores, kept, out_ + row * size_, d);
  }

  // scores[r][page..][16] = Σ_d q[r][d] · K[d][16]
  template <int kRows, int kPages, class T>
  void score(const KeyBlock<T>& block, int page, const float* q, int64_t step, float* scores) {
    Reg sums[kRows][kPages * kPageRegs];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < kPages * kPageRegs; ++v) sums[r][v] = V::zero();
    const T* keys[kPages];
#pragma GCC unroll 8
    for (int p = 0; p < kPages; ++p) keys[p] = block.keys[page + p];
    for (int64_t d = 0; d < size_; ++d) {
      Reg k[kPages * kPageRegs];
#pragma GCC unroll 8
      for (int v = 0; v < kPages * kPageRegs; ++v)
        k[v] = V::load(keys[v / kPageRegs] + d * kPageTokens + v % kPageRegs * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < kPages * kPageRegs; ++v)
          sums[r][v] = V::fma(V::broadcast(q[d * step + r]), k[v], sums[r][v]);
      // A page has D cache lines, of keys and values together.
      if constexpr (sizeof(T) == sizeof(uint16_t)) {
#pragma GCC unroll 8
        for (int p = 0; p < kPages; ++p) V::fetch(block.next[page + p] + d * 64);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < kPages * kPageRegs; ++v)
        V::store(scores + r * kBlockKeys + page * kPageTokens + v * kLanes, sums[r][v]);
  }

  // Scores to weights in place; returns what of the row's earlier output is kept.
  float weigh(float* scores, PageCounts4 counts, int64_t row, int64_t first) {
    Reg s[kBlockRegs];
#pragma GCC unroll 8
    for (int i = 0; i < kBlockRegs; ++i) s[i] = V::load(scores + i * kLanes);
    if (counts.all != kAllSeen) {
#pragma GCC unroll 8
      for (int i = 0; i < kBlockRegs; ++i)
        s[i] = V::first_or_minus_infinity(counts.of[i / kPageRegs] - i % kPageRegs * kLanes, s[i]);
    }
    Reg largest = s[0];
#pragma GCC unroll 8
    for (int i = 1; i < kBlockRegs; ++i) largest = V::max(largest, s[i]);
    const float of_block = V::largest(largest);
    const float before = max_[row];
    float kept = 1.0f;
    if (of_block > before) {
      max_[row] = of_block;
      kept = power(before - of_block);
    }
    const Reg base = V::broadcast(max_[row] == V::kMinusInfinity ? 0.0f : max_[row]);
#pragma GCC unroll 8
    for (int i = 0; i < kBlockRegs; ++i) {
      s[i] = V::exp2(V::sub(s[i], base));
      V::store(scores + i * kLanes, s[i]);
    }
    Reg total = s[0];
#pragma GCC unroll 8
    for (int i = 1; i < kBlockRegs; ++i) total = V::add(total, s[i]);
    float* sum = sum_ + row * kLanes;
    V::store(sum, V::fma(V::load(sum), V::broadcast(kept), total));
    if (args_.page_mass != nullptr) {
      const int64_t h = head_of(row);
      for (int64_t i = 0; i < kKeyBlockPages && first + i < plan_.longest; ++i) {
        Reg page = V::load(scores + i * kPageTokens);
        for (int v = 1; v < kPageRegs; ++v) page = V::add(page, V::load(scores + i * kPageTokens + v * kLanes));
        plan_.page_sums[h * plan_.longest + first + i] = V::sum(page);
      }
      plan_.block_maxima[h * plan_.blocks + first / kKeyBlockPages] = max_[row];
    }
    return kept;
  }

  // out[r][d..] = out · kept + Σ_j p[r][j] · V[j][d..]
  template <int kRows, int kRegs, class T>
  void gather(const KeyBlock<T>& block, PageCounts4 counts, const float* weights, const float* kept, float* out,
              int64_t d) {
    Reg sums[kRows][kRegs];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < kRegs; ++v)
        sums[r][v] = V::mul(V::load(out + r * size_ + d + v * kLanes), V::broadcast(kept[r]));
    for (int page = 0; page < kKeyBlockPages; ++page) {
      const T* values = block.values[page] + d;
      const float* p = weights + page * kPageTokens;
      for (int j = 0; j < counts.of[page]; ++j) {
        Reg value[kRegs];
#pragma GCC unroll 8
        for (int v = 0; v < kRegs; ++v) value[v] = V::load(values + v * kLanes);
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
          for (int v = 0; v < kRegs; ++v)
            sums[r][v] = V::fma(V::broadcast(p[r * kBlockKeys + j]), value[v], sums[r][v]);
        values += size_;
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < kRegs; ++v) V::store(out + r * size_ + d + v * kLanes, sums[r][v]);
  }

  static float power(float x) { return V::first(V::exp2(V::broadcast(x))); }

  void clear_total() {
    for (int64_t r = 0; r < rows_; ++r) {
      total_max_[r] = V::kMinusInfinity;
      total_sum_[r] = 0;
    }
    for (int64_t i = 0; i < rows_ * size_; i += kLanes) V::store(total_ + i, V::zero());
  }

  void merge(int64_t r, float max, float sum, const float* out) {
    const float larger = max > total_max_[r] ? max : total_max_[r];
    const float base = larger == V::kMinusInfinity ? 0.0f : larger;
    const float kept = power(total_max_[r] - base);
    const float weight = power(max - base);
    total_max_[r] = larger;
    total_sum_[r] = total_sum_[r] * kept + sum * weight;
    float* total = total_ + r * size_;
    for (int64_t d = 0; d < size_; d += kLanes)
      V::store(total + d,
               V::fma(V::load(out + d), V::broadcast(weight), V::mul(V::load(total + d), V::broadcast(kept))));
  }

  void finish() {
    for (int64_t r = 0; r < rows_; ++r) {
      const int64_t row = token_of(r) * args_.heads + head_of(r);
      float* out = args_.out + row * size_;
      const float inverse = total_sum_[r] == 0 ? 0.0f : 1.0f / total_sum_[r];
      for (int64_t d = 0; d < size_; d += kLanes)
        V::store(out + d, V::mul(V::load(total_ + r * size_ + d), V::broadcast(inverse)));
      plan_.state[2 * row] = total_max_[r];
      plan_.state[2 * row + 1] = total_sum_[r];
    }
  }

  const AttendArgs& args_;
  const AttendPlan& plan_;
  const PageList& list_;
  const int64_t size_;
  const int64_t group_;
  int64_t first_row_ = 0;
  int64_t rows_ = 0;
  int64_t kv_head_ = 0;
  int64_t pages_seen_ = 0;
  bool direct_ = false;
  int32_t row_pages_[kMaxTileRows];  // entries a row sees, and tokens of the last of them
  int32_t row_last_[kMaxTileRows];
  PageCounts4 counts_[kMaxTileRows];
  float max_[kMaxTileRows];
  float total_max_[kMaxTileRows];
  float total_sum_[kMaxTileRows];
  alignas(64) float sum_[kMaxTileRows * kLanes];
  alignas(64) float queries_[kTileFloats];
  alignas(64) float out_[kTileFloats];
  alignas(64) float total_[kTileFloats];
  alignas(64) float keys_[kBlockKeys * kMaxHeadSize];
  alignas(64) float values_[kBlockKeys * kMaxHeadSize];
};

// Probability of each list entry from the sums of its page: rescaled to the row's final maximum and sum.
template <class V>
void sum_page_mass(const AttendArgs& args, const AttendPlan& plan) {
  for (int64_t i = 0; i < args.list_count; ++i)
    for (int64_t j = 0; j < args.lists[i].pages; ++j) args.page_mass[i * args.mass_stride + j] = 0;
  for (int64_t h = 0; h < args.heads; ++h) {
    const int64_t group = h / plan.group_heads;
    const PageList& list = list_of(args, group);
    float* mass = args.page_mass + (args.list_count == 1 ? 0 : group) * args.mass_stride;
    const float sum = plan.state[2 * h + 1];
    if (sum == 0) continue;
    for (int64_t i = 0; i < list.pages; ++i) {
      const float max = plan.block_maxima[h * plan.blocks + i / kKeyBlockPages];
      const float factor = V::first(V::exp2(V::broadcast(max - plan.state[2 * h]))) / sum;
      mass[i] += plan.page_sums[h * plan.longest + i] * factor;
    }
  }
}

template <class V>
void attend_with(const AttendArgs& args, const Run& run) {
  const AttendPlan plan = plan_attend(args, run.pool->threads());
  if (args.page_mass != nullptr) {  // blocks that are not seen leave nothing
    for (int64_t i = 0; i < args.heads * plan.longest; ++i) plan.page_sums[i] = 0;
    for (int64_t i = 0; i < args.heads * plan.blocks; ++i) plan.block_maxima[i] = V::kMinusInfinity;
  }
  if (!args.split || plan.parts == 0) {
    // The last tiles of a causal chunk see the most: they go first.
    run.pool->run(
        plan.groups * plan.tiles,
        [&](int64_t task) {
          AttendTile<V>(args, plan, task % plan.groups, plan.tiles - 1 - task / plan.groups).attend_all();
        },
        run.cancel);
  } else {
    const int64_t tiles = plan.groups * plan.tiles;
    run.pool->run(
        tiles * plan.parts,
        [&](int64_t task) {
          AttendTile<V>(args, plan, task % tiles / plan.tiles, task % plan.tiles).attend_part(task / tiles);
        },
        run.cancel);
    for (int64_t task = 0; task < tiles; ++task)
      AttendTile<V>(args, plan, task / plan.tiles, task % plan.tiles).merge_parts();
  }
  if (args.page_mass != nullptr) sum_page_mass<V>(args, plan);
}

// The tiles of all calls in one loop: a barrier each would cost more than a call's work where cores are many or busy.
template <class V>
void attend_several_with(const AttendArgs* calls, int64_t count, const Run& run) {
  const int64_t threads = run.pool->threads();
  const int share = static_cast<int>(threads > count ? threads / count : 1);
  int64_t begins[kMostCalls];
  AttendPlan plans[kMostCalls];
  for (int64_t first = 0; first < count; first += kMostCalls) {
    const int64_t some = count - first < kMostCalls ? count - first : kMostCalls;
    int64_t tasks = 0;
    for (int64_t i = 0; i < some; ++i) {
      plans[i] = plan_attend(calls[first + i], share);
      begins[i] = tasks;
      tasks += plans[i].groups * plans[i].tiles;
    }
    run.pool->run(
        tasks,
        [&](int64_t task) {
          int64_t i = some - 1;
          while (begins[i] > task) --i;
          const int64_t tile = task - begins[i];
          AttendTile<V>(calls[first + i], plans[i], tile % plans[i].groups, tile / plans[i].groups).attend_all();
        },
        run.cancel);
  }
}

}  // namespace quire
