// The kernels of layer normalisation inside cells: normalisation of gates against the reference,
// and cells without their products against cells with products of zeros.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "kernels/kernels.h"
#include "reference/layer_norm.h"
#include "reference/random_problem.h"
#include "test/core_problem.h"
#include "test/guarded_rows.h"

namespace ostinato::test {
namespace {

constexpr float kEpsilon = 1e-3f;

struct Gates {
  int count, first, last;
};

// Rows of gates, [panel][gate][V], and how their values lie in them.
class GateLayout {
 public:
  GateLayout(const Kernels& kernels, size_t units, const Gates& gates)
      : width_(static_cast<size_t>(kernels.width)), units_(units), gates_(gates) {}

  size_t columns() const {
    return static_cast<size_t>(padded(static_cast<int64_t>(units_)) * gates_.count);
  }
  size_t values() const { return units_ * static_cast<size_t>(gates_.last - gates_.first); }
  // Of value i of those that are normalised together.
  size_t slot(size_t i) const {
    const size_t gate = static_cast<size_t>(gates_.first) + i / units_, unit = i % units_;
    return (unit / width_ * static_cast<size_t>(gates_.count) + gate) * width_ + unit % width_;
  }
  GateNormPlace place(int64_t ld, int64_t rstd_ld) const {
    return {static_cast<int64_t>(units_), gates_.count, gates_.first, gates_.last, ld, rstd_ld};
  }

  // Values in their slots; in all others, also those of padding, `other`.
  GuardedRows rows(const reference::Matrix& values, float other) const {
    reference::Matrix all(values.rows(), columns(),
                          reference::Vector(values.rows() * columns(), other));
    for (size_t r = 0; r < values.rows(); ++r) {
      for (size_t i = 0; i < values.cols(); ++i) all(r, slot(i)) = values(r, i);
    }
    return GuardedRows(all, kPad);
  }
  reference::Matrix values(const GuardedRows& rows) const {
    reference::Matrix result(rows.rows(), values());
    for (size_t r = 0; r < rows.rows(); ++r) {
      for (size_t i = 0; i < values(); ++i) result(r, i) = rows(r, slot(i));
    }
    return result;
  }
  // Whether the padding of the normalised gates is zeros, and other gates are as `rows` made them.
  bool rest_is(const GuardedRows& rows, float other) const {
    std::vector<bool> seen(columns());
    for (size_t i = 0; i < values(); ++i) seen[slot(i)] = true;
    for (size_t r = 0; r < rows.rows(); ++r) {
      for (size_t c = 0; c < columns(); ++c) {
        if (seen[c]) continue;
        const int gate = static_cast<int>(c / width_) % gates_.count;
        const bool normalized = gates_.first <= gate && gate < gates_.last;
        if (rows(r, c) != (normalized ? 0.0f : other)) return false;
      }
    }
    return rows.padding_untouched();
  }

