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
#include "test/bench/native/ceilings.h"
#include "test/native/kernels/gguf_reference.h"

namespace quire {
namespace {

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
