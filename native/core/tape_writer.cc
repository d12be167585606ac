#include "core/tape_writer.h"

#include <algorithm>
#include <set>
#include <string>

#include "core/error.h"
#include "kernels/kernels.h"

namespace ostinato {

namespace {

bool is_temp(int place) { return place < kTapeTemps; }

// Places that may be the same memory have one number.
int memory_of(int place) {
  return place >= kTapeNext && place < kTapeStateGradients ? place - kTapeNext + kTapePrevious
                                                           : place;
}

class Writer {
 public:
  Writer(const ExpressionGraph& graph, const std::vector<TapeResult>& results,
         const std::map<int, uint8_t>& known, TapeConstants& constants, size_t leading)
      : graph_(graph), results_(results), known_(known), constants_(constants), leading_(leading) {}

  Tape write() {
    count_uses();
    for (const TapeResult& result : results_) visit(result.node);
    place_results();
    find_last_reads();
    assign_temps();
    collect_places();
    return std::move(tape_);
  }

 private:
  // An instruction whose operands are still nodes, or a move between places at the end.
  struct Step {
    TapeOp op;
    int node;  // that it computes
    int operands[3] = {-1, -1, -1};
  };

  bool is_known(int node) const { return known_.count(node) > 0 || graph_.is_constant(node); }

  void count_uses() {
    std::vector<int> open;
    std::set<int> seen;
    const auto need = [&](int node) {
      ++uses_[node];
      if (!is_known(node) && seen.insert(node).second) open.push_back(node);
    };
    for (size_t i = 0; i < leading_; ++i) {
      need(results_[i].node);
      ++uses_[results_[i].node];  // these are never fused into another operation
    }
    while (!open.empty()) {
      const Expression& node = graph_[open.back()];
      open.pop_back();
      for (const int operand : node.operands) {
        if (operand >= 0) need(operand);
      }
    }
  }

  bool can_fuse(int node) {
    return graph_[node].leaf == Leaf::kNone && graph_[node].op == TapeOp::kMul && !is_known(node) &&
           uses_[node] == 1;
  }

  // The steps of a node after those of its operands.
  void visit(int node) {
    if (is_known(node) || !visited_.insert(node).second) return;
    const Expression& it = graph_[node];
    Step step{it.op, node, {it.operands[0], it.operands[1], it.operands[2]}};
    const int a = it.operands[0], b = it.operands[1];
    const auto fuse = [&](TapeOp op, int product, int other) {
      step = {op, node, {graph_[product].operands[0], graph_[product].operands[1], other}};
    };
    if (it.op == TapeOp::kAdd && can_fuse(b)) {
      fuse(TapeOp::kFma, b, a);
    } else if (it.op == TapeOp::kAdd && can_fuse(a)) {
      fuse(TapeOp::kFma, a, b);
    } else if (it.op == TapeOp::kSub && can_fuse(b)) {
      fuse(TapeOp::kFnma, b, a);
    } else if (it.op == TapeOp::kSub && can_fuse(a)) {
      fuse(TapeOp::kFms, a, b);
    }
    for (const int operand : step.operands) {
      if (operand >= 0) visit(operand);
    }
    steps_.push_back(step);
  }

  // Where each result is made: at its place, if nobody reads what was there after that; otherwise
  // in a temporary, from which it is moved in the end.
  void place_results() {
    std::set<int> overwritten;
    for (const TapeResult& result : results_) overwritten.insert(memory_of(result.place));
    for (const TapeResult& result : results_) {
      const auto known = known_.find(result.node);
      if (known != known_.end()) {
        if (known->second == result.place) continue;
        // What would be gone by the end is saved at the beginning.
        if (overwritten.count(memory_of(known->second)) > 0 && saved_.insert(result.node).second) {
          steps_.insert(steps_.begin(), {TapeOp::kMove, result.node, {result.node}});
        }
        moves_.push_back(result);
      } else if (graph_.is_constant(result.node) || made_at_.count(result.node) > 0 ||
                 is_read_later(result)) {
        moves_.push_back(result);
      } else {
        made_at_[result.node] = result.place;
      }
    }
  }

