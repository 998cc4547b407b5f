// memory_handle.cpp — see memory_handle.h.
#include "native/addon/memory_handle.h"

#include <cinttypes>
#include <cstdio>

#include "native/addon/arguments.h"
#include "native/addon/async_call.h"
#include "native/decode/generate.h"
#include "native/memory/segment.h"

namespace quire {
namespace {

Summary summary_of(const std::string& name) {
  if (name == "mean-spread") return Summary::kMeanSpread;
  if (name == "min-max") return Summary::kMinMax;
  throw Error("bad-option", "summary must be mean-spread or min-max", "summary");
}

Vote vote_of(const std::string& name) {
  if (name == "softmax") return Vote::kSoftmax;
  if (name == "max") return Vote::kMax;
  if (name == "per-head") return Vote::kPerHead;
  throw Error("bad-option", "vote must be softmax, max or per-head", "vote");
}

RopeScaling rope_of(const Napi::Object& object) {
  RopeScaling rope;
  rope.factor = static_cast<float>(number_of(object, "factor"));
  rope.original_context = integer_of(object, "originalContext", 0, int64_t{1} << 31);
  return rope;
}

constexpr int64_t kMaxCount = int64_t{1} << 30;

Selection selection_of(const Napi::Object& object) {
  Selection selection;
  selection.page_budget = integer_of(object, "pageBudget", 0, kMaxCount);
  selection.vote = vote_of(string_of(object, "vote"));
  selection.spread_factor = static_cast<float>(number_of(object, "spreadFactor"));
  selection.sink_pages = integer_of(object, "sinkPages", 0, kMaxCount);
  selection.recent_pages = integer_of(object, "recentPages", 0, kMaxCount);
  selection.dense_layers = integer_of(object, "denseLayers", 0, kMaxCount);
  selection.force = bool_of(object, "force");
  selection.observe = bool_of(object, "observe");
  check_selection(selection);
  return selection;
}

// How a chunk is read: densely where nothing, or a page budget of 0, is given.
struct Reading {
  bool sparse = false;
  Selection selection;
  const Selection* get() const { return sparse ? &selection : nullptr; }
};

Reading reading_of(const Napi::Value& value) {
  Reading reading;
  if (value.IsUndefined()) return reading;
  reading.selection = selection_of(object_of(value, "reading"));
  reading.sparse = reading.selection.page_budget > 0;
  return reading;
}

GenerateOptions generate_options_of(const Napi::Object& object) {
  GenerateOptions options;
  options.max_tokens = integer_of(object, "maxTokens", 0, kMaxCount);
  const Napi::Object sampling = object_of(object.Get("sampling"), "sampling");
  options.sampling.temperature = static_cast<float>(number_of(sampling, "temperature"));
  options.sampling.top_k = integer_of(sampling, "topK", 0, kMaxCount);
  options.sampling.top_p = static_cast<float>(number_of(sampling, "topP"));
  options.sampling.min_p = static_cast<float>(number_of(sampling, "minP"));
  options.sampling.repeat_penalty = static_cast<float>(number_of(sampling, "repeatPenalty"));
  options.sampling.seed = static_cast<uint64_t>(integer_of(sampling, "seed", 0, int64_t{1} << 53));
  options.selection = selection_of(object_of(object.Get("selection"), "selection"));
  options.stop_tokens = integer_list_of(object, "stopTokens");
  options.page_mass = bool_of(object, "pageMass");
  if (object.Has("forced") && !object.Get("forced").IsUndefined())
    options.forced = integers_of(object.Get("forced"), "forced");
  options.logits = object.Has("logits") && object.Get("logits").ToBoolean().Value();
  if (object.Has("draftFrom") && !object.Get("draftFrom").IsUndefined())
    options.draft_from = integers_of(object.Get("draftFrom"), "draftFrom");
  return options;
}

Napi::Value to_js(Napi::Env env, const GenerateResult& result) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("tokens", to_js_integers(env, result.tokens));
  object.Set("stop", result.stop);
  object.Set("seconds", result.seconds);
  object.Set("pagesScored", static_cast<double>(result.counts.scored));
  object.Set("pagesSelected", static_cast<double>(result.counts.selected));
  object.Set("pagesAttended", static_cast<double>(result.counts.attended));
  object.Set("pagesTotal", static_cast<double>(result.counts.total));
  object.Set("drafted", static_cast<double>(result.drafted));
  object.Set("accepted", static_cast<double>(result.accepted));
  const double captured =
      result.counts.observed > 0 ? result.counts.captured / static_cast<double>(result.counts.observed) : 0;
  object.Set("capturedMass", captured);
  object.Set("pageMass", result.page_mass.empty() ? env.Null() : to_js_floats(env, result.page_mass).As<Napi::Value>());
  object.Set("logProbabilities", to_js_floats(env, result.log_probabilities));
  object.Set("logits", result.logits.empty() ? env.Null() : to_js_floats(env, result.logits).As<Napi::Value>());
  return object;
}

}  // namespace

