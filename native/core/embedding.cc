#include "core/embedding.h"

#include <algorithm>
#include <cstring>

#include "core/checks.h"
#include "core/error.h"
#include "core/gemm.h"
#include "core/init.h"
#include "core/parallel.h"

namespace ostinato {

class EmbeddingRun : public LayerRun {
 public:
  explicit EmbeddingRun(const Embedding& layer) : layer_(layer) {}

  void plan(Workspace& workspace, const Pass& pass) override {
    workspace.want(&output_, pass.rows(layer_.input_), layer_.units_, Lifetime::kSaved);
  }

  Value forward(const Pass& pass, const ParamTable& params, const Value& input) override {
    check(input);
    const float* table = params.value(layer_.weight_);
    const int64_t units = layer_.units_;
    parallel_for(threads_for(2 * input.rows * units, pass.threads), input.rows, 1,
                 [&](int64_t begin, int64_t end) {
                   for (int64_t row = begin; row < end; ++row) {
                     std::memcpy(output_.row(row), table + input.tokens[row] * units,
                                 static_cast<size_t>(units) * sizeof(float));
                   }
                 });
    return {output_, nullptr, output_.rows};
  }

  void backward(const Pass& pass, const ParamTable& params, const Value& input, const Matrix& dy,
                const Matrix& /*dx: tokens have no gradient*/) override {
    float* gradient = params.gradient(layer_.weight_);
    const int64_t units = layer_.units_;
    remember_touched(input);
    // Threads share out the columns: each row of the table is summed in the order of the rows.
    parallel_for(threads_for(2 * input.rows * units, pass.threads), units, kPad,
                 [&](int64_t begin, int64_t end) {
                   for (int64_t row = 0; row < input.rows; ++row) {
                     pass.kernels->add(gradient + input.tokens[row] * units + begin,
                                       dy.row(row) + begin, end - begin);
                   }
                 });
  }

 private:
  // The last guard before memory is read: data sets check their tokens and say where they stand.
  void check(const Value& input) const {
    for (int64_t row = 0; row < input.rows; ++row) {
      if (input.tokens[row] >= 0 && input.tokens[row] < layer_.input_dim_) continue;
      throw Error("ERR_INVALID_ARGUMENT",
                  "Expected a token id in [0, " + std::to_string(layer_.input_dim_) +
                      ") but received " + std::to_string(input.tokens[row]));
    }
  }

  void remember_touched(const Value& input) const {
    Embedding::Touched& touched = *layer_.touched_;
    for (int64_t row = 0; row < input.rows; ++row) {
      const int32_t token = input.tokens[row];
      if (touched.seen[token]) continue;
      touched.seen[token] = 1;
      touched.rows.push_back(token);
    }
  }

  const Embedding& layer_;
  Matrix output_;
};

Embedding::Embedding(const LayerConfig& config)
    : Layer(config),
      input_dim_(positive_option(config, "inputDim")),
      units_(positive_option(config, "units")) {
  touched_->rows.reserve(input_dim_);
  touched_->seen.assign(input_dim_, 0);
}

ValueShape Embedding::build(const ValueShape& input, ParamTable& params) {
  expect_tokens(config_, input);
  input_ = input;
  weight_ = params.add(config_.name + ".weight", {input_dim_, units_}, ParamRole::kEmbedding);
  return {units_, input.timed, false};
}

void Embedding::initialize(ParamTable& params, uint64_t seed, uint64_t index) const {
  Initializer initializer = initializer_option(config_, "embeddingsInitializer", "uniform");
  if (initializer.name == "torch") initializer = {"normal", 1.0};
  ostinato::initialize(initializer, params.value(weight_), input_dim_, units_, units_,
                       RandomStream(seed, initializer_stream(index, 0)));
}

void Embedding::begin_backward(const ParamTable& params) const {
  float* gradient = params.gradient(weight_);
  for (const int32_t token : touched_->rows) {
    std::fill_n(gradient + token * units_, units_, 0.0f);
    touched_->seen[token] = 0;
  }
  touched_->rows.clear();
}

std::unique_ptr<LayerRun> Embedding::make_run() const {
  return std::make_unique<EmbeddingRun>(*this);
}

}  // namespace ostinato
