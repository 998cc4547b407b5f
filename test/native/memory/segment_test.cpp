// segment_test.cpp — a document that comes back from its file has the same bits; a file that was touched anywhere is refused
// and the memory is as before.
#include "native/memory/segment.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>

#include "test/native/memory/small_geometry.h"

namespace quire {
namespace {

std::vector<int32_t> ids(int64_t count, int32_t seed) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>((i * 37 + seed) % 1000));
  return tokens;
}

// Random bits in every slot, also where no token lies.
void fill(Memory& memory, uint32_t seed) {
  std::mt19937 random(seed);
  for (int64_t l = 0; l < memory.layers(); ++l) {
    const KvLayer& layer = memory.layer(l);
    for (int64_t i = 0; i < layer.kv_heads * layer.slots * 2 * kPageTokens * layer.head_size; ++i)
      layer.pages[i] = static_cast<uint16_t>(random());
    for (int64_t i = 0; i < layer.kv_heads * layer.slots * 2 * layer.head_size; ++i)
      layer.summaries[i] = static_cast<uint16_t>(random());
  }
}

SegmentName named(char digit) { return segment_name(std::string(64, digit)); }

class Segment : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "quire-segment-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    file_ = folder_ + "/one";
    memory_.plan_append(20, {0});
    memory_.plan_append(43, {0});  // two full pages and 11 tokens
    fill(memory_, 3);
  }
  void TearDown() override {
    const std::string command = "rm -rf '" + folder_ + "'";
    ASSERT_EQ(std::system(command.c_str()), 0);
  }
  int64_t save() { return save_segment(memory_, 1, tokens_, named('a'), file_, cancel_); }
  // A memory that the saved document can follow.
  static Memory begun(Summary summary = Summary::kMeanSpread, Geometry geometry = small_geometry()) {
    Memory memory(geometry, 12, summary);
    memory.plan_append(20, {0});
    fill(memory, 9);
    return memory;
  }
  LoadOutcome load(Memory& memory) { return load_as(memory, tokens_, 'a'); }
  // The whole segment, at the end of the memory.
  LoadOutcome load_as(Memory& memory, const std::vector<int32_t>& tokens, char name) {
    return load_segment(memory, tokens, {static_cast<int64_t>(tokens.size()), 0, memory.next_position()}, named(name),
                        file_, cancel_);
  }
  std::string bytes() const {
    std::ifstream in(file_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  void write(const std::string& bytes) const { std::ofstream(file_, std::ios::binary | std::ios::trunc) << bytes; }
  // Loads into `memory`, which must stay as it is.
  void expect_refused(Memory& memory, const std::string& what) {
    const uint64_t digest = memory.digest();
    const int64_t free = memory.free_pages();
    const LoadOutcome outcome = load(memory);
    ASSERT_EQ(outcome.kind, LoadOutcome::kRefused) << what;
    ASSERT_FALSE(outcome.reason.empty()) << what;
    ASSERT_EQ(memory.documents().size(), 1u) << what;
    ASSERT_EQ(memory.tokens(), 20) << what;
    ASSERT_EQ(memory.free_pages(), free) << what;
    ASSERT_EQ(memory.digest(), digest) << what;
  }
  int files() const {
    int count = 0;
    const std::string list = folder_ + "-list";
    EXPECT_EQ(std::system(("ls -A '" + folder_ + "' | wc -l > '" + list + "'").c_str()), 0);
    std::ifstream(list) >> count;
    ::unlink(list.c_str());
    return count;
  }

  std::string folder_, file_;
  std::vector<int32_t> tokens_ = ids(43, 5);
  std::atomic<bool> cancel_{false};
  Memory memory_{small_geometry(), 12, Summary::kMeanSpread};
};

TEST_F(Segment, ComesBackWithTheSameBits) {
  const int64_t size = save();
  struct stat status{};
  ASSERT_EQ(::stat(file_.c_str(), &status), 0);
  EXPECT_EQ(status.st_size, size);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(files(), 1);

  // Into other slots than it came from; the first document is copied by a segment too, so that the whole digest can agree.
  const std::string first = folder_ + "/first";
  save_segment(memory_, 0, ids(20, 1), named('b'), first, cancel_);
  Memory fresh(small_geometry(), 12, Summary::kMeanSpread);
  fresh.plan_append(100, {0});
  fill(fresh, 77);
  fresh.truncate(0, 0);
  ASSERT_EQ(load_segment(fresh, ids(20, 1), {20, 0, 0}, named('b'), first, cancel_).kind, LoadOutcome::kLoaded);
  ASSERT_EQ(load(fresh).kind, LoadOutcome::kLoaded);
  EXPECT_EQ(fresh.digest(), memory_.digest());
  ASSERT_EQ(fresh.documents().size(), 2u);
  EXPECT_EQ(fresh.documents()[1].position, 20);
  EXPECT_EQ(fresh.documents()[1].first_page, 2);
  EXPECT_EQ(fresh.list().count[4], 11);
  EXPECT_EQ(fresh.plan_append(1, {0}).positions[0], 63);
}

TEST_F(Segment, HoldsZerosWhereNoTokenLies) {
  save();
  Memory fresh = begun();
  ASSERT_EQ(load(fresh).kind, LoadOutcome::kLoaded);
  const int32_t slot = fresh.list().slot[4];
  for (int64_t l = 0; l < 2; ++l)
    for (int64_t g = 0; g < 2; ++g)
      for (int64_t d = 0; d < 16; ++d)
        for (int64_t j = 11; j < kPageTokens; ++j) {
          EXPECT_EQ(fresh.layer(l).keys(g, slot)[d * kPageTokens + j], 0);
          EXPECT_EQ(fresh.layer(l).values(g, slot)[j * 16 + d], 0);
        }
}

TEST_F(Segment, IsTheSameFileEachTime) {
  save();
  const std::string once = bytes();
  save();
  EXPECT_EQ(bytes(), once);
}

TEST_F(Segment, WithAnyByteChangedIsRefused) {
  save();
  const std::string good = bytes();
  Memory memory = begun();
  std::mt19937 random(1);
  size_t tried = 0;
  for (size_t at = 0; at < good.size(); at += at < 128 + 43 * 4 ? 1 : 1 + random() % 23) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (random() % 8)));
    write(bad);
    expect_refused(memory, "byte " + std::to_string(at));
    if (HasFatalFailure()) return;
    ++tried;
  }
  for (size_t at = good.size() - 16; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(~bad[at]);
    write(bad);
    expect_refused(memory, "byte " + std::to_string(at));
    if (HasFatalFailure()) return;
  }
  EXPECT_GE(tried, 500u);
  write(good);
  EXPECT_EQ(load(memory).kind, LoadOutcome::kLoaded);
}

