// plain_select.cpp — which pages of a list a KV head (or a query head) attends to, from their scores.
//
//   kSoftmax:  vote[g,i] = Σ_{h of g} softmax_i(s[h,i]/√D)       over the pages that are not forced
//   kMax:      vote[g,i] = max_{h of g} s[h,i]
//   kPerHead:  vote[h,i] = s[h,i]
//
// scores        [H, n]             f32  NaN counts as -inf; where a head has scores of +inf, those pages share its vote
// chosen        [lists, budget]    i32  out, ascending: the sink, the best of the others, the recent pages
// chosen_count  [lists]            i64  out: min(n, budget)
// workspace     [H, n]             f32
//
// Ties go to the lower index; -0 ties with +0. Sums have a fixed order: a head's exponentials in 16 interleaved sums, then
// what is left, heads in order. exp is a polynomial whose relative error is below 4e-7 (and e^x is taken as e^-87 below -87),
// in vectors of 4, which compilers have for any machine. The k-th best is found bit by bit, a count of the list in vectors each. One
// task is one query head, then one list: nothing depends on threads.
// Method: Quest, arXiv:2406.10774, §3.4 (top-K per query head); the vote: ours.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "native/core/error.h"
#include "native/core/half.h"
#include "native/kernels/cpu/op_functions.h"

namespace quire::plain {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int kSums = 16;
constexpr int64_t kWorthALoop = 8192;  // pages times query heads of a list: some 10 µs; and there are threads to spare

// The pages that are not forced: [begin, end) of the list.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
};

float number(float score) { return score != score ? -kInfinity : score; }

// Four floats, the register that every machine has: left to itself GCC does not vectorise the loops below, and it takes wider
// vectors apart into single floats.
constexpr int kLanes = 4;
using Lanes = float __attribute__((vector_size(4 * kLanes)));
using LaneBits = uint32_t __attribute__((vector_size(4 * kLanes)));

