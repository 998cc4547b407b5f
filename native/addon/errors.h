// errors.h — the one function that makes a JavaScript error of a native one.
#pragma once

#include <napi.h>

#include "native/core/error.h"

namespace quire {

// An Error with `code` and, unless empty, `where`.
inline Napi::Error to_js(Napi::Env env, const Error& error) {
  Napi::Error made = Napi::Error::New(env, error.what());
  made.Set("code", Napi::String::New(env, error.code()));
  if (!error.where().empty()) made.Set("where", Napi::String::New(env, error.where()));
  return made;
}

// Runs `body` and turns a native error into the JavaScript one; the way of every synchronous call.
template <typename Body>
auto guarded(Napi::Env env, const Body& body) -> decltype(body()) {
  try {
    return body();
  } catch (const Error& error) {
    throw to_js(env, error);
  } catch (const std::bad_alloc&) {
    throw to_js(env, Error("out-of-memory", "the system has no memory left"));
  }
}

}  // namespace quire
