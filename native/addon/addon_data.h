// addon_data.h — what the addon keeps per JavaScript environment (a worker thread has its own): its constructors.
#pragma once

#include <napi.h>

namespace quire {

struct AddonData {
  Napi::FunctionReference model;
  Napi::FunctionReference memory;
};

inline AddonData& addon_data(Napi::Env env) { return *env.GetInstanceData<AddonData>(); }

}  // namespace quire
