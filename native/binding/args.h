// JavaScript values to checked C++ values and back, and C++ errors to JavaScript errors.
#pragma once

#include <napi.h>

#include <cstdint>
#include <exception>
#include <limits>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/large_pages.h"

namespace ostinato::binding {

// An Error with a `code`; never throws, returns null when the environment is going down.
napi_value make_error(napi_env env, const char* code, const std::string& message);

// What went wrong on another thread, to be told on the JavaScript thread.
struct Failure {
  const char* code = nullptr;  // a string literal; null: nothing went wrong
  std::string message;
  explicit operator bool() const { return code != nullptr; }
};

// The failure that the exception in flight stands for; call it in a catch block.
Failure current_failure() noexcept;

// Runs fn, which returns a napi_value, and turns what it throws into a pending JavaScript
// exception. Every callback from JavaScript goes through here.
template <class Fn>
napi_value guarded(napi_env env, const Fn& fn) noexcept {
  try {
    return fn();
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();
  } catch (...) {
    const Failure failure = current_failure();
    if (napi_value error = make_error(env, failure.code, failure.message)) napi_throw(env, error);
  }
  return nullptr;
}

[[noreturn]] void invalid(const std::string& message);

// a * b * sizeof(T) fits; throws ERR_INVALID_ARGUMENT otherwise.
int64_t checked_product(int64_t a, int64_t b);

// A typed array's memory, valid until JavaScript runs again.
struct View {
  napi_typedarray_type type;
  size_t length;
  void* data;
};

// Throws for anything but a typed array over an ArrayBuffer of its own (shared memory could change
// while it is read). Detached and resized-away views come out with length 0.
View view_of(napi_env env, napi_value value, const char* name);

// Copies of typed arrays of exactly the named kind.
std::vector<float> floats(napi_env env, napi_value value, const char* name);
FloatStorage float_storage(napi_env env, napi_value value, const char* name);
std::vector<int32_t> int32s(napi_env env, napi_value value, const char* name);
std::vector<double> doubles(napi_env env, napi_value value, const char* name);
// Whole numbers, given as Float64Array because they may pass 2^31.
std::vector<int64_t> offsets(napi_env env, napi_value value, const char* name);

int64_t integer(const Napi::Value& value, const char* name, int64_t min, int64_t max);
double number(const Napi::Value& value, const char* name);
bool flag(const Napi::Value& value, const char* name);
std::string text(const Napi::Value& value, const char* name);

int64_t integer(const Napi::Object& from, const char* name, int64_t min, int64_t max);
double number(const Napi::Object& from, const char* name);
bool flag(const Napi::Object& from, const char* name);
std::string text(const Napi::Object& from, const char* name);

// A fresh Float32Array / Float64Array with the values.
napi_value new_floats(napi_env env, const float* values, size_t count);
napi_value new_doubles(napi_env env, const std::vector<double>& values);
// A fresh Float32Array to be filled before JavaScript runs again.
napi_value new_floats(napi_env env, size_t count, float** data);

// Throws when a call to Node-API failed.
void check(napi_env env, napi_status status);

inline constexpr int64_t kMaxThreads = 1024;

}  // namespace ostinato::binding
