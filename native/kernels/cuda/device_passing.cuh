// device_passing.cuh — loads of weights for one token: they pass through the second-level cache and push nothing else out of it.
//
// A token reads every weight once; a layer of an 8B has 150 MB of them, three times that cache. Whatever every layer uses (the kernels'
// instructions, the list of pages, activations) would be pushed out between two uses and come from memory each time. So these lines
// are marked as the first to go. It changes no result; a token of the 7B takes 2.05 instead of 2.19 ms (H200, nothing in memory).
// Only on compute capability 9.0, where it was measured: elsewhere, and with kOnce false, they are ordinary loads. Copies to shared
// memory (cp.async) with this policy ended as an illegal instruction on an H200 (nvcc 13.0), so summaries and pages have none.
#pragma once

#include <cstdint>

namespace quire::cuda {

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ == 900
constexpr bool kHints = true;
#else
constexpr bool kHints = false;
#endif
// What createpolicy.fractional.L2::evict_first makes, as CUTLASS writes it down (cute::TMA::CacheHintSm90).
constexpr uint64_t kGoesFirst = 0x12F0000000000000ull;

template <bool kOnce>
__device__ uint32_t load_weight(const uint32_t* p) {
  if (!kOnce || !kHints) return __ldg(p);
  uint32_t v;
  asm volatile("ld.global.nc.L2::cache_hint.u32 %0, [%1], %2;" : "=r"(v) : "l"(p), "l"(kGoesFirst));
  return v;
}
template <bool kOnce>
__device__ uint2 load_weight(const uint2* p) {
  if (!kOnce || !kHints) return __ldg(p);
  uint2 v;
  asm volatile("ld.global.nc.L2::cache_hint.v2.u32 {%0,%1}, [%2], %3;"
               : "=r"(v.x), "=r"(v.y)
               : "l"(p), "l"(kGoesFirst));
  return v;
}
template <bool kOnce>
__device__ uint4 load_weight(const uint4* p) {
  if (!kOnce || !kHints) return __ldg(p);
  uint4 v;
  asm volatile("ld.global.nc.L2::cache_hint.v4.u32 {%0,%1,%2,%3}, [%4], %5;"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p), "l"(kGoesFirst));
  return v;
}
// The same past the first-level cache, for what no other thread reads.
template <bool kOnce>
__device__ uint4 load_stream(const uint8_t* p) {
  uint4 v;
  if (kOnce && kHints)
    asm volatile("ld.global.nc.L1::no_allocate.L2::cache_hint.v4.u32 {%0,%1,%2,%3}, [%4], %5;"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p), "l"(kGoesFirst));
  else
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p));
  return v;
}

}  // namespace quire::cuda
