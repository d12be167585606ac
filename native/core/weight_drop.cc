#include "core/weight_drop.h"

#include <cstring>

#include "core/gemm.h"
#include "core/parallel.h"
#include "core/rng.h"

namespace ostinato {

namespace {

// What an element costs, in multiply-adds, for the choice of threads.
constexpr int64_t kWeightDropCost = 12;

// fn(entry, place of its values in the buffer of kept ones) for the parameters that drop weights.
template <class Fn>
void for_dropping(const ParamTable& params, const Fn& fn) {
  int64_t at = 0;
  for (const ParamEntry& entry : params.entries()) {
    if (entry.rules.drop == 0) continue;
    fn(entry, at);
    at += padded(entry.size);
  }
}

}  // namespace

WeightDrop::WeightDrop(const ParamTable& params) {
  int64_t size = 0;
  for_dropping(params, [&](const ParamEntry& entry, int64_t) { size += padded(entry.size); });
  if (size > 0) kept_.reserve(size);
}

WeightDrop::Scope::Scope(WeightDrop& drop, ParamTable& params, const Kernels& kernels,
                         uint64_t seed, uint64_t step, int threads)
    : drop_(drop),
      params_(params),
      kernels_(kernels),
      seed_(seed),
      step_(step),
      threads_(threads),
      masked_(drop.kept_.size() > 0) {
  if (!masked_) return;
  for_dropping(params_, [&](const ParamEntry& entry, int64_t at) {
    std::memcpy(drop_.kept_.data() + at, params_.values() + entry.offset,
                static_cast<size_t>(entry.size) * sizeof(float));
  });
  mask(params_.values());
  params_.touch();
}

void WeightDrop::Scope::mask(float* values) const {
  for_dropping(params_, [&](const ParamEntry& entry, int64_t) {
    const int64_t rows = entry.shape[0], cols = entry.size / rows;
    const auto index = static_cast<uint64_t>(&entry - params_.entries().data());
    parallel_for(threads_for(kWeightDropCost * entry.size, threads_), rows, 1,
                 [&](int64_t begin, int64_t end) {
                   DropoutArgs args{};
                   args.seed = seed_;
                   args.stream = weight_drop_stream(step_, index);
                   args.rate = static_cast<float>(entry.rules.drop);
                   args.first_row = begin;
                   args.rows = end - begin;
                   args.cols = args.x_ld = args.y_ld = cols;
                   args.y = values + entry.offset + begin * cols;
                   args.x = args.y;
                   kernels_.dropout(args);
                 });
  });
}

void WeightDrop::Scope::finish() {
  if (!masked_) return;
  mask(params_.gradients());
  restore();
}

void WeightDrop::Scope::restore() {
  if (!masked_) return;
  masked_ = false;
  for_dropping(params_, [&](const ParamEntry& entry, int64_t at) {
    std::memcpy(params_.values() + entry.offset, drop_.kept_.data() + at,
                static_cast<size_t>(entry.size) * sizeof(float));
  });
  params_.touch();
}

}  // namespace ostinato
