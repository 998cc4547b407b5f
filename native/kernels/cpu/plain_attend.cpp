// plain_attend.cpp — the meaning of attend: exact attention of query tokens over lists of pages.
//
//   out[t, h] = Σ_j p_j · v_j        p_j = exp(s_j − m) / Σ_i exp(s_i − m)        s_j = scale · q[t, h]·k_j        m = max_j s_j
//
// q     [T, H, D]             f32  after RoPE
// page  [D, 16], [16, D]      f16  keys, channel-major, and values of KV head g = h / (H/G)
// out   [T, H, D]             f32
// mass  [lists, mass_stride]  f32  Σ of p_j over an entry's tokens and the list's query heads (T = 1), or null
//
// j runs over the visible tokens of the list in its order, in key blocks of 4 pages counted from the list's beginning: the
// maximum, the sum and the output are carried from block to block (FlashAttention, arXiv:2205.14135), so a list may be of any
// length. What is not visible is not read and may hold anything.
// A score that is NaN or +∞ makes its row NaN, one that is −∞ counts nothing. A list without tokens gives zeros. A task is one row (token and query head); `split` changes nothing here.
#include <algorithm>
#include <cmath>
#include <limits>

#include "native/core/half.h"
#include "native/kernels/cpu/attend_plan.h"
#include "native/kernels/cpu/op_functions.h"

namespace quire::plain {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// One query head of one token.
struct Row {
  const PageList* list;
  const float* q;
  float* out;
  float* state;  // maximum and sum
  int64_t kv_head;
  int64_t pages;       // entries it sees
  int32_t last_count;  // tokens it sees of the last of them
  int32_t count(int64_t entry) const { return entry + 1 == pages ? last_count : list->count[entry]; }
};

Row make_row(const AttendArgs& args, const AttendPlan& plan, int64_t t, int64_t h) {
  Row row = {};
  row.list = &list_of(args, h / plan.group_heads);
  row.q = args.q + t * args.stride + h * args.kv.head_size;
  row.out = args.out + (t * args.heads + h) * args.kv.head_size;
  row.state = plan.state + 2 * (t * args.heads + h);
  row.kv_head = kv_head_of(args, h);
  row.pages = args.visible != nullptr ? args.visible[t].page + 1 : row.list->pages;
  if (row.pages > 0) row.last_count = row.list->count[row.pages - 1];
  if (args.visible != nullptr) row.last_count = std::min(row.last_count, args.visible[t].count);
  return row;
}

// The scores of one entry's visible tokens.
void score_entry(const AttendArgs& args, const Row& row, int64_t entry, float* scores) {
  const uint16_t* keys = args.kv.keys(row.kv_head, row.list->slot[entry]);
  for (int32_t j = 0; j < row.count(entry); ++j) {
    float sum = 0;
    for (int64_t d = 0; d < args.kv.head_size; ++d) sum += row.q[d] * half_to_float(keys[d * kPageTokens + j]);
    scores[j] = sum * args.scale;
  }
}

void attend_row(const AttendArgs& args, const Row& row) {
  const int64_t size = args.kv.head_size;
  float largest = -kInfinity;
  float sum = 0;
  std::fill(row.out, row.out + size, 0.0f);
  for (int64_t begin = 0; begin < row.pages; begin += kKeyBlockPages) {
    const int64_t end = std::min(row.pages, begin + kKeyBlockPages);
    float scores[kKeyBlockPages][kPageTokens];
    const float before = largest;
    for (int64_t i = begin; i < end; ++i) {
      score_entry(args, row, i, scores[i - begin]);
      for (int32_t j = 0; j < row.count(i); ++j) largest = std::max(largest, scores[i - begin][j]);
    }
    const float base = largest == -kInfinity ? 0.0f : largest;
    const float kept = std::exp(before - base);
    sum *= kept;
    for (int64_t d = 0; d < size; ++d) row.out[d] *= kept;
    for (int64_t i = begin; i < end; ++i) {
      const uint16_t* values = args.kv.values(row.kv_head, row.list->slot[i]);
      for (int32_t j = 0; j < row.count(i); ++j) {
        const float weight = std::exp(scores[i - begin][j] - base);
        sum += weight;
        for (int64_t d = 0; d < size; ++d) row.out[d] += weight * half_to_float(values[j * size + d]);
      }
    }
  }
  row.state[0] = largest;
  row.state[1] = sum;
  if (sum > 0)
    for (int64_t d = 0; d < size; ++d) row.out[d] /= sum;
}

// With the final maximum and sum the scores are computed again: exact, and twice the work only where it is asked for.
void add_mass(const AttendArgs& args, const Row& row, float* mass) {
  for (int64_t i = 0; i < row.pages; ++i) {
    float scores[kPageTokens];
    score_entry(args, row, i, scores);
    for (int32_t j = 0; j < row.count(i); ++j)
      if (row.state[1] > 0) mass[i] += std::exp(scores[j] - row.state[0]) / row.state[1];
  }
}

}  // namespace

void attend(const AttendArgs& args, const Run& run) {
  const AttendPlan plan = plan_attend(args, run.pool->threads());
  run.pool->run(
      args.tokens * args.heads,
      [&](int64_t row) { attend_row(args, make_row(args, plan, row / args.heads, row % args.heads)); }, run.cancel);
  if (args.page_mass == nullptr) return;
  const int64_t heads = args.heads / args.list_count;
  run.pool->run(
      args.list_count,
      [&](int64_t list) {
        float* mass = args.page_mass + list * args.mass_stride;
        std::fill(mass, mass + args.lists[list].pages, 0.0f);
        for (int64_t h = list * heads; h < (list + 1) * heads; ++h) add_mass(args, make_row(args, plan, 0, h), mass);
      },
      run.cancel);
}

void attend_several(const AttendArgs* calls, int64_t count, const Run& run) {
  for (int64_t i = 0; i < count; ++i) attend(calls[i], run);
}

}  // namespace quire::plain
