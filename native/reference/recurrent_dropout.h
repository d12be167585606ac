// Dropout inside the time loop, with masks that are given.
//
// A mask m on h before the recurrent products (Gal and Ghahramani, NIPS 2016): R (m h) is (R D) h
// with D = diag(m), so a row of a batch has recurrent weights R D of its own, and of their gradient
// G the gradient of R is G D. That also holds for a product of r h, and for a vector u of recurrent
// weights: u (m h) = (u m) h. Peepholes are of c, which has no mask.
//
// Zoneout (Krueger et al., ICLR 2017): of a state s and what the cell makes of it, s', the step
// keeps z s + (1 - z) s'. The cell itself, and h made of the new c, are untouched.
//
// Dropout of the candidate (Semeniuta, Severyn and Barth, COLING 2016): factors of what a cell adds
// to its memory, of which the cells know.
#pragma once

#include <cstddef>
#include <vector>

#include "reference/cell.h"
#include "reference/recurrent_config.h"
#include "reference/sequences.h"

namespace ostinato::reference {

// Of one direction of one layer. Steps are in processing order.
struct DirectionDropout {
  std::vector<Vector> mask;                  // [row] of h, or empty: ones
  std::vector<std::vector<States>> zoneout;  // [row][step] of each state, or empty: zeros
  Sequences candidate;                       // [row][step] factors, or empty: ones

  CellWeights masked(CellWeights weights, size_t row) const {
    if (mask.empty()) return weights;
    for (size_t r = 0; r < weights.hh.rows(); ++r) {
      for (size_t c = 0; c < weights.hh.cols(); ++c) weights.hh(r, c) *= mask.at(row).at(c);
    }
    return weights;
  }

  void set_candidate(CellWeights& weights, size_t row, size_t step) const {
    if (!candidate.empty()) weights.candidate_mask = candidate.at(row).at(step);
  }

  States zoned(const States& before, States after, size_t row, size_t step) const {
    if (zoneout.empty()) return after;
    for (size_t s = 0; s < after.size(); ++s) {
      const Vector& z = zoneout.at(row).at(step).at(s);
      for (size_t j = 0; j < z.size(); ++j) {
        after[s][j] = z[j] * before[s][j] + (1.0 - z[j]) * after[s][j];
      }
    }
    return after;
  }

  // Leaves in `d` the gradients of what the cell makes; returns those that go past it.
  States split_gradient(States& d, size_t row, size_t step) const {
    States kept = d;
    for (size_t s = 0; s < d.size(); ++s) {
      for (size_t j = 0; j < d[s].size(); ++j) {
        const double z = zoneout.empty() ? 0.0 : zoneout.at(row).at(step).at(s).at(j);
        kept[s][j] = z * d[s][j];
        d[s][j] = (1.0 - z) * d[s][j];
      }
    }
    return kept;
  }
};

inline void add(CellWeights& target, const CellWeights& source) {
  add(target.ih.values(), source.ih.values());
  add(target.hh.values(), source.hh.values());
  add(target.hr.values(), source.hr.values());
  add(target.bias_ih, source.bias_ih);
  add(target.bias_hh, source.bias_hh);
  add(target.ch, source.ch);
  for (const auto& [name, values] : source.norms) add(target.norms.at(name), values);
}

// That of (layer, direction), from the masks of an input.
inline DirectionDropout read_dropout(const RecurrentConfig& config, const RecurrentInput& input,
                                     size_t layer, size_t direction) {
  DirectionDropout dropout;
  const bool reverse = direction == 1 || config.go_backwards;
  const size_t slot = layer * config.directions() + direction;
  const auto slice = [&](const Vector& values, size_t place, size_t width) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(place * width);
    return Vector(begin, begin + static_cast<std::ptrdiff_t>(width));
  };
  for (size_t row = 0; row < input.batch; ++row) {
    if (!input.recurrent_mask.empty()) {
      dropout.mask.push_back(
          slice(input.recurrent_mask, slot * input.batch + row, config.hidden()));
    }
    std::vector<States> steps;
    std::vector<Vector> candidates;
    for (size_t step = 0; step < input.length(row); ++step) {
      const size_t t = reverse ? input.length(row) - 1 - step : step;
      const size_t place = (slot * input.batch + row) * input.steps + t;
      if (!input.candidate_mask.empty()) {
        candidates.push_back(slice(input.candidate_mask, place, config.units));
      }
      States kept;
      for (const std::string& name : find_cell(config.cell).states) {
        const auto found = input.zoneout.find(name);
        const size_t width = config.width(kept.size());
        kept.push_back(found == input.zoneout.end() ? Vector(width, 0.0)
                                                    : slice(found->second, place, width));
      }
      steps.push_back(kept);
    }
    if (!input.zoneout.empty()) dropout.zoneout.push_back(steps);
    if (!input.candidate_mask.empty()) dropout.candidate.push_back(candidates);
  }
  return dropout;
}

}  // namespace ostinato::reference
