// arguments.cpp — see arguments.h.
#include "native/addon/arguments.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace quire {
namespace {

[[noreturn]] void refuse(const char* field, const std::string& what) {
  throw Error("bad-option", std::string(field) + " must be " + what, field);
}

}  // namespace

Napi::Object object_of(const Napi::Value& value, const char* field) {
  if (!value.IsObject()) refuse(field, "an object");
  return value.As<Napi::Object>();
}

std::string string_of(const Napi::Value& value, const char* field) {
  if (!value.IsString()) refuse(field, "a string");
  return value.As<Napi::String>().Utf8Value();
}

std::string string_of(const Napi::Object& object, const char* field) { return string_of(object.Get(field), field); }

bool bool_of(const Napi::Object& object, const char* field) {
  const Napi::Value value = object.Get(field);
  if (!value.IsBoolean()) refuse(field, "true or false");
  return value.As<Napi::Boolean>().Value();
}

double number_of(const Napi::Object& object, const char* field) {
  const Napi::Value value = object.Get(field);
  if (!value.IsNumber() || !std::isfinite(value.As<Napi::Number>().DoubleValue())) refuse(field, "a finite number");
  return value.As<Napi::Number>().DoubleValue();
}

int64_t integer_of(const Napi::Value& value, const char* field, int64_t low, int64_t high) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!(number >= static_cast<double>(low) && number <= static_cast<double>(high)) || number != std::floor(number))
    refuse(field, "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  return static_cast<int64_t>(number);
}

int64_t integer_of(const Napi::Object& object, const char* field, int64_t low, int64_t high) {
  return integer_of(object.Get(field), field, low, high);
}

std::vector<int32_t> integers_of(const Napi::Value& value, const char* field) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array)
    refuse(field, "an Int32Array");
  const auto array = value.As<Napi::Int32Array>();
  return std::vector<int32_t>(array.Data(), array.Data() + array.ElementLength());
}

std::vector<int32_t> integer_list_of(const Napi::Object& object, const char* field) {
  const Napi::Value value = object.Get(field);
  if (!value.IsArray()) refuse(field, "an array");
  const auto array = value.As<Napi::Array>();
  std::vector<int32_t> result;
  for (uint32_t i = 0; i < array.Length(); ++i)
    result.push_back(static_cast<int32_t>(
        integer_of(array.Get(i), field, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max())));
  return result;
}

Napi::Int32Array to_js_integers(Napi::Env env, const std::vector<int32_t>& values) {
  Napi::Int32Array array = Napi::Int32Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

Napi::Float32Array to_js_floats(Napi::Env env, const std::vector<float>& values) {
  Napi::Float32Array array = Napi::Float32Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

}  // namespace quire
