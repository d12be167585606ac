// The embedding layer: a table of vectors looked up by token ids.
#pragma once

#include <cstdint>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "reference/matrix.h"

namespace ostinato::reference {

struct EmbeddingGradients {
  Matrix table;           // [vocabulary, units], zero where no token points
  std::set<size_t> rows;  // which rows of the table the tokens touched
};

// Throws std::out_of_range for an id that the table does not have.
inline size_t embedding_row(const Matrix& table, int32_t token) {
  if (token >= 0 && static_cast<size_t>(token) < table.rows()) return static_cast<size_t>(token);
  throw std::out_of_range("Expected a token id in 0…" + std::to_string(table.rows() - 1) +
                          " for \"tokens\" but received " + std::to_string(token) + " (number)");
}

// tokens [rows] -> y [rows, units].
inline Matrix embedding_forward(const Matrix& table, const std::vector<int32_t>& tokens) {
  Matrix y(tokens.size(), table.cols());
  for (size_t r = 0; r < tokens.size(); ++r) {
    y.set_row(r, table.row(embedding_row(table, tokens[r])));
  }
  return y;
}

// From dy [rows, units]. A token that occurs n times collects n gradients.
inline EmbeddingGradients embedding_backward(const Matrix& table,
                                             const std::vector<int32_t>& tokens, const Matrix& dy) {
  EmbeddingGradients gradients{Matrix(table.rows(), table.cols()), {}};
  for (size_t r = 0; r < tokens.size(); ++r) {
    const size_t row = embedding_row(table, tokens[r]);
    gradients.table.set_row(row, sum(gradients.table.row(row), dy.row(r)));
    gradients.rows.insert(row);
  }
  return gradients;
}

}  // namespace ostinato::reference
