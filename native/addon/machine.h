// machine.h — machine(): what index.d.ts calls Machine.
#pragma once

#include <napi.h>

namespace quire {

Napi::Value machine_call(const Napi::CallbackInfo& info);

}  // namespace quire
