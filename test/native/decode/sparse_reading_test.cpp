// sparse_reading_test.cpp — a chunk read sparsely: the pages that each query block attends to are those of the definition in
// double precision; the memory's bits for any chunking, thread count and level; dense bits where everything fits the budget.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <string>

#include "native/decode/forward.h"
#include "test/native/decode/tiny_model.h"

namespace quire {
namespace {

constexpr int64_t kBlockTokens = kQueryPages * kPageTokens;

std::vector<int32_t> random_tokens(int64_t count) {
  std::mt19937 random(7);
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>(random() % 50));
  return tokens;
}

Selection reading_of(int64_t pages) {
  Selection reading;
  reading.page_budget = pages * kPageTokens;
  reading.recent_pages = 2;
  return reading;
}

// Documents of these lengths, in order.
struct Text {
  std::vector<int64_t> lengths;
  std::vector<int32_t> tokens;
  explicit Text(std::vector<int64_t> of)
      : lengths(std::move(of)), tokens(random_tokens(std::accumulate(lengths.begin(), lengths.end(), int64_t{0}))) {}
  std::vector<int64_t> starts() const {
    std::vector<int64_t> at;
    int64_t token = 0;
    for (const int64_t length : lengths) {
      at.push_back(token);
      token += length;
    }
    return at;
  }
};

// Appends in chunks that end at document ends and after `blocks` blocks of a document; several documents may share a chunk.
void read(Forward& forward, Memory& memory, const Text& text, int64_t blocks, const Selection* reading) {
  const std::atomic<bool> cancel{false};
  const std::vector<int64_t> starts = text.starts();
  std::vector<int32_t> chunk, chunk_starts;
  for (size_t i = 0; i < starts.size(); ++i)
    for (int64_t t = 0; t < text.lengths[i]; ++t) {
      if (t == 0) chunk_starts.push_back(static_cast<int32_t>(chunk.size()));
      chunk.push_back(text.tokens[static_cast<size_t>(starts[i] + t)]);
      const bool block_ends = (t + 1) % kBlockTokens == 0 || t + 1 == text.lengths[i];
      const bool last = i + 1 == starts.size() && t + 1 == text.lengths[i];
      if (!last && !(block_ends && static_cast<int64_t>(chunk.size()) >= blocks * kBlockTokens)) continue;
      forward.prefill(memory, chunk, chunk_starts, cancel, nullptr, reading);
      chunk.clear();
      chunk_starts.clear();
    }
}

const Text kText({200, 3, 64, 330, 17, 129});

// What attend was called with, in order. Ops are plain functions: the recorder is reached through a global.
struct Recorded {
  std::vector<float> q;  // [T, H, D]
  std::vector<std::vector<int32_t>> slots;
  std::vector<Visible> visible;
  KvLayer kv;
};
std::vector<Recorded> recorded;

void recording_attend(const AttendArgs* calls, int64_t count, const Run& run) {
  for (int64_t c = 0; c < count; ++c) {
    const AttendArgs& args = calls[c];
    Recorded call;
    for (int64_t t = 0; t < args.tokens; ++t)
      call.q.insert(call.q.end(), args.q + t * args.stride, args.q + t * args.stride + args.heads * args.kv.head_size);
    for (int64_t i = 0; i < args.list_count; ++i)
      call.slots.emplace_back(args.lists[i].slot, args.lists[i].slot + args.lists[i].pages);
    call.visible.assign(args.visible, args.visible + args.tokens);
    call.kv = args.kv;
    recorded.push_back(std::move(call));
  }
  plain_ops().attend_several(calls, count, run);
}

// The pages of the list [0, e) that a block with these queries chooses for KV head g, by ops.h's words and in double.
std::vector<int64_t> expected_choice(const Recorded& call, const PageList& list, int64_t e, int64_t g, int64_t heads,
                                     const Selection& reading) {
  const int64_t size = call.kv.head_size;
  const int64_t group = heads / call.kv.kv_heads;
  const auto tokens = static_cast<int64_t>(call.visible.size());
  const int64_t last = e - reading.recent_pages;
  std::vector<double> vote(static_cast<size_t>(e), 0.0);
  for (int64_t page = 0; page * kPageTokens < tokens; ++page)
    for (int64_t h = g * group; h < (g + 1) * group; ++h) {
      const int64_t end = std::min(tokens, (page + 1) * kPageTokens);
      std::vector<double> mean(static_cast<size_t>(size), 0.0), scores;
      for (int64_t t = page * kPageTokens; t < end; ++t)
        for (int64_t d = 0; d < size; ++d)
          mean[static_cast<size_t>(d)] += call.q[static_cast<size_t>((t * heads + h) * size + d)];
      double sum = 0;
      for (int64_t i = reading.sink_pages; i < last; ++i) {
        double s = 0;
        for (int64_t d = 0; d < size; ++d) {
          const double q = mean[static_cast<size_t>(d)] / static_cast<double>(end - page * kPageTokens);
          s += q * half_to_float(call.kv.summary(g, list.slot[i], 0)[d * kSummaryGroup]) +
               std::fabs(q) * half_to_float(call.kv.summary(g, list.slot[i], 1)[d * kSummaryGroup]);
        }
        scores.push_back(std::exp(s / std::sqrt(static_cast<double>(size))));
        sum += scores.back();
      }
      for (size_t i = 0; i < scores.size(); ++i) vote[i + static_cast<size_t>(reading.sink_pages)] += scores[i] / sum;
    }
  std::vector<int64_t> order;
  for (int64_t i = reading.sink_pages; i < last; ++i) order.push_back(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return vote[static_cast<size_t>(a)] > vote[static_cast<size_t>(b)]; });
  order.resize(static_cast<size_t>(reading.page_budget / kPageTokens - reading.sink_pages - reading.recent_pages));
  for (int64_t i = 0; i < reading.sink_pages; ++i) order.push_back(i);
  for (int64_t i = last; i < e; ++i) order.push_back(i);
  std::sort(order.begin(), order.end());
  return order;
}