TEST_F(Segment, CutOffOrExtendedIsRefused) {
  save();
  const std::string good = bytes();
  Memory memory = begun();
  for (size_t size = 0; size < good.size(); size += size < 400 ? 1 : 509) {
    write(good.substr(0, size));
    expect_refused(memory, "cut at " + std::to_string(size));
    if (HasFatalFailure()) return;
  }
  for (size_t size = 4096; size < good.size(); size += 4096) {
    write(good.substr(0, size));
    expect_refused(memory, "cut at " + std::to_string(size));
    std::string torn = good;  // a block that never reached the disk
    std::fill(torn.begin() + static_cast<int64_t>(size),
              torn.begin() + static_cast<int64_t>(std::min(size + 4096, torn.size())), '\0');
    write(torn);
    expect_refused(memory, "torn at " + std::to_string(size));
    if (HasFatalFailure()) return;
  }
  write(good.substr(0, good.size() - 1));
  expect_refused(memory, "the last byte missing");
  for (const size_t more : {1, 8, 4096}) {
    write(good + std::string(more, '\0'));
    expect_refused(memory, "longer by " + std::to_string(more));
  }
}

TEST_F(Segment, WithPagesSwappedOrOfAnotherSegmentIsRefused) {
  save();
  const std::string good = bytes();
  const size_t page = static_cast<size_t>(Memory::page_bytes(small_geometry())) + 4;
  const size_t begin = 128 + 43 * 4;
  Memory memory = begun();
  std::string bad = good;
  std::swap_ranges(bad.begin() + begin, bad.begin() + begin + page, bad.begin() + begin + page);
  write(bad);
  expect_refused(memory, "swapped");

  fill(memory_, 4);
  save_segment(memory_, 1, tokens_, named('b'), file_, cancel_);
  const std::string other = bytes();
  bad = good;
  std::copy(other.begin() + begin, other.begin() + begin + page, bad.begin() + begin);
  write(bad);
  expect_refused(memory, "a page of another segment");
}