Napi::Function MemoryHandle::define(Napi::Env env) {
  return DefineClass(
      env, "Memory",
      {StaticValue("abi", Napi::Number::New(env, kEngineAbi), napi_enumerable),
       InstanceAccessor<&MemoryHandle::documents>("documents"), InstanceAccessor<&MemoryHandle::tokens>("tokens"),
       InstanceAccessor<&MemoryHandle::pages>("pages"), InstanceAccessor<&MemoryHandle::free_pages>("freePages"),
       InstanceMethod<&MemoryHandle::append>("append"), InstanceMethod<&MemoryHandle::truncate>("truncate"),
       InstanceMethod<&MemoryHandle::split>("split"), InstanceMethod<&MemoryHandle::set_aside>("setAside"),
       InstanceMethod<&MemoryHandle::bring_back>("bringBack"), InstanceMethod<&MemoryHandle::drop>("drop"),
       InstanceMethod<&MemoryHandle::generate>("generate"),
       InstanceMethod<&MemoryHandle::append_with_logits>("appendWithLogits"),
       InstanceMethod<&MemoryHandle::save_document>("saveDocument"),
       InstanceMethod<&MemoryHandle::load_document>("loadDocument"), InstanceMethod<&MemoryHandle::cancel>("cancel"),
       InstanceMethod<&MemoryHandle::digest>("digest"), InstanceMethod<&MemoryHandle::dispose>("dispose")});
}

MemoryHandle::MemoryHandle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<MemoryHandle>(info) {
  guarded(info.Env(), [&] {
    const auto* model = ModelHandle::Unwrap(object_of(info[0], "model"));
    const Napi::Object options = object_of(info[1], "options");
    state_ = std::make_shared<MemoryState>(model->state(), integer_of(options, "pages", 1, int64_t{1} << 26),
                                           summary_of(string_of(options, "summary")),
                                           rope_of(object_of(options.Get("rope"), "rope")));
  });
}

MemoryState& MemoryHandle::idle() {
  if (!state_) throw Error("disposed", "the memory was disposed", "Memory");
  if (state_->model->busy) throw Error("busy", "the engine is busy with another call", "Memory");
  return *state_;
}

std::shared_ptr<MemoryState> MemoryHandle::begin() {
  idle();
  if (state_->model->busy.exchange(true)) throw Error("busy", "the engine is busy with another call", "Memory");
  state_->cancel = false;
  return state_;
}

Napi::Value MemoryHandle::documents(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Memory& memory = idle().memory;
    Napi::Array array = Napi::Array::New(env);
    for (size_t i = 0; i < memory.documents().size(); ++i) {
      const Document& document = memory.documents()[i];
      Napi::Object span = Napi::Object::New(env);
      span.Set("tokens", static_cast<double>(document.tokens));
      span.Set("pages", static_cast<double>(memory.document_pages(static_cast<int64_t>(i))));
      span.Set("position", static_cast<double>(document.position));
      array.Set(static_cast<uint32_t>(i), span);
    }
    return array;
  });
}

