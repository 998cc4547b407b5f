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

const Ops kPlain = {
    "plain",          plain::embed, plain::norm,   plain::quantize, plain::matmul, plain::rope, plain::append,
    plain::summarize, plain::score, plain::select, plain::attend,   plain::swiglu,
};

#if defined(QUIRE_X86)
const Ops kAvx2 = {
    "avx2",           plain::embed, avx2::norm,    avx2::quantize, avx2::matmul, plain::rope, plain::append,
    plain::summarize, plain::score, plain::select, plain::attend,  avx2::swiglu,
};

const Ops kAvx512 = {
    "avx512-vnni",    plain::embed, avx512::norm,  avx512::quantize, avx512::matmul, plain::rope, plain::append,
    plain::summarize, plain::score, plain::select, plain::attend,    avx512::swiglu,
};

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
  constexpr uint32_t kAvx2 = 1u << 5, kBmi2 = 1u << 8;
  constexpr uint32_t kAvx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // F, DQ, BW, VL
  constexpr uint32_t kVnni = 1u << 11;
  constexpr uint64_t kYmm = 0x6, kZmm = 0xe6;  // xmm and ymm; mask registers and both halves of zmm too
  Features features;
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kOsxsave) == 0 || (c & kAvx) == 0) return features;
  const bool fused = (c & kFma) != 0 && (c & kF16c) != 0;
  const uint64_t saved = saved_registers();
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return features;
  features.avx2 = fused && (b & kAvx2) != 0 && (b & kBmi2) != 0 && (saved & kYmm) == kYmm;
  features.avx512 = features.avx2 && (b & kAvx512) == kAvx512 && (c & kVnni) != 0 && (saved & kZmm) == kZmm;
  return features;
}
#endif

}  // namespace

const Ops& plain_ops() { return kPlain; }

std::vector<const Ops*> available_cpu_ops() {
  std::vector<const Ops*> available;
#if defined(QUIRE_X86)
  const Features features = find_features();
  if (features.avx512) available.push_back(&quire::kAvx512);
  if (features.avx2) available.push_back(&quire::kAvx2);
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
