// Every cell by its name. A new cell is one header and one line here.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "reference/elman.h"
#include "reference/gru.h"
#include "reference/gru_reset_before.h"
#include "reference/lstm.h"

namespace ostinato::reference {

inline const std::vector<Cell>& all_cells() {
  static const std::vector<Cell> cells{kElman, kElmanRelu, kLstm, kGru, kGruResetBefore};
  return cells;
}

// Throws std::invalid_argument for an unknown name.
inline const Cell& find_cell(const std::string& name) {
  for (const Cell& cell : all_cells()) {
    if (cell.name == name) return cell;
  }
  throw std::invalid_argument("Expected the name of a cell for \"cell\" but received \"" + name +
                              "\" (string)");
}

}  // namespace ostinato::reference