Napi::Value MemoryHandle::tokens(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(idle().memory.tokens()));
  });
}

Napi::Value MemoryHandle::pages(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(idle().memory.pages()));
  });
}

Napi::Value MemoryHandle::free_pages(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(idle().memory.free_pages()));
  });
}

Napi::Value MemoryHandle::append(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const std::vector<int32_t> tokens = integers_of(info[0], "tokens");
    const std::vector<int32_t> starts = integers_of(info[1], "starts");
    const Reading reading = reading_of(info[2]);
    const std::shared_ptr<MemoryState> state = begin();
    return AsyncCall<bool>::start(
        env, info.This().As<Napi::Object>(),
        [state, tokens, starts, reading] {
          state->decoder->prefill(tokens, starts, state->cancel, nullptr, reading.get());
          return true;
        },
        [](Napi::Env result_env, bool&) { return result_env.Undefined(); }, [state] { state->model->busy = false; });
  });
}

Napi::Value MemoryHandle::append_with_logits(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const std::vector<int32_t> tokens = integers_of(info[0], "tokens");
    const std::vector<int32_t> starts = integers_of(info[1], "starts");
    const Reading reading = reading_of(info[2]);
    const std::shared_ptr<MemoryState> state = begin();
    return AsyncCall<std::vector<float>>::start(
        env, info.This().As<Napi::Object>(),
        [state, tokens, starts, reading] {
          std::vector<float> logits;
          state->decoder->prefill(tokens, starts, state->cancel, &logits, reading.get());
          return logits;
        },
        [](Napi::Env result_env, std::vector<float>& logits) -> Napi::Value {
          return to_js_floats(result_env, logits);
        },
        [state] { state->model->busy = false; });
  });
}

void MemoryHandle::truncate(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    MemoryState& state = idle();
    const auto held = static_cast<int64_t>(state.memory.documents().size());
    const int64_t count = integer_of(info[0], "count", 0, held);
    int64_t tokens = count > 0 ? state.memory.documents()[static_cast<size_t>(count - 1)].tokens : 0;
    if (count > 0 && !info[1].IsUndefined()) tokens = integer_of(info[1], "tokens", 0, tokens);
    const int32_t shortened = state.memory.truncate(count, tokens);
    const PageList list = state.memory.list();
    if (shortened >= 0) state.decoder->summarize_page(shortened, list.count[list.pages - 1]);
    state.decoder->forget_last();
  });
}

void MemoryHandle::split(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    Memory& memory = idle().memory;
    const int64_t index = integer_of(info[0], "index", 0, static_cast<int64_t>(memory.documents().size()) - 1);
    memory.split(index, integer_of(info[1], "page", 1, memory.document_pages(index) - 1));
  });
}

void MemoryHandle::set_aside(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    MemoryState& state = idle();
    const auto held = static_cast<int64_t>(state.memory.documents().size());
    state.memory.set_aside(integer_of(info[0], "first", 0, held));
    state.decoder->forget_last();
  });
}

void MemoryHandle::bring_back(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    MemoryState& state = idle();
    state.memory.bring_back();
    state.decoder->forget_last();
  });
}

void MemoryHandle::drop(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    MemoryState& state = idle();
    const auto held = static_cast<int64_t>(state.memory.documents().size());
    const int64_t first = integer_of(info[0], "first", 0, held);
    state.memory.drop(first, integer_of(info[1], "count", 0, held - first));
    state.decoder->forget_last();
  });
}