TEST(SparseReading, EachBlockAttendsToThePagesOfItsDefinition) {
  ThreadPool pool(2);
  const Shape shape{6, 2, 32};
  const ModelWeights model = tiny_model(shape, pool);
  Ops ops = plain_ops();
  ops.attend_several = recording_attend;
  Memory memory(model.geometry, 64, Summary::kMeanSpread);
  Forward forward(model, ops, pool, {});
  const Selection reading = reading_of(6);
  recorded.clear();
  read(forward, memory, kText, 3, &reading);

  const PageList list = memory.list();
  int64_t blocks = 0;
  for (const Recorded& call : recorded) {
    ASSERT_EQ(call.slots.size(), 2u);
    // Where the block lies: its own pages are the last of the list.
    const auto tokens = static_cast<int64_t>(call.visible.size());
    const int64_t own = (tokens + kPageTokens - 1) / kPageTokens;
    const int32_t first_slot = call.slots[0][call.slots[0].size() - static_cast<size_t>(own)];
    const int64_t e = std::find(list.slot, list.slot + list.pages, first_slot) - list.slot;
    if (call.kv.pages == memory.layer(1).pages && tokens < 2) continue;  // the last layer's last token alone
    for (int64_t t = 0; t < tokens; ++t) {
      const Visible& visible = call.visible[static_cast<size_t>(t)];
      EXPECT_EQ(visible.page, static_cast<int64_t>(call.slots[0].size()) - own + t / kPageTokens);
      EXPECT_EQ(visible.count, t % kPageTokens + 1);
    }
    for (int64_t g = 0; g < 2; ++g) {
      std::vector<int32_t> expected;
      for (const int64_t i : expected_choice(call, list, e, g, shape.heads, reading)) expected.push_back(list.slot[i]);
      for (int64_t i = 0; i < own; ++i) expected.push_back(list.slot[e + i]);
      EXPECT_EQ(call.slots[static_cast<size_t>(g)], expected) << "block at page " << e << ", KV head " << g;
    }
    ++blocks;
  }
  EXPECT_GE(blocks, 12);  // of each layer: 9 blocks begin behind page 6
}

