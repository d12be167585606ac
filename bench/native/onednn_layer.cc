#include "onednn_layer.h"

#include <algorithm>
#include <cstring>

namespace bench {

namespace {

using dnnl::memory;
using dnnl::prop_kind;
using dnnl::rnn_direction;
using Md = memory::desc;

rnn_direction direction_of(const Case& work) {
  return work.bidirectional ? rnn_direction::bidirectional_concat
                            : rnn_direction::unidirectional_left2right;
}

// oneDNN's index of PyTorch's gate: LSTM i f g o and the Elman gate are the same, GRU r z n becomes
// u r o.
int64_t gate_index(const Case& work, int64_t gate) {
  static constexpr int64_t kGru[] = {1, 0, 2};
  return work.cell == "gru" ? kGru[gate] : gate;
}

float* floats(const memory& it) { return static_cast<float*>(it.get_data_handle()); }

// The three cells differ in their constructors alone.
struct Elman {
  using Forward = dnnl::vanilla_rnn_forward;
  using Backward = dnnl::vanilla_rnn_backward;
  template <class... Descs>
  static Forward::desc forward(prop_kind kind, rnn_direction direction, const Md& x, const Md& h,
                               const Md&, const Md& wx, const Md& wh, const Md& b, const Md& y,
                               const Md& hn, const Md&) {
    return {kind, dnnl::algorithm::eltwise_tanh, direction, x, h, wx, wh, b, y, hn};
  }
  static Backward::desc backward(rnn_direction direction, const Md& x, const Md& h, const Md& c,
                                 const Md& wx, const Md& wh, const Md& b, const Md& y) {
    return {prop_kind::backward,
            dnnl::algorithm::eltwise_tanh,
            direction,
            x,
            h,
            wx,
            wh,
            b,
            y,
            {},
            x,
            h,
            wx,
            wh,
            b,
            y,
            {}};
  }
};

struct Gru {
  using Forward = dnnl::lbr_gru_forward;
  using Backward = dnnl::lbr_gru_backward;
  static Forward::desc forward(prop_kind kind, rnn_direction direction, const Md& x, const Md& h,
                               const Md&, const Md& wx, const Md& wh, const Md& b, const Md& y,
                               const Md& hn, const Md&) {
    return {kind, direction, x, h, wx, wh, b, y, hn};
  }
  static Backward::desc backward(rnn_direction direction, const Md& x, const Md& h, const Md& c,
                                 const Md& wx, const Md& wh, const Md& b, const Md& y) {
    return {prop_kind::backward, direction, x, h, wx, wh, b, y, {}, x, h, wx, wh, b, y, {}};
  }
};

struct Lstm {
  using Forward = dnnl::lstm_forward;
  using Backward = dnnl::lstm_backward;
  static Forward::desc forward(prop_kind kind, rnn_direction direction, const Md& x, const Md& h,
                               const Md& c, const Md& wx, const Md& wh, const Md& b, const Md& y,
                               const Md& hn, const Md& cn) {
    return {kind, direction, x, h, c, wx, wh, b, y, hn, cn};
  }
  static Backward::desc backward(rnn_direction direction, const Md& x, const Md& h, const Md& c,
                                 const Md& wx, const Md& wh, const Md& b, const Md& y) {
    return {prop_kind::backward,
            direction,
            x,
            h,
            c,
            wx,
            wh,
            b,
            y,
            {},
            {},
            x,
            h,
            c,
            wx,
            wh,
            b,
            y,
            {},
            {}};
  }
};

}  // namespace

OneDnnLayer::OneDnnLayer(const Case& work, const Tensors& data)
    : work_(work),
      features_(work.directions() * work.units),
      bias_gates_(work.gates() + (work.cell == "gru" ? 1 : 0)) {
  if (work.layers > 1 && (work.inputs != work.units || work.bidirectional)) {
    throw Unsupported("stacked layers in one primitive need I = H and one direction");
  }
  if (work.phase == "ragged" && work.bidirectional) {
    throw Unsupported("no lengths: only one direction can be padded");
  }
  const memory::data_type f32 = memory::data_type::f32;
  const int64_t L = work.layers, D = work.directions(), G = work.gates(), H = work.units;
  const int64_t T = work.phase == "step" ? 1 : work.steps;
  src_ = {{T, work.batch, work.inputs}, f32, memory::format_tag::tnc};
  dst_ = {{T, work.batch, features_}, f32, memory::format_tag::tnc};
  plain_layer_ = {{L, D, work.inputs, G, H}, f32, memory::format_tag::ldigo};
  plain_iter_ = {{L, D, H, G, H}, f32, memory::format_tag::ldigo};
  any_layer_ = {{L, D, work.inputs, G, H}, f32, memory::format_tag::any};
  any_iter_ = {{L, D, H, G, H}, f32, memory::format_tag::any};
  bias_desc_ = {{L, D, bias_gates_, H}, f32, memory::format_tag::ldgo};
  state_ = {{L, D, work.batch, H}, f32, memory::format_tag::ldnc};
  x_ = make(src_);
  y_ = make(dst_);
  load_weights(data);
  if (work.phase != "step") {
    const Tensor& x = at(data, "x");
    std::copy(x.data.begin(), x.data.end(), floats(x_));
  }
  output_.shape = {T, work.batch, features_};
  if (work.trains()) {
    dy_ = make(dst_);
    const Tensor& dy = at(data, "dy");
    std::copy(dy.data.begin(), dy.data.end(), floats(dy_));
  }
  const auto create = [&]<class Cell>(Cell) {
    work.trains() ? create_training<Cell>() : create_inference<Cell>();
  };
  if (work.cell == "elman") create(Elman{});
  if (work.cell == "gru") create(Gru{});
  if (work.cell == "lstm") create(Lstm{});
}

memory OneDnnLayer::make(const Md& desc) {
  memory it(desc, engine_);
  std::memset(it.get_data_handle(), 0, desc.get_size());
  return it;
}

void OneDnnLayer::load_weights(const Tensors& data) {
  weights_layer_ = make(plain_layer_);
  weights_iter_ = make(plain_iter_);
  bias_ = make(bias_desc_);
  const int64_t G = work_.gates(), H = work_.units, D = work_.directions();
  for (int64_t slot = 0; slot < work_.layers * D; ++slot) {
    const std::string suffix = "_l" + std::to_string(slot / D) + (slot % D == 1 ? "_reverse" : "");
    const auto load = [&](const std::string& name, const memory& to, int64_t inputs) {
      const Tensor& from = at(data, name + suffix);
      float* base = floats(to) + slot * inputs * G * H;
      for (int64_t gate = 0; gate < G; ++gate) {
        for (int64_t unit = 0; unit < H; ++unit) {
          for (int64_t input = 0; input < inputs; ++input) {
            base[(input * G + gate_index(work_, gate)) * H + unit] =
                from.data[(gate * H + unit) * inputs + input];
          }
        }
      }
    };
    load("weight_ih", weights_layer_, work_.inputs);
    load("weight_hh", weights_iter_, H);
    const Tensor& bias_ih = at(data, "bias_ih" + suffix);
    const Tensor& bias_hh = at(data, "bias_hh" + suffix);
    float* bias = floats(bias_) + slot * bias_gates_ * H;
    for (int64_t gate = 0; gate < G; ++gate) {
      const bool apart = work_.cell == "gru" && gate == 2;
      for (int64_t unit = 0; unit < H; ++unit) {
        const int64_t at_gate = gate * H + unit, to = gate_index(work_, gate) * H + unit;
        bias[to] = bias_ih.data[at_gate] + (apart ? 0 : bias_hh.data[at_gate]);
        if (apart) bias[3 * H + unit] = bias_hh.data[at_gate];
      }
    }
  }
}

template <class Cell>
void OneDnnLayer::create_inference() {
  const bool steps = work_.phase == "step";
  const Md h = steps ? state_ : Md(), c = steps && work_.cell == "lstm" ? state_ : Md();
  const typename Cell::Forward::primitive_desc pd(
      Cell::forward(prop_kind::forward_inference, direction_of(work_), src_, h, c, any_layer_,
                    any_iter_, bias_desc_, dst_, h, c),
      engine_);
  forward_layer_ = make(pd.weights_layer_desc());
  forward_iter_ = make(pd.weights_iter_desc());
  before_forward_ = {{weights_layer_, forward_layer_}, {weights_iter_, forward_iter_}};
  for (Reorder& reorder : before_forward_) reorder.run(stream_);
  forward_ = typename Cell::Forward(pd);
  forward_args_ = {{DNNL_ARG_SRC_LAYER, x_},
                   {DNNL_ARG_WEIGHTS_LAYER, forward_layer_},
                   {DNNL_ARG_WEIGHTS_ITER, forward_iter_},
                   {DNNL_ARG_BIAS, bias_},
                   {DNNL_ARG_DST_LAYER, y_}};
  for (int i = 0; steps && i < 2; ++i) {
    h_[i] = make(state_);
    c_[i] = make(state_);
  }
}

template <class Cell>
void OneDnnLayer::create_training() {
  const Md c = work_.cell == "lstm" ? state_ : Md();
  const typename Cell::Forward::primitive_desc pd(
      Cell::forward(prop_kind::forward_training, direction_of(work_), src_, state_, c, any_layer_,
                    any_iter_, bias_desc_, dst_, {}, {}),
      engine_);
  // The gradients of weights have a preferred layout too; `any` serves both arguments.
  const typename Cell::Backward::primitive_desc back(
      Cell::backward(direction_of(work_), src_, state_, c, any_layer_, any_iter_, bias_desc_, dst_),
      engine_, pd);
  forward_layer_ = make(pd.weights_layer_desc());
  forward_iter_ = make(pd.weights_iter_desc());
  backward_layer_ = make(back.weights_layer_desc());
  backward_iter_ = make(back.weights_iter_desc());
  diff_layer_ = make(back.diff_weights_layer_desc());
  diff_iter_ = make(back.diff_weights_iter_desc());
  plain_diff_layer_ = diff_layer_.get_desc() == plain_layer_ ? diff_layer_ : make(plain_layer_);
  plain_diff_iter_ = diff_iter_.get_desc() == plain_iter_ ? diff_iter_ : make(plain_iter_);
  before_forward_ = {{weights_layer_, forward_layer_}, {weights_iter_, forward_iter_}};
  before_backward_ = {{weights_layer_, backward_layer_}, {weights_iter_, backward_iter_}};
  if (plain_diff_layer_ != diff_layer_) after_backward_.push_back({diff_layer_, plain_diff_layer_});
  if (plain_diff_iter_ != diff_iter_) after_backward_.push_back({diff_iter_, plain_diff_iter_});
  dx_ = make(src_);
  dbias_ = make(bias_desc_);
  const memory workspace = make(pd.workspace_desc());
  forward_ = typename Cell::Forward(pd);
  backward_ = typename Cell::Backward(back);
  forward_args_ = {{DNNL_ARG_SRC_LAYER, x_},
                   {DNNL_ARG_WEIGHTS_LAYER, forward_layer_},
                   {DNNL_ARG_WEIGHTS_ITER, forward_iter_},
                   {DNNL_ARG_BIAS, bias_},
                   {DNNL_ARG_DST_LAYER, y_},
                   {DNNL_ARG_WORKSPACE, workspace},
                   {DNNL_ARG_SRC_ITER, make(state_)}};
  if (work_.cell == "lstm") forward_args_[DNNL_ARG_SRC_ITER_C] = make(state_);
  backward_args_ = forward_args_;
  backward_args_[DNNL_ARG_DIFF_SRC_ITER] = make(state_);
  if (work_.cell == "lstm") backward_args_[DNNL_ARG_DIFF_SRC_ITER_C] = make(state_);
  backward_args_[DNNL_ARG_WEIGHTS_LAYER] = backward_layer_;
  backward_args_[DNNL_ARG_WEIGHTS_ITER] = backward_iter_;
  backward_args_[DNNL_ARG_DIFF_SRC_LAYER] = dx_;
  backward_args_[DNNL_ARG_DIFF_WEIGHTS_LAYER] = diff_layer_;
  backward_args_[DNNL_ARG_DIFF_WEIGHTS_ITER] = diff_iter_;
  backward_args_[DNNL_ARG_DIFF_BIAS] = dbias_;
  backward_args_[DNNL_ARG_DIFF_DST_LAYER] = dy_;
}

void OneDnnLayer::infer(const float* x) {
  if (x != nullptr) std::memcpy(x_.get_data_handle(), x, src_.get_size());
  if (work_.phase == "step") {
    forward_args_[DNNL_ARG_SRC_ITER] = h_[turn_];
    forward_args_[DNNL_ARG_DST_ITER] = h_[1 - turn_];
    if (work_.cell == "lstm") {
      forward_args_[DNNL_ARG_SRC_ITER_C] = c_[turn_];
      forward_args_[DNNL_ARG_DST_ITER_C] = c_[1 - turn_];
    }
    turn_ = 1 - turn_;
  }
  forward_.execute(stream_, forward_args_);
  stream_.wait();
}

void OneDnnLayer::train() {
  for (Reorder& reorder : before_forward_) reorder.run(stream_);
  forward_.execute(stream_, forward_args_);
  for (Reorder& reorder : before_backward_) reorder.run(stream_);
  for (const memory* it : {&diff_layer_, &diff_iter_, &dbias_}) {
    std::memset(it->get_data_handle(), 0, it->get_desc().get_size());
  }
  backward_.execute(stream_, backward_args_);
  for (Reorder& reorder : after_backward_) reorder.run(stream_);
  stream_.wait();
}

void OneDnnLayer::reset_states() {
  turn_ = 0;
  for (const memory& it : {h_[0], c_[0]}) std::memset(it.get_data_handle(), 0, state_.get_size());
}

const Tensor& OneDnnLayer::output() {
  output_.data.assign(floats(y_), floats(y_) + dst_.get_size() / sizeof(float));
  return output_;
}

void OneDnnLayer::store_gradients(Tensors& out) {
  const int64_t G = work_.gates(), H = work_.units, D = work_.directions();
  out["grad.x"] = {src_.dims(), {floats(dx_), floats(dx_) + src_.get_size() / sizeof(float)}};
  for (int64_t slot = 0; slot < work_.layers * D; ++slot) {
    const std::string suffix = "_l" + std::to_string(slot / D) + (slot % D == 1 ? "_reverse" : "");
    const auto store = [&](const std::string& name, const memory& from, int64_t inputs) {
      Tensor& to = out["grad." + name + suffix];
      to.shape = {G * H, inputs};
      to.data.resize(G * H * inputs);
      const float* base = floats(from) + slot * inputs * G * H;
      for (int64_t gate = 0; gate < G; ++gate) {
        for (int64_t unit = 0; unit < H; ++unit) {
          for (int64_t input = 0; input < inputs; ++input) {
            to.data[(gate * H + unit) * inputs + input] =
                base[(input * G + gate_index(work_, gate)) * H + unit];
          }
        }
      }
    };
    store("weight_ih", plain_diff_layer_, work_.inputs);
    store("weight_hh", plain_diff_iter_, H);
    Tensor& bias_ih = out["grad.bias_ih" + suffix];
    bias_ih.shape = {G * H};
    bias_ih.data.resize(G * H);
    const float* bias = floats(dbias_) + slot * bias_gates_ * H;
    for (int64_t gate = 0; gate < G; ++gate) {
      std::copy_n(bias + gate_index(work_, gate) * H, H, bias_ih.data.data() + gate * H);
    }
    Tensor& bias_hh = out["grad.bias_hh" + suffix] = bias_ih;
    if (work_.cell == "gru") std::copy_n(bias + 3 * H, H, bias_hh.data.data() + 2 * H);
  }
}

}  // namespace bench
