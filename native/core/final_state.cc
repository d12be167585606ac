#include "core/final_state.h"

#include <vector>

#include "core/error.h"
#include "core/recurrent.h"
#include "core/state_rows.h"

namespace ostinato {

namespace {

class FinalStateRun : public LayerRun {
 public:
  FinalStateRun(const StateInfo& info, size_t state) : info_(info), state_(state) {}

  void attach(LayerRun& source, const Geometry& geometry) override {
    source_ = &source;
    geometry_ = &geometry;
  }

  void plan(Workspace& workspace, const Pass& pass) override {
    const int64_t batch = pass.geometry->batch();
    workspace.want(&output_, batch, info_.slots * info_.features, Lifetime::kSaved);
    workspace.want(&values_, batch * info_.slots * info_.features, Lifetime::kScratch);
  }

  Value forward(const Pass& pass, const ParamTable&, const Value&) override {
    source_->get_final_state(*geometry_, state_, values_);
    state_to_rows(*pass.geometry, info_, values_, output_);
    return {output_, nullptr, output_.rows};
  }

  // The source's run goes backward later, and takes this in.
  void backward(const Pass& pass, const ParamTable&, const Value&, const Matrix& dy,
                const Matrix&) override {
    state_from_rows(*pass.geometry, info_, dy, values_);
    source_->add_final_state_gradient(*geometry_, state_, values_);
  }

 private:
  const StateInfo info_;
  const size_t state_;
  LayerRun* source_ = nullptr;
  const Geometry* geometry_ = nullptr;
  Matrix output_;
  float* values_ = nullptr;
};

}  // namespace

FinalState::FinalState(const LayerConfig& config)
    : Layer(config), state_(config.text("state", "h")) {}

void FinalState::read_states_of(const Layer& source) {
  const std::vector<StateInfo> infos =
      is_recurrent(source.config().type) ? source.states() : std::vector<StateInfo>();
  size_t at = 0;
  while (at < infos.size() && infos[at].name != state_) ++at;
  if (at == infos.size()) {
    throw Error("ERR_INVALID_ARGUMENT", "Expected a recurrent layer with the state \"" + state_ +
                                            "\" before layer \"" + config_.name + "\"");
  }
  if (info_.slots > 0 && (at != state_index_ || infos[at].slots != info_.slots ||
                          infos[at].features != info_.features)) {
    throw Error("ERR_SHAPE_MISMATCH",
                "Expected states of one shape in all calls of layer \"" + config_.name + "\"");
  }
  state_index_ = at;
  info_ = infos[at];
}

ValueShape FinalState::build(const ValueShape& /*input*/, ParamTable& /*params*/) {
  return {info_.slots * info_.features, false, false};
}

std::unique_ptr<LayerRun> FinalState::make_run() const {
  return std::make_unique<FinalStateRun>(info_, state_index_);
}

}  // namespace ostinato