Napi::Value MemoryHandle::generate(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const GenerateOptions options = generate_options_of(object_of(info[0], "options"));
    if (!info[1].IsFunction()) throw Error("bad-option", "onTokens must be a function", "onTokens");
    const std::shared_ptr<MemoryState> state = begin();
    auto hand_out =
        Napi::ThreadSafeFunction::New(env, info[1].As<Napi::Function>(), "quire tokens", 0 /* no queue limit */, 1);
    return AsyncCall<GenerateResult>::start(
        env, info.This().As<Napi::Object>(),
        [state, options, hand_out] {
          return state->decoder->generate(options, state->cancel, [&](int32_t token) {
            hand_out.NonBlockingCall([token](Napi::Env call_env, Napi::Function on_tokens) {
              on_tokens.Call({to_js_integers(call_env, {token})});
            });
          });
        },
        [](Napi::Env result_env, GenerateResult& result) { return to_js(result_env, result); },
        [state, hand_out]() mutable {
          hand_out.Release();
          state->model->busy = false;
        });
  });
}

Napi::Value MemoryHandle::save_document(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const int64_t index = integer_of(info[0], "index", 0, int64_t{1} << 31);
    const std::vector<int32_t> tokens = integers_of(info[1], "tokens");
    const SegmentName name = segment_name(string_of(info[2], "name"));
    const std::string file = string_of(info[3], "file");
    const std::shared_ptr<MemoryState> state = begin();
    return AsyncCall<int64_t>::start(
        env, info.This().As<Napi::Object>(),
        [state, index, tokens, name, file] {
          const auto& documents = state->memory.documents();
          if (index < static_cast<int64_t>(documents.size()))
            state->decoder->fetch_pages(documents[static_cast<size_t>(index)].first_page,
                                        state->memory.document_pages(index));
          return save_segment(state->memory, index, tokens, name, file, state->cancel);
        },
        [](Napi::Env result_env, int64_t& bytes) -> Napi::Value {
          return Napi::Number::New(result_env, static_cast<double>(bytes));
        },
        [state] { state->model->busy = false; });
  });
}

Napi::Value MemoryHandle::load_document(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const std::vector<int32_t> tokens = integers_of(info[0], "tokens");
    const SegmentName name = segment_name(string_of(info[1], "name"));
    const std::string file = string_of(info[2], "file");
    const Napi::Object given = object_of(info[3], "part");
    SegmentPart part;
    part.segment_tokens = integer_of(given, "segmentTokens", 1, kMaxCount);
    part.first_page = integer_of(given, "page", 0, kMaxCount);
    part.position = integer_of(given, "position", 0, int64_t{1} << 40);
    const std::shared_ptr<MemoryState> state = begin();
    return AsyncCall<LoadOutcome>::start(
        env, info.This().As<Napi::Object>(),
        [state, tokens, part, name, file] {
          LoadOutcome outcome = load_segment(state->memory, tokens, part, name, file, state->cancel);
          if (outcome.kind == LoadOutcome::kLoaded) {
            state->decoder->store_pages(state->memory.documents().back().first_page,
                                        state->memory.pages() - state->memory.documents().back().first_page);
            state->decoder->forget_last();  // the hidden state of its last token is not in the file
          }
          return outcome;
        },
        [](Napi::Env result_env, LoadOutcome& outcome) -> Napi::Value {
          constexpr const char* kNames[] = {"loaded", "absent", "refused"};
          Napi::Object object = Napi::Object::New(result_env);
          object.Set("outcome", kNames[outcome.kind]);
          object.Set("reason", outcome.reason);
          return object;
        },
        [state] { state->model->busy = false; });
  });
}

void MemoryHandle::cancel(const Napi::CallbackInfo&) {
  if (state_) state_->cancel = true;
}

Napi::Value MemoryHandle::digest(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    MemoryState& state = idle();
    state.decoder->fetch_pages(0, state.memory.pages());
    char hex[17];
    std::snprintf(hex, sizeof hex, "%016" PRIx64, state.memory.digest());
    return Napi::String::New(info.Env(), hex);
  });
}

void MemoryHandle::dispose(const Napi::CallbackInfo&) {
  if (state_) state_->cancel = true;
  state_.reset();
}

}  // namespace quire
