// score_simd.h — score in vector registers, for any instruction set. Meaning: plain_score.cpp.
//
//   score[h, i] = Σ_d a[h, d] · first[g, i, d] + b[h, d] · second[g, i, d]      first, second: the summary's two vectors
//   mean and spread: a = q, b = c·|q|          min and max: a = min(q, 0), b = max(q, 0), which is max(q·min, q·max)
//
// Lanes are the 16 neighbouring slots whose summaries are interleaved; all of them are computed and those that the list names
// are taken. A list in the order of its slots costs one such sum per 16 entries; one out of order costs one per change of group,
// which reads no more memory than its entries alone would: their values lie 32 bytes apart. The sum is in order of d, each
// channel's a before its b, so a score has the same bits wherever its page lies in the list.
// A task is up to 128 entries and one KV head. Reads 4·D bytes per page and KV head; bound by arithmetic from 4 heads a group.
//
// V is the instruction set; as in attend_simd.h nothing here may be other than a template over it.
#pragma once

#include <cstring>

#include "native/kernels/cpu/op_functions.h"

namespace quire {

template <class V>
class PageScores {
  using Reg = typename V::Reg;
  static constexpr int kRegs = kSummaryGroup / V::kLanes;  // of a group of slots
  static constexpr int kGroups = V::kGroups;               // groups of slots at once: independent sums for few heads
  static constexpr int64_t kMaxHeadSize = 256;
  static constexpr int64_t kTaskEntries = 128;

 public:
  static bool can(const ScoreArgs& args) { return args.kv.head_size <= kMaxHeadSize; }

  static void run(const ScoreArgs& args, const Run& run) {
    const int64_t chunks = (args.list.pages + kTaskEntries - 1) / kTaskEntries;
    run.pool->run(
        chunks * args.kv.kv_heads,
        [&](int64_t task) {
          const int64_t begin = task % chunks * kTaskEntries;
          const int64_t end = args.list.pages - begin < kTaskEntries ? args.list.pages : begin + kTaskEntries;
          score_entries(args, task / chunks, begin, end);
        },
        run.cancel);
  }

 private:
  // Entries [begin, end) of the list whose summaries are of one group.
  struct Stretch {
    const uint16_t* summary;  // first [D, 16], then second
    int64_t begin, end;
    bool in_order;  // of neighbouring slots, ascending
  };

  static void score_entries(const ScoreArgs& args, int64_t g, int64_t begin, int64_t end) {
    Stretch stretches[kTaskEntries];
    int64_t count = 0;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t slot = args.list.slot[i];
      const uint16_t* summary = args.kv.summary(g, slot - slot % kSummaryGroup, 0);
      if (count > 0 && stretches[count - 1].summary == summary) {
        Stretch& last = stretches[count - 1];
        last.in_order = last.in_order && slot == args.list.slot[i - 1] + 1;
        last.end = i + 1;
      } else {
        stretches[count++] = {summary, i, i + 1, true};
      }
    }
    const int64_t heads = args.heads / args.kv.kv_heads;
    for (int64_t h = 0; h < heads; h += V::kHeads) {
      const int64_t some = heads - h < V::kHeads ? heads - h : V::kHeads;
      score_heads(args, g * heads + h, some, stretches, count);
    }
  }

