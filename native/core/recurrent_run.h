// Execution of a recurrent layer: its stack of recurrences, what lies between them, and its output.
#pragma once

#include <span>
#include <vector>

#include "core/recurrence.h"
#include "core/recurrent.h"

namespace ostinato {

class RecurrentRun : public LayerRun {
 public:
  explicit RecurrentRun(const Recurrent& layer);
  void plan(Workspace& workspace, const Pass& pass) override;
  Value forward(const Pass& pass, const ParamTable& params, const Value& input) override;
  void backward(const Pass& pass, const ParamTable& params, const Value& input, const Matrix& dy,
                const Matrix& dx) override;
  Value forward_from(const Pass& pass, const ParamTable& params,
                     std::span<const Value> inputs) override;
  void backward_to(const Pass& pass, const ParamTable& params, std::span<const Value> inputs,
                   const Matrix& dy, std::span<const Matrix> dx) override;
  double penalty() const override { return penalty_; }
  void set_initial_state(const Geometry& geometry, size_t state, const float* source) override;
  void get_final_state(const Geometry& geometry, size_t state, float* destination) const override;
  void set_final_state_gradient(const Geometry& geometry, size_t state,
                                const float* source) override;
  void add_final_state_gradient(const Geometry& geometry, size_t state,
                                const float* source) override;
  void get_initial_state_gradient(const Geometry& geometry, size_t state,
                                  float* destination) const override;

 private:
  // One layer of the stack.
  struct Level {
    Matrix output[2];    // of each direction: [N, H], or the last steps [B, H] at the top
    Matrix merged;       // of both, when bidirectional
    Matrix dropped;      // input of the next level, when dropout is on
    Matrix input;        // what this level read
    Matrix gradient[2];  // of output
  };

  bool is_top(size_t level) const { return level + 1 == levels_.size(); }
  bool penalizes(const Pass& pass) const {
    return pass.training && layer_.return_sequences() && layer_.activation_penalty().on();
  }
  bool drops(const Pass& pass) const { return pass.training && layer_.dropout() > 0; }
  Recurrence& recurrence(size_t level, int direction) {
    return recurrences_[level * layer_.directions() + direction];
  }
  void plan_level(Workspace& workspace, const Pass& pass, size_t level);
  void gather_last(const Pass& pass, size_t level, int direction);
  // rows (b, t) and (b, length - 1 - t) change places: to processing order and back.
  void reverse_rows(const Pass& pass, const Matrix& from, const Matrix& to) const;

  const Recurrent& layer_;
  std::vector<Level> levels_;
  // Of a level's input. A level reads one gradient and writes another, so two blocks do for all;
  // the bottom level writes the layer's dx instead.
  Matrix dinput_[2];
  mutable std::vector<Recurrence> recurrences_;  // initial gradients are finished when asked for
  Matrix reversed_, dreversed_;                  // goBackwards: the output, its gradient
  const std::vector<StateInfo> states_;
  float* state_ = nullptr;  // one state [slots, B, features], on its way from or to rows
  Matrix penalized_;        // the output that a penalty was taken of
  double penalty_ = 0;
};

}  // namespace ostinato
