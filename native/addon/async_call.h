// async_call.h — the one template of every promise: work on a thread of libuv's pool, the result made on JavaScript's.
//
// `work` touches no JavaScript. `self` is referenced while it runs, so that a handle is not collected under it.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "native/addon/errors.h"

namespace quire {

template <typename Result>
class AsyncCall : public Napi::AsyncWorker {
 public:
  using Work = std::function<Result()>;
  using Finish = std::function<Napi::Value(Napi::Env, Result&)>;
  using Always = std::function<void()>;

  // always: runs on JavaScript's thread after the work, before the promise settles, whatever happened.
  static Napi::Promise start(Napi::Env env, Napi::Object self, Work work, Finish finish, Always always = {}) {
    auto* call = new AsyncCall(env, self, std::move(work), std::move(finish), std::move(always));  // deletes itself
    const Napi::Promise promise = call->deferred_.Promise();
    call->Queue();
    return promise;
  }

 private:
  AsyncCall(Napi::Env env, Napi::Object self, Work work, Finish finish, Always always)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        self_(self.IsEmpty() ? Napi::ObjectReference() : Napi::Persistent(self)),
        work_(std::move(work)),
        finish_(std::move(finish)),
        always_(std::move(always)) {}

  void Execute() override {
    try {
      result_.emplace(work_());
    } catch (const Error& error) {
      failure_.emplace(error);
    } catch (const std::bad_alloc&) {
      failure_.emplace("out-of-memory", "the system has no memory left");
    } catch (const std::exception& error) {
      failure_.emplace("internal", error.what());
    }
  }

  void OnOK() override {
    const Napi::HandleScope scope(Env());
    if (always_) always_();
    if (failure_) {
      deferred_.Reject(to_js(Env(), *failure_).Value());
      return;
    }
    try {
      deferred_.Resolve(finish_(Env(), *result_));
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    }
  }

  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference self_;
  Work work_;
  Finish finish_;
  Always always_;
  std::optional<Result> result_;
  std::optional<Error> failure_;
};

}  // namespace quire
