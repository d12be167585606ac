// Whether the core chooses well: for cells and shapes of a small grid, the time of every way to
// split the time loop (one thread; two by rows; two by panels of units; one thread for the steps
// and one ahead of it with the projection of inputs), taking turns, and whether the one that the
// core chooses is among the two fastest. Prints a table, or with --json an object.
//
//   split_grid [--json] [--rounds N] [--phase training|inference] [--cell C]
//
// Exit code 1 when a choice is neither among the two fastest nor within kClose of the fastest.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/arena.h"
#include "core/dispatch.h"
#include "core/executor.h"

namespace {

using nlohmann::json;
using ostinato::Executor;
using ostinato::Geometry;
using ostinato::Matrix;
using ostinato::Network;
using ostinato::SplitTrial;
using Clock = std::chrono::steady_clock;

constexpr int kThreads = 2;
constexpr int64_t kSteps = 32;
constexpr int64_t kBatches[] = {1, 2, 4, 8, 16, 32, 64};
constexpr int64_t kUnits[] = {32, 64, 128, 256, 512};
constexpr const char* kCells[] = {"elman_tanh", "lstm", "gru", "gru_reset_before"};
// Options this much slower than the fastest are as good: times differ by as much.
constexpr double kClose = 1.05;
constexpr double kTurnMs = 4;

struct Settings {
  bool as_json = false;
  int rounds = 7;
  std::string phase = "training", cell;
};

struct Option {
  const char* name;
  int threads;  // 0: the core chooses
  bool by_rows, ahead;
  std::vector<double> times;
};

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// Of a few turns on a machine that others use too, the least is what repeats.
double least(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

// A layer with inputs as wide as its state, run forward, and backward for training.
class Work {
 public:
  Work(const std::string& cell, int64_t batch, int64_t units, bool trains)
      : network_(make_network(cell, units)), executor_(network_), trains_(trains) {
    geometry_.assign(batch, kSteps, nullptr);
    const int64_t ld = ostinato::padded(units);
    floats_ = geometry_.rows() * ld;
    x_.reserve(floats_);
    dy_.reserve(floats_);
    std::fill_n(x_.data(), floats_, 0.25f);
    units_ = units;
    options_.threads = kThreads;
    options_.training = options_.gradients = options_.input_gradient = trains;
  }

  void run(SplitTrial& trial) {
    options_.split_trial = &trial;
    const int64_t ld = ostinato::padded(units_), rows = geometry_.rows();
    executor_.forward(geometry_, {Matrix{x_.data(), rows, units_, ld}, nullptr, rows}, options_);
    if (!trains_) return;
    std::fill_n(dy_.data(), floats_, 0.5f);
    executor_.backward(Matrix{dy_.data(), rows, units_, ld});
  }

 private:
  static std::shared_ptr<Network> make_network(const std::string& cell, int64_t units) {
    ostinato::NetworkConfig config;
    config.inputs = {{units, true, false}};
    ostinato::LayerConfig layer{cell, "rnn", {}};
    layer.options["units"] = static_cast<double>(units);
    layer.options["returnSequences"] = true;
    layer.options["recurrentInitializer"] = "glorotUniform";
    config.layers = {layer};
    return std::make_shared<Network>(config, ostinato::active_kernels());
  }

  std::shared_ptr<Network> network_;
  Executor executor_;
  Geometry geometry_;
  ostinato::RunOptions options_;
  ostinato::AlignedBuffer x_, dy_;
  int64_t units_ = 0, floats_ = 0;
  bool trains_;
};

// Milliseconds of a run, over as many as fill a turn.
double turn(Work& work, SplitTrial& trial) {
  work.run(trial);
  int64_t runs = 0;
  const auto begin = Clock::now();
  do {
    work.run(trial);
    ++runs;
  } while (milliseconds_since(begin) < kTurnMs);
  return milliseconds_since(begin) / static_cast<double>(runs);
}

json measure(const std::string& cell, int64_t batch, int64_t units, const Settings& settings) {
  Work work(cell, batch, units, settings.phase == "training");
  std::vector<Option> options = {{"one", 1, true, false, {}},
                                 {"panels", kThreads, false, false, {}},
                                 {"ahead", kThreads, false, true, {}}};
  if (batch >= kThreads) options.push_back({"rows", kThreads, true, false, {}});
  SplitTrial choice;
  work.run(choice);
  const char* chosen = choice.chosen_threads <= 1 ? "one"
                       : choice.chosen_ahead      ? "ahead"
                       : choice.chosen_by_rows    ? "rows"
                                                  : "panels";
  for (int round = 0; round < settings.rounds; ++round) {
    for (size_t i = 0; i < options.size(); ++i) {
      Option& option = options[(i + round) % options.size()];
      SplitTrial trial{option.threads, option.by_rows, option.ahead};
      option.times.push_back(turn(work, trial));
    }
  }
  json times = json::object();
  double fastest = 1e30, of_chosen = 0;
  for (const Option& option : options) {
    const double ms = least(option.times);
    times[option.name] = ms;
    fastest = std::min(fastest, ms);
    if (std::strcmp(option.name, chosen) == 0) of_chosen = ms;
  }
  int64_t place = 1;
  for (const Option& option : options) {
    if (least(option.times) < of_chosen) ++place;
  }
  return {{"cell", cell},
          {"B", batch},
          {"H", units},
          {"ms", times},
          {"chosen", chosen},
          {"place", place},
          {"loss", of_chosen / fastest},
          {"good", of_chosen > 0 && (place <= 2 || of_chosen <= kClose * fastest)}};
}

void print_row(const json& it) {
  const auto ms = [&](const char* name) { return it["ms"].value(name, 0.0); };
  std::printf(
      "%-17s B %3d  H %4d   one %9.4f  rows %9.4f  panels %9.4f  ahead %9.4f   %-7s %d.  "
      "%.2fx%s\n",
      it["cell"].get<std::string>().c_str(), it["B"].get<int>(), it["H"].get<int>(), ms("one"),
      ms("rows"), ms("panels"), ms("ahead"), it["chosen"].get<std::string>().c_str(),
      it["place"].get<int>(), it["loss"].get<double>(),
      it["good"].get<bool>() ? "" : "   NOT AMONG THE TWO FASTEST");
  std::fflush(stdout);
}

bool parse(int argc, char** argv, Settings& settings) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--json") {
      settings.as_json = true;
    } else if (i + 1 == argc) {
      return false;
    } else if (name == "--rounds") {
      settings.rounds = std::max(1, std::atoi(argv[++i]));
    } else if (name == "--phase") {
      settings.phase = argv[++i];
    } else if (name == "--cell") {
      settings.cell = argv[++i];
    } else {
      return false;
    }
  }
  return settings.phase == "training" || settings.phase == "inference";
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  if (!parse(argc, argv, settings)) {
    std::cerr << "split_grid [--json] [--rounds N] [--phase training|inference] [--cell C]\n";
    return 2;
  }
  json entries = json::array();
  int64_t good = 0, best = 0;
  for (const char* cell : kCells) {
    if (!settings.cell.empty() && settings.cell != cell) continue;
    for (const int64_t batch : kBatches) {
      for (const int64_t units : kUnits) {
        entries.push_back(measure(cell, batch, units, settings));
        const json& it = entries.back();
        good += it["good"].get<bool>() ? 1 : 0;
        best += it["place"] == 1 ? 1 : 0;
        if (!settings.as_json) print_row(it);
      }
    }
  }
  const int64_t all = static_cast<int64_t>(entries.size());
  if (settings.as_json) {
    std::cout << json{{"phase", settings.phase}, {"entries", entries}, {"good", good}}.dump()
              << std::endl;
  } else {
    std::printf("%s: %d of %d choices among the two fastest, %d the fastest\n",
                settings.phase.c_str(), static_cast<int>(good), static_cast<int>(all),
                static_cast<int>(best));
  }
  return good == all && all > 0 ? 0 : 1;
}
