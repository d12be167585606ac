// Every cell by its name. A new cell is one header and one line here.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "reference/elman.h"
#include "reference/gru.h"
#include "reference/gru_reset_before.h"
#include "reference/indrnn.h"
#include "reference/lstm.h"
#include "reference/lstm_variants.h"
#include "reference/normalized_cells.h"

namespace ostinato::reference {

inline const std::vector<Cell>& all_cells() {
  static const std::vector<Cell> cells{kElman, kElmanRelu, kLstm, kGru, kGruResetBefore};
  return cells;
}

// Cells with options of their own, whose tests are in files of their own.
inline const std::vector<Cell>& variant_cells() {
  static const std::vector<Cell> cells{kLstmClipped,         kLstmPeephole, kLstmCoupled,
                                       kLstmCoupledPeephole, kIndRnnTanh,   kIndRnnRelu};
  return cells;
}

// Throws std::invalid_argument for an unknown name.
inline const Cell& find_cell(const std::string& name) {
  for (const std::vector<Cell>* cells : {&all_cells(), &variant_cells(), &normalized_cells()}) {
    for (const Cell& cell : *cells) {
      if (cell.name == name) return cell;
    }
  }
  throw std::invalid_argument("Expected the name of a cell for \"cell\" but received \"" + name +
                              "\" (string)");
}

}  // namespace ostinato::reference