TEST(SparseReading, HasTheSameBitsForAnyChunkingAndNumberOfThreads) {
  for (const Shape& shape : {Shape{6, 2, 32}, Shape{7, 1, 64}}) {
    for (const Ops* ops : available_cpu_ops()) {
      std::set<uint64_t> digests;
      for (const int threads : {1, 3}) {
        ThreadPool pool(threads);
        const ModelWeights model = tiny_model(shape, pool);
        for (const int64_t blocks : {1, 3, 100}) {
          Memory memory(model.geometry, 64, Summary::kMeanSpread);
          Forward forward(model, *ops, pool, {});
          const Selection reading = reading_of(6);
          read(forward, memory, kText, blocks, &reading);
          digests.insert(memory.digest());
        }
      }
      EXPECT_EQ(digests.size(), 1u) << ops->name << ", D = " << shape.head_size;
    }
  }
}

TEST(SparseReading, IsDenseReadingBitForBitWhereEverythingFitsTheBudget) {
  ThreadPool pool(2);
  const ModelWeights model = tiny_model({6, 2, 32}, pool);
  for (const Ops* ops : available_cpu_ops()) {
    const auto digest = [&](const Selection* reading) {
      Memory memory(model.geometry, 64, Summary::kMeanSpread);
      Forward forward(model, *ops, pool, {});
      read(forward, memory, kText, 2, reading);
      return memory.digest();
    };
    Selection wide = reading_of(64);
    EXPECT_EQ(digest(&wide), digest(nullptr)) << ops->name;
    wide.force = true;  // scores, selects, and attends to lists of its own
    EXPECT_EQ(digest(&wide), digest(nullptr)) << ops->name;
    Selection dense_layers = reading_of(6);
    dense_layers.dense_layers = 2;
    EXPECT_EQ(digest(&dense_layers), digest(nullptr)) << ops->name;
    const Selection narrow = reading_of(6);
    EXPECT_NE(digest(&narrow), digest(nullptr)) << ops->name;
  }
}

TEST(SparseReading, LastLogitsAreThoseOfAllLogits) {
  ThreadPool pool(2);
  const ModelWeights model = tiny_model({6, 2, 32}, pool);
  const std::atomic<bool> cancel{false};
  const Selection reading = reading_of(6);
  for (const Ops* ops : available_cpu_ops()) {
    Memory memory(model.geometry, 64, Summary::kMeanSpread);
    Forward forward(model, *ops, pool, {});
    std::vector<float> all, last;
    const std::vector<int32_t> tokens = random_tokens(300);
    forward.prefill(memory, tokens, {0}, cancel, &all, &reading);
    memory.truncate(0, 0);
    forward.prefill(memory, tokens, {0}, cancel, nullptr, &reading);
    forward.last_logits(last);
    EXPECT_EQ(std::vector<float>(all.end() - 50, all.end()), last) << ops->name;
  }
}

TEST(SparseReading, RefusesAChunkThatBeginsInsideABlock) {
  ThreadPool pool(1);
  const ModelWeights model = tiny_model({6, 2, 32}, pool);
  const std::atomic<bool> cancel{false};
  const Selection reading = reading_of(6);
  Memory memory(model.geometry, 64, Summary::kMeanSpread);
  Forward forward(model, plain_ops(), pool, {});
  const std::vector<int32_t> tokens = random_tokens(100);
  forward.prefill(memory, tokens, {0}, cancel, nullptr, &reading);
  const uint64_t before = memory.digest();
  EXPECT_THROW(forward.prefill(memory, tokens, {}, cancel, nullptr, &reading), Error);
  EXPECT_EQ(memory.digest(), before);
  EXPECT_NO_THROW(forward.prefill(memory, tokens, {}, cancel, nullptr));             // densely it may
  EXPECT_NO_THROW(forward.prefill(memory, tokens, {0}, cancel, nullptr, &reading));  // and a document begins a block
  Selection per_head = reading;
  per_head.vote = Vote::kPerHead;
  EXPECT_THROW(forward.prefill(memory, tokens, {0}, cancel, nullptr, &per_head), Error);
}

}  // namespace
}  // namespace quire
