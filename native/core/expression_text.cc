// Reads the text of a cell. It may come from a file that anybody has written: every name, number
// and count is checked.
#include <algorithm>
#include <cmath>
#include <locale>
#include <set>
#include <sstream>

#include "core/error.h"
#include "core/expression.h"
#include "kernels/kernels.h"

namespace ostinato {

namespace {

constexpr size_t kMaxText = 64 * 1024;
constexpr size_t kMaxOperations = 512;
constexpr size_t kMaxName = 64;

struct Operation {
  const char* name;
  TapeOp op;
  int operands;
};

constexpr Operation kOperations[] = {
    {"add", TapeOp::kAdd, 2},   {"sub", TapeOp::kSub, 2},           {"mul", TapeOp::kMul, 2},
    {"div", TapeOp::kDiv, 2},   {"min", TapeOp::kMin, 2},           {"max", TapeOp::kMax, 2},
    {"neg", TapeOp::kNeg, 1},   {"sigmoid", TapeOp::kSigmoid, 1},   {"tanh", TapeOp::kTanh, 1},
    {"relu", TapeOp::kRelu, 1}, {"exp", TapeOp::kExp, 1},           {"log", TapeOp::kLog, 1},
    {"abs", TapeOp::kAbs, 1},   {"softplus", TapeOp::kSoftplus, 1}, {"sqrt", TapeOp::kSqrt, 1},
};

[[noreturn]] void invalid(const std::string& wanted, const std::string& received) {
  throw Error("ERR_INVALID_ARGUMENT", "Expected " + wanted +
                                          " in the text of a cell but received " + '"' +
                                          received.substr(0, 60) + "\" (string)");
}

using Words = std::vector<std::string>;

// The statement's words; the punctuation between them says nothing that their order does not.
Words words_of(std::string statement) {
  for (char& c : statement) {
    if (c == '(' || c == ')' || c == ',' || c == '=' || c == '\n') c = ' ';
  }
  std::istringstream stream(statement);
  Words words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::string numbered(size_t index) { return std::string(1, '#').append(std::to_string(index)); }

std::string checked_name(const std::string& name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  const bool valid = !name.empty() && name.size() <= kMaxName && letter(name[0]) &&
                     std::all_of(name.begin(), name.end(),
                                 [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
  if (!valid) invalid("a name of letters, digits and \"_\"", name);
  return name;
}

float read_number(const std::string& word) {
  std::istringstream stream(word);
  stream.imbue(std::locale::classic());
  double value = 0;
  if (!(stream >> value) || stream.peek() != std::istringstream::traits_type::eof() ||
      !std::isfinite(static_cast<float>(value))) {
    invalid("a name that is known, or a number,", word);
  }
  return static_cast<float>(value);
}

void expect_count(const char* what, size_t count, size_t least, size_t most) {
  if (count >= least && count <= most) return;
  invalid(std::to_string(least) + " to " + std::to_string(most) + " " + what,
          std::to_string(count));
}

void expect_different(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) invalid("different names", *twice);
}

class Reader {
 public:
  CellDefinition read(const std::string& text) {
    if (text.size() > kMaxText) invalid("at most 64 KiB", std::to_string(text.size()));
    std::istringstream stream(text);
    for (std::string statement; std::getline(stream, statement, ';');) {
      const Words words = words_of(statement);
      if (!words.empty()) read_statement(words);
    }
    finish();
    return std::move(cell_);
  }

 private:
  void read_statement(const Words& words) {
    const Words names(words.begin() + 1, words.end());
    const bool declares =
        words[0] == "cell" || words[0] == "gates" || words[0] == "states" || words[0] == "params";
    // What follows refers to the declarations by index: they are made once, and first.
    if (declares && (!declared_.insert(words[0]).second || !numbered_.empty())) {
      invalid("each declaration once, before all operations", words[0]);
    }
    if (words[0] == "cell") {
      expect_count("names of the cell", names.size(), 1, 1);
      cell_.name = checked_name(names[0]);
    } else if (words[0] == "gates") {
      cell_.gates = read_names("gates", names, kMaxGates);
    } else if (words[0] == "states") {
      cell_.states = read_names("states", names, kMaxStates);
      if (cell_.states[0] != "h") invalid("\"h\" as the first state", names[0]);
      cell_.results.assign(cell_.states.size(), -1);
    } else if (words[0] == "params") {
      read_params(names);
    } else if (words[0][0] == '#') {
      read_operation(words);
    } else {
      read_result(words);
    }
  }

  static std::vector<std::string> read_names(const char* what, const Words& names, size_t most) {
    expect_count(what, names.size(), 1, most);
    for (const std::string& name : names) checked_name(name);
    expect_different(names);
    return names;
  }

  void read_params(const Words& given) {
    expect_count("learned vectors", given.size(), 1, kTapeParams);
    cell_.params.clear();
    std::vector<std::string> names;
    for (const std::string& word : given) {
      std::istringstream parts(word);
      std::string name, initializer, number;
      std::getline(parts, name, ':');
      std::getline(parts, initializer, ':');
      std::getline(parts, number);
      names.push_back(checked_name(name));
      cell_.params.push_back({name, initializer_option({}, "", checked_name(initializer))});
      if (!number.empty()) cell_.params.back().initializer.scale = read_number(number);
    }
    names.insert(names.end(), {"weight_ih", "weight_hh", "bias_ih", "bias_hh"});
    expect_different(names);
  }

  void read_operation(const Words& words) {
    const std::string number = numbered(numbered_.size());
    if (words[0] != number) invalid(number, words[0]);
    if (numbered_.size() == kMaxOperations) invalid("at most 512 operations", words[0]);
    const Operation* found = nullptr;
    for (const Operation& operation : kOperations) {
      if (words.size() > 1 && words[1] == operation.name) found = &operation;
    }
    if (found == nullptr) invalid("an operation", words.size() > 1 ? words[1] : words[0]);
    expect_count("operands", words.size() - 2, found->operands, found->operands);
    const int a = operand(words[2]);
    const int b = found->operands > 1 ? operand(words[3]) : -1;
    numbered_.push_back(cell_.graph.operation(found->op, a, b));
  }

  void read_result(const Words& words) {
    const auto state = std::find(cell_.states.begin(), cell_.states.end(), words[0]);
    if (state == cell_.states.end()) invalid("a state", words[0]);
    expect_count("values of a state", words.size() - 1, 1, 1);
    int& result = cell_.results[state - cell_.states.begin()];
    if (result >= 0) invalid("one value for each state", words[0]);
    result = operand(words[1]);
  }

  int operand(const std::string& word) {
    if (word[0] == '#') {
      for (size_t i = numbered_.size(); i-- > 0;) {
        if (word == numbered(i)) return numbered_[i];
      }
      invalid("an earlier operation", word);
    }
    const size_t dot = word.find('.');
    const std::string kind = word.substr(0, dot);
    if (dot != std::string::npos && word[0] >= 'a') {
      const std::string name = word.substr(dot + 1);
      if (kind == "sum") return gate_part(Leaf::kSum, name);
      if (kind == "input") return gate_part(Leaf::kInput, name);
      if (kind == "recurrent") return gate_part(Leaf::kRecurrent, name);
      if (kind == "state") return cell_.graph.leaf(Leaf::kState, index_in(cell_.states, name));
      if (kind == "param") {
        std::vector<std::string> names;
        for (const CellParam& param : cell_.params) names.push_back(param.name);
        return cell_.graph.leaf(Leaf::kParam, index_in(names, name));
      }
    }
    return cell_.graph.constant(read_number(word));
  }

  int gate_part(Leaf part, const std::string& name) {
    const int gate = index_in(cell_.gates, name);
    (part == Leaf::kSum ? joined_gates_ : cell_.split_gates) |= 1u << gate;
    if ((joined_gates_ & cell_.split_gates) != 0) invalid("the sum of a gate or its parts", name);
    return cell_.graph.leaf(part, gate);
  }

  static int index_in(const std::vector<std::string>& names, const std::string& name) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) invalid("a known name", name);
    return static_cast<int>(found - names.begin());
  }

  void finish() {
    if (cell_.name.empty()) invalid("the cell's name", "");
    if (cell_.gates.empty()) invalid("gates", "");
    if (cell_.states.empty()) invalid("states", "");
    for (size_t s = 0; s < cell_.states.size(); ++s) {
      if (cell_.results[s] < 0) invalid("a value for each state", cell_.states[s]);
    }
  }

  CellDefinition cell_;
  std::set<std::string> declared_;
  std::vector<int> numbered_;  // node of each operation
  uint32_t joined_gates_ = 0;
};

}  // namespace

CellDefinition parse_cell(const std::string& text) { return Reader().read(text); }

}  // namespace ostinato
