// sample.h — the next token from the logits, chosen on the device: see sample.cu.
#pragma once

#include "native/kernels/cuda/device.h"

namespace quire::cuda {

constexpr int kMaxStops = 64;
constexpr int kRing = 1024;  // tokens on their way to the host; it launches far fewer steps ahead

enum Stopped : int32_t { kGoing = 0, kStopToken = 1, kLength = 2, kCancelled = 3, kNoNumber = 4 };

// Shared with the host: what the device says, and the flag it obeys.
struct Mapped {
  volatile int32_t cancel;   // written by the host
  volatile int32_t emitted;  // tokens handed out
  volatile int32_t stopped;  // a Stopped
  int32_t tokens[kRing];     // token i at i % kRing
  int64_t counters[2];       // pages scored, attended to, when it stopped
};

struct SampleArgs {
  const float* logits = nullptr;  // [V]
  int32_t vocabulary = 0;
  bool greedy = true;
  float temperature = 0, top_p = 1, min_p = 0, penalty = 1;
  int32_t top_k = 0;
  uint64_t seed = 0;
  int32_t limit = 0;  // tokens
  int32_t stop_count = 0;
  int32_t stops[kMaxStops] = {};
};

// What the kernels work in: made once per memory, cleared before each generation.
struct SampleSpace {
  SampleArgs* args = nullptr;          // of the generation under way, on the device, so that a graph serves all of them
  unsigned long long* best = nullptr;  // the largest (logit, lower id) so far
  uint32_t* arrivals = nullptr;
  uint32_t* seen = nullptr;  // [V/32 + 1] bits: tokens of the answer
  StepState* step = nullptr;
  const int32_t* list_slots = nullptr;
  const int64_t* counters = nullptr;
  Mapped* mapped = nullptr;
};

// Chooses a token, hands it out and advances the step's state; or stops. drawn: the kernel for temperatures above 0 runs too.
void sample_step(const SampleSpace& space, int32_t vocabulary, bool drawn, cudaStream_t stream);

}  // namespace quire::cuda
