#include "protocol.h"

#include <chrono>
#include <iostream>
#include <stdexcept>

namespace bench {

using nlohmann::json;

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

Case parse_case(const json& it) {
  Case work;
  work.cell = it.at("cell");
  work.phase = it.at("phase");
  work.steps = it.at("T");
  work.batch = it.at("B");
  work.inputs = it.at("I");
  work.units = it.at("H");
  work.layers = it.at("layers");
  work.batches = it.value("batches", 1);
  work.learning_rate = it.value("learningRate", 0.0);
  work.bidirectional = it.at("bidirectional");
  work.threads = it.at("threads");
  return work;
}

// Timed calls until the budget is used up, after calls that bring code and data back to the caches
// which another process has used meanwhile. A call shorter than `group_ms` is timed in groups, so
// that the clock's own cost does not count.
json time_calls(Job& job, const json& request) {
  const double warm_ms = request.at("warmMs"), budget_ms = request.at("budgetMs"),
               group_ms = request.at("groupMs");
  const int64_t min_samples = request.at("minSamples"), max_samples = request.at("maxSamples");
  int64_t calls = 0;
  const auto warm_begin = Clock::now();
  double call_ms = 0;
  while (calls == 0 || milliseconds_since(warm_begin) < warm_ms) {
    if (warm_ms <= 0) break;
    const auto begin = Clock::now();
    job.run();
    call_ms = milliseconds_since(begin);
    ++calls;
  }
  const int64_t group =
      call_ms > 0 && call_ms < group_ms ? static_cast<int64_t>(group_ms / call_ms) + 1 : 1;
  json times = json::array();
  const auto begin = Clock::now();
  for (int64_t sample = 0; sample < max_samples; ++sample) {
    if (sample >= min_samples && milliseconds_since(begin) >= budget_ms) break;
    const auto sample_begin = Clock::now();
    for (int64_t i = 0; i < group; ++i) job.run();
    times.push_back(milliseconds_since(sample_begin) / static_cast<double>(group));
  }
  return {{"timesMs", times}};
}

json answer(Driver& driver, std::unique_ptr<Job>& job, const json& request) {
  const std::string op = request.at("op");
  if (op == "describe") return driver.describe();
  if (op == "prepare") {
    job.reset();
    job = driver.prepare(parse_case(request.at("case")), read_tensors(request.at("data")));
    return {{"ok", true}};
  }
  if (op == "release") {
    job.reset();
    return {{"ok", true}};
  }
  if (!job) throw std::runtime_error("Expected \"prepare\" before \"" + op + "\"");
  if (op == "check") {
    write_tensors(request.at("output"), job->check());
    return {{"ok", true}};
  }
  if (op == "time") return time_calls(*job, request);
  if (op == "allocations") {
    const int64_t before = driver.allocations();
    if (before < 0) throw std::runtime_error("Allocations are not counted");
    job->run();
    const int64_t count = driver.allocations() - before;  // before the reply allocates
    return {{"count", count}};
  }
  throw std::runtime_error("Unknown request \"" + op + "\"");
}

}  // namespace

void serve(Driver& driver) {
  std::unique_ptr<Job> job;
  for (std::string line; std::getline(std::cin, line);) {
    json reply;
    try {
      reply = answer(driver, job, json::parse(line));
    } catch (const Unsupported& reason) {
      reply = {{"unsupported", reason.what()}};
    } catch (const std::exception& error) {
      reply = {{"error", error.what()}};
    }
    std::cout << reply.dump() << std::endl;
  }
}

}  // namespace bench
