// sample.cu — the next token, chosen, handed out and made the next step's input without asking the host.
//
//   greedy   the largest logit, ties to the lower id; NaN is never chosen
//   drawn    p ∝ exp((logit − best) / temperature) over the top-k, of them the smallest set whose mass reaches top-p, of it what
//            has at least min-p times the best; logits at the border are all kept
//   penalty  tokens of the answer: a positive logit is divided, a negative one multiplied by it
//
// Masses are whole numbers of 2^-40: sums have no order, so a seed gives the same tokens on every run. Thresholds are found by
// four histograms of the logits' bits, one byte each. The random number is a hash of seed and step (SplitMix64).
// Blocks: 64 for the maximum, the last to arrive goes on; one of 1024 threads draws. Bytes: the logits, ten times when drawn.
#include <cfloat>

#include "native/kernels/cuda/launch.h"
#include "native/kernels/cuda/packed_device.cuh"
#include "native/kernels/cuda/sample.h"

namespace quire::cuda {
namespace {

constexpr int kMaxBlocks = 64;
constexpr int kThreads = 256;
constexpr int kDrawThreads = 1024;
constexpr float kReach = -27.0f;  // below e^-27 a weight is less than 2^-38: not drawn in this universe

__device__ uint32_t order(float value) {
  const uint32_t bits = __float_as_uint(value + 0.0f);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
__device__ float unorder(uint32_t key) { return __uint_as_float((key & 0x80000000u) != 0 ? key ^ 0x80000000u : ~key); }

__device__ float logit_at(const SampleSpace& space, const SampleArgs& args, int i) {
  const float logit = args.logits[i];
  if (args.penalty == 1.0f || (space.seen[i / 32] >> (i % 32) & 1) == 0) return logit;
  return logit > 0 ? logit / args.penalty : logit * args.penalty;
}

// Hands `token` out and makes it the next step's, or stops. One thread.
__device__ void advance(const SampleSpace& space, const SampleArgs& args, int32_t token) {
  StepState step = *space.step;
  if (step.stopped != kGoing) return;
  Mapped& mapped = *space.mapped;
  if (mapped.cancel != 0) {
    step.stopped = kCancelled;
  } else if (step.steps >= args.limit) {
    step.stopped = kLength;
  } else if (token < 0) {
    step.stopped = kNoNumber;
  } else {
    for (int i = 0; i < args.stop_count; ++i)
      if (token == args.stops[i]) step.stopped = kStopToken;
  }
  if (step.stopped == kGoing) {
    space.seen[token / 32] |= 1u << (token % 32);
    step.token = token;
    ++step.position;
    if (++step.place == kPageTokens || step.pages == 0) {
      step.place = 0;
      step.slot = space.list_slots[step.pages++];
    }
    step.last_count = step.place + 1;
    mapped.tokens[step.steps % kRing] = token;
    ++step.steps;
    __threadfence_system();
    mapped.emitted = step.steps;
  } else {
    for (int i = 0; i < 2; ++i) mapped.counters[i] = space.counters[i];
    __threadfence_system();
    mapped.stopped = step.stopped;
  }
  *space.step = step;
}

__device__ unsigned long long warp_best(unsigned long long v) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) {
    const unsigned long long other = __shfl_xor_sync(0xffffffffu, v, mask);
    v = other > v ? other : v;
  }
  return v;
}

__global__ void best_kernel(SampleSpace space, int vocabulary, bool last) {
  wait_for_previous();
  release_next();
  const SampleArgs& args = *space.args;
  unsigned long long best = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < vocabulary; i += gridDim.x * blockDim.x) {
    const float logit = logit_at(space, args, i);
    if (isnan(logit)) continue;
    const unsigned long long key = static_cast<unsigned long long>(order(logit)) << 32 | (0xffffffffu - i);
    best = key > best ? key : best;
  }
  best = warp_best(best);
  if ((threadIdx.x & 31) == 0) atomicMax(space.best, best);
  __threadfence();
  __syncthreads();
  if (!last || threadIdx.x != 0) return;
  if (atomicAdd(space.arrivals, 1) != gridDim.x - 1) return;
  *space.arrivals = 0;
  const unsigned long long found = atomicExch(space.best, 0ull);
  advance(space, args, found == 0 ? -1 : static_cast<int32_t>(0xffffffffu - static_cast<uint32_t>(found)));
}

struct Draw {
  uint32_t counts[256];
  unsigned long long masses[256];
  unsigned long long total;
  uint32_t threshold;
};

