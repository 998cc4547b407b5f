// cpu_ops.cpp — the op tables of the CPU and the choice among them.
//
// A table is offered only where the processor has its instructions and the system saves its registers (xgetbv).
#include <cstring>
#include <string>
#include <vector>

#include "native/core/error.h"
#include "native/kernels/cpu/op_functions.h"

#if defined(QUIRE_X86)
#include <cpuid.h>
#endif

namespace quire {
namespace {

constexpr Ops kPlain = {
    "plain",       plain::embed,          plain::norm,      plain::quantize,     plain::matmul, plain::matmul_several,
    plain::rope,   plain::append,         plain::summarize, plain::page_queries, plain::score,  plain::select,
    plain::attend, plain::attend_several, plain::swiglu,
};

#if defined(QUIRE_X86)
// A level begins with what the one below it has.
constexpr Ops kAvx2 = [] {
  Ops ops = kPlain;
  ops.name = "avx2";
  ops.norm = avx2::norm;
  ops.quantize = avx2::quantize;
  ops.matmul = avx2::matmul;
  ops.matmul_several = avx2::matmul_several;
  ops.score = avx2::score;
  ops.attend = avx2::attend;
  ops.attend_several = avx2::attend_several;
  ops.swiglu = avx2::swiglu;
  return ops;
}();

constexpr Ops kAvx512 = [] {
  Ops ops = kAvx2;
  ops.name = "avx512-vnni";
  ops.norm = avx512::norm;
  ops.quantize = avx512::quantize;
  ops.matmul = avx512::matmul;
  ops.matmul_several = avx512::matmul_several;
  ops.rope = avx512::rope;
  ops.append = avx512::append;
  ops.summarize = avx512::summarize;
  ops.score = avx512::score;
  ops.attend = avx512::attend;
  ops.attend_several = avx512::attend_several;
  ops.swiglu = avx512::swiglu;
  return ops;
}();

struct Features {
  bool avx2 = false;    // with FMA and F16C
  bool avx512 = false;  // F, BW, VL, DQ and VNNI, and everything of avx2
};

uint64_t saved_registers() {
  uint32_t low = 0;
  uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low | (static_cast<uint64_t>(high) << 32);
}

Features find_features() {
  constexpr uint32_t kOsxsave = 1u << 27, kAvx = 1u << 28, kFma = 1u << 12, kF16c = 1u << 29;
  constexpr uint32_t kAvx2Bit = 1u << 5, kBmi2 = 1u << 8;
  constexpr uint32_t kAvx512Bits = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // F, DQ, BW, VL
  constexpr uint32_t kVnni = 1u << 11;
  constexpr uint64_t kYmm = 0x6, kZmm = 0xe6;  // xmm and ymm; mask registers and both halves of zmm too
  Features features;
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kOsxsave) == 0 || (c & kAvx) == 0) return features;
  const bool fused = (c & kFma) != 0 && (c & kF16c) != 0;
  const uint64_t saved = saved_registers();
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return features;
  features.avx2 = fused && (b & kAvx2Bit) != 0 && (b & kBmi2) != 0 && (saved & kYmm) == kYmm;
  features.avx512 = features.avx2 && (b & kAvx512Bits) == kAvx512Bits && (c & kVnni) != 0 && (saved & kZmm) == kZmm;
  return features;
}
#endif

}  // namespace

const Ops& plain_ops() { return kPlain; }

std::vector<const Ops*> available_cpu_ops() {
  std::vector<const Ops*> available;
#if defined(QUIRE_X86)
  const Features features = find_features();
  if (features.avx512) available.push_back(&kAvx512);
  if (features.avx2) available.push_back(&kAvx2);
#endif
  available.push_back(&kPlain);
  return available;
}

const Ops& choose_cpu_ops(const char* name) {
  const std::vector<const Ops*> available = available_cpu_ops();
  if (std::strcmp(name, "auto") == 0) return *available.front();
  for (const Ops* ops : available)
    if (std::strcmp(name, ops->name) == 0) return *ops;
  std::string names = "auto";
  for (const Ops* ops : available) names += std::string(", ") + ops->name;
  throw Error("bad-option", std::string("this processor has no CPU backend \"") + name + "\"; it has " + names, "cpu");
}

}  // namespace quire
