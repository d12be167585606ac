// oneDNN's RNN primitives, without a framework around them.
#include <omp.h>

#include <algorithm>

#include "onednn_layer.h"

namespace bench {

namespace {

// Lengths are unknown to oneDNN: a ragged batch runs at its full length. With one direction and a
// zero gradient beyond a row's end the results are those of the ragged batch.
class OneDnnJob : public Job {
 public:
  OneDnnJob(const Case& work, const Tensors& data) : work_(work), layer_(work, data) {
    if (work.phase == "step") x_ = at(data, "x");
    if (work.phase == "ragged") lengths_ = at(data, "lengths").data;
  }

  Tensors check() override {
    Tensors out;
    if (work_.phase == "step") {
      layer_.reset_states();
      Tensor y{{x_.shape[0], work_.batch, work_.units}, {}};
      for (int64_t t = 0; t < x_.shape[0]; ++t) {
        run();
        const Tensor& step = layer_.output();
        y.data.insert(y.data.end(), step.data.begin(), step.data.end());
      }
      return {{"y", std::move(y)}};
    }
    run();
    out["y"] = layer_.output();
    clear_padding(out["y"]);
    if (work_.trains()) layer_.store_gradients(out);
    return out;
  }

  void run() override {
    if (work_.phase == "step") {
      layer_.infer(x_.data.data() + at_ * work_.batch * work_.inputs);
      at_ = (at_ + 1) % x_.shape[0];
    } else if (work_.trains()) {
      layer_.train();
    } else {
      layer_.infer(nullptr);
    }
  }

 private:
  void clear_padding(Tensor& y) const {
    const int64_t features = y.shape[2];
    for (size_t row = 0; row < lengths_.size(); ++row) {
      for (int64_t t = static_cast<int64_t>(lengths_[row]); t < work_.steps; ++t) {
        std::fill_n(y.data.data() + (t * work_.batch + static_cast<int64_t>(row)) * features,
                    features, 0.0f);
      }
    }
  }

  Case work_;
  OneDnnLayer layer_;
  Tensor x_;
  std::vector<float> lengths_;
  int64_t at_ = 0;
};

class OneDnnDriver : public Driver {
 public:
  nlohmann::json describe() override {
    const dnnl_version_t* version = dnnl_version();
    return {
        {"version", std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
                        std::to_string(version->patch)},
        {"settings",
         "OpenMP, tnc tensors, packed weights (`any`), inference without initial states, weights "
         "reordered in each training run, ragged batches padded"}};
  }
  std::unique_ptr<Job> prepare(const Case& work, const Tensors& data) override {
    if (work.phase == "fit") throw Unsupported("no optimiser");
    omp_set_num_threads(work.threads);
    return std::make_unique<OneDnnJob>(work, data);
  }
};

}  // namespace

}  // namespace bench

int main() {
  bench::OneDnnDriver driver;
  bench::serve(driver);
}