TEST_F(Segment, OfAnotherMemoryIsRefused) {
  save();
  Geometry wider = small_geometry();
  wider.head_size = 32;
  Geometry deeper = small_geometry();
  deeper.layers = 3;
  Geometry fewer = small_geometry();
  fewer.kv_heads = 1;
  for (const Geometry& geometry : {wider, deeper, fewer}) {
    Memory memory = begun(Summary::kMeanSpread, geometry);
    expect_refused(memory, "geometry");
  }
  Memory other_summary = begun(Summary::kMinMax);
  expect_refused(other_summary, "summary");

  Memory empty(small_geometry(), 12, Summary::kMeanSpread);
  EXPECT_EQ(load(empty).kind, LoadOutcome::kRefused) << "another position";
  EXPECT_EQ(empty.tokens(), 0);

  Memory memory = begun();
  EXPECT_EQ(load_as(memory, tokens_, 'b').kind, LoadOutcome::kRefused) << "name";
  std::vector<int32_t> other = tokens_;
  ++other[20];
  EXPECT_EQ(load_as(memory, other, 'a').kind, LoadOutcome::kRefused) << "token";
  other = tokens_;
  other.pop_back();
  EXPECT_EQ(load_as(memory, other, 'a').kind, LoadOutcome::kRefused) << "fewer tokens";
  EXPECT_EQ(memory.tokens(), 20);
}

TEST_F(Segment, HostileSizesAreRefusedWithoutBeingAllocated) {
  save();
  const std::string good = bytes();
  Memory memory = begun();
  for (size_t field = 48; field < 104; field += 8)
    for (const int64_t value : {int64_t{-1}, int64_t{0}, INT64_MAX, int64_t{1} << 62, int64_t{1} << 40}) {
      std::string bad = good;
      std::memcpy(bad.data() + field, &value, sizeof value);
      write(bad);
      expect_refused(memory, "field " + std::to_string(field));
      if (HasFatalFailure()) return;
    }
}

TEST_F(Segment, ThatIsNoFileIsAbsentOrRefused) {
  Memory memory = begun();
  EXPECT_EQ(load(memory).kind, LoadOutcome::kAbsent);
  ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
  expect_refused(memory, "a FIFO");
  ASSERT_EQ(::unlink(file_.c_str()), 0);
  ASSERT_EQ(::symlink("/etc/hostname", file_.c_str()), 0);
  EXPECT_EQ(load(memory).kind, LoadOutcome::kAbsent);
}

TEST_F(Segment, ThatDoesNotFitTheMemoryChangesNothing) {
  save();
  Memory memory(small_geometry(), 4, Summary::kMeanSpread);
  memory.plan_append(20, {0});
  EXPECT_THROW(load(memory), Error);
  EXPECT_EQ(memory.tokens(), 20);
  EXPECT_EQ(memory.free_pages(), 2);
}

TEST_F(Segment, CancelledLeavesNeitherFileNorDocument) {
  cancel_ = true;
  EXPECT_THROW(save(), Error);
  EXPECT_EQ(files(), 0);
  cancel_ = false;
  save();
  Memory memory = begun();
  cancel_ = true;
  EXPECT_THROW(load(memory), Error);
  EXPECT_EQ(memory.tokens(), 20);
  EXPECT_EQ(memory.free_pages(), 10);
}

