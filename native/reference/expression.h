// A cell that is stated as text (native/core/expression.h has the format), interpreted statement by
// statement for one unit at a time, and a layer of it over rows of any lengths. Derivatives are the
// chain rule, applied to numbers in the opposite order of the statements.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "reference/cell.h"
#include "reference/matrix.h"

namespace ostinato::reference {

// Numbers by the names of operands: "sum.z", "state.h", "#3", "0.5".
using Scalars = std::map<std::string, double>;

struct ExpressionCell {
  struct Statement {
    std::string name, op;
    std::vector<std::string> operands;
  };
  std::vector<std::string> gates, states, vectors;
  std::vector<Statement> statements;
  std::map<std::string, std::string> results;  // operand of each state after the step

  explicit ExpressionCell(const std::string& text) {
    std::istringstream all(text);
    for (std::string statement; std::getline(all, statement, ';');) {
      for (char& c : statement) {
        if (c == '(' || c == ')' || c == ',' || c == '=') c = ' ';
      }
      std::istringstream words(statement);
      std::string first;
      words >> first;
      std::vector<std::string> rest;
      for (std::string word; words >> word;) rest.push_back(word);
      if (first == "gates") {
        gates = rest;
      } else if (first == "states") {
        states = rest;
      } else if (first == "params") {
        for (const std::string& word : rest) vectors.push_back(word.substr(0, word.find(':')));
      } else if (first[0] == '#') {
        statements.push_back({first, rest[0], {rest.begin() + 1, rest.end()}});
      } else if (first != "cell") {
        results[first] = rest[0];
      }
    }
  }

  static double at(const Scalars& values, const std::string& operand) {
    const auto found = values.find(operand);
    return found != values.end() ? found->second : std::stod(operand);
  }

  // Adds the value of every statement.
  void evaluate(Scalars& values) const {
    for (const Statement& it : statements) {
      const double a = at(values, it.operands[0]);
      const double b = it.operands.size() > 1 ? at(values, it.operands[1]) : 0.0;
      values[it.name] = value_of(it.op, a, b);
    }
  }

  // From the gradients of results to those of everything that they depend on, added to `gradients`.
  void differentiate(const Scalars& values, Scalars& gradients) const {
    for (size_t i = statements.size(); i-- > 0;) {
      const Statement& it = statements[i];
      const double d = gradients[it.name];
      const double a = at(values, it.operands[0]);
      const double b = it.operands.size() > 1 ? at(values, it.operands[1]) : 0.0;
      const auto [da, db] = slopes_of(it.op, a, b, at(values, it.name));
      gradients[it.operands[0]] += d * da;
      if (it.operands.size() > 1) gradients[it.operands[1]] += d * db;
    }
  }

  static double value_of(const std::string& op, double a, double b) {
    if (op == "add") return a + b;
    if (op == "sub") return a - b;
    if (op == "mul") return a * b;
    if (op == "div") return a / b;
    if (op == "min") return std::min(a, b);
    if (op == "max") return std::max(a, b);
    if (op == "neg") return -a;
    if (op == "sigmoid") return sigmoid(a);
    if (op == "tanh") return std::tanh(a);
    if (op == "relu") return std::max(a, 0.0);
    if (op == "exp") return std::exp(a);
    if (op == "log") return std::log(a);
    if (op == "softplus") return std::log1p(std::exp(a));
    if (op == "abs") return std::abs(a);
    if (op == "sqrt") return std::sqrt(a);
    throw std::invalid_argument("Expected an operation for \"op\" but received \"" + op + "\"");
  }

