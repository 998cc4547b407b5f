// page_tier_test.cu — pages in RAM with a cache on the device give the bits that pages on the device give, while frames are
// taken, given up and taken again; and a layer that is streamed is there before it is read.
#include "native/cuda/page_tier.h"

#include <random>

#include "test/native/kernels/cuda/device_pool.h"

namespace quire::cuda {
namespace {

constexpr int64_t kSlots = 8192;  // of which least_bytes caches a quarter

Geometry small_geometry() {
  Geometry g;
  g.layers = 8;
  g.heads = 7;
  g.kv_heads = 1;
  g.head_size = 64;
  return g;
}

// One layer's pages twice, in the tier's RAM and on the device, and what a step needs besides.
struct Twins {
  Geometry geometry = small_geometry();
  PageTier tier{geometry, kSlots, PageTier::least_bytes(geometry, kSlots)};
  int64_t layer_halves = geometry.kv_heads * kSlots * 2 * kPageTokens * geometry.head_size;
  DeviceBuffer<__half> pages{layer_halves}, summaries{geometry.kv_heads * kSlots * 2 * geometry.head_size};
  DeviceBuffer<int32_t> slots, counts;
  DeviceBuffer<float> q{geometry.q_columns()}, out{geometry.q_columns()};
  DeviceBuffer<StepState> state{1};
  DeviceBuffer<uint8_t> workspace;
  std::mt19937 random{1};
  int32_t pages_in_list;

