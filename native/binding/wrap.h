// C++ objects behind JavaScript objects. Every method goes through `method`, which checks that
// `this` is what it claims to be before anything is read from it.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>

#include "binding/args.h"

namespace ostinato::binding {

inline constexpr size_t kMaxArguments = 8;

// The arguments of one call from JavaScript.
struct Call {
  napi_env env;
  size_t count;
  napi_value arguments[kMaxArguments];  // `undefined` beyond `count`

  Napi::Value operator[](size_t i) const { return Napi::Value(env, arguments[i]); }
  Napi::Object object(size_t i, const char* name) const {
    const Napi::Value value = (*this)[i];
    if (!value.IsObject()) {
      throw Napi::TypeError::New(env, std::string("Expected an object for \"") + name + "\"");
    }
    return value.As<Napi::Object>();
  }
};

// Tags tell classes apart, and by the address also copies of the addon in one process: an object
// that another copy made may have another layout.
template <class T>
const napi_type_tag& tag_of() {
  static const napi_type_tag tag = {T::kTag, reinterpret_cast<uint64_t>(&tag)};
  return tag;
}

// The object behind `value`; throws a TypeError unless it is a T of this copy of the addon.
template <class T>
T& unwrap(napi_env env, napi_value value) {
  bool matches = false;
  void* object = nullptr;
  if (napi_check_object_type_tag(env, value, &tag_of<T>(), &matches) != napi_ok || !matches ||
      napi_unwrap(env, value, &object) != napi_ok || object == nullptr) {
    bool pending = false;
    napi_is_exception_pending(env, &pending);
    if (pending) {
      napi_value ignored;
      napi_get_and_clear_last_exception(env, &ignored);
    }
    throw Napi::TypeError::New(env, std::string("Illegal invocation: expected a ") + T::kName);
  }
  return *static_cast<T*>(object);
}

inline bool read_call(napi_env env, napi_callback_info info, Call* call, napi_value* self) {
  call->env = env;
  call->count = kMaxArguments;
  return napi_get_cb_info(env, info, &call->count, call->arguments, self, nullptr) == napi_ok;
}

// The callback of a method `napi_value T::Method(const Call&)`.
template <class T, napi_value (T::*Method)(const Call&)>
napi_value method(napi_env env, napi_callback_info info) {
  Call call;
  napi_value self;
  if (!read_call(env, info, &call, &self)) return nullptr;
  return guarded(env, [&] { return (unwrap<T>(env, self).*Method)(call); });
}

// The callback of a constructor: T::create(const Call&) makes the object that `this` will own.
template <class T>
napi_value construct(napi_env env, napi_callback_info info) {
  Call call;
  napi_value self;
  if (!read_call(env, info, &call, &self)) return nullptr;
  return guarded(env, [&]() -> napi_value {
    napi_value target = nullptr;
    check(env, napi_get_new_target(env, info, &target));
    if (target == nullptr) {
      throw Napi::TypeError::New(env, std::string(T::kName) + " must be called with new");
    }
    std::unique_ptr<T> object = T::create(call);
    check(env, napi_type_tag_object(env, self, &tag_of<T>()));
    const auto finalize = [](napi_env, void* data, void*) { delete static_cast<T*>(data); };
    check(env, napi_wrap(env, self, object.get(), finalize, nullptr, nullptr));
    object.release();
    return self;
  });
}

template <class T, napi_value (T::*Method)(const Call&)>
napi_property_descriptor method_property(const char* name) {
  return {name,    nullptr, method<T, Method>,   nullptr,
          nullptr, nullptr, napi_default_method, nullptr};
}

template <class T, napi_value (T::*Method)(const Call&)>
napi_property_descriptor getter_property(const char* name) {
  return {name, nullptr, nullptr, method<T, Method>, nullptr, nullptr, napi_enumerable, nullptr};
}

template <class T, size_t N>
napi_value define_class(napi_env env, const napi_property_descriptor (&properties)[N]) {
  napi_value constructor;
  check(env, napi_define_class(env, T::kName, NAPI_AUTO_LENGTH, construct<T>, nullptr, N,
                               properties, &constructor));
  return constructor;
}

// Memory outside the JavaScript heap that an object accounts for, so that the garbage collector
// feels its weight.
class ExternalMemory {
 public:
  explicit ExternalMemory(napi_env env) : env_(env) {}
  ~ExternalMemory() { set(0); }
  ExternalMemory(const ExternalMemory&) = delete;
  ExternalMemory& operator=(const ExternalMemory&) = delete;
  void set(int64_t bytes) {
    int64_t total = 0;
    if (bytes != bytes_) napi_adjust_external_memory(env_, bytes - bytes_, &total);
    bytes_ = bytes;
  }

 private:
  napi_env env_;
  int64_t bytes_ = 0;
};

}  // namespace ostinato::binding
