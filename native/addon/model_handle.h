// model_handle.h — the JavaScript handle of a model: its weights, its ops and its threads.
#pragma once

#include <napi.h>

#include <atomic>
#include <memory>

#include "native/core/thread_pool.h"
#include "native/kernels/ops.h"
#include "native/model/model.h"

namespace quire {

// Shared by the handle, its memories and the calls under way; freed by the last of them.
struct ModelState {
  ModelState(int threads, const Ops& chosen) : pool(threads), ops(chosen) {}
  ThreadPool pool;
  const Ops& ops;
  ModelWeights weights;
  std::shared_ptr<void> device;   // the weights there, where this addon's backend has one (backend.cpp)
  std::atomic<bool> busy{false};  // the pool has one caller at a time
};

class ModelHandle : public Napi::ObjectWrap<ModelHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit ModelHandle(const Napi::CallbackInfo& info);
  // Throws "disposed".
  const std::shared_ptr<ModelState>& state() const;

 private:
  Napi::Value info(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);
  std::shared_ptr<ModelState> state_;
};

// openModel(options): Promise<Model>
Napi::Value open_model_call(const Napi::CallbackInfo& info);

}  // namespace quire
