// What tests of the core share: networks from a few words, rows of floats from reference matrices,
// and comparisons.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/arena.h"
#include "core/dispatch.h"
#include "core/error.h"
#include "core/network.h"
#include "core/tensor.h"
#include "reference/matrix.h"
#include "reference/random_problem.h"

namespace ostinato::test {

using Options = std::map<std::string, Option>;

inline LayerConfig layer(const std::string& type, Options options, const std::string& name = "") {
  return {type, name.empty() ? type : name, std::move(options)};
}

inline std::shared_ptr<Network> make_network(const Kernels& kernels, const ValueShape& input,
                                             std::vector<LayerConfig> layers, uint64_t seed = 1) {
  return std::make_shared<Network>(NetworkConfig{seed, {input}, std::move(layers)}, kernels);
}

// Rows of the core's layout that own their memory; the padding holds NaN, which nobody may use.
class Rows {
 public:
  Rows(int64_t rows, int64_t cols) {
    buffer_.reserve(rows * padded(cols) + kPad);
    std::fill_n(buffer_.data(), buffer_.size(), std::nanf(""));
    view = {buffer_.data(), rows, cols, padded(cols)};
  }
  explicit Rows(const reference::Matrix& values)
      : Rows(static_cast<int64_t>(values.rows()), static_cast<int64_t>(values.cols())) {
    for (size_t r = 0; r < values.rows(); ++r) {
      for (size_t c = 0; c < values.cols(); ++c) {
        view.row(static_cast<int64_t>(r))[c] = static_cast<float>(values(r, c));
      }
    }
  }
  Matrix view;

 private:
  AlignedBuffer buffer_;
};

inline Value floats(const Rows& rows) { return {rows.view, nullptr, rows.view.rows}; }
inline Value tokens(const std::vector<int32_t>& ids) {
  return {{}, ids.data(), static_cast<int64_t>(ids.size())};
}

inline reference::Vector vector_of(const float* values, int64_t count) {
  return reference::Vector(values, values + count);
}

inline reference::Vector vector_of(const Matrix& rows) {
  reference::Vector values;
  for (int64_t r = 0; r < rows.rows; ++r) {
    values.insert(values.end(), rows.row(r), rows.row(r) + rows.cols);
  }
  return values;
}

// The largest difference, relative to the largest value that is wanted.
inline double relative_error(const reference::Vector& got, const reference::Vector& want) {
  if (got.size() != want.size()) return INFINITY;
  double error = 0, largest = 1e-30;
  for (size_t i = 0; i < got.size(); ++i) {
    if (!std::isfinite(got[i])) return INFINITY;
    error = std::max(error, std::abs(got[i] - want[i]));
    largest = std::max(largest, std::abs(want[i]));
  }
  return error / largest;
}

#define OSTINATO_EXPECT_CLOSE(got, want, tolerance) \
  EXPECT_LE(::ostinato::test::relative_error(got, want), tolerance) << #got

inline int param_index(const Network& network, const std::string& name) {
  const auto& entries = network.params().entries();
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].name == name) return static_cast<int>(i);
  }
  ADD_FAILURE() << "no parameter " << name;
  return 0;
}

inline void set_param(Network& network, const std::string& name, const reference::Vector& values) {
  const int index = param_index(network, name);
  ASSERT_EQ(network.params().entries()[index].size, static_cast<int64_t>(values.size()));
  std::transform(values.begin(), values.end(), network.params().value(index),
                 [](double value) { return static_cast<float>(value); });
  network.params().touch();
}

inline reference::Vector gradient_of(const Network& network, const std::string& name) {
  const int index = param_index(network, name);
  return vector_of(network.params().gradient(index), network.params().entries()[index].size);
}

// All values of a flat buffer, bit by bit.
inline std::vector<uint32_t> bits_of(const float* values, int64_t count) {
  std::vector<uint32_t> bits(count);
  if (count > 0) std::memcpy(bits.data(), values, static_cast<size_t>(count) * sizeof(float));
  return bits;
}

// The message of the Error with `code` that fn throws.
template <class Fn>
std::string message_of(const std::string& code, const Fn& fn) {
  try {
    fn();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

// A suite that runs once per instruction set of this machine.
class EveryIsa : public ::testing::TestWithParam<const Kernels*> {
 protected:
  const Kernels& kernels() const { return *GetParam(); }
};

inline std::string isa_name(const ::testing::TestParamInfo<const Kernels*>& info) {
  return info.param->name;
}

#define OSTINATO_EVERY_ISA(suite)                                                       \
  INSTANTIATE_TEST_SUITE_P(Isa, suite,                                                  \
                           ::testing::ValuesIn(::ostinato::available_kernels().begin(), \
                                               ::ostinato::available_kernels().end()),  \
                           ::ostinato::test::isa_name)

}  // namespace ostinato::test
