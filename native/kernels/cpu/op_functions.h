// op_functions.h — the functions behind the CPU op tables, by instruction set. Arguments and meaning: kernels/ops.h.
//
// plain: loops in portable C++, the meaning of each op. avx2 and avx512: the same op with the instructions of that level;
// their sources are compiled with its flags, so they are only called when the processor and the system have it
// (cpu_ops.cpp). A level declares only what it has; its table borrows the rest from a lower level.
#pragma once

#include "native/kernels/ops.h"

namespace quire {

namespace plain {
void embed(const EmbedArgs& args, const Run& run);
void norm(const NormArgs& args, const Run& run);
void quantize(const QuantizeArgs& args, const Run& run);
void matmul(const MatmulArgs& args, const Run& run);
void matmul_several(const MatmulArgs* calls, int64_t count, const Run& run);
void rope(const RopeArgs& args, const Run& run);
void append(const AppendArgs& args, const Run& run);
void summarize(const SummarizeArgs& args, const Run& run);
void page_queries(const PageQueriesArgs& args, const Run& run);
void score(const ScoreArgs& args, const Run& run);
void select(const SelectArgs& args, const Run& run);
void attend(const AttendArgs& args, const Run& run);
void attend_several(const AttendArgs* calls, int64_t count, const Run& run);
void swiglu(const SwigluArgs& args, const Run& run);
}  // namespace plain

namespace avx2 {
void norm(const NormArgs& args, const Run& run);
void quantize(const QuantizeArgs& args, const Run& run);
void matmul(const MatmulArgs& args, const Run& run);
void matmul_several(const MatmulArgs* calls, int64_t count, const Run& run);
void score(const ScoreArgs& args, const Run& run);
void attend(const AttendArgs& args, const Run& run);
void attend_several(const AttendArgs* calls, int64_t count, const Run& run);
void swiglu(const SwigluArgs& args, const Run& run);
}  // namespace avx2

namespace avx512 {
void norm(const NormArgs& args, const Run& run);
void quantize(const QuantizeArgs& args, const Run& run);
void matmul(const MatmulArgs& args, const Run& run);
void matmul_several(const MatmulArgs* calls, int64_t count, const Run& run);
void rope(const RopeArgs& args, const Run& run);
void append(const AppendArgs& args, const Run& run);
void summarize(const SummarizeArgs& args, const Run& run);
void score(const ScoreArgs& args, const Run& run);
void attend(const AttendArgs& args, const Run& run);
void attend_several(const AttendArgs* calls, int64_t count, const Run& run);
void swiglu(const SwigluArgs& args, const Run& run);
}  // namespace avx512

}  // namespace quire
