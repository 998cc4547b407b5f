// memory_handle.h — the JavaScript handle of a memory and of the forward pass that fills it.
#pragma once

#include <napi.h>

#include <atomic>
#include <memory>

#include "native/addon/backend.h"
#include "native/addon/model_handle.h"
#include "native/decode/decoder.h"

namespace quire {

// Shared by the handle and the call under way.
struct MemoryState {
  MemoryState(std::shared_ptr<ModelState> of, int64_t pages, Summary summary, const RopeScaling& rope)
      : model(std::move(of)),
        memory(model->weights.geometry, pages, summary),
        decoder(make_decoder(*model, memory, rope)) {}
  std::shared_ptr<ModelState> model;
  Memory memory;
  std::unique_ptr<Decoder> decoder;
  std::atomic<bool> cancel{false};
};

class MemoryHandle : public Napi::ObjectWrap<MemoryHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit MemoryHandle(const Napi::CallbackInfo& info);

 private:
  Napi::Value documents(const Napi::CallbackInfo& info);
  Napi::Value tokens(const Napi::CallbackInfo& info);
  Napi::Value pages(const Napi::CallbackInfo& info);
  Napi::Value free_pages(const Napi::CallbackInfo& info);
  Napi::Value append(const Napi::CallbackInfo& info);
  void truncate(const Napi::CallbackInfo& info);
  void split(const Napi::CallbackInfo& info);
  void set_aside(const Napi::CallbackInfo& info);
  void bring_back(const Napi::CallbackInfo& info);
  void drop(const Napi::CallbackInfo& info);
  Napi::Value generate(const Napi::CallbackInfo& info);
  Napi::Value append_with_logits(const Napi::CallbackInfo& info);
  Napi::Value save_document(const Napi::CallbackInfo& info);
  Napi::Value load_document(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);
  Napi::Value digest(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  // The state, neither disposed nor in use by a call under way. Throws "disposed", "busy".
  MemoryState& idle();
  // Marks the model busy and clears an old cancel. Throws like idle.
  std::shared_ptr<MemoryState> begin();

  std::shared_ptr<MemoryState> state_;
};

}  // namespace quire
