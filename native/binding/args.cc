#include "binding/args.h"

#include <cmath>
#include <cstring>
#include <new>

namespace ostinato::binding {

namespace {

template <class Values>
Values copy(napi_env env, napi_value value, napi_typedarray_type type, const char* kind,
            const char* name) {
  const View view = view_of(env, value, name);
  if (view.type != type) {
    throw Napi::TypeError::New(env, std::string("Expected a ") + kind + " for \"" + name + "\"");
  }
  const auto* values = static_cast<const typename Values::value_type*>(view.data);
  return view.length > 0 ? Values(values, values + view.length) : Values();
}

}  // namespace

napi_value make_error(napi_env env, const char* code, const std::string& message) {
  napi_value code_value, message_value, error;
  if (napi_create_string_utf8(env, code, NAPI_AUTO_LENGTH, &code_value) != napi_ok ||
      napi_create_string_utf8(env, message.data(), message.size(), &message_value) != napi_ok ||
      napi_create_error(env, code_value, message_value, &error) != napi_ok) {
    return nullptr;
  }
  return error;
}

Failure current_failure() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return {error.code(), error.what()};
  } catch (const std::bad_alloc&) {
    return {"ERR_OUT_OF_MEMORY", "Could not allocate memory in the native core"};
  } catch (const std::length_error&) {
    return {"ERR_OUT_OF_MEMORY", "Could not allocate memory in the native core"};
  } catch (const std::exception& error) {
    return {"ERR_NATIVE", error.what()};
  } catch (...) {
    return {"ERR_NATIVE", "Unknown error in the native core"};
  }
}

void invalid(const std::string& message) { throw Error("ERR_INVALID_ARGUMENT", message); }

int64_t checked_product(int64_t a, int64_t b) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max() / 64;
  if (a < 0 || b < 0 || (b > 0 && a > kMost / b)) invalid("Expected sizes whose product fits");
  return a * b;
}

void check(napi_env env, napi_status status) {
  if (status != napi_ok) throw Napi::Error::New(env);
}

View view_of(napi_env env, napi_value value, const char* name) {
  View view{};
  napi_value buffer;
  size_t offset;
  if (napi_get_typedarray_info(env, value, &view.type, &view.length, &view.data, &buffer,
                               &offset) != napi_ok) {
    throw Napi::TypeError::New(env, std::string("Expected a typed array for \"") + name + "\"");
  }
  bool own = false;
  check(env, napi_is_arraybuffer(env, buffer, &own));
  if (!own) {
    throw Napi::TypeError::New(
        env, std::string("Expected a typed array over memory of its own for \"") + name +
                 "\" but received one over a SharedArrayBuffer; pass a copy: .slice()");
  }
  return view;
}

std::vector<float> floats(napi_env env, napi_value value, const char* name) {
  return copy<std::vector<float>>(env, value, napi_float32_array, "Float32Array", name);
}

FloatStorage float_storage(napi_env env, napi_value value, const char* name) {
  return copy<FloatStorage>(env, value, napi_float32_array, "Float32Array", name);
}

std::vector<int32_t> int32s(napi_env env, napi_value value, const char* name) {
  return copy<std::vector<int32_t>>(env, value, napi_int32_array, "Int32Array", name);
}

std::vector<double> doubles(napi_env env, napi_value value, const char* name) {
  return copy<std::vector<double>>(env, value, napi_float64_array, "Float64Array", name);
}

std::vector<int64_t> offsets(napi_env env, napi_value value, const char* name) {
  constexpr double kMost = 9007199254740991.0;
  const std::vector<double> given = doubles(env, value, name);
  std::vector<int64_t> result(given.size());
  for (size_t i = 0; i < given.size(); ++i) {
    if (!(given[i] >= 0 && given[i] <= kMost) || std::trunc(given[i]) != given[i]) {
      invalid(std::string("Expected offsets of 0 or more for \"") + name + "\"");
    }
    result[i] = static_cast<int64_t>(given[i]);
  }
  return result;
}

int64_t integer(const Napi::Value& value, const char* name, int64_t min, int64_t max) {
  const double given = number(value, name);
  if (std::trunc(given) != given || given < static_cast<double>(min) ||
      given > static_cast<double>(max)) {
    invalid("Expected an integer from " + std::to_string(min) + " to " + std::to_string(max) +
            " for \"" + name + "\" but received " + std::to_string(given) + " (number)");
  }
  return static_cast<int64_t>(given);
}

double number(const Napi::Value& value, const char* name) {
  if (!value.IsNumber()) {
    throw Napi::TypeError::New(value.Env(), std::string("Expected a number for \"") + name + "\"");
  }
  return value.As<Napi::Number>().DoubleValue();
}

bool flag(const Napi::Value& value, const char* name) {
  if (!value.IsBoolean()) {
    throw Napi::TypeError::New(value.Env(), std::string("Expected a boolean for \"") + name + "\"");
  }
  return value.As<Napi::Boolean>().Value();
}

std::string text(const Napi::Value& value, const char* name) {
  if (!value.IsString()) {
    throw Napi::TypeError::New(value.Env(), std::string("Expected a string for \"") + name + "\"");
  }
  return value.As<Napi::String>().Utf8Value();
}

int64_t integer(const Napi::Object& from, const char* name, int64_t min, int64_t max) {
  return integer(from.Get(name), name, min, max);
}
double number(const Napi::Object& from, const char* name) { return number(from.Get(name), name); }
bool flag(const Napi::Object& from, const char* name) { return flag(from.Get(name), name); }
std::string text(const Napi::Object& from, const char* name) { return text(from.Get(name), name); }

napi_value new_floats(napi_env env, size_t count, float** data) {
  napi_value buffer, array;
  void* memory = nullptr;
  check(env, napi_create_arraybuffer(env, count * sizeof(float), &memory, &buffer));
  check(env, napi_create_typedarray(env, napi_float32_array, count, buffer, 0, &array));
  *data = static_cast<float*>(memory);
  return array;
}

napi_value new_floats(napi_env env, const float* values, size_t count) {
  float* data;
  napi_value array = new_floats(env, count, &data);
  if (count > 0) std::memcpy(data, values, count * sizeof(float));
  return array;
}

napi_value new_doubles(napi_env env, const std::vector<double>& values) {
  napi_value buffer, array;
  void* memory = nullptr;
  check(env, napi_create_arraybuffer(env, values.size() * sizeof(double), &memory, &buffer));
  if (!values.empty()) std::memcpy(memory, values.data(), values.size() * sizeof(double));
  check(env, napi_create_typedarray(env, napi_float64_array, values.size(), buffer, 0, &array));
  return array;
}

}  // namespace ostinato::binding
