// The native model as its wrapper, its jobs and its sessions share it.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/dataset.h"
#include "core/network.h"
#include "core/predictor.h"
#include "core/trainer.h"

namespace ostinato::binding {

// Jobs that are waiting or running on one set of weights: those that change parameters or
// gradients, and others. Counted on the JavaScript thread.
struct Uses {
  int writers = 0;
  int readers = 0;
};

struct ModelState {
  // A view shares the uses of the model whose weights it has.
  explicit ModelState(std::shared_ptr<Network> built,
                      std::shared_ptr<Uses> shared = std::make_shared<Uses>())
      : network(std::move(built)),
        predictor(network),
        sync_predictor(network),
        uses(std::move(shared)) {}

  std::shared_ptr<Network> network;
  // By input: ids that the embeddings at the door take; 0 for float inputs.
  std::vector<int64_t> vocabularies;
  // Used by jobs only, of which one runs at a time.
  std::unique_ptr<Trainer> trainer;
  Predictor predictor;
  // Used on the JavaScript thread.
  Predictor sync_predictor;
  std::shared_ptr<Uses> uses;
};

// Holds a model for one job.
class Use {
 public:
  Use(std::shared_ptr<ModelState> model, bool writes) : model_(std::move(model)), writes_(writes) {
    ++(writes_ ? model_->uses->writers : model_->uses->readers);
  }
  ~Use() { --(writes_ ? model_->uses->writers : model_->uses->readers); }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  ModelState* operator->() const { return model_.get(); }

 private:
  std::shared_ptr<ModelState> model_;
  bool writes_;
};

// A dataset and the network that it was checked against.
struct DatasetState {
  Dataset data;
  std::shared_ptr<Network> network;
  std::vector<int64_t> vocabularies;  // of the model's inputs
};

}  // namespace ostinato::binding
