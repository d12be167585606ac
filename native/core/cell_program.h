// A cell that a user has defined, ready for the kernels: its constants and its tapes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/tape_writer.h"
#include "kernels/kernels.h"

namespace ostinato {

class CellProgram {
 public:
  // Throws ERR_INVALID_ARGUMENT for a text that is not a cell's (core/expression.h), or for a cell
  // that is too large.
  explicit CellProgram(const std::string& text);
  CellProgram(const CellProgram&) = delete;
  CellProgram& operator=(const CellProgram&) = delete;

  const CellInfo& info() const { return info_; }
  const CellTape& tape() const { return tape_; }
  const std::vector<CellParam>& params() const { return cell_.params; }

 private:
  bool is_split(int gate) const { return (cell_.split_gates >> gate & 1) != 0; }
  // The place at which a forward step finds a leaf; a backward step does the same for states and
  // learned vectors, and of gates finds only what forward has saved.
  std::map<int, uint8_t> known_leaves(bool forward);
  std::vector<TapeResult> next_states() const;
  std::vector<TapeResult> gradient_results(const std::vector<int>& gradients);
  std::vector<int> nodes_to_save(const std::vector<TapeResult>& gradients,
                                 const std::map<int, uint8_t>& known);
  std::vector<TapeResult> slots_for(const std::vector<int>& nodes) const;

  CellDefinition cell_;
  CellInfo info_{};
  TapeConstants constants_;
  Tape infer_, train_, backward_;
  CellTape tape_{};
};

}  // namespace ostinato
