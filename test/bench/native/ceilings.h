// ceilings.h — what the machine can do at most, measured in the run that it is compared with: multiply-adds of 8-bit integers on all
// threads, and bytes read from memory. A machine may be shared: ratios to them are what counts.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <ctime>

#include "native/core/aligned_buffer.h"
#include "native/core/thread_pool.h"

#if defined(__x86_64__)
// GCC 12 takes the undefined pass-through operands of its own intrinsics for a mistake (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#endif

namespace quire {

using Clock = double (*)();

inline double wall_clock() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Processor time of this process: what counts for one thread on a machine that is busy with other work.
inline double processor_clock() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// Seconds of one run of `task`, the best of at least five and of what fits into a quarter of a second: runs are kept
// short, so that on a shared machine some of them fall between other people's work.
template <typename Task>
double best_seconds(Clock now, const Task& task) {
  double best = 1e30;
  const double end = wall_clock() + 0.25;
  for (int i = 0; i < 5 || wall_clock() < end; ++i) {
    const double begin = now();
    task();
    best = std::min(best, now() - begin);
  }
  return best;
}

#if defined(__x86_64__)
constexpr int64_t kPeakSteps = 200000;
inline __attribute__((target("avx512f,avx512bw,avx512vnni"))) int vnni_loop() {
  __m512i sums[12];
  for (int i = 0; i < 12; ++i) sums[i] = _mm512_set1_epi32(i);
  __m512i a = _mm512_set1_epi8(3);
  __m512i b = _mm512_set1_epi8(5);
  for (int64_t step = 0; step < kPeakSteps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
    __asm__ volatile("" : "+v"(a), "+v"(b));
  }
  for (int i = 1; i < 12; ++i) sums[0] = _mm512_add_epi32(sums[0], sums[i]);
  return _mm512_reduce_add_epi32(sums[0]);
}
inline __attribute__((target("avx2"))) int maddubs_loop() {
  __m256i sums[10];
  for (int i = 0; i < 10; ++i) sums[i] = _mm256_set1_epi16(static_cast<int16_t>(i));
  __m256i a = _mm256_set1_epi8(3);
  __m256i b = _mm256_set1_epi8(5);
  for (int64_t step = 0; step < kPeakSteps; ++step) {
#pragma GCC unroll 10
    for (int i = 0; i < 10; ++i) sums[i] = _mm256_add_epi16(sums[i], _mm256_maddubs_epi16(a, b));
    __asm__ volatile("" : "+v"(a), "+v"(b));
  }
  for (int i = 1; i < 10; ++i) sums[0] = _mm256_add_epi16(sums[0], sums[i]);
  return _mm256_extract_epi16(sums[0], 0);
}
#endif

// Multiply-adds a second, in G, of all threads together; 0 where it is not known.
inline double peak_gmacs(Clock now, ThreadPool& pool, bool vnni) {
#if defined(__x86_64__)
  std::atomic<int> sink{0};
  const double seconds = best_seconds(
      now, [&] { pool.run(pool.threads(), [&](int64_t) { sink += vnni ? vnni_loop() : maddubs_loop(); }); });
  return static_cast<double>(kPeakSteps) * (vnni ? 12 * 64 : 10 * 32) * pool.threads() / seconds * 1e-9;
#else
  (void)now, (void)pool, (void)vnni;
  return 0;
#endif
}

// Sum of all bytes' words, by the widest loads there are; four streams at once keep more of the memory's banks busy.
#if defined(__x86_64__)
inline __attribute__((target("avx2"))) uint64_t read_words(const std::byte* p, int64_t bytes) {
  __m256i sums[4] = {};
  const int64_t quarter = bytes / 4;
  for (int64_t i = 0; i + 64 <= quarter; i += 64) {
#pragma GCC unroll 4
    for (int s = 0; s < 4; ++s) {
      const std::byte* q = p + s * quarter + i;
      _mm_prefetch(reinterpret_cast<const char*>(q + 1024), _MM_HINT_T0);
      sums[s] = _mm256_add_epi64(sums[s], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(q)));
      sums[s] = _mm256_add_epi64(sums[s], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(q + 32)));
    }
  }
  sums[0] = _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3]));
  return static_cast<uint64_t>(_mm256_extract_epi64(sums[0], 0));
}
#else
inline uint64_t read_words(const std::byte* p, int64_t bytes) {
  uint64_t sums[8] = {};
  for (int64_t i = 0; i + 64 <= bytes; i += 64)
    for (int j = 0; j < 8; ++j) {
      uint64_t word = 0;
      std::memcpy(&word, p + i + 8 * j, 8);
      sums[j] += word;
    }
  return sums[0] ^ sums[7];
}
#endif

// Bytes a second, in G, of reading `buffer` on all threads.
inline double read_gbs(Clock now, ThreadPool& pool, const AlignedBuffer& buffer) {
  std::atomic<uint64_t> sink{0};
  constexpr int64_t kParts = 64;
  const int64_t part_bytes = buffer.bytes() / kParts / 256 * 256;
  const double seconds = best_seconds(now, [&] {
    pool.run(kParts, [&](int64_t part) { sink += read_words(buffer.data() + part * part_bytes, part_bytes); });
  });
  return static_cast<double>(kParts * part_bytes) / seconds * 1e-9;
}

}  // namespace quire
