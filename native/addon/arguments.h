// arguments.h — what arrives from JavaScript, checked and typed. Every refusal is "bad-option" and names the field.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "native/core/error.h"

namespace quire {

// A property that must be there.
Napi::Object object_of(const Napi::Value& value, const char* field);
std::string string_of(const Napi::Value& value, const char* field);
std::string string_of(const Napi::Object& object, const char* field);
bool bool_of(const Napi::Object& object, const char* field);
double number_of(const Napi::Object& object, const char* field);
// A whole number within [low, high].
int64_t integer_of(const Napi::Object& object, const char* field, int64_t low, int64_t high);
int64_t integer_of(const Napi::Value& value, const char* field, int64_t low, int64_t high);
// An Int32Array, copied.
std::vector<int32_t> integers_of(const Napi::Value& value, const char* field);
// An array of whole numbers within int32.
std::vector<int32_t> integer_list_of(const Napi::Object& object, const char* field);

Napi::Int32Array to_js_integers(Napi::Env env, const std::vector<int32_t>& values);
Napi::Float32Array to_js_floats(Napi::Env env, const std::vector<float>& values);

}  // namespace quire