  static void score_heads(const ScoreArgs& args, int64_t head, int64_t heads, const Stretch* stretches, int64_t count) {
    float factors[kMaxHeadSize * V::kHeads * 2];  // [D][heads][a, b]
    const int64_t size = args.kv.head_size;
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t d = 0; d < size; ++d) {
        const float q = args.q[(head + h) * size + d];
        float* to = factors + (d * heads + h) * 2;
        if (args.kind == Summary::kMeanSpread) {
          to[0] = q;
          to[1] = args.spread_factor * (q < 0 ? -q : q);
        } else {
          to[0] = q < 0 ? q : 0;
          to[1] = q < 0 ? 0 : q;
        }
      }
    for (int64_t i = 0; i < count; i += kGroups) {
      const int64_t some = count - i < kGroups ? count - i : kGroups;
      // What comes next is asked for meanwhile; behind a task's end most likely what lies behind it.
      const char* next[kGroups];
      for (int64_t j = 0; j < kGroups; ++j)
        next[j] = reinterpret_cast<const char*>(i + kGroups + j < count ? stretches[i + kGroups + j].summary
                                                                        : stretches[i + some - 1].summary +
                                                                              (j + 1) * 2 * size * kSummaryGroup);
      switch (heads) {
        case 1: score_stretches<1>(args, head, factors, stretches + i, some, next); break;
        case 2: score_stretches<2>(args, head, factors, stretches + i, some, next); break;
        case 3: score_stretches<3>(args, head, factors, stretches + i, some, next); break;
        case 4: score_stretches<4>(args, head, factors, stretches + i, some, next); break;
        default: break;
      }
      if constexpr (V::kHeads == 8) {
        switch (heads) {
          case 5: score_stretches<5>(args, head, factors, stretches + i, some, next); break;
          case 6: score_stretches<6>(args, head, factors, stretches + i, some, next); break;
          case 7: score_stretches<7>(args, head, factors, stretches + i, some, next); break;
          case 8: score_stretches<8>(args, head, factors, stretches + i, some, next); break;
          default: break;
        }
      }
    }
  }

  template <int kHeads>
  static void score_stretches(const ScoreArgs& args, int64_t head, const float* factors, const Stretch* stretches,
                              int64_t count, const char* const* next) {
    const int64_t size = args.kv.head_size;
    const uint16_t* summaries[kGroups];
    for (int64_t i = 0; i < kGroups; ++i) summaries[i] = stretches[i < count ? i : 0].summary;
    Reg sums[kHeads][kGroups * kRegs];
#pragma GCC unroll 8
    for (int h = 0; h < kHeads; ++h)
#pragma GCC unroll 8
      for (int v = 0; v < kGroups * kRegs; ++v) sums[h][v] = V::zero();
    for (int64_t d = 0; d < size; ++d) {
      Reg first[kGroups * kRegs];
      Reg second[kGroups * kRegs];
#pragma GCC unroll 8
      for (int v = 0; v < kGroups * kRegs; ++v) {
        const uint16_t* at = summaries[v / kRegs] + d * kSummaryGroup + v % kRegs * V::kLanes;
        first[v] = V::load(at);
        second[v] = V::load(at + size * kSummaryGroup);
      }
      // A group of summaries has D cache lines.
#pragma GCC unroll 8
      for (int i = 0; i < kGroups; ++i) __builtin_prefetch(next[i] + d * 64, 0, 2);
      const float* factor = factors + d * kHeads * 2;
#pragma GCC unroll 8
      for (int h = 0; h < kHeads; ++h)
#pragma GCC unroll 8
        for (int v = 0; v < kGroups * kRegs; ++v) {
          sums[h][v] = V::fma(V::broadcast(factor[2 * h]), first[v], sums[h][v]);
          sums[h][v] = V::fma(V::broadcast(factor[2 * h + 1]), second[v], sums[h][v]);
        }
    }
    float results[kHeads][kGroups * kSummaryGroup];
#pragma GCC unroll 8
    for (int h = 0; h < kHeads; ++h)
#pragma GCC unroll 8
      for (int v = 0; v < kGroups * kRegs; ++v) V::store(results[h] + v * V::kLanes, sums[h][v]);
    for (int64_t s = 0; s < count; ++s) {
      const int64_t begin = stretches[s].begin, some = stretches[s].end - begin;
      float* const scores = args.scores + head * args.list.pages + begin;
      if (stretches[s].in_order) {
        const int64_t place = args.list.slot[begin] % kSummaryGroup;
        for (int h = 0; h < kHeads; ++h)
          std::memcpy(scores + h * args.list.pages, results[h] + s * kSummaryGroup + place,
                      static_cast<size_t>(some) * sizeof(float));
      } else {
        for (int h = 0; h < kHeads; ++h)
          for (int64_t i = 0; i < some; ++i)
            scores[h * args.list.pages + i] = results[h][s * kSummaryGroup + args.list.slot[begin + i] % kSummaryGroup];
      }
    }
  }
};

}  // namespace quire
