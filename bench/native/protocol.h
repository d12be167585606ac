// The drivers' side of the harness's protocol: a JSON object a line in, one out. bench/README.md
// describes it.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "tensors.h"

namespace bench {

// One benchmark case, as bench/cases.mjs makes them.
struct Case {
  std::string cell;                             // elman, lstm, gru
  std::string phase;                            // inference, training, ragged, step, fit
  int64_t steps, batch, inputs, units, layers;  // T B I H
  int64_t batches;                              // fit: training steps of one timed run
  double learning_rate;                         // fit: of Adam
  bool bidirectional;
  int threads;

  bool trains() const { return phase == "training" || phase == "ragged"; }
  int gates() const { return cell == "lstm" ? 4 : cell == "gru" ? 3 : 1; }
  int directions() const { return bidirectional ? 2 : 1; }
};

// A case made ready: everything that is not to be timed is done.
class Job {
 public:
  virtual ~Job() = default;
  // The results that the harness compares. Called once, first, from the given weights.
  virtual Tensors check() = 0;
  // What is timed, once.
  virtual void run() = 0;
};

// A case that the library behind the driver cannot do; the message says why.
struct Unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Driver {
 public:
  virtual ~Driver() = default;
  // {"version": …, "settings": …}
  virtual nlohmann::json describe() = 0;
  // Throws Unsupported.
  virtual std::unique_ptr<Job> prepare(const Case& work, const Tensors& data) = 0;
  // Calls of operator new since the process started; negative when they are not counted.
  virtual int64_t allocations() const { return -1; }
};

// Answers requests on standard input until it ends.
void serve(Driver& driver);

}  // namespace bench
