#include "binding/model_jobs.h"

#include <utility>

#include "core/weight_rules.h"

namespace ostinato::binding {

TrainJob::TrainJob(std::shared_ptr<ModelState> model, SharedDataset data, Batches batches,
                   std::vector<double> rates, std::vector<double> momenta, bool carry, bool reset,
                   Divergence divergence, double budget_ms, int threads)
    : model_(std::move(model), true),
      data_(std::move(data)),
      batches_(std::move(batches)),
      rates_(std::move(rates)),
      momenta_(std::move(momenta)),
      carry_(carry),
      reset_(reset),
      divergence_(divergence),
      deadline_(budget_ms),
      threads_(threads) {
  const size_t outputs = model_->network->outputs().size();
  for (std::vector<double>* list : {&losses_, &penalties_, &norms_}) {
    list->reserve(batches_.sizes.size());
  }
  for (std::vector<double>* list : {&output_losses_, &output_counts_, &output_correct_}) {
    list->reserve(batches_.sizes.size() * outputs);
  }
}

void TrainJob::execute() {
  deadline_.start();
  Trainer& trainer = *model_->trainer;
  if (reset_) trainer.carried().clear();
  const int32_t* samples = batches_.samples.data();
  for (size_t i = 0; i < batches_.sizes.size(); ++i) {
    StepResult step;
    try {
      step = trainer.step(data_->data, samples, batches_.sizes[i], rates_[i], carry_,
                          divergence_ == Divergence::kUpdate, threads_, cancel_flag(),
                          momenta_.empty() ? Optimizer::kOwnMomentum : momenta_[i]);
    } catch (const Cancelled&) {
      // The steps that were made are reported; the caller learns of the end by its next call.
      if (i == 0) throw;
      return;
    }
    losses_.push_back(step.loss.mean());
    penalties_.push_back(step.penalty);
    for (const LossValue& loss : trainer.output_losses()) {
      output_losses_.push_back(loss.mean());
      output_counts_.push_back(static_cast<double>(loss.count));
      output_correct_.push_back(static_cast<double>(loss.correct));
    }
    norms_.push_back(step.gradient_norm);
    diverged_ = step.diverged && divergence_ == Divergence::kStop;
    samples += batches_.sizes[i];
    if (diverged_ || deadline_.passed()) return;
  }
}

napi_value TrainJob::result(napi_env env) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("steps", static_cast<double>(losses_.size()));
  result.Set("losses", Napi::Value(env, new_doubles(env, losses_)));
  result.Set("penalties", Napi::Value(env, new_doubles(env, penalties_)));
  result.Set("outputLosses", Napi::Value(env, new_doubles(env, output_losses_)));
  result.Set("counts", Napi::Value(env, new_doubles(env, output_counts_)));
  result.Set("correct", Napi::Value(env, new_doubles(env, output_correct_)));
  result.Set("gradientNorms", Napi::Value(env, new_doubles(env, norms_)));
  result.Set("diverged", diverged_);
  return result;
}

EvaluateJob::EvaluateJob(std::shared_ptr<ModelState> model, SharedDataset data, Batches batches,
                         std::vector<LossConfig> losses, bool carry, bool reset, double budget_ms,
                         int threads)
    : model_(std::move(model), false),
      data_(std::move(data)),
      batches_(std::move(batches)),
      losses_(std::move(losses)),
      carry_(carry),
      reset_(reset),
      deadline_(budget_ms),
      threads_(threads),
      totals_(losses_.size()) {}

void EvaluateJob::execute() {
  deadline_.start();
  Predictor& predictor = model_->predictor;
  if (reset_) predictor.reset_carried();
  const Network& network = *model_->network;
  penalty_ = weight_penalty(network.params(), network.kernels(), threads_);
  Losses losses(losses_, network);
  const int32_t* samples = batches_.samples.data();
  for (const int32_t size : batches_.sizes) {
    predictor.evaluate(data_->data, samples, size, losses, carry_, threads_, cancel_flag());
    for (size_t i = 0; i < totals_.size(); ++i) {
      totals_[i].sum += losses.values()[i].sum;
      totals_[i].count += losses.values()[i].count;
      totals_[i].correct += losses.values()[i].correct;
    }
    samples += size;
    ++done_;
    if (deadline_.passed()) return;
  }
}