// The largest key such that what is at or above it, and not below `floor`, reaches `wanted` of counts or of mass.
__device__ uint32_t find_threshold(Draw& draw, const SampleSpace& space, const SampleArgs& args, float best,
                                   uint32_t floor, bool by_count, unsigned long long wanted, bool measure) {
  uint32_t known = 0, found = 0;
  unsigned long long above = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    for (int i = threadIdx.x; i < 256; i += blockDim.x) draw.counts[i] = 0, draw.masses[i] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < args.vocabulary; i += blockDim.x) {
      const float logit = logit_at(space, args, i);
      const float reach = (logit - best) / args.temperature;
      if (!(reach > kReach)) continue;
      const uint32_t key = order(logit);
      if (key < floor || (key & known) != found) continue;
      const int bin = key >> shift & 255;
      atomicAdd(&draw.counts[bin], 1u);
      atomicAdd(&draw.masses[bin], static_cast<unsigned long long>(expf(reach) * 1099511627776.0f));
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      if (measure && shift == 24) {  // the whole mass first: the wanted share of it
        unsigned long long total = 0;
        for (int i = 0; i < 256; ++i) total += draw.masses[i];
        draw.total = static_cast<unsigned long long>(static_cast<double>(total) * args.top_p);
      }
      const unsigned long long goal = measure ? draw.total : wanted;
      int bin = 255;
      while (bin > 0) {
        const unsigned long long here = by_count ? draw.counts[bin] : draw.masses[bin];
        if (above + here >= goal && here > 0) break;
        above += here;
        --bin;
      }
      draw.threshold = found | static_cast<uint32_t>(bin) << shift;
    }
    __syncthreads();
    found = draw.threshold;
    known |= 255u << shift;
    __syncthreads();
  }
  return found;
}

__device__ double uniform(uint64_t seed, int step) {
  uint64_t z = seed + 0x9e3779b97f4a7c15ull * (static_cast<uint64_t>(step) + 1);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
}

__global__ void __launch_bounds__(kDrawThreads) draw_kernel(SampleSpace space) {
  __shared__ Draw draw;
  __shared__ unsigned long long starts[kDrawThreads];
  __shared__ int chosen;
  wait_for_previous();
  release_next();
  const SampleArgs& args = *space.args;
  const unsigned long long top = *space.best;
  if (threadIdx.x == 0) chosen = static_cast<int>(0xffffffffu - static_cast<uint32_t>(top));
  __syncthreads();
  if (top == 0) {
    if (threadIdx.x == 0) advance(space, args, -1);
    return;
  }
  const float best = unorder(static_cast<uint32_t>(top >> 32));
  uint32_t floor = 0;
  if (args.top_k > 0)
    floor = find_threshold(draw, space, args, best, 0, true, static_cast<unsigned long long>(args.top_k), false);
  if (args.top_p < 1) {
    const uint32_t by_mass = find_threshold(draw, space, args, best, floor, false, 0, true);
    floor = by_mass > floor ? by_mass : floor;
  }
  // Whole numbers again: a thread has a run of ids, so that the sums before it tell where its tokens begin.
  const int run = (args.vocabulary + kDrawThreads - 1) / kDrawThreads;
  const int begin = threadIdx.x * run;
  const int end = begin + run < args.vocabulary ? begin + run : args.vocabulary;
  const auto mass = [&](int i) -> unsigned long long {
    const float logit = logit_at(space, args, i);
    const float reach = (logit - best) / args.temperature;
    if (!(reach > kReach) || order(logit) < floor) return 0;
    const float weight = expf(reach);
    return weight < args.min_p ? 0 : static_cast<unsigned long long>(weight * 1099511627776.0f);
  };
  unsigned long long sum = 0;
  for (int i = begin; i < end; ++i) sum += mass(i);
  starts[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    unsigned long long total = 0;
    for (int i = 0; i < kDrawThreads; ++i) {
      const unsigned long long here = starts[i];
      starts[i] = total;
      total += here;
    }
    draw.total = static_cast<unsigned long long>(uniform(args.seed, space.step->steps) * static_cast<double>(total));
  }
  __syncthreads();
  unsigned long long at = starts[threadIdx.x];
  if (sum > 0 && draw.total >= at && draw.total < at + sum)
    for (int i = begin; i < end; ++i) {
      at += mass(i);
      if (draw.total < at) {
        chosen = i;
        break;
      }
    }
  __syncthreads();
  if (threadIdx.x == 0) {
    *space.best = 0;
    advance(space, args, chosen);
  }
}

}  // namespace

void sample_step(const SampleSpace& space, int32_t vocabulary, bool drawn, cudaStream_t stream) {
  launch_dependent("sample", best_kernel, dim3(kMaxBlocks), dim3(kThreads), 0, stream, space, vocabulary, !drawn);
  if (drawn) launch_dependent("draw", draw_kernel, dim3(1), dim3(kDrawThreads), 0, stream, space);
}

}  // namespace quire::cuda
