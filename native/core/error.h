// The one exception type that the core throws; never inside a parallel region.
#pragma once

#include <stdexcept>
#include <string>

namespace ostinato {

// `code` is one of the public error codes (ERR_SHAPE_MISMATCH, ERR_INVALID_ARGUMENT, …); the
// binding turns it into a JavaScript error of that code.
class Error : public std::runtime_error {
 public:
  Error(const char* code, const std::string& message) : std::runtime_error(message), code_(code) {}
  const char* code() const noexcept { return code_; }

 private:
  const char* code_;  // a string literal
};

// Thrown by a run whose cancel flag was raised; the parameters stand at the last whole step.
class Cancelled : public Error {
 public:
  Cancelled() : Error("ERR_ABORTED", "The operation was aborted") {}
};

}  // namespace ostinato
