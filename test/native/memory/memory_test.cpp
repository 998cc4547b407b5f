// memory_test.cpp — where tokens lie: documents on pages of their own, fill counts, and the way back after a cut-off chunk.
#include "native/memory/memory.h"

#include <gtest/gtest.h>

#include <cstring>

#include "test/native/memory/small_geometry.h"

namespace quire {
namespace {

std::vector<int32_t> counts(const Memory& memory) {
  const PageList list = memory.list();
  return std::vector<int32_t>(list.count, list.count + list.pages);
}

TEST(Memory, BeginsEachDocumentOnAPageOfItsOwn) {
  Memory memory(small_geometry(), 10, Summary::kMeanSpread);
  const ChunkPlan plan = memory.plan_append(20, {0, 17, 18});
  EXPECT_EQ(counts(memory), (std::vector<int32_t>{16, 1, 1, 2}));
  EXPECT_EQ(memory.documents().size(), 3u);
  EXPECT_EQ(memory.documents()[1].first_page, 2);
  EXPECT_EQ(memory.documents()[2].position, 18);
  EXPECT_EQ(plan.places[16], 0);
  EXPECT_EQ(plan.visible[16].page, 1);
  EXPECT_EQ(plan.visible[16].count, 1);
  EXPECT_EQ(plan.positions[19], 19);
  EXPECT_EQ(memory.free_pages(), 6);
}

TEST(Memory, ContinuesTheLastDocumentOnItsPartFilledPage) {
  Memory memory(small_geometry(), 4, Summary::kMeanSpread);
  memory.plan_append(5, {0});
  const ChunkPlan plan = memory.plan_append(12, {});
  EXPECT_EQ(counts(memory), (std::vector<int32_t>{16, 1}));
  EXPECT_EQ(plan.places[0], 5);
  EXPECT_EQ(plan.touched_slots.size(), 2u);
  EXPECT_EQ(plan.touched_counts, (std::vector<int32_t>{16, 1}));
}

TEST(Memory, GivesEveryTokenTheSamePlaceForAnyChunking) {
  Memory whole(small_geometry(), 20, Summary::kMeanSpread);
  whole.plan_append(70, {0, 33, 34});
  for (const int64_t size : {1, 2, 7, 16, 33}) {
    Memory pieces(small_geometry(), 20, Summary::kMeanSpread);
    for (int64_t from = 0; from < 70; from += size) {
      std::vector<int32_t> starts;
      for (const int32_t start : {0, 33, 34})
        if (start >= from && start < from + size) starts.push_back(static_cast<int32_t>(start - from));
      pieces.plan_append(std::min<int64_t>(size, 70 - from), starts);
    }
    EXPECT_EQ(counts(pieces), counts(whole)) << "chunks of " << size;
    EXPECT_EQ(pieces.documents()[2].first_page, whole.documents()[2].first_page);
  }
}

TEST(Memory, RefusesAChunkThatDoesNotFitAndChangesNothing) {
  Memory memory(small_geometry(), 3, Summary::kMeanSpread);
  memory.plan_append(10, {0});
  try {
    memory.plan_append(40, {0, 1});
    FAIL() << "three pages cannot hold four";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "memory-full");
  }
  EXPECT_EQ(counts(memory), (std::vector<int32_t>{10}));
  EXPECT_EQ(memory.free_pages(), 2);
}

TEST(Memory, RefusesStartsThatAreOutOfOrderOrMissing) {
  Memory memory(small_geometry(), 10, Summary::kMeanSpread);
  for (const std::vector<int32_t>& starts :
       {std::vector<int32_t>{}, std::vector<int32_t>{1}, std::vector<int32_t>{0, 0}, std::vector<int32_t>{0, 5},
        std::vector<int32_t>{-1}}) {
    EXPECT_THROW(memory.plan_append(5, starts), Error);
    EXPECT_EQ(memory.pages(), 0);
  }
}

TEST(Memory, RollsBackToAMarkInTheMiddleOfAPage) {
  Memory memory(small_geometry(), 10, Summary::kMeanSpread);
  memory.plan_append(21, {0});
  const Memory::Mark mark = memory.mark();
  memory.plan_append(30, {3, 20});
  const int32_t shortened = memory.roll_back(mark);
  EXPECT_EQ(shortened, memory.list().slot[1]);
  EXPECT_EQ(counts(memory), (std::vector<int32_t>{16, 5}));
  EXPECT_EQ(memory.tokens(), 21);
  EXPECT_EQ(memory.free_pages(), 8);
  const ChunkPlan again = memory.plan_append(1, {});
  EXPECT_EQ(again.places[0], 5);
  EXPECT_EQ(again.positions[0], 21);
}

TEST(Memory, DropsDocumentsFromTheEnd) {
  Memory memory(small_geometry(), 10, Summary::kMeanSpread);
  memory.plan_append(40, {0, 10, 30});
  EXPECT_EQ(memory.truncate(2, 20), -1);
  EXPECT_EQ(memory.documents().size(), 2u);
  EXPECT_EQ(memory.tokens(), 30);
  EXPECT_EQ(memory.truncate(2, 0), -1);
  EXPECT_EQ(memory.documents().size(), 1u);
  EXPECT_EQ(counts(memory), (std::vector<int32_t>{10}));
  EXPECT_EQ(memory.truncate(0, 0), -1);
  EXPECT_EQ(memory.free_pages(), 10);
  EXPECT_THROW(memory.truncate(1, 0), Error);
}

TEST(Memory, DigestCoversWhatIsInUseAndNothingElse) {
  Memory memory(small_geometry(), 4, Summary::kMeanSpread);
  memory.plan_append(3, {0});
  const uint64_t before = memory.digest();
  const int32_t slot = memory.list().slot[0];
  memory.layer(1).keys(1, slot)[5 * kPageTokens + 3] = 7;  // a place not in use
  EXPECT_EQ(memory.digest(), before);
  memory.layer(1).keys(1, slot)[5 * kPageTokens + 2] = 7;
  EXPECT_NE(memory.digest(), before);
}

std::vector<int32_t> slots(const Memory& memory) {
  const PageList list = memory.list();
  return std::vector<int32_t>(list.slot, list.slot + list.pages);
}

TEST(Memory, IsEditedInPlaceWithoutMovingAnotherPage) {
  Memory memory(small_geometry(), 12, Summary::kMeanSpread);
  memory.plan_append(80, {0, 10, 70});  // pages: 1 | 16 16 16 12 | 10
  const std::vector<int32_t> before = slots(memory);
  memory.split(1, 3);
  memory.split(1, 1);  // 10 | 16 | 32 | 12 | 10
  EXPECT_EQ(slots(memory), before);
  EXPECT_EQ(memory.documents()[3].first_page, 4);
  EXPECT_EQ(memory.documents()[3].position, 58);

  memory.set_aside(2);
  EXPECT_EQ(memory.tokens(), 26);
  EXPECT_THROW(memory.set_aside(0), Error);
  const ChunkPlan plan = memory.plan_append(20, {0});
  EXPECT_EQ(plan.positions[0], 26);
  EXPECT_EQ(plan.visible[0].page, 2);
  memory.bring_back();
  memory.bring_back();
  memory.drop(3, 1);  // the old 32

  EXPECT_EQ(memory.tokens(), 68);
  EXPECT_EQ(counts(memory), (std::vector<int32_t>{10, 16, 16, 4, 12, 10}));
  EXPECT_EQ(slots(memory)[4], before[4]);
  EXPECT_EQ(slots(memory)[5], before[5]);
  EXPECT_EQ(memory.documents()[3].first_page, 4);
  EXPECT_EQ(memory.documents()[3].position, 58);
  EXPECT_EQ(memory.documents()[4].position, 70);
  // Nothing is lost: a page for each of the list, the others are free.
  EXPECT_EQ(memory.free_pages(), 6);
  EXPECT_EQ(memory.next_position(), 80);
  EXPECT_EQ(memory.plan_append(1, {0}).positions[0], 80);
}

TEST(Memory, DropsDocumentsFromTheMiddleAndTheEnds) {
  Memory memory(small_geometry(), 6, Summary::kMeanSpread);
  memory.plan_append(60, {0, 10, 30, 50});
  memory.drop(1, 2);
  EXPECT_EQ(counts(memory), (std::vector<int32_t>{10, 10}));
  EXPECT_EQ(memory.documents()[1].first_page, 1);
  memory.drop(1, 0);
  memory.drop(0, 2);
  EXPECT_EQ(memory.tokens(), 0);
  EXPECT_EQ(memory.free_pages(), 6);
  EXPECT_THROW(memory.drop(0, 1), Error);
  EXPECT_THROW(memory.split(0, 1), Error);
  memory.plan_append(16, {0});
  EXPECT_THROW(memory.split(0, 1), Error);
}

TEST(Memory, RefusesImpossibleSizes) {
  EXPECT_THROW(Memory(small_geometry(), 0, Summary::kMeanSpread), Error);
  EXPECT_THROW(Memory(small_geometry(), int64_t{1} << 40, Summary::kMeanSpread), Error);
}

}  // namespace
}  // namespace quire
