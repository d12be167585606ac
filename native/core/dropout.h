// Dropout (Srivastava et al., JMLR 15, 2014): in training, elements are zeroed with probability
// `rate` and the others divided by 1 - rate.
#pragma once

#include "core/layer.h"

namespace ostinato {

// y = x * mask / (1 - rate), rows of a whole batch (packed rows when `timed`, else sorted rows).
// The mask of an element depends on (seed, stream), its batch row b, its step t and its column
// alone: the row's number is t * B + b. Sorting, packing and threads do not change it, and the
// backward pass draws it again. In place allowed.
//
// `locked`, for timed rows: the row's number is b, so that all steps of a sequence have one mask
// (variational dropout; Gal & Ghahramani, NIPS 2016).
void drop_rows(const Pass& pass, uint64_t stream, float rate, bool timed, bool locked,
               const Matrix& x, const Matrix& y);

// The layers "dropout" and "spatialDropout1d", whose masks are locked. Option: rate, in [0, 1).
class Dropout : public Layer {
 public:
  explicit Dropout(const LayerConfig& config);
  ValueShape build(const ValueShape& input, ParamTable& params) override;
  std::unique_ptr<LayerRun> make_run() const override;

 private:
  friend class DropoutRun;

  float rate_;
  bool locked_;
  ValueShape shape_;
};

}  // namespace ostinato