  explicit Twins(int64_t layer, int32_t n) : pages_in_list(n) {
    std::vector<int32_t> slot(static_cast<size_t>(n)), count(static_cast<size_t>(n), kPageTokens);
    for (int32_t i = 0; i < n; ++i) slot[static_cast<size_t>(i)] = (i * 5) % kSlots;  // not in order
    slots = to_device(slot);
    counts = to_device(count);
    std::normal_distribution<float> normal;
    __half* const ram = tier.pages() + layer * layer_halves;
    for (int64_t i = 0; i < layer_halves; ++i) ram[i] = __float2half(normal(random));
    check(cudaMemcpy(pages.get(), ram, static_cast<size_t>(layer_halves) * 2, cudaMemcpyHostToDevice), "test");
    summarise(Summary::kMeanSpread, slots.get(), counts.get(), n, near(), nullptr);
    StepState step;
    step.pages = n;
    check(cudaMemcpy(state.get(), &step, sizeof step, cudaMemcpyHostToDevice), "test");
  }
  DeviceKv near() {
    DeviceKv kv;
    kv.pages = pages.get();
    kv.summaries = summaries.get();
    kv.slots = kSlots;
    kv.kv_heads = static_cast<int32_t>(geometry.kv_heads);
    kv.head_size = static_cast<int32_t>(geometry.head_size);
    return kv;
  }
  AttentionStep step(int64_t layer, bool far) {
    AttentionStep args;
    args.q = q.get();
    args.out = out.get();
    args.heads = static_cast<int32_t>(geometry.heads);
    args.scale = 0.125f;
    args.kv = near();
    if (far) args.kv.pages = tier.pages() + layer * layer_halves;
    args.list = {slots.get(), counts.get()};
    args.state = state.get();
    args.max_pages = kSlots;
    args.selection.budget_pages = 64;
    args.selection.spread_factor = 0;  // spreads alone would choose the same pages of noise for every query
    args.one_kernel = false;           // the tier's are three, with two between them
    if (workspace.count() == 0) {
      workspace = DeviceBuffer<uint8_t>(attention_step_workspace(args));
      check(cudaMemset(workspace.get(), 0, static_cast<size_t>(workspace.count())), "test");
    }
    args.workspace = workspace.get();
    return args;
  }
  // A query of its own each time: hardly a page is chosen twice in a row.
  void new_query() {
    std::normal_distribution<float> normal;
    std::vector<float> values(static_cast<size_t>(geometry.q_columns()));
    for (float& value : values) value = normal(random);
    check(cudaMemcpy(q.get(), values.data(), values.size() * 4, cudaMemcpyHostToDevice), "test");
  }
  std::vector<float> result() { return to_host(out.get(), out.count()); }
};

TEST(PageTier, GivesTheBitsOfPagesOnTheDevice) {
  NEEDS_GPU();
  constexpr int64_t kLayer = 5;
  Twins twins(kLayer, 8000);
  twins.tier.reserve(twins.step(kLayer, true));
  for (int step = 0; step < 200; ++step) {
    twins.new_query();
    attention_step(twins.step(kLayer, false), nullptr);
    const std::vector<float> expected = twins.result();
    twins.tier.attend(twins.step(kLayer, true), kLayer, nullptr);
    ASSERT_EQ(twins.result(), expected) << "step " << step;
  }
  const TierCounts counts = twins.tier.counts(nullptr);
  EXPECT_EQ(counts.asked, 200 * 64);
  EXPECT_GT(counts.fetched, 2 * twins.tier.frames()) << "frames were given up";
}

TEST(PageTier, FetchesAPageOnceWhileItIsAskedFor) {
  NEEDS_GPU();
  Twins twins(0, 8000);
  twins.tier.reserve(twins.step(0, true));
  twins.new_query();
  for (int step = 0; step < 10; ++step) twins.tier.attend(twins.step(0, true), 0, nullptr);
  const TierCounts counts = twins.tier.counts(nullptr);
  EXPECT_EQ(counts.asked, 640);
  EXPECT_EQ(counts.fetched, 64 + 9) << "64, and the page being filled each time";
}

TEST(PageTier, ForgetsFramesWhosePagesWereWritten) {
  NEEDS_GPU();
  Twins twins(0, 8000);
  twins.tier.reserve(twins.step(0, true));
  twins.new_query();
  twins.tier.attend(twins.step(0, true), 0, nullptr);
  check(cudaDeviceSynchronize(), "test");
  for (int64_t i = 0; i < twins.layer_halves; ++i) twins.tier.pages()[i] = __float2half(1.0f);
  twins.tier.forget(nullptr);
  twins.tier.attend(twins.step(0, true), 0, nullptr);
  for (const float value : twins.result()) EXPECT_NEAR(value, 1.0f, 1e-3f);
}

TEST(PageTier, StreamsEveryLayerBeforeItIsRead) {
  NEEDS_GPU();
  Twins twins(0, 16);
  for (int64_t layer = 0; layer < 8; ++layer)
    for (int64_t i = 0; i < twins.layer_halves; ++i)
      twins.tier.pages()[layer * twins.layer_halves + i] = __float2half(static_cast<float>((i + 37 * layer) % 2039));
  twins.tier.begin_chunk(kSlots, nullptr);
  for (int64_t layer = 0; layer < 8; ++layer) {
    const DeviceKv there = twins.tier.staged(layer, twins.near(), nullptr);
    check(cudaMemcpyAsync(twins.pages.get(), there.pages, static_cast<size_t>(twins.layer_halves) * 2,
                          cudaMemcpyDeviceToDevice, nullptr),
          "test");
    twins.tier.staged_done(layer, nullptr);
    const auto got = to_host(reinterpret_cast<const uint16_t*>(twins.pages.get()), twins.layer_halves);
    const auto* const wanted = reinterpret_cast<const uint16_t*>(twins.tier.pages() + layer * twins.layer_halves);
    ASSERT_TRUE(std::equal(got.begin(), got.end(), wanted)) << "layer " << layer;
  }
}

TEST(PageTier, RefusesADeviceShareThatHoldsNoTwoLayers) {
  NEEDS_GPU();
  const Geometry g = small_geometry();
  try {
    PageTier tier(g, kSlots, PageTier::least_bytes(g, kSlots) - 1);
    FAIL() << "it was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "out-of-memory");
  }
}

}  // namespace
}  // namespace quire::cuda
