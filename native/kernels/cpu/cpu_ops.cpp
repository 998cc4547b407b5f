// cpu_ops.cpp — the op tables of the CPU and the choice among them.
//
// A table is offered only where the processor has its instructions and the system saves its registers (xgetbv).
#include <cstring>
#include <string>
#include <vector>

#include "native/core/error.h"
#include "native/kernels/cpu/op_functions.h"

namespace quire {
namespace {

const Ops kPlain = {
    "plain",       plain::embed, plain::norm,   plain::quantize, plain::matmul, plain::rope, plain::append,
    plain::summarize, plain::score, plain::select, plain::attend,   plain::swiglu,
};

}  // namespace

const Ops& plain_ops() { return kPlain; }

std::vector<const Ops*> available_cpu_ops() { return {&kPlain}; }

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