  bool is_read_later(const TapeResult& result) const {
    bool made = false;
    for (const Step& step : steps_) {
      for (const int operand : step.operands) {
        const auto known = known_.find(operand);
        if (made && known != known_.end() && memory_of(known->second) == memory_of(result.place)) {
          return true;
        }
      }
      if (step.node == result.node) made = true;
    }
    return false;
  }

  void find_last_reads() {
    for (size_t i = 0; i < steps_.size(); ++i) {
      for (const int operand : steps_[i].operands) {
        if (operand >= 0) last_read_[operand] = i;
      }
    }
    for (const TapeResult& move : moves_) last_read_[move.node] = steps_.size();
  }

  void assign_temps() {
    for (const auto& [node, place] : known_) {
      if (!is_temp(place)) continue;
      tape_.temps = std::max(tape_.temps, place + 1);
      if (last_read_.count(node) > 0) busy_.insert(place);
    }
    for (size_t i = 0; i < steps_.size(); ++i) {
      const Step& step = steps_[i];
      TapeInstruction instruction{step.op, 0, 0, 0, 0};
      uint8_t* const operands[] = {&instruction.a, &instruction.b, &instruction.c};
      for (int k = 0; k < 3; ++k) {
        if (step.operands[k] >= 0) *operands[k] = place_of(step.operands[k]);
      }
      for (const int operand : step.operands) {
        if (operand >= 0 && last_read_[operand] == i) release(operand);
      }
      const auto made = made_at_.find(step.node);
      instruction.to = made != made_at_.end() ? made->second : take_temp();
      at_[step.node] = instruction.to;
      tape_.instructions.push_back(instruction);
    }
    for (const TapeResult& move : moves_) {
      tape_.instructions.push_back({TapeOp::kMove, move.place, place_of(move.node), 0, 0});
    }
  }

  uint8_t place_of(int node) {
    if (const auto at = at_.find(node); at != at_.end()) return at->second;
    if (graph_.is_constant(node)) return constants_.place(graph_[node].value);
    return known_.at(node);
  }

  void release(int node) {
    if (graph_.is_constant(node)) return;
    const uint8_t place = place_of(node);
    if (is_temp(place)) busy_.erase(place);
  }

  uint8_t take_temp() {
    for (uint8_t place = 0; place < kTapeTemps; ++place) {
      if (!busy_.insert(place).second) continue;
      tape_.temps = std::max(tape_.temps, place + 1);
      return place;
    }
    throw Error("ERR_INVALID_ARGUMENT",
                "Expected a cell with at most " + std::to_string(kTapeTemps) +
                    " values at a time for \"cell\" but received a larger one");
  }

  void collect_places() {
    std::set<uint8_t> places;
    for (const TapeInstruction& it : tape_.instructions) {
      for (const uint8_t place : {it.to, it.a, it.b, it.c}) {
        if (!is_temp(place)) places.insert(place);
      }
    }
    tape_.places.assign(places.begin(), places.end());
  }

  const ExpressionGraph& graph_;
  const std::vector<TapeResult>& results_;
  const std::map<int, uint8_t>& known_;
  TapeConstants& constants_;
  const size_t leading_;
  std::map<int, int> uses_;
  std::set<int> visited_, saved_;
  std::vector<Step> steps_;
  std::vector<TapeResult> moves_;
  std::map<int, uint8_t> made_at_;  // results that are made at their place
  std::map<int, size_t> last_read_;
  std::map<int, uint8_t> at_;  // of nodes that the tape has computed
  std::set<uint8_t> busy_;
  Tape tape_;
};

}  // namespace

uint8_t TapeConstants::place(float value) {
  const int count = static_cast<int>(values_.size() / kPad);
  for (int i = 0; i < count; ++i) {
    if (values_[i * kPad] == value) return static_cast<uint8_t>(kTapeConstant + i);
  }
  if (count == kTapeConstants) {
    throw Error("ERR_INVALID_ARGUMENT", "Expected at most " + std::to_string(kTapeConstants) +
                                            " different numbers for \"cell\" but received more");
  }
  values_.insert(values_.end(), kPad, value);
  return static_cast<uint8_t>(kTapeConstant + count);
}

Tape write_tape(const ExpressionGraph& graph, const std::vector<TapeResult>& results,
                const std::map<int, uint8_t>& known, TapeConstants& constants, size_t leading) {
  return Writer(graph, results, known, constants, leading).write();
}

}  // namespace ostinato