TEST_F(Segment, GivesAnyOfItsPagesAtThePositionsThatTheyWereEncodedAt) {
  save();
  struct {
    int64_t page, tokens;
  } const parts[] = {{0, 16}, {1, 16}, {2, 11}, {0, 32}, {1, 27}, {0, 43}};
  for (const auto& part : parts) {
    Memory memory = begun();
    const std::vector<int32_t> wanted(tokens_.begin() + part.page * kPageTokens,
                                      tokens_.begin() + part.page * kPageTokens + part.tokens);
    const int64_t position = 20 + part.page * kPageTokens;
    ASSERT_EQ(load_segment(memory, wanted, {43, part.page, position}, named('a'), file_, cancel_).kind,
              LoadOutcome::kLoaded);
    ASSERT_EQ(memory.documents().size(), 2u);
    EXPECT_EQ(memory.documents()[1].position, position);
    EXPECT_EQ(memory.next_position(), position + part.tokens);
    const PageList list = memory.list();
    for (int64_t i = 0; i < memory.document_pages(1); ++i) {
      const int32_t from = memory_.list().slot[2 + part.page + i], to = list.slot[2 + i];
      EXPECT_EQ(list.count[2 + i], memory_.list().count[2 + part.page + i]);
      for (int64_t l = 0; l < 2; ++l)
        for (int64_t g = 0; g < 2; ++g) {
          EXPECT_EQ(memory.layer(l).keys(g, to)[5 * kPageTokens], memory_.layer(l).keys(g, from)[5 * kPageTokens]);
          EXPECT_EQ(memory.layer(l).summary(g, to, 1)[0], memory_.layer(l).summary(g, from, 1)[0]);
        }
    }
  }
}

TEST_F(Segment, RefusesAPartAtAnotherPlaceOrOfOtherTokens) {
  save();
  Memory memory = begun();
  const std::vector<int32_t> second(tokens_.begin() + 16, tokens_.begin() + 32);
  const auto outcome = [&](const SegmentPart& part) {
    return load_segment(memory, second, part, named('a'), file_, cancel_).kind;
  };
  EXPECT_EQ(outcome({43, 1, 37}), LoadOutcome::kRefused) << "position";
  EXPECT_EQ(outcome({43, 0, 20}), LoadOutcome::kRefused) << "page";
  EXPECT_EQ(outcome({44, 1, 36}), LoadOutcome::kRefused) << "tokens of the segment";
  EXPECT_EQ(outcome({int64_t{1} << 30, 1, 36}), LoadOutcome::kRefused) << "a size that would have to be allocated";
  EXPECT_THROW(outcome({43, 2, 52}), Error) << "beyond the end";
  EXPECT_THROW(outcome({43, -1, 36}), Error);
  EXPECT_THROW(outcome({43, 1, 3}), Error) << "before the memory's beginning";
  const std::vector<int32_t> cut(second.begin(), second.begin() + 9);
  EXPECT_THROW(load_segment(memory, cut, {43, 1, 36}, named('a'), file_, cancel_), Error) << "inside a page";
  EXPECT_EQ(memory.tokens(), 20);
  EXPECT_EQ(outcome({43, 1, 36}), LoadOutcome::kLoaded);
}

TEST_F(Segment, WithABadPageStillGivesTheOthers) {
  save();
  std::string bad = bytes();
  bad[128 + 43 * 4 + 10] ^= 1;
  write(bad);
  Memory memory = begun();
  const std::vector<int32_t> rest(tokens_.begin() + 16, tokens_.end());
  EXPECT_EQ(load_segment(memory, rest, {43, 1, 36}, named('a'), file_, cancel_).kind, LoadOutcome::kLoaded);
  Memory other = begun();
  expect_refused(other, "the first page");
}

TEST_F(Segment, ThatCannotBeWrittenLeavesNothingAndSaysWhy) {
  EXPECT_THROW(save_segment(memory_, 1, tokens_, named('a'), folder_ + "/none/one", cancel_), Error);
  ASSERT_EQ(::mkdir(file_.c_str(), 0700), 0);
  EXPECT_THROW(save(), Error) << "a folder is in the way";
  EXPECT_EQ(files(), 1);
  EXPECT_THROW(save_segment(memory_, 2, tokens_, named('a'), file_, cancel_), Error);
  EXPECT_THROW(save_segment(memory_, 1, ids(42, 5), named('a'), file_, cancel_), Error);
  EXPECT_THROW(segment_name("ab"), Error);
  EXPECT_THROW(segment_name(std::string(64, 'g')), Error);
}

}  // namespace
}  // namespace quire