napi_value EvaluateJob::result(napi_env env) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("batches", static_cast<double>(done_));
  result.Set("penalty", penalty_);
  Napi::Array outputs = Napi::Array::New(env);
  for (const LossValue& total : totals_) {
    Napi::Object output = Napi::Object::New(env);
    output.Set("lossSum", total.sum);
    output.Set("count", static_cast<double>(total.count));
    output.Set("correct", static_cast<double>(total.correct));
    outputs.Set(outputs.Length(), output);
  }
  result.Set("outputs", outputs);
  return result;
}

int64_t Prediction::size(const ValueShape& shape) const {
  const auto count = static_cast<int64_t>(samples.size());
  return checked_product(checked_product(count, data->data.padded_steps(shape, steps)),
                         shape.features);
}

void Prediction::run(Predictor& predictor, const std::atomic<bool>* cancel,
                     std::span<float* const> outputs) {
  predictor.predict(data->data, samples.data(), static_cast<int64_t>(samples.size()), steps,
                    initial, threads, cancel, outputs, want_states ? &states : nullptr);
  if (!want_attention) return;
  const Network& network = *data->network;
  for (const size_t node : network.attention_nodes()) {
    const std::vector<size_t>& inputs = network.nodes()[node].inputs;
    ValueShape queries = network.shapes()[inputs[0]];
    queries.features = data->data.padded_steps(network.shapes()[inputs[1]], steps);
    size(queries);  // can be counted
  }
  attention = predictor.attention(data->data, static_cast<int64_t>(samples.size()), steps);
}

napi_value prediction_result(napi_env env, napi_value outputs, const Prediction& prediction) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("outputs", Napi::Value(env, outputs));
  result.Set("states", prediction.want_states
                           ? Napi::Value(env, write_states(env, prediction.states))
                           : Napi::Env(env).Null());
  result.Set("attention", prediction.want_attention
                              ? Napi::Value(env, write_states(env, prediction.attention))
                              : Napi::Env(env).Null());
  return result;
}

PredictJob::PredictJob(std::shared_ptr<ModelState> model, Prediction prediction)
    : model_(std::move(model), false), prediction_(std::move(prediction)) {}

void PredictJob::execute() {
  std::vector<float*> outputs;
  for (const ValueShape& shape : model_->network->model_shape().outputs) {
    outputs_.emplace_back(prediction_.size(shape));
    outputs.push_back(outputs_.back().data());
  }
  prediction_.run(model_->predictor, cancel_flag(), outputs);
}

napi_value PredictJob::result(napi_env env) {
  return prediction_result(env, write_states(env, outputs_), prediction_);
}

GradientsJob::GradientsJob(std::shared_ptr<ModelState> model, Prediction batch,
                           std::optional<std::vector<LossConfig>> losses,
                           StateValues state_gradients)
    : model_(std::move(model), true),
      batch_(std::move(batch)),
      losses_(std::move(losses)),
      state_gradients_(std::move(state_gradients)) {}

void GradientsJob::execute() {
  // Checks the products that the core forms.
  const ModelShape& shape = model_->network->model_shape();
  for (const ValueShape& input : shape.inputs) batch_.size(input);
  for (const ValueShape& output : shape.outputs) batch_.size(output);
  std::optional<Losses> losses;
  if (losses_) losses.emplace(*losses_, *model_->network);
  gradients_ = model_->predictor.gradients(
      batch_.data->data, batch_.samples.data(), static_cast<int64_t>(batch_.samples.size()),
      batch_.steps, losses ? &*losses : nullptr, batch_.initial, state_gradients_, batch_.threads,
      cancel_flag());
}

napi_value GradientsJob::result(napi_env env) {
  Napi::Object result = Napi::Object::New(env);
  const Napi::Value none = Napi::Env(env).Null();
  result.Set("loss", losses_ ? Napi::Number::New(env, gradients_.loss.mean()) : none);
  result.Set("outputs", Napi::Value(env, write_states(env, gradients_.outputs)));
  result.Set("finalStates", Napi::Value(env, write_states(env, gradients_.final_states)));
  Napi::Array inputs = Napi::Array::New(env);
  for (size_t i = 0; i < gradients_.inputs.size(); ++i) {
    const std::vector<float>& input = gradients_.inputs[i];
    const bool tokens = model_->network->model_shape().inputs[i].tokens;
    inputs.Set(static_cast<uint32_t>(i),
               tokens ? none : Napi::Value(env, new_floats(env, input.data(), input.size())));
  }
  result.Set("inputs", inputs);
  result.Set("initialStates", Napi::Value(env, write_states(env, gradients_.initial_states)));
  return result;
}

}  // namespace ostinato::binding