  struct Slopes {
    double a, b;
  };
  static Slopes slopes_of(const std::string& op, double a, double b, double y) {
    if (op == "add") return {1.0, 1.0};
    if (op == "sub") return {1.0, -1.0};
    if (op == "mul") return {b, a};
    if (op == "div") return {1.0 / b, -a / (b * b)};
    if (op == "min") return {a < b ? 1.0 : 0.0, a < b ? 0.0 : 1.0};
    if (op == "max") return {a > b ? 1.0 : 0.0, a > b ? 0.0 : 1.0};
    if (op == "neg") return {-1.0, 0.0};
    if (op == "sigmoid") return {y * (1.0 - y), 0.0};
    if (op == "tanh") return {1.0 - y * y, 0.0};
    if (op == "relu") return {a > 0.0 ? 1.0 : 0.0, 0.0};
    if (op == "exp") return {y, 0.0};
    if (op == "log") return {1.0 / a, 0.0};
    if (op == "softplus") return {sigmoid(a), 0.0};
    if (op == "abs") return {a > 0.0 ? 1.0 : a < 0.0 ? -1.0 : 0.0, 0.0};
    return {0.5 / y, 0.0};  // sqrt
  }
};

// One layer in one direction. Rows of the batch need not be of equal length.
struct ExpressionProblem {
  std::vector<std::vector<Vector>> x;  // [row][step][I]
  CellWeights weights;
  std::map<std::string, Vector> vectors;  // [H]
  std::vector<States> initial;            // [row]
  std::vector<std::vector<Vector>> dy;    // [row][step][H]: upstream, of the outputs
  std::vector<States> d_final;            // … of the final states
};

struct ExpressionResult {
  std::vector<std::vector<Vector>> y;
  std::vector<States> final_states;
  double loss = 0.0;  // whose gradients are dy and d_final
};

struct ExpressionGradients {
  std::vector<std::vector<Vector>> x;
  CellWeights weights;
  std::map<std::string, Vector> vectors;
  std::vector<States> initial;
};

// All numbers of unit u in one step, from products of that step.
inline Scalars scalars_of(const ExpressionCell& cell, const ExpressionProblem& problem,
                          const Vector& input, const Vector& recurrent, const States& before,
                          size_t u) {
  const size_t units = problem.weights.units();
  Scalars values;
  for (size_t g = 0; g < cell.gates.size(); ++g) {
    values["input." + cell.gates[g]] = input[g * units + u];
    values["recurrent." + cell.gates[g]] = recurrent[g * units + u];
    values["sum." + cell.gates[g]] = input[g * units + u] + recurrent[g * units + u];
  }
  for (size_t s = 0; s < cell.states.size(); ++s) values["state." + cell.states[s]] = before[s][u];
  for (const auto& [name, vector] : problem.vectors) values["param." + name] = vector[u];
  cell.evaluate(values);
  return values;
}

inline States step(const ExpressionCell& cell, const ExpressionProblem& problem, const Vector& x,
                   const States& before) {
  const Vector input = input_product(problem.weights, x);
  const Vector recurrent = recurrent_product(problem.weights, before[0]);
  States after = before;
  for (size_t u = 0; u < problem.weights.units(); ++u) {
    const Scalars values = scalars_of(cell, problem, input, recurrent, before, u);
    for (size_t s = 0; s < after.size(); ++s) {
      after[s][u] = ExpressionCell::at(values, cell.results.at(cell.states[s]));
    }
  }
  return after;
}

inline ExpressionResult forward(const ExpressionCell& cell, const ExpressionProblem& problem) {
  ExpressionResult result;
  const auto dot = [](const Vector& a, const Vector& b) {
    double total = 0.0;
    for (size_t i = 0; i < a.size(); ++i) total += a[i] * b[i];
    return total;
  };
  for (size_t row = 0; row < problem.x.size(); ++row) {
    States states = problem.initial[row];
    result.y.emplace_back();
    for (size_t t = 0; t < problem.x[row].size(); ++t) {
      states = step(cell, problem, problem.x[row][t], states);
      result.y[row].push_back(states[0]);
      result.loss += dot(states[0], problem.dy[row][t]);
    }
    for (size_t s = 0; s < states.size(); ++s) {
      result.loss += dot(states[s], problem.d_final[row][s]);
    }
    result.final_states.push_back(states);
  }
  return result;
}

inline ExpressionGradients backward(const ExpressionCell& cell, const ExpressionProblem& problem) {
  const size_t units = problem.weights.units(), gates = cell.gates.size();
  ExpressionGradients gradients;
  gradients.weights = CellWeights(gates, problem.weights.ih.cols(), units);
  for (const auto& [name, vector] : problem.vectors) gradients.vectors[name] = Vector(units, 0.0);
  for (size_t row = 0; row < problem.x.size(); ++row) {
    const size_t steps = problem.x[row].size();
    std::vector<States> before{problem.initial[row]};
    for (size_t t = 0; t < steps; ++t) {
      before.push_back(step(cell, problem, problem.x[row][t], before[t]));
    }
    States d = problem.d_final[row];
    gradients.x.emplace_back(steps);
    for (size_t t = steps; t-- > 0;) {
      add(d[0], problem.dy[row][t]);
      const Vector input = input_product(problem.weights, problem.x[row][t]);
      const Vector recurrent = recurrent_product(problem.weights, before[t][0]);
      Vector d_input(gates * units), d_recurrent(gates * units);
      States d_before = d;
      for (size_t u = 0; u < units; ++u) {
        const Scalars values = scalars_of(cell, problem, input, recurrent, before[t], u);
        Scalars by_name;
        for (size_t s = 0; s < d.size(); ++s) by_name[cell.results.at(cell.states[s])] += d[s][u];
        cell.differentiate(values, by_name);
        for (size_t g = 0; g < gates; ++g) {
          const double d_sum = by_name["sum." + cell.gates[g]];
          d_input[g * units + u] = d_sum + by_name["input." + cell.gates[g]];
          d_recurrent[g * units + u] = d_sum + by_name["recurrent." + cell.gates[g]];
        }
        for (size_t s = 0; s < d.size(); ++s) d_before[s][u] = by_name["state." + cell.states[s]];
        for (auto& [name, vector] : gradients.vectors) vector[u] += by_name["param." + name];
      }
      add(d_before[0], products_backward(problem.weights, problem.x[row][t], before[t][0], d_input,
                                         d_recurrent, gradients.weights, gradients.x[row][t]));
      d = d_before;
    }
    gradients.initial.push_back(d);
  }
  return gradients;
}

}  // namespace ostinato::reference
