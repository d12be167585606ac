// This library without JavaScript: the layer's kernels, single steps, and whole training steps.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>

#include "allocations.h"
#include "core/dispatch.h"
#include "core/executor.h"
#include "core/session.h"
#include "core/trainer.h"
#include "protocol.h"

namespace bench {

namespace {

using ostinato::Executor;
using ostinato::Geometry;
using ostinato::LayerConfig;
using ostinato::Matrix;
using ostinato::Network;
using ostinato::ParamEntry;
using ostinato::ParamTable;
using ostinato::Value;

constexpr char kLayer[] = "rnn";
constexpr char kHead[] = "head";

LayerConfig recurrent_config(const Case& work) {
  LayerConfig layer{work.cell == "elman" ? "elman_tanh" : work.cell, kLayer, {}};
  layer.options["units"] = static_cast<double>(work.units);
  layer.options["layers"] = static_cast<double>(work.layers);
  layer.options["bidirectional"] = work.bidirectional;
  // Replaced by the case's weights; the default, orthogonal, takes seconds for many units.
  layer.options["recurrentInitializer"] = "glorotUniform";
  layer.options["returnSequences"] = work.phase != "fit";
  layer.options["useBias"] = work.phase != "fit";  // as in every driver: see bench/cases.mjs
  return layer;
}

// With `head_units` 0 there is no dense layer after the recurrent one.
std::shared_ptr<Network> make_network(const Case& work, int64_t head_units) {
  ostinato::NetworkConfig config;
  config.inputs = {{work.inputs, true, false}};
  config.layers = {recurrent_config(work)};
  if (head_units > 0) {
    config.layers.push_back({"dense", kHead, {{"units", static_cast<double>(head_units)}}});
  }
  return std::make_shared<Network>(config, ostinato::active_kernels());
}

// Parameters are named "<layer>.<name>" here and "<name>" or "head.<name>" in the file.
std::string name_in_file(const std::string& name) {
  const std::string prefix = std::string(kLayer) + ".";
  return name.rfind(prefix, 0) == 0 ? name.substr(prefix.size()) : name;
}

void load_params(Network& network, const Tensors& data) {
  ParamTable& params = network.params();
  for (size_t i = 0; i < params.entries().size(); ++i) {
    const Tensor& tensor = at(data, name_in_file(params.entries()[i].name));
    std::copy(tensor.data.begin(), tensor.data.end(), params.value(static_cast<int>(i)));
  }
  params.touch();
}

// Values or gradients of all parameters, by the file's names with `prefix` before them.
void store_params(const ParamTable& params, bool gradients, const std::string& prefix,
                  Tensors& out) {
  for (size_t i = 0; i < params.entries().size(); ++i) {
    const ParamEntry& entry = params.entries()[i];
    const int index = static_cast<int>(i);
    const float* from = gradients ? params.gradient(index) : params.value(index);
    out[prefix + name_in_file(entry.name)] = {entry.shape, {from, from + entry.size}};
  }
}

// Rows of the core's packed order that own their memory.
class PackedRows {
 public:
  PackedRows(const Geometry& geometry, int64_t features) {
    buffer_.reserve(geometry.rows() * ostinato::padded(features));
    view = {buffer_.data(), geometry.rows(), features, ostinato::padded(features)};
  }

  // Calls fn(row of the view, row of a time-major [T, B, features] tensor).
  template <class Fn>
  static void for_each_row(const Geometry& geometry, const Fn& fn) {
    for (int64_t t = 0; t < geometry.steps(); ++t) {
      for (int64_t sorted = 0; sorted < geometry.active(t); ++sorted) {
        fn(geometry.row(sorted, t), t * geometry.batch() + geometry.batch_row(sorted));
      }
    }
  }

  void gather(const Geometry& geometry, const Tensor& from) {
    for_each_row(geometry, [&](int64_t packed, int64_t row) {
      std::copy_n(from.data.data() + row * view.cols, view.cols, view.row(packed));
    });
  }

  Matrix view;

 private:
  ostinato::AlignedBuffer buffer_;
};

Tensor scatter(const Geometry& geometry, int64_t steps, const Matrix& rows) {
  Tensor tensor{{steps, geometry.batch(), rows.cols}, {}};
  tensor.data.resize(steps * geometry.batch() * rows.cols);
  PackedRows::for_each_row(geometry, [&](int64_t packed, int64_t row) {
    std::copy_n(rows.row(packed), rows.cols, tensor.data.data() + row * rows.cols);
  });
  return tensor;
}

Geometry make_geometry(const Case& work, const Tensors& data) {
  Geometry geometry;
  if (work.phase == "ragged") {
    const std::vector<float>& floats = at(data, "lengths").data;
    const std::vector<int32_t> lengths(floats.begin(), floats.end());
    geometry.assign(work.batch, work.steps, lengths.data());
  } else {
    geometry.assign(work.batch, work.steps, nullptr);
  }
  return geometry;
}

// Inference and training of the recurrent layer alone. Rows are in the packed order before the
// clock starts, as the peers' are in theirs. Training packs the weights anew in every run, as if an
// optimiser had changed them.
class LayerJob : public Job {
 public:
  LayerJob(const Case& work, const Tensors& data)
      : work_(work),
        network_(make_network(work, 0)),
        executor_(network_),
        geometry_(make_geometry(work, data)),
        x_(geometry_, work.inputs),
        dy_(geometry_, network_->output_shape().features),
        kept_dy_(geometry_, network_->output_shape().features) {
    load_params(*network_, data);
    x_.gather(geometry_, at(data, "x"));
    options_.threads = work.threads;
    options_.training = options_.gradients = options_.input_gradient = work.trains();
    if (!work.trains()) return;
    dy_.gather(geometry_, at(data, "dy"));
    kept_dy_.gather(geometry_, at(data, "dy"));
  }

