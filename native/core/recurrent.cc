#include "core/recurrent.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "core/checks.h"
#include "core/dispatch.h"
#include "core/error.h"
#include "core/recurrent_run.h"

namespace ostinato {

namespace {

// The type of a layer whose cell is its option "cell".
constexpr const char* kCustomCell = "custom";

// Cells are the same on every instruction set; any table can name them. -1: no such cell.
int find_cell(const std::string& name) {
  const Kernels& kernels = *available_kernels().back();
  for (int i = 0; i < kernels.cell_count; ++i) {
    if (name == kernels.cells[i].name) return i;
  }
  return name == kCustomCell ? kernels.cell_count : -1;  // after the others: those that run a tape
}

std::shared_ptr<const CellProgram> program_of(const LayerConfig& config) {
  if (config.type != kCustomCell) return nullptr;
  return std::make_shared<CellProgram>(config.text("cell", ""));
}

int64_t checkpoint_option(const LayerConfig& config) {
  const auto given = config.options.find("checkpointEvery");
  if (given == config.options.end()) return kCheckpointNever;
  if (const std::string* text = std::get_if<std::string>(&given->second); text && *text == "auto") {
    return kCheckpointAuto;
  }
  return positive_option(config, "checkpointEvery");
}

bool has_candidate(const std::string& type) {
  return available_kernels().back()->cell_forward_dropped[find_cell(type)] != nullptr;
}

LoopDropout loop_options(const LayerConfig& config, const CellInfo& info) {
  LoopDropout dropout;
  const double zoneout = range_option(config, "zoneout", 0.0, 0.0, 1.0);
  for (int s = 0; s < info.states; ++s) {
    dropout.zoneout[s] = static_cast<float>(
        range_option(config, std::string("zoneout.") + info.state_names[s], zoneout, 0.0, 1.0));
  }
  dropout.recurrent = static_cast<float>(range_option(config, "recurrentDropout", 0.0, 0.0, 1.0));
  dropout.candidate = static_cast<float>(range_option(config, "candidateDropout", 0.0, 0.0, 1.0));
  if (dropout.candidate > 0 && !has_candidate(config.type)) {
    throw Error("ERR_INVALID_ARGUMENT",
                "Expected a cell with a candidate for \"candidateDropout\" of layer \"" +
                    config.name + "\" but received \"" + config.type + "\" (string)");
  }
  return dropout;
}

RecurrentInit init_options(const LayerConfig& config, int gates) {
  RecurrentInit init;
  init.kernel = initializer_option(config, "kernelInitializer", init.kernel.name);
  init.recurrent = initializer_option(config, "recurrentInitializer", init.recurrent.name);
  init.bias = initializer_option(config, "biasInitializer", init.bias.name);
  init.unit_bias_gate = config.integer("unitBiasGate", -1);
  if (init.bias.name != "chrono") return init;
  init.bias.name = "zeros";
  init.chrono_t_max = range_option(config, "biasInitializer.tMax", 0.0, 2.0, 1e9);
  init.chrono_keep_gate = config.integer("chronoKeepGate", -1);
  init.chrono_write_gate = config.integer("chronoWriteGate", -1);
  if (init.chrono_keep_gate < 0 || init.chrono_keep_gate >= gates ||
      init.chrono_write_gate >= gates) {
    throw Error(
        "ERR_INVALID_ARGUMENT",
        "Expected a cell with a gate that keeps its state for \"biasInitializer\" of layer \"" +
            config.name + "\" but received \"chrono\" (string)");
  }
  return init;
}

// 0 where there is none.
int64_t projection_option(const LayerConfig& config, const CellInfo& cell, int64_t units) {
  if (config.options.count("projection") == 0) return 0;
  const int64_t projection = positive_option(config, "projection");
  if (!cell.projects || projection > units) {
    throw Error("ERR_INVALID_ARGUMENT",
                std::string("Expected ") +
                    (cell.projects ? "1 to " + std::to_string(units) : "nothing") +
                    " for \"projection\" of layer \"" + config.name + "\" (" + cell.name +
                    ") but received " + std::to_string(projection));
  }
  return projection;
}

float clip_option(const LayerConfig& config, const CellInfo& cell) {
  const double clip = config.number("cellClip", 0.0);
  if (config.options.count("cellClip") == 0) return std::numeric_limits<float>::infinity();
  if (!cell.clips || !(static_cast<float>(clip) > 0.0f)) {
    throw Error("ERR_INVALID_ARGUMENT", std::string("Expected ") +
                                            (cell.clips ? "a positive number" : "nothing") +
                                            " for \"cellClip\" of layer \"" + config.name + "\" (" +
                                            cell.name + ") but received " + std::to_string(clip));
  }
  return static_cast<float>(clip);
}

}  // namespace

bool is_recurrent(const std::string& type) { return find_cell(type) >= 0; }

std::unique_ptr<Layer> make_recurrent(const LayerConfig& config) {
  return std::make_unique<Recurrent>(config);
}

Recurrent::Recurrent(const LayerConfig& config)
    : Layer(config),
      cell_(find_cell(config.type)),
      program_(program_of(config)),
      units_(positive_option(config, "units")),
      layers_(config.integer("layers", 1)),
      bidirectional_(config.flag("bidirectional", false)),
      go_backwards_(config.flag("goBackwards", false)),
      use_bias_(config.flag("useBias", true)),
      return_sequences_(config.flag("returnSequences", false)),
      merge_mode_(parse_merge_mode(config.text("mergeMode", "concat"))),
      dropout_(static_cast<float>(range_option(config, "dropout", 0.0, 0.0, 1.0))),
      variational_dropout_(config.flag("variationalDropout", false)),
      activation_penalty_{
          range_option(config, "activationRegularization", 0.0, 0.0, INFINITY),
          range_option(config, "temporalActivationRegularization", 0.0, 0.0, INFINITY)},
      checkpoint_every_(checkpoint_option(config)),
      cell_clip_(clip_option(config, info())),
      projection_(projection_option(config, info(), units_)),
      norm_(cell_norm_option(config, *available_kernels().back(), cell_)) {
  if (layers_ < 1 || layers_ > 64) {
    throw Error("ERR_INVALID_ARGUMENT", "Expected 1 to 64 for \"layers\" of layer \"" +
                                            config.name + "\" but received " +
                                            std::to_string(layers_));
  }
  if (bidirectional_ && go_backwards_) {
    throw Error("ERR_INVALID_ARGUMENT",
                "Expected either \"bidirectional\" or \"goBackwards\" for layer \"" + config.name +
                    "\" but received both");
  }
  init_ = init_options(config, info().gates);
  loop_dropout_ = loop_options(config, info());
  const bool drops = loop_dropout_.candidate > 0;
  if (norm_ != CellNormMode::kNone && (drops || projection_ > 0)) {
    throw Error("ERR_INVALID_ARGUMENT", std::string("Expected either \"layerNorm\" or \"") +
                                            (drops ? "candidateDropout" : "projection") +
                                            "\" for layer \"" + config.name +
                                            "\" but received both");
  }
}

const CellInfo& Recurrent::info() const {
  return program_ != nullptr ? program_->info() : available_kernels().back()->cells[cell_];
}

LoopDropout Recurrent::loop_dropout(size_t slot) const {
  LoopDropout dropout = loop_dropout_;
  dropout.layer = index();
  dropout.slot = slot;
  return dropout;
}

ValueShape Recurrent::build_from(std::span<const ValueShape> inputs, ParamTable& params) {
  const ValueShape& input = inputs.front();
  expect_floats(config_, input);
  expect_steps(config_, input);
  expect_states(inputs.subspan(1));
  const int64_t slots = layers_ * directions();
  weights_.reserve(slots);
  for (int64_t slot = 0; slot < slots; ++slot) {
    const int64_t layer = slot / directions();
    const bool reverse = slot % directions() == 1;
    weights_.emplace_back(cell_, layer == 0 ? input.features : output_features(), units_, use_bias_,
                          cell_clip_, program_, projection_, norm_);
    weights_.back().declare(params, info(), config_.name + ".",
                            "_l" + std::to_string(layer) + (reverse ? "_reverse" : ""));
  }
  return {output_features(), return_sequences_, false};
}

void Recurrent::expect_states(std::span<const ValueShape> given) {
  if (given.empty()) return;
  const std::vector<StateInfo> infos = states();
  if (given.size() != infos.size()) {
    throw Error("ERR_SHAPE_MISMATCH", "Expected " + std::to_string(infos.size()) +
                                          " initial states, or none, for layer \"" + config_.name +
                                          "\" but received " + std::to_string(given.size()));
  }
  for (size_t i = 0; i < infos.size(); ++i) {
    const int64_t wanted = infos[i].slots * infos[i].features;
    if (!given[i].timed && !given[i].tokens && given[i].features == wanted) continue;
    throw Error("ERR_SHAPE_MISMATCH", "Expected the initial state \"" + infos[i].name +
                                          "\" of layer \"" + config_.name + "\" as [batch, " +
                                          std::to_string(wanted) + "]");
  }
  takes_states_ = true;
}

void Recurrent::initialize(ParamTable& params, uint64_t seed, uint64_t index) const {
  constexpr uint64_t kDrawsPerSlot = 32;
  for (size_t slot = 0; slot < weights_.size(); ++slot) {
    weights_[slot].initialize(params, info(), init_, seed,
                              initializer_stream(index, slot * kDrawsPerSlot));
  }
}

void Recurrent::pack(const ParamTable& params, const Kernels& kernels, int threads) {
  for (RecurrentWeights& weights : weights_) weights.pack(params, kernels, threads);
}

void Recurrent::pack_backward(const ParamTable& params, const Kernels& kernels, int threads,
                              const Geometry& geometry) {
  for (RecurrentWeights& weights : weights_) {
    weights.pack_backward(params, kernels, threads, geometry);
  }
}

std::vector<StateInfo> Recurrent::states() const {
  std::vector<StateInfo> states;
  for (int s = 0; s < info().states; ++s) {
    states.push_back({info().state_names[s], layers_ * directions(), s == 0 ? hidden() : units_});
  }
  return states;
}

std::unique_ptr<LayerRun> Recurrent::make_run() const {
  return std::make_unique<RecurrentRun>(*this);
}

}  // namespace ostinato
