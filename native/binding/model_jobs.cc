#include "binding/model_jobs.h"

#include <utility>

#include "core/weight_rules.h"

namespace ostinato::binding {

TrainJob::TrainJob(std::shared_ptr<ModelState> model, SharedDataset data, Batches batches,
                   std::vector<double> rates, bool carry, bool reset, Divergence divergence,
                   double budget_ms, int threads)
    : model_(std::move(model), true),
      data_(std::move(data)),
      batches_(std::move(batches)),
      rates_(std::move(rates)),
      carry_(carry),
      reset_(reset),
      divergence_(divergence),
      deadline_(budget_ms),
      threads_(threads) {
  for (std::vector<double>* list : {&losses_, &penalties_, &counts_, &correct_, &norms_}) {
    list->reserve(batches_.sizes.size());
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
                          divergence_ == Divergence::kUpdate, threads_, cancel_flag());
    } catch (const Cancelled&) {
      // The steps that were made are reported; the caller learns of the end by its next call.
      if (i == 0) throw;
      return;
    }
    losses_.push_back(step.loss.mean());
    penalties_.push_back(step.penalty);
    counts_.push_back(static_cast<double>(step.loss.count));
    correct_.push_back(static_cast<double>(step.loss.correct));
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
  result.Set("counts", Napi::Value(env, new_doubles(env, counts_)));
  result.Set("correct", Napi::Value(env, new_doubles(env, correct_)));
  result.Set("gradientNorms", Napi::Value(env, new_doubles(env, norms_)));
  result.Set("diverged", diverged_);
  return result;
}

EvaluateJob::EvaluateJob(std::shared_ptr<ModelState> model, SharedDataset data, Batches batches,
                         const LossConfig& loss, bool carry, bool reset, double budget_ms,
                         int threads)
    : model_(std::move(model), false),
      data_(std::move(data)),
      batches_(std::move(batches)),
      loss_(loss),
      carry_(carry),
      reset_(reset),
      deadline_(budget_ms),
      threads_(threads) {}

void EvaluateJob::execute() {
  deadline_.start();
  Predictor& predictor = model_->predictor;
  if (reset_) predictor.reset_carried();
  const Network& network = *model_->network;
  penalty_ = weight_penalty(network.params(), network.kernels(), threads_);
  Loss loss(loss_, network.kernels());
  const int32_t* samples = batches_.samples.data();
  for (const int32_t size : batches_.sizes) {
    const LossValue value =
        predictor.evaluate(data_->data, samples, size, loss, carry_, threads_, cancel_flag());
    total_.sum += value.sum;
    total_.count += value.count;
    total_.correct += value.correct;
    samples += size;
    ++done_;
    if (deadline_.passed()) return;
  }
}

napi_value EvaluateJob::result(napi_env env) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("batches", static_cast<double>(done_));
  result.Set("lossSum", total_.sum);
  result.Set("penaltySum", penalty_ * static_cast<double>(total_.count));
  result.Set("count", static_cast<double>(total_.count));
  result.Set("correct", static_cast<double>(total_.correct));
  return result;
}

int64_t Prediction::size(const ValueShape& shape) const {
  const auto count = static_cast<int64_t>(samples.size());
  return checked_product(checked_product(count, shape.timed ? steps : 1), shape.features);
}

void Prediction::run(Predictor& predictor, const std::atomic<bool>* cancel, float* output) {
  predictor.predict(data->data, samples.data(), static_cast<int64_t>(samples.size()), steps,
                    initial, threads, cancel, output, want_states ? &states : nullptr);
}

napi_value prediction_result(napi_env env, napi_value output, const Prediction& prediction) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("output", Napi::Value(env, output));
  result.Set("states", prediction.want_states
                           ? Napi::Value(env, write_states(env, prediction.states))
                           : Napi::Env(env).Null());
  return result;
}

PredictJob::PredictJob(std::shared_ptr<ModelState> model, Prediction prediction)
    : model_(std::move(model), false), prediction_(std::move(prediction)) {}

void PredictJob::execute() {
  output_.resize(prediction_.size(model_->network->output_shape()));
  prediction_.run(model_->predictor, cancel_flag(), output_.data());
}

napi_value PredictJob::result(napi_env env) {
  return prediction_result(env, new_floats(env, output_.data(), output_.size()), prediction_);
}

GradientsJob::GradientsJob(std::shared_ptr<ModelState> model, Prediction batch,
                           const std::optional<LossConfig>& loss, StateValues state_gradients)
    : model_(std::move(model), true),
      batch_(std::move(batch)),
      loss_(loss),
      state_gradients_(std::move(state_gradients)) {}

void GradientsJob::execute() {
  // Checks the products that the core forms.
  for (const ValueShape& shape :
       {model_->network->input_shape(), model_->network->output_shape()}) {
    batch_.size(shape);
  }
  std::optional<Loss> loss;
  if (loss_) loss.emplace(*loss_, model_->network->kernels());
  gradients_ = model_->predictor.gradients(batch_.data->data, batch_.samples.data(),
                                           static_cast<int64_t>(batch_.samples.size()),
                                           batch_.steps, loss ? &*loss : nullptr, batch_.initial,
                                           state_gradients_, batch_.threads, cancel_flag());
}

napi_value GradientsJob::result(napi_env env) {
  Napi::Object result = Napi::Object::New(env);
  const Napi::Value none = Napi::Env(env).Null();
  result.Set("loss", loss_ ? Napi::Number::New(env, gradients_.loss.mean()) : none);
  const std::vector<float>& output = gradients_.output;
  result.Set("output", Napi::Value(env, new_floats(env, output.data(), output.size())));
  result.Set("finalStates", Napi::Value(env, write_states(env, gradients_.final_states)));
  const std::vector<float>& input = gradients_.input;
  const bool tokens = model_->network->input_shape().tokens;
  result.Set("input",
             tokens ? none : Napi::Value(env, new_floats(env, input.data(), input.size())));
  result.Set("initialStates", Napi::Value(env, write_states(env, gradients_.initial_states)));
  return result;
}

}  // namespace ostinato::binding
