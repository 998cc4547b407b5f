// segment_mutations_test.cpp — segments damaged at random in every way that a disk, a crash or a stranger might: none crashes the
// reader, none that is refused changes the memory, and what is accepted has the very bits that were saved.
//
// QUIRE_MUTATIONS sets how many (2 000 in the tests of every day; docs/memory-format.md says what was run whole, under ASan).
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <random>

#include "native/memory/segment.h"
#include "test/native/memory/small_geometry.h"

namespace quire {
namespace {

SegmentName named(char digit) { return segment_name(std::string(64, digit)); }

constexpr int64_t kBefore = 20, kTokens = 77;  // five pages, the last with 13 tokens

// The memory that segments are saved from, and loaded behind: the same bits each time.
Memory filled(bool both) {
  Memory memory(small_geometry(), 24, Summary::kMeanSpread);
  memory.plan_append(kBefore, {0});
  if (both) memory.plan_append(kTokens, {0});
  std::mt19937 random(5);
  for (int64_t l = 0; l < memory.layers(); ++l) {
    const KvLayer& layer = memory.layer(l);
    for (int64_t i = 0; i < layer.kv_heads * layer.slots * 2 * kPageTokens * layer.head_size; ++i)
      layer.pages[i] = static_cast<uint16_t>(random());
    for (int64_t i = 0; i < layer.kv_heads * layer.slots * 2 * layer.head_size; ++i)
      layer.summaries[i] = static_cast<uint16_t>(random());
  }
  return memory;
}

class Mutations {
 public:
  explicit Mutations(const std::string& folder) : folder_(folder) {
    for (int32_t i = 0; i < kTokens; ++i) tokens_.push_back(i * 7 % 1000);
    const Memory memory = filled(true);
    save_segment(memory, 1, tokens_, named('a'), path("good"), cancel_);
    save_segment(memory, 1, tokens_, named('b'), path("other"), cancel_);
    good_ = bytes_of(path("good"));
    other_ = bytes_of(path("other"));
    for (int64_t page = 0; page < 5; ++page)
      for (int64_t until = page + 1; until <= 5; ++until) {
        Memory part = filled(false);
        if (load(part, page, until, "good").kind == LoadOutcome::kLoaded) digests_[{page, until}] = part.digest();
      }
  }

  // One damaged file, and one part of it wanted. What the outcome must be is what is checked.
  void once(std::mt19937& random, std::map<std::string, int64_t>& seen) {
    const auto below = [&](size_t end) { return static_cast<size_t>(random() % end); };
    std::string bad = good_;
    std::string way;
    switch (random() % 9) {
      case 0: {
        way = "flipped bits";
        for (size_t i = 0, end = 1 + below(4); i < end; ++i) bad[below(bad.size())] ^= static_cast<char>(1 << below(8));
        break;
      }
      case 1:
        way = "cut off";
        bad.resize(below(bad.size()));
        break;
      case 2:
        way = "extended";
        bad.append(1 + below(9000), static_cast<char>(random()));
        break;
      case 3: {
        way = "a torn block";
        const size_t from = below(bad.size()), bytes = std::min(bad.size() - from, size_t{1} + below(4096));
        for (size_t i = 0; i < bytes; ++i) bad[from + i] = random() % 2 == 0 ? '\0' : static_cast<char>(random());
        break;
      }
      case 4: {
        way = "two stretches swapped";
        const size_t bytes = 1 + below(3000);
        const size_t a = below(bad.size() - bytes), b = below(bad.size() - bytes);
        const std::string left = bad.substr(a, bytes), right = bad.substr(b, bytes);
        bad.replace(a, bytes, right);
        bad.replace(b, bytes, left);
        break;
      }
      case 5: {
        way = "a stretch of another segment";
        const size_t from = below(bad.size()), bytes = 1 + below(bad.size() - from);
        bad.replace(from, bytes, other_, from, bytes);
        break;
      }
      case 6: {
        way = "hostile sizes";
        const int64_t values[] = {-1, 0, 1, INT64_MAX, INT64_MIN, int64_t{1} << 32, int64_t{1} << 62, kTokens + 1};
        const int64_t value = values[below(8)];
        std::memcpy(bad.data() + 48 + 8 * below(7), &value, sizeof value);
        break;
      }
      case 7: {
        way = "another version, engine, type or layout";
        const size_t fields[] = {8, 12, 104, 108, 112, 116, 120};
        const auto value = static_cast<uint32_t>(random() % 2 == 0 ? random() % 8 : random());
        std::memcpy(bad.data() + fields[below(7)], &value, sizeof value);
        break;
      }
      default: {
        way = "the other endianness";
        const size_t width = size_t{2} << below(3), from = below(2) == 0 ? 0 : 8,
                     until = below(2) == 0 ? 128 : bad.size();
        for (size_t at = from; at + width <= until; at += width)
          std::reverse(bad.begin() + at, bad.begin() + at + width);
        break;
      }
    }
    write(path("bad"), bad);
    const int64_t page = static_cast<int64_t>(below(5)), until = page + 1 + static_cast<int64_t>(below(5 - page));
    Memory memory = filled(false);
    const uint64_t before = memory.digest();
    const LoadOutcome outcome = load(memory, page, until, "bad");
    if (outcome.kind == LoadOutcome::kLoaded) {
      ++seen["undamaged where it was read"];
      ASSERT_EQ(memory.digest(), (digests_[{page, until}])) << way;
      return;
    }
    ++seen[way];
    ASSERT_EQ(outcome.kind, LoadOutcome::kRefused) << way;
    ASSERT_FALSE(outcome.reason.empty()) << way;
    ASSERT_EQ(memory.digest(), before) << way;
    ASSERT_EQ(memory.tokens(), kBefore) << way;
    ASSERT_EQ(memory.free_pages(), 22) << way;
  }

 private:
  std::string path(const char* name) const { return folder_ + "/" + name; }
  static std::string bytes_of(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  static void write(const std::string& file, const std::string& bytes) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
  }
  LoadOutcome load(Memory& memory, int64_t page, int64_t until, const char* name) {
    const auto begin = tokens_.begin() + page * kPageTokens;
    const auto end = tokens_.begin() + std::min<int64_t>(kTokens, until * kPageTokens);
    return load_segment(memory, {begin, end}, {kTokens, page, kBefore + page * kPageTokens}, named('a'), path(name),
                        cancel_);
  }

  std::string folder_, good_, other_;
  std::vector<int32_t> tokens_;
  std::map<std::pair<int64_t, int64_t>, uint64_t> digests_;
  std::atomic<bool> cancel_{false};
};

TEST(SegmentMutations, AreRefusedWithAReasonOrDidNotTouchWhatWasRead) {
  const char* given = std::getenv("QUIRE_MUTATIONS");
  const int64_t count = given == nullptr ? 2000 : std::atoll(given);
  std::string folder = ::testing::TempDir() + "quire-mutations-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  std::map<std::string, int64_t> seen;
  {
    Mutations mutations(folder);
    std::mt19937 random(1);
    for (int64_t i = 0; i < count && !::testing::Test::HasFatalFailure(); ++i) mutations.once(random, seen);
  }
  ASSERT_EQ(std::system(("rm -rf '" + folder + "'").c_str()), 0);
  for (const auto& [way, times] : seen) std::printf("    %-42s %lld\n", way.c_str(), static_cast<long long>(times));
  EXPECT_EQ(seen.size(), 10u) << "every way was tried";
}

}  // namespace
}  // namespace quire
