// addon.cpp — the table of contents of the addon: the names of index.d.ts, in its order.
#include <napi.h>

#include "native/addon/addon_data.h"
#include "native/addon/machine.h"
#include "native/addon/memory_handle.h"
#include "native/addon/model_handle.h"

namespace quire {
namespace {

constexpr int kSurface = 2;  // index.d.ts says when it is raised

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  auto* data = new AddonData;  // owned by the environment
  const Napi::Function model = ModelHandle::define(env);
  const Napi::Function memory = MemoryHandle::define(env);
  data->model = Napi::Persistent(model);
  data->memory = Napi::Persistent(memory);
  env.SetInstanceData(data);
  exports.Set("surface", Napi::Number::New(env, kSurface));
  exports.Set("Model", model);
  exports.Set("Memory", memory);
  exports.Set("machine", Napi::Function::New(env, machine_call, "machine"));
  exports.Set("openModel", Napi::Function::New(env, open_model_call, "openModel"));
  return exports;
}

}  // namespace
}  // namespace quire

static Napi::Object initialize_quire(Napi::Env env, Napi::Object exports) { return quire::initialize(env, exports); }
NODE_API_MODULE(quire, initialize_quire)