  Tensors check() override {
    run();
    Tensors out;
    out["y"] = scatter(geometry_, work_.steps, y_.floats);
    if (work_.trains()) {
      out["grad.x"] = scatter(geometry_, work_.steps, dx_);
      store_params(network_->params(), true, "grad.", out);
      const size_t bytes = dy_.view.rows * dy_.view.ld * sizeof(float);
      dy_overwritten_ = std::memcmp(dy_.view.data, kept_dy_.view.data, bytes) != 0;
    }
    return out;
  }

  void run() override {
    const Value input{x_.view, nullptr, x_.view.rows};
    if (work_.trains()) network_->params().touch();
    y_ = executor_.forward(geometry_, input, options_);
    if (!work_.trains()) return;
    if (dy_overwritten_) {
      std::memcpy(dy_.view.data, kept_dy_.view.data, dy_.view.rows * dy_.view.ld * sizeof(float));
    }
    dx_ = executor_.backward(dy_.view);
  }

 private:
  Case work_;
  std::shared_ptr<Network> network_;
  Executor executor_;
  Geometry geometry_;
  PackedRows x_, dy_, kept_dy_;
  ostinato::RunOptions options_;
  Value y_;
  Matrix dx_;
  bool dy_overwritten_ = false;  // found out by check(); then each run restores it
};

// One step of a stream, over and over.
class StepJob : public Job {
 public:
  StepJob(const Case& work, const Tensors& data)
      : work_(work),
        network_(make_network(work, 0)),
        session_(network_, work.batch),
        x_(at(data, "x")),
        y_(work.batch * network_->output_shape().features) {
    load_params(*network_, data);
  }

  Tensors check() override {
    Tensor y{{x_.shape[0], work_.batch, network_->output_shape().features}, {}};
    session_.reset();
    at_ = 0;
    for (int64_t t = 0; t < x_.shape[0]; ++t) {
      run();
      y.data.insert(y.data.end(), y_.begin(), y_.end());
    }
    return {{"y", std::move(y)}};
  }

  void run() override {
    const int64_t step_floats = work_.batch * work_.inputs;
    session_.step(nullptr, x_.data.data() + at_ * step_floats, y_.data(), work_.threads);
    at_ = (at_ + 1) % x_.shape[0];
  }

 private:
  Case work_;
  std::shared_ptr<Network> network_;
  ostinato::Session session_;
  Tensor x_;
  std::vector<float> y_;
  int64_t at_ = 0;
};

// One epoch: recurrent layer, its last step, a dense layer, mean squared error, Adam
// (the optimiser by default).
class FitJob : public Job {
 public:
  FitJob(const Case& work, const Tensors& data)
      : work_(work),
        network_(make_network(work, at(data, "target").shape[1])),
        trainer_(network_, {ostinato::LossKind::kMeanSquaredError}, ostinato::OptimizerConfig{}) {
    load_params(*network_, data);
    const Tensor& x = at(data, "x");
    const Tensor& target = at(data, "target");
    const int64_t samples = x.shape[0];
    dataset_.features = work.inputs;
    dataset_.input_floats.assign(x.data.begin(), x.data.end());
    dataset_.target_kind = ostinato::Dataset::TargetKind::kDense;
    dataset_.target_features = target.shape[1];
    dataset_.target_floats.assign(target.data.begin(), target.data.end());
    dataset_.length.assign(samples, static_cast<int32_t>(work.steps));
    for (int64_t i = 0; i < samples; ++i) {
      dataset_.input_offset.push_back(i * work.steps);
      dataset_.target_offset.push_back(i);
    }
    samples_.resize(samples);
    std::iota(samples_.begin(), samples_.end(), 0);
  }

  Tensors check() override {
    run();
    Tensors out;
    store_params(network_->params(), false, "", out);
    return out;
  }

  void run() override {
    for (int64_t i = 0; i < work_.batches; ++i) {
      trainer_.step(dataset_, samples_.data() + i * work_.batch, work_.batch, work_.learning_rate,
                    false, false, work_.threads, nullptr);
    }
  }

 private:
  Case work_;
  std::shared_ptr<Network> network_;
  ostinato::Trainer trainer_;
  ostinato::Dataset dataset_;
  std::vector<int32_t> samples_;
};

class OstinatoDriver : public Driver {
 public:
  nlohmann::json describe() override {
    return {{"version", ostinato::active_kernels().name},
            {"settings", "packed rows; training packs the weights in every run"}};
  }
  std::unique_ptr<Job> prepare(const Case& work, const Tensors& data) override {
    if (work.phase == "step") return std::make_unique<StepJob>(work, data);
    if (work.phase == "fit") return std::make_unique<FitJob>(work, data);
    return std::make_unique<LayerJob>(work, data);
  }
  int64_t allocations() const override { return allocation_count(); }
};

}  // namespace

}  // namespace bench

int main() {
  bench::OstinatoDriver driver;
  bench::serve(driver);
}
