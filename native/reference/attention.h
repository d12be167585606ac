// Attention of the queries of one sample over its keys and values. Scores: "dot" s = q . k,
// "general" s = (W q) . k (Luong, Pham and Manning 2015), "additive" s = w . tanh(W q + U k + b)
// (Bahdanau, Cho and Bengio 2015); weights are their softmax over the keys.
#pragma once

#include <cmath>
#include <string>

#include "reference/dense.h"
#include "reference/matrix.h"

namespace ostinato::reference {

struct AttentionParams {
  Matrix weight_query, weight_key;  // W, U
  Vector weight_score, bias;        // w, b
};

struct AttentionGradients {
  Matrix queries, keys, values;
  AttentionParams params;
};

// W q, or q itself for "dot".
inline Vector attention_projection(const std::string& score, const AttentionParams& params,
                                   const Vector& query) {
  if (score == "dot") return query;
  const Vector projected = multiply(params.weight_query, query);
  return score == "additive" ? sum(projected, params.bias) : projected;
}

inline double attention_score(const std::string& score, const AttentionParams& params,
                              const Vector& projection, const Vector& key) {
  double total = 0.0;
  if (score != "additive") {
    for (size_t j = 0; j < key.size(); ++j) total += projection.at(j) * key[j];
    return total;
  }
  const Vector argument = sum(projection, multiply(params.weight_key, key));
  for (size_t j = 0; j < argument.size(); ++j) {
    total += params.weight_score.at(j) * std::tanh(argument[j]);
  }
  return total;
}

inline Vector attention_weights(const std::string& score, const AttentionParams& params,
                                const Vector& query, const Matrix& keys) {
  Vector scores(keys.rows());
  const Vector projection = attention_projection(score, params, query);
  for (size_t t = 0; t < keys.rows(); ++t) {
    scores[t] = attention_score(score, params, projection, keys.row(t));
  }
  return scores.empty() ? scores : softmax(scores);
}

inline Matrix attention_forward(const std::string& score, const AttentionParams& params,
                                const Matrix& queries, const Matrix& keys, const Matrix& values) {
  Matrix y(queries.rows(), values.cols());
  for (size_t i = 0; i < queries.rows(); ++i) {
    const Vector weights = attention_weights(score, params, queries.row(i), keys);
    for (size_t t = 0; t < keys.rows(); ++t) {
      for (size_t c = 0; c < y.cols(); ++c) y(i, c) += weights[t] * values(t, c);
    }
  }
  return y;
}

// Adds the gradients that flow through one score.
inline void attention_score_backward(const std::string& score, const AttentionParams& params,
                                     const Vector& query, const Vector& key, double ds, size_t i,
                                     size_t t, AttentionGradients& d) {
  const Vector projection = attention_projection(score, params, query);
  Vector dprojection(projection.size(), 0.0), dkey(key.size(), 0.0);
  if (score != "additive") {
    for (size_t j = 0; j < key.size(); ++j) {
      dprojection[j] = ds * key[j];
      dkey[j] = ds * projection[j];
    }
  } else {
    const Vector argument = sum(projection, multiply(params.weight_key, key));
    for (size_t j = 0; j < argument.size(); ++j) {
      const double u = std::tanh(argument[j]);
      d.params.weight_score[j] += ds * u;
      dprojection[j] = ds * params.weight_score[j] * (1.0 - u * u);
    }
    add(d.params.bias, dprojection);
    add_outer(d.params.weight_key, dprojection, key);
    dkey = multiply_transposed(params.weight_key, dprojection);
  }
  Vector dquery = dprojection;
  if (score != "dot") {
    add_outer(d.params.weight_query, dprojection, query);
    dquery = multiply_transposed(params.weight_query, dprojection);
  }
  for (size_t j = 0; j < dquery.size(); ++j) d.queries(i, j) += dquery[j];
  for (size_t j = 0; j < dkey.size(); ++j) d.keys(t, j) += dkey[j];
}

// Adds to `d`, whose matrices have the shapes of what they belong to.
inline void attention_backward(const std::string& score, const AttentionParams& params,
                               const Matrix& queries, const Matrix& keys, const Matrix& values,
                               const Matrix& dy, AttentionGradients& d) {
  for (size_t i = 0; i < queries.rows(); ++i) {
    const Vector weights = attention_weights(score, params, queries.row(i), keys);
    Vector dweights(keys.rows(), 0.0);
    double mean = 0.0;
    for (size_t t = 0; t < keys.rows(); ++t) {
      for (size_t c = 0; c < values.cols(); ++c) {
        dweights[t] += dy(i, c) * values(t, c);
        d.values(t, c) += weights[t] * dy(i, c);
      }
      mean += weights[t] * dweights[t];
    }
    for (size_t t = 0; t < keys.rows(); ++t) {
      attention_score_backward(score, params, queries.row(i), keys.row(t),
                               weights[t] * (dweights[t] - mean), i, t, d);
    }
  }
}

}  // namespace ostinato::reference
