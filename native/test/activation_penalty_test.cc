#include "core/activation_penalty.h"

#include <gtest/gtest.h>

#include "core/executor.h"
#include "reference/activation_penalty.h"
#include "reference/finite_differences.h"
#include "test/core_problem.h"

namespace ostinato::test {
namespace {

class ActivationPenalties : public EveryIsa {};
OSTINATO_EVERY_ISA(ActivationPenalties);

constexpr int64_t kFeatures = 7;
const std::vector<int32_t> kRagged{3, 0, 5, 1};

// Packed rows of sequences that are given row by row.
Rows packed(const Geometry& geometry, const std::vector<reference::Matrix>& h) {
  Rows rows(geometry.rows(), kFeatures);
  for (int64_t b = 0; b < geometry.batch(); ++b) {
    for (int64_t t = 0; t < geometry.length(b); ++t) {
      for (int64_t j = 0; j < kFeatures; ++j) {
        rows.view.row(geometry.row(b, t))[j] = static_cast<float>(h[geometry.batch_row(b)](t, j));
      }
    }
  }
  return rows;
}

TEST_P(ActivationPenalties, AreTheReferenceAndItsDerivatives) {
  reference::RandomSource random(6);
  Geometry geometry;
  geometry.assign(4, 0, kRagged.data());
  std::vector<reference::Matrix> h;
  for (const int32_t length : kRagged) h.push_back(random.matrix(length, kFeatures));
  const Rows rows = packed(geometry, h);
  for (const ActivationPenalty penalty :
       {ActivationPenalty{2.0, 0.0}, ActivationPenalty{0.0, 3.0}, ActivationPenalty{2.0, 3.0}}) {
    const auto wanted = [&] {
      return reference::activation_penalty(h, penalty.activation, penalty.temporal);
    };
    std::vector<double> values;
    std::vector<reference::Vector> gradients;
    for (const int threads : {1, 2, 7}) {
      Pass pass;
      pass.kernels = &kernels();
      pass.geometry = &geometry;
      pass.threads = threads;
      const Rows dy(reference::Matrix(geometry.rows(), kFeatures,
                                      reference::Vector(geometry.rows() * kFeatures, 0.25)));
      values.push_back(activation_penalty(pass, penalty, rows.view));
      add_activation_gradient(pass, penalty, rows.view, dy.view);
      gradients.push_back(vector_of(dy.view));
    }
    EXPECT_NEAR(values[0], wanted(), 1e-6 * wanted());
    for (int64_t b = 0; b < geometry.batch(); ++b) {
      for (int64_t t = 0; t < geometry.length(b); ++t) {
        for (int64_t j = 0; j < kFeatures; ++j) {
          double& x = h[geometry.batch_row(b)](t, j);
          EXPECT_NEAR(gradients[0][geometry.row(b, t) * kFeatures + j] - 0.25,
                      reference::central_difference(wanted, x), 1e-6);
        }
      }
    }
    EXPECT_EQ(values[1], values[0]);
    EXPECT_EQ(values[2], values[0]);
    EXPECT_EQ(gradients[1], gradients[0]);
    EXPECT_EQ(gradients[2], gradients[0]);
  }
}

// A layer with penalties is one without whose upstream gradient has theirs in it, in training only.
TEST_P(ActivationPenalties, JoinTheUpstreamGradientOfALayer) {
  reference::RandomSource random(7);
  Geometry geometry;
  geometry.assign(4, 0, kRagged.data());
  const Rows x(random.matrix(geometry.rows(), 3));
  for (const bool backwards : {false, true}) {
    const Options options = {{"units", 4.0},
                             {"layers", 2.0},
                             {"bidirectional", !backwards},
                             {"goBackwards", backwards},
                             {"returnSequences", true}};
    Options with = options;
    with["activationRegularization"] = 2.0;
    with["temporalActivationRegularization"] = 3.0;
    const auto plain = make_network(kernels(), {3, true, false}, {layer("gru", options)});
    const auto penalized = make_network(kernels(), {3, true, false}, {layer("gru", with)});
    Executor one(plain), other(penalized);
    const reference::Matrix dy = random.matrix(geometry.rows(), plain->output_shape().features);

    for (const bool training : {true, false}) {
      RunOptions run;
      run.gradients = true;
      run.training = training;
      const Matrix h = one.forward(geometry, floats(x), run).floats;
      Pass pass;
      pass.kernels = &kernels();
      pass.geometry = &geometry;
      const double wanted = training ? activation_penalty(pass, {2.0, 3.0}, h) : 0.0;
      const Rows sum(dy), given(dy);
      if (training) add_activation_gradient(pass, {2.0, 3.0}, h, sum.view);
      one.backward(sum.view);
      other.forward(geometry, floats(x), run);
      EXPECT_EQ(other.activation_penalty(), wanted);
      other.backward(given.view);
      EXPECT_EQ(vector_of(penalized->params().gradients(), penalized->params().size()),
                vector_of(plain->params().gradients(), plain->params().size()));
    }
  }
}

}  // namespace
}  // namespace ostinato::test
