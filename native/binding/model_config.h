// Configurations and descriptions of models, between JavaScript objects and the core's structs.
#pragma once

#include <napi.h>

#include "core/config.h"
#include "core/loss.h"
#include "core/network.h"
#include "core/optimizer.h"
#include "core/predictor.h"

namespace ostinato::binding {

NetworkConfig read_network_config(const Napi::Object& from);
LossConfig read_loss_config(const Napi::Object& from);
// An array of losses, one for each output.
std::vector<LossConfig> read_losses(const Napi::Value& from, const Network& network);
OptimizerConfig read_optimizer_config(const Napi::Object& from, size_t parameters);

// NativeDescription of lib/native.ts.
napi_value describe(napi_env env, const Network& network,
                    const std::vector<Executor::StateSlot>& states);

// Initial states: null, or an array of Float32Array and null. Sizes are checked against `rows`.
StateValues read_states(napi_env env, const Napi::Value& from,
                        const std::vector<Executor::StateSlot>& slots, int64_t rows);
// Fresh arrays.
napi_value write_states(napi_env env, const StateValues& states);

}  // namespace ostinato::binding
