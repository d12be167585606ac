// The reference of dense, embedding and layer norm: gradients against finite differences, values
// against closed forms.
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <tuple>

#include "gradient_check.h"
#include "reference/dense.h"
#include "reference/embedding.h"
#include "reference/layer_norm.h"

namespace ostinato::reference {
namespace {

// The loss whose gradient with respect to y is dy.
double product(const Matrix& dy, const Matrix& y) {
  double total = 0.0;
  for (size_t i = 0; i < y.values().size(); ++i) total += dy.values()[i] * y.values()[i];
  return total;
}

struct NamedActivation {
  const char* name;
  Activation activation;
};

const NamedActivation kActivations[] = {
    {"linear", Activation::kLinear},   {"tanh", Activation::kTanh},
    {"relu", Activation::kRelu},       {"sigmoid", Activation::kSigmoid},
    {"softmax", Activation::kSoftmax}, {"gelu", Activation::kGelu},
    {"silu", Activation::kSilu},
};

void PrintTo(const NamedActivation& a, std::ostream* out) { *out << a.name; }

class DenseTest : public testing::TestWithParam<std::tuple<NamedActivation, bool>> {};

TEST_P(DenseTest, GradientsMatchDifferences) {
  const Activation activation = std::get<0>(GetParam()).activation;
  RandomSource random(3);
  DenseParams params;
  Matrix x;
  for (bool near_kink = true; near_kink;) {
    params.weight = random.matrix(5, 3);
    params.bias = std::get<1>(GetParam()) ? random.vector(5) : Vector();
    x = random.matrix(4, 3);
    near_kink = false;
    for (double a : dense_preactivation(params, x).values()) near_kink |= std::abs(a) < 0.004;
  }
  const Matrix dy = random.matrix(4, 5);
  const auto f = [&] { return product(dy, dense_forward(params, activation, x)); };
  const DenseGradients gradients = dense_backward(params, activation, x, dy);
  expect_gradient("weight", f, params.weight.values(), gradients.weight.values());
  expect_gradient("x", f, x.values(), gradients.x.values());
  if (!params.bias.empty()) expect_gradient("bias", f, params.bias, gradients.bias);
}

INSTANTIATE_TEST_SUITE_P(, DenseTest,
                         testing::Combine(testing::ValuesIn(kActivations), testing::Bool()),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param).name) +
                                  (std::get<1>(info.param) ? "" : "_unbiased");
                         });

TEST(DenseForwardTest, MultipliesByRowsOfTheWeight) {
  const DenseParams params{Matrix(2, 3, {1, 2, 3, 4, 5, 6}), {10, 20}};
  const Matrix y = dense_forward(params, Activation::kLinear, Matrix(1, 3, {1, 0, -1}));
  EXPECT_EQ(y.values(), (Vector{8, 18}));
}

TEST(ActivationTest, KnownValues) {
  const double phi_of_one = 0.841344746068542948585;  // the normal distribution function at 1
  EXPECT_NEAR(activate(Activation::kGelu, {1.0})[0], phi_of_one, 1e-15);
  EXPECT_NEAR(activate(Activation::kGelu, {-1.0})[0], phi_of_one - 1.0, 1e-15);
  EXPECT_NEAR(activate(Activation::kSigmoid, {std::log(3.0)})[0], 0.75, 1e-15);
  EXPECT_NEAR(activate(Activation::kSilu, {std::log(3.0)})[0], 0.75 * std::log(3.0), 1e-15);
  EXPECT_NEAR(activate(Activation::kTanh, {std::log(2.0)})[0], 0.6, 1e-15);
  EXPECT_EQ(activate(Activation::kRelu, {-2.0, 2.0}), (Vector{0.0, 2.0}));
}

TEST(ActivationTest, SoftmaxOfLargeLogits) {
  const Vector y = activate(Activation::kSoftmax, {1000.0, 1000.0 + std::log(3.0), -1000.0});
  EXPECT_NEAR(y[0], 0.25, 1e-13);
  EXPECT_NEAR(y[1], 0.75, 1e-13);
  EXPECT_EQ(y[2], 0.0);
}

TEST(EmbeddingTest, GradientsMatchDifferencesAndRepeatedTokensAdd) {
  RandomSource random(4);
  Matrix table = random.matrix(6, 3);
  const std::vector<int32_t> tokens{4, 0, 4, 4, 2};
  const Matrix dy = random.matrix(5, 3);
  const EmbeddingGradients gradients = embedding_backward(table, tokens, dy);
  expect_gradient(
      "table", [&] { return product(dy, embedding_forward(table, tokens)); }, table.values(),
      gradients.table.values());
  EXPECT_EQ(gradients.rows, (std::set<size_t>{0, 2, 4}));
  EXPECT_EQ(embedding_forward(table, tokens).row(2), table.row(4));
  EXPECT_DOUBLE_EQ(gradients.table(4, 1), dy(0, 1) + dy(2, 1) + dy(3, 1));
}

TEST(EmbeddingTest, RefusesUnknownTokens) {
  EXPECT_THROW(embedding_forward(Matrix(3, 2), {3}), std::out_of_range);
  EXPECT_THROW(embedding_forward(Matrix(3, 2), {-1}), std::out_of_range);
}

class LayerNormTest : public testing::TestWithParam<double> {};

TEST_P(LayerNormTest, GradientsMatchDifferences) {
  RandomSource random(5);
  LayerNormParams params{random.vector(5), random.vector(5), GetParam()};
  Matrix x = random.matrix(4, 5);
  const Matrix dy = random.matrix(4, 5);
  const auto f = [&] { return product(dy, layer_norm_forward(params, x)); };
  const LayerNormGradients gradients = layer_norm_backward(params, x, dy);
  expect_gradient("x", f, x.values(), gradients.x.values());
  expect_gradient("gamma", f, params.gamma, gradients.gamma);
  expect_gradient("beta", f, params.beta, gradients.beta);
}

INSTANTIATE_TEST_SUITE_P(Epsilon, LayerNormTest, testing::Values(1e-5, 1e-3, 0.5));

TEST(LayerNormForwardTest, NormalisesByTheBiasedVariance) {
  // Mean 3, variance ((-2)^2 + 0 + 2^2 + 0) / 4 = 2; with epsilon 2 the divisor is 2.
  const LayerNormParams params{{1, 1, 1, 3}, {0, 5, 0, 0}, 2.0};
  EXPECT_EQ(layer_norm_forward(params, Matrix(1, 4, {1, 3, 5, 3})).values(), (Vector{-1, 5, 1, 0}));
  const LayerNormParams no_beta{{1, 1, 1, 3}, {}, 2.0};
  EXPECT_EQ(layer_norm_forward(no_beta, Matrix(1, 4, {1, 3, 5, 3})).values(),
            (Vector{-1, 0, 1, 0}));
}

}  // namespace
}  // namespace ostinato::reference
