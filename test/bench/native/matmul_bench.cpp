// matmul_bench.cpp — how near the matmul comes to what the machine can do: multiply-adds against the peak of vpdpbusd (or
// of vpmaddubsw where there is no VNNI), weight bytes against the bandwidth of plain reads. Peaks are measured in the same
// run, before and after each case, since the machine may be shared; ratios are what counts.
//
//   matmul_bench [threads=2] [backend=auto] [type=all] [tokens=all|pack|N] [columns=all] [clock=wall|cpu]
//
// One JSON object per line on standard output. clock=cpu takes processor time, with threads=1 only: for a busy machine.
// Weights rotate over copies of 192 MiB together, so that one token's matmul reads memory and not a cache.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "native/kernels/ops.h"
#include "test/native/kernels/gguf_reference.h"

#if defined(__x86_64__)
// GCC 12 takes the undefined pass-through operands of its own intrinsics for a mistake (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#endif

namespace quire {
namespace {

using Clock = double (*)();

double wall_clock() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Processor time of this process: what counts for one thread on a machine that is busy with other work.
double processor_clock() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

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
__attribute__((target("avx512f,avx512bw,avx512vnni"))) int vnni_loop() {
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
__attribute__((target("avx2"))) int maddubs_loop() {
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
double peak_gmacs(Clock now, ThreadPool& pool, bool vnni) {
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
__attribute__((target("avx2"))) uint64_t read_words(const std::byte* p, int64_t bytes) {
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
uint64_t read_words(const std::byte* p, int64_t bytes) {
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
double read_gbs(Clock now, ThreadPool& pool, const AlignedBuffer& buffer) {
  std::atomic<uint64_t> sink{0};
  constexpr int64_t kParts = 64;
  const int64_t part_bytes = buffer.bytes() / kParts / 256 * 256;
  const double seconds = best_seconds(now, [&] {
    pool.run(kParts, [&](int64_t part) { sink += read_words(buffer.data() + part * part_bytes, part_bytes); });
  });
  return static_cast<double>(kParts * part_bytes) / seconds * 1e-9;
}

struct Case {
  int64_t rows;
  int64_t columns;
};

void bench(Clock now, const Ops& ops, ThreadPool& pool, const reference::TypeName& type, const Case& shape,
           int64_t tokens, const AlignedBuffer& scratch) {
  const int64_t columns = shape.columns;
  const reference::SourceMatrix source =
      reference::make_matrix(type.type, shape.rows, columns, reference::Fill::kRandom, 7);
  std::vector<PackedMatrix> copies;
  copies.push_back(pack_matrix(type.type, source.data(), shape.rows, columns, "bench", pool));
  const int64_t bytes = copies.front().data.bytes();
  while (tokens < 64 && static_cast<int64_t>(copies.size()) * bytes < (192 << 20))
    copies.push_back(pack_matrix(type.type, source.data(), shape.rows, columns, "bench", pool));

  AlignedBuffer x(tokens * columns * 4), codes(tokens * columns), scales(tokens * columns / 8),
      sums(tokens * columns / 4);
  AlignedBuffer out(tokens * shape.rows * 4);
  for (int64_t i = 0; i < tokens * columns; ++i) x.as<float>()[i] = static_cast<float>(i % 97) / 48.0f - 1.0f;
  QuantRows quant{codes.as<int8_t>(), scales.as<float>(), sums.as<int32_t>(), tokens, columns};
  const Run run{&pool, nullptr};
  ops.quantize({x.as<float>(), &quant}, run);

  MatmulArgs args;
  args.x_quant = &quant;
  args.x_float = x.as<float>();
  args.out = out.as<float>();
  args.out_stride = shape.rows;
  args.tokens = tokens;
  const double macs = static_cast<double>(tokens * shape.rows * columns);
  const int64_t calls = std::max<int64_t>(1, static_cast<int64_t>((tokens == 1 ? 1e8 : 5e8) / macs));
  size_t copy = 0;
  const bool vnni = std::strcmp(ops.name, "avx512-vnni") == 0;

  double peak = peak_gmacs(now, pool, vnni);
  double read = read_gbs(now, pool, scratch);
  const double seconds = best_seconds(now,
                                      [&] {
                                        for (int64_t i = 0; i < calls; ++i) {
                                          args.weight = &copies[copy++ % copies.size()];
                                          ops.matmul(args, run);
                                        }
                                      }) /
                         static_cast<double>(calls);
  peak = std::max(peak, peak_gmacs(now, pool, vnni));
  read = std::max(read, read_gbs(now, pool, scratch));
  const double gmacs = macs / seconds * 1e-9;
  const double gbs = static_cast<double>(bytes) / seconds * 1e-9;
  std::printf(
      "{\"bench\":\"matmul\",\"backend\":\"%s\",\"threads\":%d,\"clock\":\"%s\",\"type\":\"%s\",\"rows\":%lld,"
      "\"columns\":%lld,"
      "\"tokens\":%lld,\"microseconds\":%.1f,\"gmacs\":%.1f,\"peakGmacs\":%.1f,\"ofPeak\":%.3f,\"weightGBs\":%.1f,"
      "\"readGBs\":%.1f,\"ofRead\":%.3f}\n",
      ops.name, pool.threads(), now == wall_clock ? "wall" : "cpu", type.name, static_cast<long long>(shape.rows),
      static_cast<long long>(columns), static_cast<long long>(tokens), seconds * 1e6, gmacs, peak,
      peak > 0 ? gmacs / peak : 0, gbs, read, gbs / read);
  std::fflush(stdout);
}

// Packing 16 384 × 4 096 weights, as opening a model does: source bytes a second, each time into fresh memory.
void bench_pack(Clock now, ThreadPool& pool, const reference::TypeName& type) {
  const reference::SourceMatrix source = reference::make_matrix(type.type, 16384, 4096, reference::Fill::kRandom, 7);
  const double seconds = best_seconds(now, [&] { pack_matrix(type.type, source.data(), 16384, 4096, "bench", pool); });
  std::printf("{\"bench\":\"pack\",\"threads\":%d,\"type\":\"%s\",\"seconds\":%.4f,\"sourceGBs\":%.2f}\n",
              pool.threads(), type.name, seconds, static_cast<double>(source.bytes.size()) / seconds * 1e-9);
  std::fflush(stdout);
}

int run(int argc, char** argv) {
  const auto option = [&](const std::string& name, const std::string& fallback) {
    for (int i = 1; i < argc; ++i)
      if (std::string(argv[i]).rfind(name + "=", 0) == 0) return std::string(argv[i]).substr(name.size() + 1);
    return fallback;
  };
  ThreadPool pool(std::atoi(option("threads", "2").c_str()));
  const Ops& ops = choose_cpu_ops(option("backend", "auto").c_str());
  const bool processor = option("clock", "wall") == "cpu" && pool.threads() == 1;
  const Clock now = processor ? processor_clock : wall_clock;
  const std::string only_type = option("type", "all");
  const std::string only_tokens = option("tokens", "all");
  const std::string only_columns = option("columns", "all");
  AlignedBuffer scratch(int64_t{192} << 20);
  std::memset(scratch.data(), 1, static_cast<size_t>(scratch.bytes()));

  std::vector<reference::TypeName> types(std::begin(reference::kQuantTypes), std::end(reference::kQuantTypes));
  types.insert(types.end(), std::begin(reference::kFloatTypes), std::end(reference::kFloatTypes));
  for (const reference::TypeName& type : types) {
    if (only_type != "all" && only_type != type.name) continue;
    if (only_tokens == "all" || only_tokens == "pack") bench_pack(now, pool, type);
    for (const Case& shape : {Case{896, 896}, Case{4864, 896}, Case{896, 4864}, Case{8960, 1536}}) {
      if (shape.columns % block_shape(type.type).columns != 0) continue;  // 896 is no multiple of a K-quant's 256
      if (only_columns != "all" && std::to_string(shape.columns) != only_columns) continue;
      for (const int64_t tokens : {1, 12, 64, 512})
        if (only_tokens == "all" || only_tokens == std::to_string(tokens))
          bench(now, ops, pool, type, shape, tokens, scratch);
    }
  }
  return 0;
}

}  // namespace
}  // namespace quire

int main(int argc, char** argv) { return quire::run(argc, argv); }