 private:
  size_t width_, units_;
  Gates gates_;
};

::testing::AssertionResult near(const reference::Matrix& got, const reference::Matrix& want,
                                double tolerance) {
  for (size_t r = 0; r < want.rows(); ++r) {
    for (size_t c = 0; c < want.cols(); ++c) {
      const double error = std::abs(got(r, c) - want(r, c));
      if (error <= tolerance * std::max(1.0, std::abs(want(r, c)))) continue;
      return ::testing::AssertionFailure()
             << "(" << r << ", " << c << "): " << got(r, c) << " instead of " << want(r, c);
    }
  }
  return ::testing::AssertionSuccess();
}

reference::Matrix sum(reference::Matrix a, const reference::Matrix& b) {
  reference::add(a.values(), b.values());
  return a;
}

class GateNormKernel : public EveryIsa {};
OSTINATO_EVERY_ISA(GateNormKernel);

constexpr Gates kGates[] = {{1, 0, 1}, {4, 2, 3}, {4, 0, 4}, {3, 0, 2}};

TEST_P(GateNormKernel, FollowsTheReference) {
  constexpr size_t kRows = 3;
  for (const size_t units : {1, 3, 4, 7, 15, 16, 17, 33}) {
    for (const Gates& gates : kGates) {
      SCOPED_TRACE(testing::Message() << units << " units, gates " << gates.first << " to "
                                      << gates.last << " of " << gates.count);
      const GateLayout layout(kernels(), units, gates);
      const size_t count = layout.values();
      reference::RandomSource random(units);
      const reference::Matrix x = random.matrix(kRows, count, -2, 2);
      const reference::Matrix there = random.matrix(kRows, count);
      const reference::Matrix gamma = random.matrix(1, count, 0.5, 1.5);
      const reference::Matrix bias = random.matrix(1, count), none(kRows, count);
      for (const bool shifted : {true, false}) {
        for (const NormTarget target :
             {NormTarget::kWritten, NormTarget::kJoined, NormTarget::kAdded}) {
          const GuardedRows in = layout.rows(x, NAN), out = layout.rows(there, 9.0f);
          const GuardedRows scales = layout.rows(gamma, 0.0f), shifts = layout.rows(bias, 0.0f);
          const GuardedRows normalized = layout.rows(none, 9.0f), rstd(kRows, 2, 3);
          GateNormArgs args{};
          args.place = layout.place(out.ld(), rstd.ld());
          args.target = target;
          args.epsilon = kEpsilon;
          args.rows = kRows;
          args.x = in.data(), args.y = out.data();
          args.gamma = scales.data();
          args.bias = shifted ? shifts.data() : nullptr;
          args.normalized = normalized.data(), args.rstd = rstd.data() + 1;
          kernels().gate_norm(args);

          reference::LayerNormParams params{gamma.row(0), {}, kEpsilon};
          if (shifted) params.beta = bias.row(0);
          const reference::Matrix read = target == NormTarget::kJoined ? sum(x, there) : x;
          reference::Matrix want = layer_norm_forward(params, read);
          if (target == NormTarget::kAdded) want = sum(want, there);
          EXPECT_TRUE(near(layout.values(out), want, 1e-5));
          EXPECT_TRUE(layout.rest_is(out, 9.0f));
          params = {reference::Vector(count, 1.0), {}, kEpsilon};
          EXPECT_TRUE(near(layout.values(normalized), layer_norm_forward(params, read), 1e-5));
          EXPECT_TRUE(layout.rest_is(normalized, 9.0f));
          for (size_t r = 0; r < kRows; ++r) {
            EXPECT_NEAR(rstd(r, 1), reference::normalize(read.row(r), kEpsilon).rstd, 1e-4);
          }
          EXPECT_TRUE(rstd.padding_untouched());

          // In place, row by row, and nothing kept: the same bits.
          if (target != NormTarget::kWritten) continue;
          for (size_t r = 0; r < kRows; ++r) {
            GateNormArgs row = args;
            row.rows = 1;
            row.x = row.y = in.row(r);
            row.normalized = row.rstd = nullptr;
            kernels().gate_norm(row);
            for (size_t i = 0; i < count; ++i) {
              EXPECT_EQ(in(r, layout.slot(i)), out(r, layout.slot(i)));
            }
          }
        }
      }
    }
  }
}

TEST_P(GateNormKernel, GradientFollowsTheReference) {
  constexpr size_t kRows = 3;
  for (const size_t units : {1, 3, 4, 7, 15, 16, 17, 33}) {
    for (const Gates& gates : kGates) {
      SCOPED_TRACE(testing::Message() << units << " units, gates " << gates.first << " to "
                                      << gates.last << " of " << gates.count);
      const GateLayout layout(kernels(), units, gates);
      const size_t count = layout.values();
      reference::RandomSource random(units + 50);
      const reference::Matrix x = random.matrix(kRows, count, -2, 2);
      const reference::Matrix dy = random.matrix(kRows, count), before(kRows, count);
      const reference::Matrix gamma = random.matrix(1, count, 0.5, 1.5);
      reference::Matrix hat(kRows, count);
      const GuardedRows rstd(kRows, 1);
      double largest = 0;
      for (size_t r = 0; r < kRows; ++r) {
        const reference::NormalizedRow row = reference::normalize(x.row(r), kEpsilon);
        hat.set_row(r, row.values);
        rstd(r, 0) = static_cast<float>(row.rstd);
        largest = std::max(largest, row.rstd);
      }
      const GuardedRows normalized = layout.rows(hat, 0.0f), scales = layout.rows(gamma, 0.0f);
      const GuardedRows gradient = layout.rows(dy, NAN), dx = layout.rows(before, 9.0f);
      const GuardedRows too = layout.rows(before, 9.0f), dscale = layout.rows(dy, 0.0f);
      const GuardedRows dbias = layout.rows(dy, 0.0f);
      GateNormGradArgs args{};
      args.place = layout.place(dx.ld(), rstd.ld());
      args.rows = kRows;
      args.gamma = scales.data(), args.normalized = normalized.data(), args.rstd = rstd.data();
      args.dy = gradient.data(), args.dx = dx.data(), args.dx_too = too.data();
      args.dscale = dscale.data(), args.dbias = dbias.data();
      kernels().gate_norm_grad(args);

      const reference::LayerNormParams params{gamma.row(0), {}, kEpsilon};
      const double tolerance = 1e-6 * std::max(4.0, largest);
      EXPECT_TRUE(near(layout.values(dx), layer_norm_backward(params, x, dy).x, tolerance));
      EXPECT_TRUE(layout.rest_is(dx, 9.0f));
      EXPECT_EQ(too.bits(), dx.bits());
      // The shares of each row are added to what is there.
      reference::Matrix want_scale = dy, want_bias = dy;
      for (size_t i = 0; i < dy.values().size(); ++i) {
        want_scale.values()[i] += dy.values()[i] * hat.values()[i];
        want_bias.values()[i] += dy.values()[i];
      }
      EXPECT_TRUE(near(layout.values(dscale), want_scale, 1e-5));
      EXPECT_TRUE(near(layout.values(dbias), want_bias, 1e-5));
      EXPECT_TRUE(layout.rest_is(dscale, 0.0f));
      EXPECT_TRUE(layout.rest_is(dbias, 0.0f));

      // In place, and without what is not wanted.
      const auto wanted = dbias.bits();
      args.dx = gradient.data(), args.dx_too = nullptr, args.dbias = nullptr;
      kernels().gate_norm_grad(args);
      EXPECT_EQ(layout.values(gradient).values(), layout.values(dx).values());
      EXPECT_EQ(dbias.bits(), wanted);
    }
  }
}

TEST_P(GateNormKernel, EqualValuesGiveTheShift) {
  const GateLayout layout(kernels(), 19, {4, 0, 4});
  const reference::Matrix x(1, layout.values(), reference::Vector(layout.values(), 1e4));
  const reference::Matrix bias = reference::RandomSource(1).matrix(1, layout.values());
  const GuardedRows rows = layout.rows(x, 0.0f), shifts = layout.rows(bias, 0.0f);
  GateNormArgs args{};
  args.place = layout.place(rows.ld(), 1);
  args.epsilon = kEpsilon;
  args.rows = 1;
  args.x = args.y = rows.data();
  args.gamma = args.bias = shifts.data();
  kernels().gate_norm(args);
  EXPECT_TRUE(near(layout.values(rows), bias, 1e-6));
}

// A cell's maths by itself is that of its step where the product is of zeros.
TEST_P(GateNormKernel, CellsWithoutTheirProductsAreTheSameCells) {
  constexpr int64_t kRows = 3, kUnits = 37;
  const int64_t ld = padded(kUnits);
  for (int cell = 0; cell < kernels().cell_count; ++cell) {
    if (kernels().cell_apply[cell] == nullptr) continue;
    const CellInfo& info = kernels().cells[cell];
    SCOPED_TRACE(info.name);
    for (const bool training : {true, false}) {
      reference::RandomSource random(7);
      const auto rows = [&](int64_t cols) {
        return random.matrix(static_cast<size_t>(kRows), static_cast<size_t>(cols));
      };
      const GuardedRows sums(rows(info.gates * ld), kPad), product(rows(info.gates * ld), kPad);
      // The product's share that does not depend on the row stands in for it.
      for (size_t r = 1; r < kRows; ++r)
        std::copy_n(product.row(0), product.cols(), product.row(r));
      const GuardedRows before[2] = {GuardedRows(rows(ld), 0), GuardedRows(rows(ld), 0)};
      const std::vector<float> zeros(static_cast<size_t>(kRows * ld)),
          weights(static_cast<size_t>(info.gates * ld * kUnits));
      std::array<std::vector<uint32_t>, 4> bits[2];
      for (const bool alone : {false, true}) {
        GuardedRows gates(static_cast<size_t>(kRows), sums.cols(), kPad),
            kept(static_cast<size_t>(kRows), sums.cols(), kPad);
        std::copy_n(sums.data(), (kRows - 1) * sums.ld() + info.gates * ld, gates.data());
        std::fill_n(kept.data(), (kRows - 1) * kept.ld() + info.gates * ld, 0.0f);
        const GuardedRows after[2] = {GuardedRows(static_cast<size_t>(kRows), ld, 0),
                                      GuardedRows(static_cast<size_t>(kRows), ld, 0)};
        CellForwardArgs step{};
        step.rows = kRows;
        step.units = step.hidden = kUnits;
        step.panel_end = ld / kernels().width;
        step.training = training;
        step.weights = weights.data();
        step.recurrent_bias = product.row(0);
        step.gates = gates.data();
        step.gates_ld = gates.ld();
        step.recurrent_gates = training ? kept.data() : nullptr;
        step.multiplied = zeros.data();
        step.multiplied_ld = step.previous_ld = step.next_ld = ld;
        for (int s = 0; s < info.states; ++s) {
          step.previous[s] = before[s].data();
          step.next[s] = after[s].data();
        }
        if (alone) {
          kernels().cell_apply[cell]({step, product.data(), product.ld()});
        } else {
          kernels().cell_forward[cell](step);
        }
        bits[alone] = {after[0].bits(), after[1].bits(), gates.bits(), kept.bits()};
        if (info.states < 2) bits[alone][1].clear();
        if (!training) bits[alone][2].clear();
      }
      EXPECT_EQ(bits[true], bits[false]);
    }
  }
}

}  // namespace
}  // namespace ostinato::test
