#include "core/cell_norm.h"

#include <algorithm>

#include "core/error.h"

namespace ostinato {

namespace {

bool is_split(const CellInfo& info, int gate) { return (info.split_gates >> gate & 1) != 0; }

}  // namespace

CellNormMode cell_norm_option(const LayerConfig& config, const Kernels& kernels, int cell) {
  if (config.options.count("layerNorm") == 0) return CellNormMode::kNone;
  const std::string text = config.text("layerNorm", "");
  const bool ba = text == "ba";
  if (!ba && text != "gates") {
    throw Error("ERR_INVALID_ARGUMENT",
                "Expected \"gates\" or \"ba\" for \"layerNorm\" of layer \"" + config.name +
                    "\" but received \"" + text + "\" (string)");
  }
  const bool applies = kernels.cell_apply[cell] != nullptr;
  if (!applies || (ba && kernels.cells[cell].states > 1 && kernels.cell_halves[cell] == nullptr)) {
    throw Error("ERR_INVALID_ARGUMENT",
                "Expected a cell that can be normalised for \"layerNorm\" of layer \"" +
                    config.name + "\" but received \"" + config.type + "\" (string)");
  }
  return ba ? CellNormMode::kBa : CellNormMode::kGates;
}

void CellNorm::declare(ParamTable& params, const CellInfo& info, bool use_bias,
                       const std::string& prefix, const std::string& suffix) {
  if (!on()) return;
  const bool ba = mode_ == CellNormMode::kBa;
  first_apart_ = info.gates;
  for (int first = 0; first < info.gates;) {
    const bool split = is_split(info, first);
    int last = first + 1;
    while (ba && last < info.gates && is_split(info, last) == split) ++last;
    const bool together = !ba && !split;
    gates_.push_back({first, last, true, together});
    if (!together) {
      gates_.push_back({first, last, false, true});
      first_apart_ = std::min(first_apart_, first);
    }
    first = last;
  }
  const auto add = [&](const char* name, int64_t size) {
    return params.add(prefix + name + suffix, {size}, ParamRole::kNorm);
  };
  scales_[0] = add(ba ? "weight_ln_ih" : "weight_ln", info.gates * units_);
  if (first_apart_ < info.gates) {
    scales_[1] = add("weight_ln_hh", (info.gates - first_apart_) * units_);
  }
  if (!ba || info.states < 2) return;
  memory_scale_ = add("weight_ln_c", units_);
  if (use_bias) memory_shift_ = add("bias_ln_c", units_);
}

void CellNorm::initialize(ParamTable& params) const {
  const auto fill = [&](int index, float value) {
    if (index >= 0) std::fill_n(params.value(index), params.entries()[index].size, value);
  };
  for (const int scale : scales_) fill(scale, 1.0f);
  fill(memory_scale_, 1.0f);
  fill(memory_shift_, 0.0f);
}

void CellNorm::pack(const ParamTable& params, const Kernels& kernels, const float* weight_hh,
                    const int32_t* map, int64_t size, int threads) {
  product_.pack(kernels, weight_hh, units_, true, units_, size, map, -1, threads);
  for (int side = 0; side < 2; ++side) {
    if (scales_[side] < 0) continue;
    packed_scales_[side].reserve(size);
    const float* values = params.value(scales_[side]);
    const int64_t begin = side == 0 ? 0 : first_apart_ * units_;
    for (int64_t i = 0; i < size; ++i) {
      packed_scales_[side].data()[i] = map[i] < begin ? 0.0f : values[map[i] - begin];
    }
  }
  const auto pack_units = [&](int index, AlignedBuffer& to) {
    if (index < 0) return;
    to.reserve(padded(units_));
    std::copy_n(params.value(index), units_, to.data());
  };
  pack_units(memory_scale_, packed_memory_scale_);
  pack_units(memory_shift_, packed_memory_shift_);
}

}  // namespace ostinato
