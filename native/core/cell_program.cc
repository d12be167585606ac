#include "core/cell_program.h"

#include <algorithm>
#include <set>

#include "core/derivative.h"

namespace ostinato {

namespace {

// What it costs to compute a node again, in additions.
int cost_of(const Expression& node) {
  switch (node.op) {
    case TapeOp::kSigmoid:
    case TapeOp::kTanh:
    case TapeOp::kExp:
      return 8;
    case TapeOp::kLog:
    case TapeOp::kSoftplus:
      return 16;
    case TapeOp::kDiv:
    case TapeOp::kSqrt:
      return 4;
    default:
      return 1;
  }
}

}  // namespace

CellProgram::CellProgram(const std::string& text) : cell_(parse_cell(text)) {
  info_.name = cell_.name.c_str();
  info_.gates = static_cast<int>(cell_.gates.size());
  info_.states = static_cast<int>(cell_.states.size());
  for (int s = 0; s < info_.states; ++s) info_.state_names[s] = cell_.states[s].c_str();
  info_.phases = 1;
  info_.phase_gates[1] = info_.gates;
  info_.split_gates = cell_.split_gates;

  const size_t states = cell_.states.size();
  infer_ = write_tape(cell_.graph, next_states(), known_leaves(true), constants_, states);

  const int forward_nodes = cell_.graph.size();
  std::vector<Seed> seeds;
  for (int s = 0; s < info_.states; ++s) {
    seeds.push_back({cell_.results[s], cell_.graph.leaf(Leaf::kGradient, s)});
  }
  std::vector<int> gradients = differentiate(cell_.graph, seeds);
  gradients.resize(forward_nodes, -1);
  const std::vector<TapeResult> results = gradient_results(gradients);

  std::map<int, uint8_t> known = known_leaves(false);
  const std::vector<TapeResult> saved = slots_for(nodes_to_save(results, known));
  for (const TapeResult& slot : saved) known[slot.node] = slot.place;
  backward_ = write_tape(cell_.graph, results, known, constants_, results.size());

  std::vector<TapeResult> forward = next_states();
  forward.insert(forward.end(), saved.begin(), saved.end());
  train_ = write_tape(cell_.graph, forward, known_leaves(true), constants_, states);

  for (Tape* forward_tape : {&infer_, &train_}) {
    forward_tape->temps = std::max(forward_tape->temps, info_.gates);
  }
  backward_.temps = std::max(backward_.temps, 1);
  tape_ = {info_.gates,       info_.states,      static_cast<int>(cell_.params.size()),
           cell_.split_gates, constants_.data(), infer_.code(),
           train_.code(),     backward_.code()};
}

std::map<int, uint8_t> CellProgram::known_leaves(bool forward) {
  std::map<int, uint8_t> known;
  const auto leaf = [&](Leaf kind, int index, int place) {
    known[cell_.graph.leaf(kind, index)] = static_cast<uint8_t>(place);
  };
  for (int s = 0; s < info_.states; ++s) leaf(Leaf::kState, s, kTapePrevious + s);
  for (size_t p = 0; p < cell_.params.size(); ++p) {
    leaf(Leaf::kParam, static_cast<int>(p), kTapeParam + static_cast<int>(p));
  }
  if (forward) {
    for (int g = 0; g < info_.gates; ++g) {
      leaf(is_split(g) ? Leaf::kRecurrent : Leaf::kSum, g, g);
      if (is_split(g)) leaf(Leaf::kInput, g, kTapeGates + g);
    }
    return known;
  }
  leaf(Leaf::kGradient, 0, 0);
  for (int s = 1; s < info_.states; ++s) leaf(Leaf::kGradient, s, kTapeStateGradients + s);
  for (int s = 0; s < info_.states; ++s) {
    known.try_emplace(cell_.results[s], static_cast<uint8_t>(kTapeNext + s));
  }
  return known;
}

std::vector<TapeResult> CellProgram::next_states() const {
  std::vector<TapeResult> results;
  for (int s = 0; s < info_.states; ++s) {
    results.push_back({cell_.results[s], static_cast<uint8_t>(kTapeNext + s)});
  }
  return results;
}

// `gradients` by node. What nothing depends on has the gradient 0.
std::vector<TapeResult> CellProgram::gradient_results(const std::vector<int>& gradients) {
  std::vector<TapeResult> results;
  const auto result = [&](Leaf kind, int index, int place) {
    const int node = cell_.graph.leaf(kind, index);
    const bool has = node < static_cast<int>(gradients.size()) && gradients[node] >= 0;
    results.push_back(
        {has ? gradients[node] : cell_.graph.constant(0), static_cast<uint8_t>(place)});
  };
  for (int g = 0; g < info_.gates; ++g) {
    result(is_split(g) ? Leaf::kInput : Leaf::kSum, g, kTapeGates + g);
    if (cell_.split_gates == 0) continue;
    result(is_split(g) ? Leaf::kRecurrent : Leaf::kSum, g, kTapeRecurrentGates + g);
  }
  for (int s = 0; s < info_.states; ++s) result(Leaf::kState, s, kTapeStateGradients + s);
  for (int p = 0; p < static_cast<int>(cell_.params.size()); ++p) {
    result(Leaf::kParam, p, kTapeParamGradients + p);
  }
  return results;
}

// The values of a forward step that its backward step reads: at best those that derivatives name.
// There is one slot for each gate, two where products are apart; if that is not enough, values are
// replaced by what they are computed from, the cheapest way first. The end of that are the gates'
// products, for which there is room.
std::vector<int> CellProgram::nodes_to_save(const std::vector<TapeResult>& gradients,
                                            const std::map<int, uint8_t>& known) {
  const auto is_forward = [&](int node) {
    // Derivatives are made of gradients; everything else is part of the step forward, or could be.
    std::vector<int> open{node};
    std::set<int> seen;
    while (!open.empty()) {
      const Expression& it = cell_.graph[open.back()];
      open.pop_back();
      if (it.leaf == Leaf::kGradient) return false;
      for (const int operand : it.operands) {
        if (operand >= 0 && seen.insert(operand).second) open.push_back(operand);
      }
    }
    return true;
  };
  const auto is_free = [&](int node) {
    return known.count(node) > 0 || cell_.graph.is_constant(node);
  };
  std::set<int> wanted, seen;
  std::vector<int> open;
  for (const TapeResult& result : gradients) open.push_back(result.node);
  while (!open.empty()) {
    const int node = open.back();
    open.pop_back();
    if (!seen.insert(node).second || is_free(node)) continue;
    if (is_forward(node)) {
      wanted.insert(node);
      continue;
    }
    for (const int operand : cell_.graph[node].operands) {
      if (operand >= 0) open.push_back(operand);
    }
  }
  const size_t slots = info_.gates * (cell_.split_gates != 0 ? 2 : 1);
  for (;;) {
    std::pair<size_t, int> best{SIZE_MAX, 0};
    int replaced = -1;
    for (const int node : wanted) {
      if (cell_.graph[node].leaf != Leaf::kNone) continue;
      size_t size = wanted.size() - 1;
      for (const int operand :
           std::set<int>(cell_.graph[node].operands, cell_.graph[node].operands + 3)) {
        if (operand >= 0 && !is_free(operand) && wanted.count(operand) == 0) ++size;
      }
      const std::pair<size_t, int> candidate{size, cost_of(cell_.graph[node])};
      if (candidate < best) {
        best = candidate;
        replaced = node;
      }
    }
    // An addition of what is there costs less than a slot.
    const bool pays = replaced >= 0 && best.first < wanted.size() && best.second == 1;
    if (wanted.size() <= slots && !pays) break;
    wanted.erase(replaced);
    for (const int operand : cell_.graph[replaced].operands) {
      if (operand >= 0 && !is_free(operand)) wanted.insert(operand);
    }
  }
  return {wanted.begin(), wanted.end()};
}

std::vector<TapeResult> CellProgram::slots_for(const std::vector<int>& nodes) const {
  std::vector<uint8_t> own, shared, apart;  // in the order in which they are taken
  std::set<int> kept;                       // gates whose input product stays where it is
  for (const int node : nodes) {
    if (cell_.graph[node].leaf == Leaf::kInput) kept.insert(cell_.graph[node].index);
  }
  for (int g = 0; g < info_.gates; ++g) {
    if (kept.count(g) == 0) (is_split(g) ? shared : own).push_back(kTapeGates + g);
    if (cell_.split_gates != 0) apart.push_back(kTapeRecurrentGates + g);
  }
  // A split gate's slot holds an input product until that has been read: values that are computed
  // late go there.
  std::vector<uint8_t> order = own;
  order.insert(order.end(), shared.begin(), shared.end());
  order.insert(order.end(), apart.begin(), apart.end());
  std::vector<TapeResult> results;
  size_t next = 0;
  for (const bool leaves : {false, true}) {
    for (const int node : nodes) {
      const Expression& it = cell_.graph[node];
      if ((it.leaf != Leaf::kNone) != leaves) continue;
      const bool stays = it.leaf == Leaf::kInput;
      results.push_back(
          {node, stays ? static_cast<uint8_t>(kTapeGates + it.index) : order[next++]});
    }
  }
  return results;
}

}  // namespace ostinato
