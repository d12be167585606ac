// Layer normalisation of the gates of a recurrent cell (J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer
// normalization", arXiv:1607.06450): of the units of some gates together, in rows of gates.
#pragma once

#include "kernels/layer_norm.inl.h"
#include "kernels/tile.inl.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// body(slot, lanes) for each vector of the gates [first, last) in a row, panel by panel; `lanes`
// are those that stand for a unit. Vectors of padding alone come, too: they are written as zeros.
template <class Body>
OSTINATO_INLINE void for_gate_slots(const GateNormPlace& place, const Body& body) {
  const int64_t panels = padded(place.units) / kV;
  const int64_t whole = place.units / kV;
  const auto gates = [&](int64_t panel, auto lanes) {
    for (int g = place.first; g < place.last; ++g) body((panel * place.gates + g) * kV, lanes);
  };
  for (int64_t panel = 0; panel < whole; ++panel) gates(panel, WholeVector{});
  for (int64_t panel = whole; panel < panels; ++panel) {
    const int64_t left = place.units - panel * kV;
    gates(panel, FirstLanes{left > 0 ? static_cast<int>(left) : 0});
  }
}

template <NormTarget kTarget>
OSTINATO_INLINE void gate_norm_rows(const GateNormArgs& args) {
  const GateNormPlace& place = args.place;
  const auto each = [&](const auto& body) { for_gate_slots(place, body); };
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * place.ld;
    float* y = args.y + row * place.ld;
    float* normalized = args.normalized == nullptr ? nullptr : args.normalized + row * place.ld;
    if constexpr (kTarget == NormTarget::kJoined) {
      each([&](int64_t slot, auto lanes) {
        store(y + slot, lanes.keep(load(x + slot) + load(y + slot), zero()));
      });
      x = y;
    }
    const int64_t count = place.units * (place.last - place.first);
    const Moments moments = moments_of(x, count, args.epsilon, each);
    if (args.rstd != nullptr) args.rstd[row * place.rstd_ld] = moments.rstd;
    const Vf mean = set1(moments.mean), rstd = set1(moments.rstd);
    each([&](int64_t slot, auto lanes) {
      const Vf n = lanes.keep((load(x + slot) - mean) * rstd, zero());
      if (normalized != nullptr) store(normalized + slot, n);
      Vf shift = args.bias == nullptr ? zero() : load(args.bias + slot);
      if constexpr (kTarget == NormTarget::kAdded) {
        shift = lanes.keep(shift + load(y + slot), zero());
      }
      store(y + slot, fma(n, load(args.gamma + slot), shift));
    });
  }
}

inline void gate_norm(const GateNormArgs& args) noexcept {
  switch (args.target) {
    case NormTarget::kWritten:
      return gate_norm_rows<NormTarget::kWritten>(args);
    case NormTarget::kJoined:
      return gate_norm_rows<NormTarget::kJoined>(args);
    case NormTarget::kAdded:
      return gate_norm_rows<NormTarget::kAdded>(args);
  }
}

// With d = dy gamma: dx = rstd (d - mean(d) - xhat mean(d xhat)).
inline void gate_norm_grad(const GateNormGradArgs& args) noexcept {
  const GateNormPlace& place = args.place;
  const auto count = static_cast<float>(place.units * (place.last - place.first));
  const auto at = [&](float* rows, int64_t row) {
    return rows == nullptr ? nullptr : rows + row * place.ld;
  };
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* dy = args.dy + row * place.ld;
    const float* normalized = args.normalized + row * place.ld;
    float* dx = args.dx + row * place.ld;
    float* dx_too = at(args.dx_too, row);
    float* dscale = args.dscale + row * place.ld;
    float* dbias = at(args.dbias, row);
    Vf sums = zero(), products = zero();
    for_gate_slots(place, [&](int64_t slot, auto lanes) {
      const Vf gradient = lanes.keep(load(dy + slot), zero());
      const Vf n = load(normalized + slot);
      const Vf d = gradient * load(args.gamma + slot);
      sums = sums + d;
      products = fma(d, n, products);
      store(dscale + slot, fma(gradient, n, load(dscale + slot)));
      if (dbias != nullptr) store(dbias + slot, gradient + load(dbias + slot));
    });
    const Vf mean_d = set1(reduce_add(sums) / count);
    const Vf mean_product = set1(reduce_add(products) / count);
    const Vf rstd = set1(args.rstd[row * place.rstd_ld]);
    for_gate_slots(place, [&](int64_t slot, auto lanes) {
      const Vf d = load(dy + slot) * load(args.gamma + slot);
      const Vf result =
          lanes.keep(rstd * fnma(load(normalized + slot), mean_product, d - mean_d), zero());
      store(dx + slot, result);
      if (dx_too != nullptr) store(dx_too + slot, result);
    });
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
