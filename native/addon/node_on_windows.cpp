// node_on_windows.cpp — where an addon on Windows finds Node's functions: in the program that loaded it, whatever its name.
//
// node-on-windows.cmake tells how this takes the place of an import library. Empty elsewhere.
#if defined(_WIN32)

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

extern "C" {
#define QUIRE_NODE_FUNCTION(name) FARPROC __imp_##name = nullptr;
#include "node_functions.inc"
#undef QUIRE_NODE_FUNCTION
}

namespace {

// Before main of the addon: Node calls its first function only after the loader has run this. A function that this Node does
// not have stays null; NAPI_VERSION keeps us from those.
[[gnu::constructor]] void find_functions() {
  const HMODULE program = GetModuleHandleW(nullptr);
#define QUIRE_NODE_FUNCTION(name) __imp_##name = GetProcAddress(program, #name);
#include "node_functions.inc"
#undef QUIRE_NODE_FUNCTION
}

}  // namespace

#endif