inline Lanes load(const float* p) {
  Lanes x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

// e^x for x ≤ 0. x · log2(e) is rounded to an integer by adding 1.5·2^23, which leaves it in the low bits.
inline Lanes exponential(Lanes x) {
  x = x > -87.0f ? x : Lanes{} - 87.0f;  // NaN is not larger: it counts as -inf
  const Lanes shifted = x * 1.44269504f + 12582912.0f;
  const Lanes n = shifted - 12582912.0f;
  const Lanes r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Lanes p = r * (1.0f / 720) + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return reinterpret_cast<Lanes>(reinterpret_cast<LaneBits>(p) + (reinterpret_cast<LaneBits>(shifted) << 23));
}

float largest(const float* scores, int64_t count) {
  constexpr int kVectors = kSums / kLanes;
  Lanes best[kVectors];
  for (Lanes& lanes : best) lanes = Lanes{} - kInfinity;
  int64_t i = 0;
  for (; i + kSums <= count; i += kSums)
    for (int v = 0; v < kVectors; ++v) {
      const Lanes x = load(scores + i + v * kLanes);
      best[v] = x > best[v] ? x : best[v];
    }
  float max = -kInfinity;
  for (const Lanes& lanes : best)
    for (int j = 0; j < kLanes; ++j) max = lanes[j] > max ? lanes[j] : max;
  for (; i < count; ++i) max = scores[i] > max ? scores[i] : max;
  return max;
}

// vote[i] = softmax of scores[i] · scale over the range.
void softmax(const float* scores, float scale, const Range& range, float* vote) {
  const int64_t count = range.end - range.begin;
  scores += range.begin;
  vote += range.begin;
  const float max = largest(scores, count);
  if (max == kInfinity || max == -kInfinity) {
    int64_t sharers = 0;
    for (int64_t i = 0; i < count; ++i) sharers += number(scores[i]) == max ? 1 : 0;
    for (int64_t i = 0; i < count; ++i) vote[i] = number(scores[i]) == max ? 1.0f / static_cast<float>(sharers) : 0.0f;
    return;
  }
  Lanes sums[kSums / kLanes] = {};
  int64_t i = 0;
  for (; i + kSums <= count; i += kSums)
    for (int v = 0; v < kSums / kLanes; ++v) {
      const Lanes e = exponential((load(scores + i + v * kLanes) - max) * scale);
      std::memcpy(vote + i + v * kLanes, &e, sizeof e);
      sums[v] += e;
    }
  float sum = 0;
  for (const Lanes& lanes : sums)
    for (int j = 0; j < kLanes; ++j) sum += lanes[j];
  for (; i < count; ++i) {
    vote[i] = exponential(Lanes{} + (scores[i] - max) * scale)[0];
    sum += vote[i];
  }
  const float share = 1.0f / sum;
  for (i = 0; i < count; ++i) vote[i] *= share;
}

// Larger for larger floats; -0 as +0.
inline int32_t order(float value) {
  const auto bits = static_cast<int32_t>(float_to_bits(value + 0.0f));
  return bits >= 0 ? bits : bits ^ 0x7fffffff;
}

using Keys = int32_t __attribute__((vector_size(4 * kLanes)));

// Keys lie where the votes were.
inline int32_t key_at(const float* keys, int64_t i) {
  int32_t key = 0;
  std::memcpy(&key, keys + i, sizeof key);
  return key;
}

int64_t count_from(const float* keys, int64_t count, int32_t least) {
  constexpr int kVectors = 4;
  Keys found[kVectors] = {};
  int64_t i = 0;
  for (; i + kVectors * kLanes <= count; i += kVectors * kLanes)
    for (int v = 0; v < kVectors; ++v) {
      Keys some;
      std::memcpy(&some, keys + i + v * kLanes, sizeof some);
      found[v] -= some >= least;  // a lane that holds is -1
    }
  int64_t total = 0;
  for (const Keys& lanes : found)
    for (int j = 0; j < kLanes; ++j) total += lanes[j];
  for (; i < count; ++i) total += key_at(keys, i) >= least ? 1 : 0;
  return total;
}

// The largest key that at least k of the keys reach (1 ≤ k ≤ count), or any that exactly k reach; in `reached` how many do.
// Bit by bit from the highest: each step counts a list in vectors, and a few steps tell the k-th from the next.
int32_t kth_largest(const float* keys, int64_t count, int64_t k, int64_t& reached) {
  uint32_t found = 0;  // keys are signed: 0 stands for the least of them
  reached = count;
  for (uint32_t bit = 0x80000000u; bit != 0 && reached != k; bit >>= 1) {
    const int64_t some = count_from(keys, count, static_cast<int32_t>((found | bit) ^ 0x80000000u));
    if (some < k) continue;
    found |= bit;
    reached = some;
  }
  return static_cast<int32_t>(found ^ 0x80000000u);
}

// Writes the chosen pages of one list; returns how many. The votes become keys in place.
int64_t choose(const SelectArgs& args, const Range& range, float* vote, int32_t* chosen) {
  int64_t count = 0;
  const auto take = [&](int64_t i) { chosen[count++] = static_cast<int32_t>(i); };
  for (int64_t i = 0; i < range.begin; ++i) take(i);
  const int64_t wanted = args.budget_pages - args.sink_pages - args.recent_pages;
  if (wanted > 0) {
    const int64_t pages = range.end - range.begin;
    float* const keys = vote + range.begin;
    for (int64_t i = 0; i < pages; ++i) {
      const int32_t key = order(keys[i]);
      std::memcpy(keys + i, &key, sizeof key);
    }
    int64_t reached = 0;
    const int32_t least = kth_largest(keys, pages, wanted, reached);
    int64_t ties = pages;  // that are taken: all of them, or where too many reach `least`, the first ones
    if (reached > wanted) ties = wanted - (least == INT32_MAX ? 0 : count_from(keys, pages, least + 1));
    for (int64_t i = 0; i < pages; ++i) {
      const int32_t key = key_at(keys, i);
      if (key > least || (key == least && ties-- > 0)) take(range.begin + i);
    }
  }
  for (int64_t i = range.end; i < args.pages; ++i) take(i);
  return count;
}

// The votes of one list, in its workspace row: `heads` rows from `first` on.
float* combine(const SelectArgs& args, const Range& range, int64_t first, int64_t heads) {
  float* vote = args.workspace + first * args.pages;
  if (args.vote == Vote::kSoftmax) {
    for (int64_t h = 1; h < heads; ++h)
      for (int64_t i = range.begin; i < range.end; ++i) vote[i] += vote[h * args.pages + i];
    return vote;
  }
  const float* scores = args.scores + first * args.pages;
  for (int64_t i = range.begin; i < range.end; ++i) vote[i] = number(scores[i]);
  for (int64_t h = 1; h < heads; ++h)
    for (int64_t i = range.begin; i < range.end; ++i)
      vote[i] = scores[h * args.pages + i] > vote[i] ? scores[h * args.pages + i] : vote[i];
  return vote;
}

}  // namespace

void select(const SelectArgs& args, const Run& run) {
  if (args.sink_pages < 0 || args.recent_pages < 0 || args.budget_pages < args.sink_pages + args.recent_pages)
    throw Error("internal", "the page budget does not hold the forced pages", "select");
  const int64_t lists = args.vote == Vote::kPerHead ? args.heads : args.kv_heads;
  if (args.pages <= args.budget_pages) {
    for (int64_t list = 0; list < lists; ++list) {
      args.chosen_count[list] = args.pages;
      for (int64_t i = 0; i < args.pages; ++i) args.chosen[list * args.budget_pages + i] = static_cast<int32_t>(i);
    }
    return;
  }
  const Range range{args.sink_pages, args.pages - args.recent_pages};
  const int64_t heads = args.heads / lists;
  const float scale = 1.0f / std::sqrt(static_cast<float>(args.head_size));
  const auto vote_of = [&](int64_t h) {
    softmax(args.scores + h * args.pages, scale, range, args.workspace + h * args.pages);
  };
  // A few heads' exponentials take less time than threads that wait for each other once more.
  const bool apart = args.vote == Vote::kSoftmax && heads * args.pages > kWorthALoop && lists < run.pool->threads();
  if (apart) run.pool->run(args.heads, vote_of, run.cancel);
  run.pool->run(
      lists,
      [&](int64_t list) {
        if (args.vote == Vote::kSoftmax && !apart)
          for (int64_t h = list * heads; h < (list + 1) * heads; ++h) vote_of(h);
        float* const vote = combine(args, range, list * heads, heads);
        args.chosen_count[list] = choose(args, range, vote, args.chosen + list * args.budget_pages);
      },
      run.cancel);
}

}  // namespace quire::plain
