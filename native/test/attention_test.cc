// Attention layers: against the reference, over ragged sequences on axes of their own.
#include "reference/attention.h"

#include <gtest/gtest.h>

#include "core/predictor.h"
#include "test/core_problem.h"
#include "test/gradient_check.h"
#include "test/guarded_rows.h"
#include "test/random_input.h"

namespace ostinato::test {
namespace {

using reference::Vector;

constexpr double kAttentionTolerance = 2e-5;
constexpr int64_t kQuery = 5, kKey = 5, kValue = 19, kUnits = 17;
const char* const kScores[] = {"dot", "general", "additive"};
const int32_t kSamples[] = {0, 1, 2, 3};
const std::vector<int32_t> kQueries{2, 0, 3, 1}, kKeys{3, 4, 0, 9};

reference::AttentionParams random_params(const std::string& score, reference::RandomSource& random,
                                         size_t query = kQuery, size_t key = kKey,
                                         size_t units = kUnits) {
  const size_t rows = score == "additive" ? units : key;
  return {random.matrix(rows, query), random.matrix(units, key), random.vector(units),
          random.vector(units)};
}

reference::AttentionGradients zeros_like(const reference::AttentionParams& params,
                                         const reference::Matrix& queries,
                                         const reference::Matrix& keys,
                                         const reference::Matrix& values) {
  const auto same = [](const reference::Matrix& m) {
    return reference::Matrix(m.rows(), m.cols());
  };
  return {same(queries),
          same(keys),
          same(values),
          {same(params.weight_query), same(params.weight_key),
           Vector(params.weight_score.size(), 0.0), Vector(params.bias.size(), 0.0)}};
}

TEST(AttentionReference, GradientsMatchDifferences) {
  for (const std::string score : kScores) {
    reference::RandomSource random(1);
    reference::Matrix queries = random.matrix(2, 3), keys = random.matrix(4, 3);
    reference::Matrix values = random.matrix(4, 2);
    reference::AttentionParams params = random_params(score, random, 3, 3, 5);
    const reference::Matrix dy = random.matrix(2, 2);
    reference::AttentionGradients d = zeros_like(params, queries, keys, values);
    attention_backward(score, params, queries, keys, values, dy, d);
    const auto f = [&] {
      const reference::Matrix y = attention_forward(score, params, queries, keys, values);
      double total = 0;
      for (size_t i = 0; i < dy.values().size(); ++i) total += y.values()[i] * dy.values()[i];
      return total;
    };
    reference::expect_gradient(score + " queries", f, queries.values(), d.queries.values());
    reference::expect_gradient(score + " keys", f, keys.values(), d.keys.values());
    reference::expect_gradient(score + " values", f, values.values(), d.values.values());
    reference::expect_gradient(score + " W", f, params.weight_query.values(),
                               d.params.weight_query.values());
    reference::expect_gradient(score + " U", f, params.weight_key.values(),
                               d.params.weight_key.values());
    reference::expect_gradient(score + " w", f, params.weight_score, d.params.weight_score);
    reference::expect_gradient(score + " b", f, params.bias, d.params.bias);
  }
}

// One sample's rows of a sequence without padding.
reference::Matrix sample_of(const InputData& data, int64_t sample, int64_t rows) {
  reference::Matrix matrix(static_cast<size_t>(rows), static_cast<size_t>(data.features));
  for (size_t i = 0; i < matrix.values().size(); ++i) {
    matrix.values()[i] =
        static_cast<double>(data.input_floats[data.input_offset[sample] * data.features + i]);
  }
  return matrix;
}

// What a case is made of: queries with or without steps, and whether there are values of their own.
struct Case {
  std::string score;
  bool timed, values;
};

struct Problem {
  Dataset data;
  std::shared_ptr<Network> network;
  reference::AttentionParams params;
  reference::Matrix dy;  // rows of the output, sample by sample
};

Problem make_problem(const Case& c, const Kernels& kernels) {
  reference::RandomSource random(2);
  Problem problem;
  const std::vector<int32_t> ones(4, 1), &queries = c.timed ? kQueries : ones;
  const int64_t value = c.values ? kValue : kKey;
  static_cast<InputData&>(problem.data) = random_input(kQuery, queries, random);
  problem.data.more_inputs.push_back(random_input(kKey, kKeys, random));
  if (c.values) problem.data.more_inputs.push_back(random_input(kValue, kKeys, random));
  problem.data.length = c.timed ? kQueries : kKeys;
  if (c.timed) problem.data.more_lengths = {{kKeys, 9}};
  const TimeAxis axis{c.timed ? 1u : 0u, 0};
  NetworkConfig config;
  config.inputs = {{kQuery, c.timed, false}, {kKey, true, false, axis}};
  if (c.values) config.inputs.push_back({kValue, true, false, axis});
  config.layers = {
      layer("attention", {{"score", c.score}, {"units", double{kUnits}}}, "attention")};
  config.nodes = {{0, {0, 1}}};
  if (c.values) config.nodes[0].inputs.push_back(2);
  config.outputs = {config.inputs.size()};
  problem.network = std::make_shared<Network>(config, kernels);
  problem.params = random_params(c.score, random);
  const auto set = [&](const char* name, const Vector& values) {
    set_param(*problem.network, std::string("attention.") + name, values);
  };
  if (c.score != "dot") set("weight_query", problem.params.weight_query.values());
  if (c.score == "additive") {
    set("weight_key", problem.params.weight_key.values());
    set("weight_score", problem.params.weight_score);
    set("bias", problem.params.bias);
  }
  const InputData& first = problem.data;
  problem.dy = random.matrix(first.input_floats.size() / kQuery, static_cast<size_t>(value));
  problem.data.target_kind = Dataset::TargetKind::kDense;
  problem.data.target_features = value;
  problem.data.target_timed = c.timed;
  problem.data.target_floats.assign(problem.dy.values().begin(), problem.dy.values().end());
  problem.data.target_offset = problem.data.input_offset;
  problem.data.validate(problem.network->model_shape(),
                        std::vector<int64_t>(config.inputs.size(), 0));
  return problem;
}

// Rows of `sample` in a padded array as predictions are given.
Vector padded_rows(const std::vector<float>& values, int64_t sample, int64_t rows, int64_t steps,
                   int64_t features) {
  const auto begin = values.begin() + sample * steps * features;
  return Vector(begin, begin + rows * features);
}

void expect_reference(const Case& c, const Problem& problem, const Predictor::Gradients& got) {
  const int64_t value = c.values ? kValue : kKey;
  const int64_t query_steps = c.timed ? 3 : 1;
  const InputData& values_data =
      c.values ? problem.data.more_inputs[1] : problem.data.more_inputs[0];
  reference::AttentionGradients total;
  Vector output, wanted_output, inputs, wanted_inputs;
  const auto append = [](Vector& to, const Vector& more) {
    to.insert(to.end(), more.begin(), more.end());
  };
  for (int64_t sample = 0; sample < 4; ++sample) {
    const int64_t count = c.timed ? kQueries[sample] : 1, steps = kKeys[sample];
    const reference::Matrix queries = sample_of(problem.data, sample, count);
    const reference::Matrix keys = sample_of(problem.data.more_inputs[0], sample, steps);
    const reference::Matrix values = sample_of(values_data, sample, steps);
    reference::Matrix dy(static_cast<size_t>(count), static_cast<size_t>(value));
    for (size_t i = 0; i < dy.values().size(); ++i) {
      dy.values()[i] =
          problem.dy.values()[static_cast<size_t>(problem.data.target_offset[sample] * value) + i];
    }
    reference::AttentionGradients d = zeros_like(problem.params, queries, keys, values);
    if (sample > 0) d.params = total.params;
    attention_backward(c.score, problem.params, queries, keys, values, dy, d);
    total.params = d.params;
    append(output, padded_rows(got.outputs[0], sample, count, query_steps, value));
    append(wanted_output,
           attention_forward(c.score, problem.params, queries, keys, values).values());
    append(inputs, padded_rows(got.inputs[0], sample, count, query_steps, kQuery));
    append(wanted_inputs, d.queries.values());
    append(inputs, padded_rows(got.inputs[1], sample, steps, 9, kKey));
    Vector dkeys = d.keys.values();
    if (!c.values) reference::add(dkeys, d.values.values());
    append(wanted_inputs, dkeys);
    if (!c.values) continue;
    append(inputs, padded_rows(got.inputs[2], sample, steps, 9, kValue));
    append(wanted_inputs, d.values.values());
  }
  OSTINATO_EXPECT_CLOSE(output, wanted_output, kAttentionTolerance);
  OSTINATO_EXPECT_CLOSE(inputs, wanted_inputs, kAttentionTolerance);
  const auto gradient = [&](const char* name) {
    return gradient_of(*problem.network, std::string("attention.") + name);
  };
  if (c.score == "dot") return;
  OSTINATO_EXPECT_CLOSE(gradient("weight_query"), total.params.weight_query.values(),
                        kAttentionTolerance);
  if (c.score == "general") return;
  OSTINATO_EXPECT_CLOSE(gradient("weight_key"), total.params.weight_key.values(),
                        kAttentionTolerance);
  OSTINATO_EXPECT_CLOSE(gradient("weight_score"), total.params.weight_score, kAttentionTolerance);
  OSTINATO_EXPECT_CLOSE(gradient("bias"), total.params.bias, kAttentionTolerance);
}

class AttentionLayer : public EveryIsa {};
OSTINATO_EVERY_ISA(AttentionLayer);

// Steps 0 … 3 of a sequence that is the second of two: packed rows 1, 3, 5 and 7 of eight.
constexpr int64_t kOffsets[] = {0, 2, 4, 6, 8};
constexpr size_t kSteps = 4;

reference::Matrix second_of_two(const reference::Matrix& packed) {
  reference::Matrix rows(kSteps, packed.cols());
  for (size_t t = 0; t < kSteps; ++t) rows.set_row(t, packed.row(2 * t + 1));
  return rows;
}

TEST_P(AttentionLayer, KernelsTouchOnlyTheirRows) {
  reference::RandomSource random(7);
  for (const size_t cols : edge_counts()) {
    SCOPED_TRACE(cols);
    const reference::Matrix x = random.matrix(2 * kSteps, cols), vector = random.matrix(1, cols);
    const reference::Matrix weights = random.matrix(1, kSteps);
    const GuardedRows x_rows(x), vector_row(vector), weight_row(weights);
    GuardedRows products(1, kSteps), sum(1, cols), dx(x);
    AttentionArgs args{};
    args.sequence = {kOffsets, 1, kSteps, x_rows.ld()};
    args.cols = static_cast<int64_t>(cols);
    args.x = x_rows.data();
    args.vector = vector_row.data();
    args.weights = products.data();
    kernels().attention_products(args);
    args.weights = weight_row.data();
    args.sum = sum.data();
    kernels().attention_sum(args);
    args.dx = dx.data();
    kernels().attention_add_outer(args);
    reference::Matrix want_dx = x;
    for (size_t t = 0; t < kSteps; ++t) {
      for (size_t c = 0; c < cols; ++c) want_dx(2 * t + 1, c) += weights(0, t) * vector(0, c);
    }
    const reference::Matrix own = second_of_two(x);
    EXPECT_TRUE(close(products, {1, kSteps, multiply(own, vector.row(0))}, 1e-5));
    EXPECT_TRUE(close(sum, {1, cols, multiply_transposed(own, weights.row(0))}, 1e-5));
    EXPECT_TRUE(close(dx, want_dx, 1e-6));
  }
}

TEST_P(AttentionLayer, AdditiveScoresFollowTheReference) {
  reference::RandomSource random(8);
  for (const size_t cols : edge_counts()) {
    SCOPED_TRACE(cols);
    const reference::Matrix keys = random.matrix(2 * kSteps, cols), query = random.matrix(1, cols);
    const reference::Matrix score = random.matrix(1, cols), dscores = random.matrix(1, kSteps);
    const GuardedRows key_rows(keys), query_row(query), score_row(score), dscore_row(dscores);
    GuardedRows scores(1, kSteps), dquery(1, cols), dkeys(keys), dscore(score);
    AdditiveScoresArgs args{};
    args.sequence = {kOffsets, 1, kSteps, key_rows.ld()};
    args.cols = static_cast<int64_t>(cols);
    args.query = query_row.data();
    args.keys = key_rows.data();
    args.score = score_row.data();
    args.scores = scores.data();
    kernels().additive_scores(args);
    args.dscores = dscore_row.data();
    args.dquery = dquery.data();
    args.dkeys = dkeys.data();
    args.dscore = dscore.data();
    kernels().additive_scores_grad(args);
    reference::Matrix want(1, kSteps), want_query(1, cols), want_keys = keys, want_score = score;
    for (size_t t = 0; t < kSteps; ++t) {
      for (size_t c = 0; c < cols; ++c) {
        const double u = std::tanh(query(0, c) + keys(2 * t + 1, c));
        const double g = dscores(0, t) * score(0, c) * (1 - u * u);
        want(0, t) += score(0, c) * u;
        want_query(0, c) += g;
        want_keys(2 * t + 1, c) += g;
        want_score(0, c) += dscores(0, t) * u;
      }
    }
    EXPECT_TRUE(close(scores, want, 1e-5));
    EXPECT_TRUE(close(dquery, want_query, 1e-5));
    EXPECT_TRUE(close(dkeys, want_keys, 1e-5));
    EXPECT_TRUE(close(dscore, want_score, 1e-5));
  }
}

TEST_P(AttentionLayer, FollowsTheReference) {
  for (const char* score : kScores) {
    for (const bool timed : {false, true}) {
      for (const bool values : {false, true}) {
        SCOPED_TRACE(std::string(score) + (timed ? ", timed" : "") + (values ? ", values" : ""));
        const Case c{score, timed, values};
        const Problem problem = make_problem(c, kernels());
        Predictor predictor(problem.network);
        const int64_t steps = timed ? 3 : 9;
        const auto run = [&](int threads) {
          return predictor.gradients(problem.data, kSamples, 4, steps, nullptr, {}, {}, threads,
                                     nullptr);
        };
        const Predictor::Gradients got = run(1);
        expect_reference(c, problem, got);
        const auto bits = [&] {
          const ParamTable& params = problem.network->params();
          return bits_of(params.gradients(), params.size());
        };
        const std::vector<uint32_t> once = bits();
        const Predictor::Gradients again = run(7);
        EXPECT_EQ(again.outputs, got.outputs);
        EXPECT_EQ(again.inputs, got.inputs);
        EXPECT_EQ(bits(), once);
      }
    }
  }
}

TEST_P(AttentionLayer, TellsItsWeights) {
  for (const bool timed : {false, true}) {
    const Problem problem = make_problem({"general", timed, false}, kernels());
    Predictor predictor(problem.network);
    const int64_t queries = timed ? 3 : 1, steps = timed ? 3 : 9;
    std::vector<float> output(4 * queries * kKey);
    predictor.predict(problem.data, kSamples, 4, steps, {}, 2, nullptr, output.data(), nullptr);
    const std::vector<std::vector<float>> got = predictor.attention(problem.data, 4, steps);
    ASSERT_EQ(got.size(), 1u);
    Vector want(4 * queries * 9, 0.0);
    for (int64_t sample = 0; sample < 4; ++sample) {
      const int64_t count = timed ? kQueries[sample] : 1;
      const reference::Matrix query = sample_of(problem.data, sample, count);
      const reference::Matrix keys = sample_of(problem.data.more_inputs[0], sample, kKeys[sample]);
      for (int64_t i = 0; i < count; ++i) {
        const Vector weights =
            attention_weights("general", problem.params, query.row(static_cast<size_t>(i)), keys);
        std::copy(weights.begin(), weights.end(), want.begin() + (sample * queries + i) * 9);
      }
    }
    OSTINATO_EXPECT_CLOSE(Vector(got[0].begin(), got[0].end()), want, kAttentionTolerance);
    message_of("ERR_SHAPE_MISMATCH", [&] { predictor.attention(problem.data, 4, timed ? 2 : 8); });
  }
}

TEST(AttentionLayers, RefusesWhatItCannotRead) {
  const auto refused = [](const std::string& code, std::vector<ValueShape> inputs,
                          Options options) {
    NetworkConfig config;
    config.inputs = std::move(inputs);
    config.layers = {layer("attention", std::move(options))};
    config.nodes = {{0, {}}};
    for (size_t i = 0; i < config.inputs.size(); ++i) config.nodes[0].inputs.push_back(i);
    config.outputs = {config.inputs.size()};
    message_of(code, [&] { Network network(config, *available_kernels().front()); });
  };
  const std::string shape = "ERR_SHAPE_MISMATCH", invalid = "ERR_INVALID_ARGUMENT";
  const ValueShape vector{4, false, false}, keys{4, true, false}, other{4, true, false, {1, 0}};
  refused(invalid, {keys}, {{"score", "dot"}});
  refused(invalid, {vector, keys}, {{"score", "cosine"}});
  refused(invalid, {vector, keys}, {{"score", "additive"}});
  refused(shape, {vector, vector}, {{"score", "dot"}});
  refused(shape, {{3, false, false}, keys}, {{"score", "dot"}});
  refused(shape, {vector, keys, other}, {{"score", "dot"}});
  refused(shape, {vector, {1, true, true}}, {{"score", "general"}});
}

}  // namespace
}  // namespace ostinato::test
