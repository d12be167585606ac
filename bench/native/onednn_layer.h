// One recurrent layer made of oneDNN's RNN primitives, as a library on top of it would use them at
// its best: time-major [T, B, channels] tensors, weights in the layout that each primitive prefers,
// everything created once. Inference leaves out states that start at zero; training passes zeros,
// because oneDNN 2.6 gives a wrong gradient of the recurrent weights of LSTM and vanilla RNN
// without them (the harness's check found it).
#pragma once

#include <dnnl.hpp>
#include <unordered_map>
#include <vector>

#include "protocol.h"

namespace bench {

class OneDnnLayer {
 public:
  // Throws Unsupported for stacked layers that oneDNN cannot chain (inputs or directions differ).
  OneDnnLayer(const Case& work, const Tensors& data);

  // Inference; the packed weights are kept. For a single step the final states become the next
  // call's initial ones.
  void infer(const float* x);
  // Forward and backward. The weights are reordered in every call, as if an optimiser had changed
  // them; oneDNN adds to the gradients of weights, so they are zeroed first.
  void train();

  void reset_states();
  const Tensor& output();              // [T, B, D H]
  void store_gradients(Tensors& out);  // grad.x, grad.<parameter>

 private:
  using Md = dnnl::memory::desc;
  using Args = std::unordered_map<int, dnnl::memory>;

  // A copy from one layout to another, created once.
  struct Reorder {
    dnnl::memory from, to;
    dnnl::reorder primitive{from, to};
    void run(const dnnl::stream& stream) { primitive.execute(stream, from, to); }
  };

  template <class Cell>
  void create_inference();
  template <class Cell>
  void create_training();
  void load_weights(const Tensors& data);
  dnnl::memory make(const Md& desc);

  Case work_;
  int64_t features_;    // D H
  int64_t bias_gates_;  // GRU with reset after has a bias of its own for the recurrent product
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  Md src_, dst_, plain_layer_, plain_iter_, any_layer_, any_iter_, bias_desc_, state_;
  dnnl::memory x_, y_, dy_, dx_, bias_, dbias_;
  dnnl::memory weights_layer_, weights_iter_;  // the master copies, ldigo
  dnnl::memory h_[2], c_[2];                   // of single steps, used in turns
  dnnl::memory forward_layer_, forward_iter_, backward_layer_, backward_iter_;
  dnnl::memory diff_layer_, diff_iter_, plain_diff_layer_, plain_diff_iter_;
  dnnl::primitive forward_, backward_;
  Args forward_args_, backward_args_;
  std::vector<Reorder> before_forward_, before_backward_, after_backward_;
  int turn_ = 0;
  Tensor output_;
};

}  // namespace bench
