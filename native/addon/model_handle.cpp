// model_handle.cpp — see model_handle.h.
#include "native/addon/model_handle.h"

#include <thread>

#include "native/addon/addon_data.h"
#include "native/addon/arguments.h"
#include "native/addon/async_call.h"
#include "native/addon/backend.h"
#include "native/memory/memory.h"

namespace quire {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 53;  // what a JavaScript number holds exactly

Geometry geometry_of(const Napi::Object& object) {
  Geometry g;
  const std::string architecture = string_of(object, "architecture");
  if (architecture == "llama")
    g.architecture = Architecture::kLlama;
  else if (architecture == "qwen2")
    g.architecture = Architecture::kQwen2;
  else
    throw Error("unsupported-model", "the architecture " + architecture + " is not supported", "general.architecture");
  g.layers = integer_of(object, "layers", 0, kMaxSize);
  g.heads = integer_of(object, "heads", 0, kMaxSize);
  g.kv_heads = integer_of(object, "kvHeads", 0, kMaxSize);
  g.head_size = integer_of(object, "headSize", 0, kMaxSize);
  g.embedding = integer_of(object, "embedding", 0, kMaxSize);
  g.feed_forward = integer_of(object, "feedForward", 0, kMaxSize);
  g.vocabulary = integer_of(object, "vocabulary", 0, kMaxSize);
  g.context = integer_of(object, "context", 0, kMaxSize);
  g.norm_epsilon = static_cast<float>(number_of(object, "normEpsilon"));
  g.rope_base = static_cast<float>(number_of(object, "ropeBase"));
  return g;
}

std::vector<TensorEntry> tensors_of(const Napi::Value& value) {
  if (!value.IsArray()) throw Error("bad-option", "tensors must be an array", "tensors");
  const auto array = value.As<Napi::Array>();
  std::vector<TensorEntry> tensors;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Object entry = object_of(array.Get(i), "tensors");
    TensorEntry tensor;
    tensor.name = string_of(entry, "name");
    tensor.type = static_cast<int32_t>(integer_of(entry, "type", 0, 1 << 20));
    tensor.offset = integer_of(entry, "offset", 0, kMaxSize);
    const Napi::Value shape = entry.Get("shape");
    if (!shape.IsArray()) throw Error("bad-option", "shape must be an array", tensor.name);
    const auto dimensions = shape.As<Napi::Array>();
    for (uint32_t d = 0; d < dimensions.Length() && d < 8; ++d)
      tensor.shape.push_back(integer_of(dimensions.Get(d), "shape", 0, kMaxSize));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

int thread_count(int64_t asked) {
  if (asked > 0) return static_cast<int>(asked);
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

Napi::Function ModelHandle::define(Napi::Env env) {
  return DefineClass(env, "Model",
                     {InstanceAccessor<&ModelHandle::info>("info"), InstanceMethod<&ModelHandle::dispose>("dispose")});
}

ModelHandle::ModelHandle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ModelHandle>(info) {
  // Only openModel makes one: it hands over the state as an external value.
  guarded(info.Env(), [&] {
    if (info.Length() != 1 || !info[0].IsExternal()) throw Error("bad-option", "a Model is made by openModel", "Model");
    state_ = *info[0].As<Napi::External<std::shared_ptr<ModelState>>>().Data();
  });
}

const std::shared_ptr<ModelState>& ModelHandle::state() const {
  if (!state_) throw Error("disposed", "the model was disposed", "Model");
  return state_;
}

Napi::Value ModelHandle::info(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const ModelState& model = *state();
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("backend", backend_name(model));
    result.Set("threads", model.pool.threads());
    result.Set("weightBytes", static_cast<double>(model.weights.bytes));
    result.Set("pageBytes", static_cast<double>(Memory::page_bytes(model.weights.geometry)));
    result.Set("workBytes", static_cast<double>(work_bytes(model)));
    return result;
  });
}

void ModelHandle::dispose(const Napi::CallbackInfo&) { state_.reset(); }

Napi::Value open_model_call(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Napi::Object options = object_of(info[0], "options");
    const std::string path = string_of(options, "path");
    const Geometry geometry = geometry_of(object_of(options.Get("geometry"), "geometry"));
    std::vector<TensorEntry> tensors = tensors_of(options.Get("tensors"));
    const int threads = thread_count(integer_of(options, "threads", 0, 1024));
    const Ops& ops = choose_cpu_ops(string_of(options, "cpu").c_str());
    using State = std::shared_ptr<ModelState>;
    return AsyncCall<State>::start(
        env, Napi::Object(),
        [path, geometry, tensors = std::move(tensors), threads, &ops] {
          auto state = std::make_shared<ModelState>(threads, ops);
          state->weights = open_model(path, geometry, tensors, state->pool);
          place_model(*state);
          return state;
        },
        [](Napi::Env result_env, State& state) -> Napi::Value {
          return addon_data(result_env).model.New({Napi::External<State>::New(result_env, &state)});
        });
  });
}

}  // namespace quire
