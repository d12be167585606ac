#include "core/recurrent_weights.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/parallel.h"

namespace ostinato {

namespace {

// Floats of weights up to which the backward pass may read them in place: strides through more of
// them would meet too many pages. Rows of a batch (those of one tile), and packed rows for the
// gradient of the inputs, up to which it does.
constexpr int64_t kFloatsInPlace = int64_t{1} << 19;
constexpr int64_t kRowsInPlace = 6, kInputRowsInPlace = 512;

void pack_panels(const Kernels& kernels, int threads, const PackArgs& args, int64_t panels) {
  parallel_for(threads_to_pack(args.k * args.n, threads), panels, 1,
               [&](int64_t begin, int64_t end) {
                 PackArgs part = args;
                 part.panel_begin = begin;
                 part.panel_end = end;
                 kernels.pack(part);
               });
}

// Rows of a PyTorch weight [G H, k] as columns by `map`: dst[panel][k][columns of a panel].
void pack_columns(const Kernels& kernels, int threads, const float* weight, int64_t k,
                  const GateMap& map, int64_t panels, AlignedBuffer& dst) {
  PackArgs args{};
  args.src = weight;
  args.src_ld = k;
  args.map = map.data();
  args.transposed = true;
  args.k = k;
  args.n = map.size();
  args.width = map.size() / panels;
  dst.reserve(k * map.size());
  args.dst = dst.data();
  pack_panels(kernels, threads, args, panels);
}

}  // namespace

GateMap::GateMap(int64_t units, int64_t width, int first, int last) {
  const int64_t panels = padded(units) / width;
  map_.reserve(panels * (last - first) * width);
  for (int64_t panel = 0; panel < panels; ++panel) {
    for (int gate = first; gate < last; ++gate) {
      for (int64_t lane = 0; lane < width; ++lane) {
        const int64_t unit = panel * width + lane;
        map_.push_back(unit < units ? static_cast<int32_t>(gate * units + unit) : -1);
      }
    }
  }
}

void RecurrentWeights::declare(ParamTable& params, const CellInfo& info, const std::string& prefix,
                               const std::string& suffix) {
  const int64_t gates = info.gates;
  weight_ih_ =
      params.add(prefix + "weight_ih" + suffix, {gates * units_, inputs_}, ParamRole::kKernel);
  std::vector<int64_t> recurrent{gates * units_, hidden()};
  if (info.elementwise) recurrent = {units_};
  weight_hh_ = params.add(prefix + "weight_hh" + suffix, recurrent, ParamRole::kRecurrent);
  params.set_written_whole(weight_ih_);
  if (!info.elementwise) params.set_written_whole(weight_hh_);
  if (info.elementwise) {
    cell_vectors_ = weight_hh_;
  } else if (info.vectors > 0) {
    cell_vectors_ =
        params.add(prefix + "weight_ch" + suffix, {info.vectors * units_}, ParamRole::kRecurrent);
  }
  for (size_t p = 0; program_ != nullptr && p < program_->params().size(); ++p) {
    vectors_.push_back(
        params.add(prefix + program_->params()[p].name + suffix, {units_}, ParamRole::kBias));
  }
  norm_.declare(params, info, use_bias_, prefix, suffix);
  if (use_bias_) {
    bias_ih_ = params.add(prefix + "bias_ih" + suffix, {gates * units_}, ParamRole::kBias);
    bias_hh_ = params.add(prefix + "bias_hh" + suffix, {gates * units_}, ParamRole::kBias);
  }
  if (projects()) {
    weight_hr_ =
        params.add(prefix + "weight_hr" + suffix, {projection_, units_}, ParamRole::kKernel);
  }
}

void RecurrentWeights::initialize(ParamTable& params, const CellInfo& info,
                                  const RecurrentInit& init, uint64_t seed, uint64_t stream) const {
  const int64_t gates = info.gates;
  norm_.initialize(params);
  ostinato::initialize(init.kernel, params.value(weight_ih_), gates * units_, inputs_, units_,
                       RandomStream(seed, stream));
  if (info.elementwise) {
    ostinato::initialize(init.recurrent, params.value(weight_hh_), units_, 1, units_,
                         RandomStream(seed, stream + 1));
  } else if (info.vectors > 0) {
    // At first as without them, or as PyTorch would draw them.
    const Initializer drawn{init.recurrent.name == "torch" ? "torch" : "zeros"};
    ostinato::initialize(drawn, params.value(cell_vectors_), info.vectors * units_, 1, units_,
                         RandomStream(seed, stream + kMaxGates + 4));
  }
  for (int64_t gate = 0; gate < (info.elementwise ? 0 : gates); ++gate) {
    ostinato::initialize(init.recurrent, params.value(weight_hh_) + gate * units_ * hidden(),
                         units_, hidden(), units_, RandomStream(seed, stream + 1 + gate));
  }
  if (projects()) {
    ostinato::initialize(init.kernel, params.value(weight_hr_), projection_, units_, units_,
                         RandomStream(seed, stream + kMaxGates + 5));
  }
  for (size_t p = 0; p < vectors_.size(); ++p) {
    ostinato::initialize(program_->params()[p].initializer, params.value(vectors_[p]), units_, 1,
                         units_, RandomStream(seed, stream + kMaxGates + 4 + p));
  }
  if (!use_bias_) return;
  ostinato::initialize(init.bias, params.value(bias_ih_), gates * units_, 1, units_,
                       RandomStream(seed, stream + kMaxGates + 1));
  ostinato::initialize(init.bias, params.value(bias_hh_), gates * units_, 1, units_,
                       RandomStream(seed, stream + kMaxGates + 2));
  if (init.unit_bias_gate >= 0 && init.unit_bias_gate < gates) {
    float* bias = params.value(bias_ih_) + init.unit_bias_gate * units_;
    std::fill(bias, bias + units_, 1.0f);
  }
  if (init.chrono_t_max > 0) {
    initialize_chrono(params.value(bias_ih_), init, RandomStream(seed, stream + kMaxGates + 3));
  }
}

void RecurrentWeights::initialize_chrono(float* bias, const RecurrentInit& init,
                                         const RandomStream& random) const {
  for (int64_t unit = 0; unit < units_; ++unit) {
    const double time =
        1.0 + random.uniform(static_cast<uint64_t>(unit)) * (init.chrono_t_max - 2.0);
    const auto value = static_cast<float>(std::log(time));
    bias[init.chrono_keep_gate * units_ + unit] = value;
    if (init.chrono_write_gate >= 0) bias[init.chrono_write_gate * units_ + unit] = -value;
  }
}

void RecurrentWeights::make_maps(const Kernels& kernels) {
  if (!gate_maps_.empty()) return;
  const CellInfo& cell = info(kernels);
  for (int phase = 0; phase < cell.phases; ++phase) {
    gate_maps_.emplace_back(units_, kernels.width, cell.phase_gates[phase],
                            cell.phase_gates[phase + 1]);
  }
  gate_maps_.emplace_back(units_, kernels.width, 0, cell.gates);
  for (int phase = 0; phase < cell.phases; ++phase) {
    const int64_t first = cell.phase_gates[phase] * units_;
    const int64_t last = cell.phase_gates[phase + 1] * units_;
    for (int64_t i = 0; i < gate_map().size(); ++i) {
      const int32_t column = gate_map().data()[i];
      phase_columns_[phase].push_back(column >= first && column < last ? column : -1);
    }
  }
}

void RecurrentWeights::pack_input_panels(const float* weight, const Kernels& kernels, int phase,
                                         int threads) {
  pack_columns(kernels, threads, weight, inputs_, gate_maps_[phase], padded(units_) / kernels.width,
               input_panels_[phase]);
}

void RecurrentWeights::pack_recurrent_forward(const float* weight, const Kernels& kernels,
                                              int phase, int threads) {
  pack_columns(kernels, threads, weight, hidden(), gate_maps_[phase],
               padded(units_) / kernels.width, recurrent_forward_[phase]);
}

void RecurrentWeights::pack_recurrent_backward(const float* weight, const Kernels& kernels,
                                               int phase, int threads) {
  const GateMap& map = gate_maps_[phase];
  PackArgs args{};
  args.src = weight;
  args.src_ld = hidden();
  args.map = map.data();
  args.k = map.size();
  args.n = padded(hidden());
  args.n_source = hidden();
  args.width = kernels.width;
  recurrent_backward_[phase].reserve(map.size() * padded(hidden()));
  args.dst = recurrent_backward_[phase].data();
  pack_panels(kernels, threads, args, padded(hidden()) / kernels.width);
}

void RecurrentWeights::pack_biases(const ParamTable& params, const Kernels& kernels) {
  const CellInfo& cell = info(kernels);
  const int64_t size = gate_map().size();
  input_bias_.reserve(size);
  recurrent_bias_.reserve(size);
  const float* ih = params.value(bias_ih_);
  const float* hh = params.value(bias_hh_);
  for (int64_t i = 0; i < size; ++i) {
    const int32_t column = gate_map().data()[i];
    // A split cell keeps the recurrent bias with its recurrent product. Its joined gates begin
    // their sums from the input projection, so theirs is merged too.
    const bool apart = column >= 0 && (cell.split_gates >> (column / units_) & 1) != 0;
    input_bias_.data()[i] = column < 0 ? 0.0f : apart ? ih[column] : ih[column] + hh[column];
    recurrent_bias_.data()[i] = column < 0 || !apart ? 0.0f : hh[column];
  }
}

void RecurrentWeights::pack_projection_forward(const float* weight, const Kernels& kernels,
                                               int threads) {
  projection_columns_.assign(padded(projection_), -1);
  std::iota(projection_columns_.begin(), projection_columns_.begin() + projection_, 0);
  projection_forward_.pack(kernels, weight, units_, true, units_, padded(projection_),
                           projection_columns_.data(), -1, threads);
}

void RecurrentWeights::pack_cell_vectors(const float* vectors, const Kernels& kernels) {
  const int64_t count = info(kernels).vectors, width = kernels.width;
  packed_cell_vectors_.reserve(count * padded(units_));
  for (int64_t unit = 0; unit < padded(units_); ++unit) {
    float* panel = packed_cell_vectors_.data() + unit / width * count * width + unit % width;
    for (int64_t v = 0; v < count; ++v) {
      panel[v * width] = unit < units_ ? vectors[v * units_ + unit] : 0.0f;
    }
  }
}

void RecurrentWeights::pack_vectors(const ParamTable& params) {
  const int64_t count = static_cast<int64_t>(vectors_.size()), ld = padded(units_);
  packed_vectors_.reserve(count * ld);
  vector_columns_.assign(count * ld, -1);
  std::fill_n(packed_vectors_.data(), count * ld, 0.0f);
  for (int64_t p = 0; p < count; ++p) {
    std::copy_n(params.value(vectors_[p]), units_, packed_vectors_.data() + p * ld);
    std::iota(vector_columns_.begin() + p * ld, vector_columns_.begin() + p * ld + units_,
              static_cast<int32_t>(p * units_));
  }
}

void RecurrentWeights::pack(const ParamTable& params, const Kernels& kernels, int threads) {
  make_maps(kernels);
  const float* input = params.value(weight_ih_);
  input_forward_.pack(kernels, input, inputs_, true, inputs_, gate_map().size(), gate_map().data(),
                      -1, threads);
  const CellInfo& cell = info(kernels);
  for (int phase = 0; phase < cell.phases; ++phase) {
    if (!cell.elementwise && !norm_.on()) {
      pack_recurrent_forward(params.value(weight_hh_), kernels, phase, threads);
    }
    if (has_input_panels()) pack_input_panels(input, kernels, phase, threads);
  }
  if (norm_.on()) {
    norm_.pack(params, kernels, params.value(weight_hh_), gate_map().data(), gate_map().size(),
               threads);
  }
  if (use_bias_) pack_biases(params, kernels);
  if (projects()) pack_projection_forward(params.value(weight_hr_), kernels, threads);
  if (cell.vectors > 0) pack_cell_vectors(params.value(cell_vectors_), kernels);
  if (!vectors_.empty()) pack_vectors(params);
}

bool RecurrentWeights::recurrent_in_place(const Geometry& geometry) const {
  return geometry.batch() <= kRowsInPlace && units_ % kPad == 0 && hidden() % kPad == 0 &&
         gate_map().size() * hidden() <= kFloatsInPlace;
}

bool RecurrentWeights::input_in_place(const Geometry& geometry, const Kernels& kernels) const {
  return geometry.rows() <= kInputRowsInPlace && units_ % kPad == 0 &&
         inputs_ % kernels.gemm_width == 0 && gate_map().size() * inputs_ <= kFloatsInPlace;
}

void RecurrentWeights::pack_backward(const ParamTable& params, const Kernels& kernels, int threads,
                                     const Geometry& geometry) {
  const uint64_t version = params.version();
  if (input_backward_version_ != version && !input_in_place(geometry, kernels)) {
    input_backward_.pack(kernels, params.value(weight_ih_), inputs_, false, gate_map().size(),
                         inputs_, gate_map().data(), -1, threads);
    input_backward_version_ = version;
  }
  const CellInfo& cell = info(kernels);
  if (recurrent_backward_version_ != version && !recurrent_in_place(geometry) &&
      !cell.elementwise) {
    for (int phase = 0; phase < cell.phases; ++phase) {
      pack_recurrent_backward(params.value(weight_hh_), kernels, phase, threads);
    }
    recurrent_backward_version_ = version;
  }
  if (projects() && projection_backward_version_ != version) {
    projection_backward_.pack(kernels, params.value(weight_hr_), units_, false, projection_,
                              padded(units_), nullptr, units_, threads);
    projection_backward_version_ = version;
  }
}

}  // namespace ostinato
