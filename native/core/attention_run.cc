#include "core/attention_run.h"

#include <algorithm>

#include "core/parallel.h"

namespace ostinato {

namespace {

SequenceRows with_ld(SequenceRows rows, int64_t ld) {
  rows.ld = ld;
  return rows;
}

void clear_rows(const Matrix& rows, const SequenceRows& sequence) {
  if (!rows) return;
  for (int64_t t = 0; t < sequence.steps; ++t) {
    std::fill_n(rows.row(sequence.offset[t] + sequence.first), rows.cols, 0.0f);
  }
}

}  // namespace

void AttentionRun::plan(Workspace& workspace, const Pass& pass) {
  const Geometry& keys = *pass.inputs[1];
  const int64_t units = layer_.units_;
  const int64_t queries = layer_.query_.timed ? pass.inputs[0]->rows() : pass.inputs[0]->batch();
  workspace.want(&output_, queries, layer_.value_.features, Lifetime::kSaved);
  workspace.want(&weights_, queries, keys.steps(), Lifetime::kSaved);
  if (projects()) workspace.want(&queries_, queries, units, Lifetime::kSaved);
  if (additive()) workspace.want(&keys_, keys.rows(), units, Lifetime::kSaved);
  if (!pass.gradients) return;
  workspace.want(&dweights_, queries, keys.steps(), Lifetime::kScratch);
  if (!projects()) return;
  workspace.want(&dqueries_, queries, units, Lifetime::kScratch);
  workspace.want(&scratch_, multiply_tn_scratch(*pass.kernels, pass.threads), Lifetime::kScratch);
  if (!additive()) return;
  workspace.want(&dkeys_, keys.rows(), units, Lifetime::kScratch);
  workspace.want(&dscore_, keys.batch(), units, Lifetime::kScratch);
}

AttentionRun::Operands AttentionRun::operands(std::span<const Value> inputs) const {
  Operands rows;
  rows.queries = projects() ? queries_ : inputs[0].floats;
  rows.keys = additive() ? keys_ : inputs[1].floats;
  rows.values = inputs.back().floats;
  return rows;
}

// Multiply-adds of a pass over all scores and weighted sums.
int64_t AttentionRun::work(const Pass& pass) const {
  return output_.rows * pass.inputs[1]->steps() * (layer_.units_ + output_.cols) *
         (additive() ? 4 : 1);
}

template <class Fn>
void AttentionRun::for_samples(const Pass& pass, int64_t multiply_adds, const Fn& fn) const {
  const Geometry& keys = *pass.inputs[1];
  const Geometry& queries = *pass.inputs[0];
  const int threads = threads_for(multiply_adds, pass.threads);
  parallel_for(threads, keys.batch(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      Sample sample;
      sample.keys = {keys.offsets(), row, keys.length(row), 0};
      sample.index = row;
      sample.query = keys.partner(row, queries);
      sample.queries = layer_.query_.timed ? queries.length(sample.query) : 1;
      fn(sample);
    }
  });
}

int64_t AttentionRun::query_row(const Pass& pass, const Sample& sample, int64_t i) const {
  return layer_.query_.timed ? pass.inputs[0]->row(sample.query, i) : sample.query;
}

Value AttentionRun::forward_from(const Pass& pass, const ParamTable& params,
                                 std::span<const Value> inputs) {
  if (projects()) {
    const float* bias = layer_.use_bias_ ? params.value(layer_.bias_) : nullptr;
    multiply(*pass.kernels, pass.threads, inputs[0].floats, layer_.query_forward_, bias, false,
             queries_);
  }
  if (additive()) {
    multiply(*pass.kernels, pass.threads, inputs[1].floats, layer_.key_forward_, nullptr, false,
             keys_);
  }
  const Operands rows = operands(inputs);
  for_samples(pass, work(pass), [&](const Sample& sample) { attend(pass, params, rows, sample); });
  return {output_, nullptr, output_.rows};
}

AdditiveScoresArgs AttentionRun::additive_args(const ParamTable& params, const Operands& rows,
                                               const Sample& sample, int64_t query) const {
  AdditiveScoresArgs args{};
  args.sequence = with_ld(sample.keys, rows.keys.ld);
  args.cols = rows.keys.cols;
  args.query = rows.queries.row(query);
  args.keys = rows.keys.data;
  args.score = params.value(layer_.weight_score_);
  return args;
}

void AttentionRun::attend(const Pass& pass, const ParamTable& params, const Operands& rows,
                          const Sample& sample) const {
  for (int64_t i = 0; i < sample.queries; ++i) {
    const int64_t row = query_row(pass, sample, i);
    float* const weights = weights_.row(row);
    if (additive()) {
      AdditiveScoresArgs args = additive_args(params, rows, sample, row);
      args.scores = weights;
      pass.kernels->additive_scores(args);
    } else {
      AttentionArgs args{};
      args.sequence = with_ld(sample.keys, rows.keys.ld);
      args.cols = rows.keys.cols;
      args.x = rows.keys.data;
      args.vector = rows.queries.row(row);
      args.weights = weights;
      pass.kernels->attention_products(args);
    }
    if (sample.keys.steps > 0) {
      ActivationArgs args{};
      args.kind = Activation::kSoftmax;
      args.rows = 1;
      args.cols = sample.keys.steps;
      args.x = args.y = weights;
      args.x_ld = args.y_ld = weights_.ld;
      pass.kernels->activation(args);
    }
    AttentionArgs args{};
    args.sequence = with_ld(sample.keys, rows.values.ld);
    args.cols = rows.values.cols;
    args.x = rows.values.data;
    args.weights = weights;
    args.sum = output_.row(row);
    pass.kernels->attention_sum(args);
  }
}

void AttentionRun::get_attention(const Pass& pass, int64_t query_steps, int64_t key_steps,
                                 float* destination) const {
  for_samples(pass, weights_.rows * weights_.cols, [&](const Sample& sample) {
    float* to = destination + pass.inputs[1]->batch_row(sample.index) * query_steps * key_steps;
    for (int64_t i = 0; i < sample.queries; ++i, to += key_steps) {
      std::copy_n(weights_.row(query_row(pass, sample, i)), sample.keys.steps, to);
    }
  });
}

void AttentionRun::backward_to(const Pass& pass, const ParamTable& params,
                               std::span<const Value> inputs, const Matrix& dy,
                               std::span<const Matrix> dx) {
  Operands rows = operands(inputs);
  rows.dqueries = projects() ? dqueries_ : dx[0];
  rows.dkeys = additive() ? dkeys_ : dx[1];
  rows.dvalues = dx.back();
  for_samples(pass, 3 * work(pass), [&](const Sample& sample) {
    clear_gradients(rows, sample);
    attend_backward(pass, params, rows, sample, dy);
  });
  if (projects()) project_backward(pass, params, inputs, dx);
}

void AttentionRun::clear_gradients(const Operands& rows, const Sample& sample) const {
  clear_rows(rows.dkeys, sample.keys);
  clear_rows(rows.dvalues, sample.keys);
  if (additive()) std::fill_n(dscore_.row(sample.index), dscore_.cols, 0.0f);
}

void AttentionRun::attend_backward(const Pass& pass, const ParamTable& params, const Operands& rows,
                                   const Sample& sample, const Matrix& dy) const {
  const Kernels& kernels = *pass.kernels;
  for (int64_t i = 0; i < sample.queries; ++i) {
    const int64_t row = query_row(pass, sample, i);
    float* const dscores = dweights_.row(row);
    AttentionArgs values{};
    values.sequence = with_ld(sample.keys, rows.values.ld);
    values.cols = rows.values.cols;
    values.x = rows.values.data;
    values.vector = dy.row(row);
    values.weights = dscores;
    kernels.attention_products(values);
    if (rows.dvalues) {
      values.sequence.ld = rows.dvalues.ld;
      values.weights = weights_.row(row);
      values.dx = rows.dvalues.data;
      kernels.attention_add_outer(values);
    }
    if (sample.keys.steps > 0) {
      ActivationGradArgs args{};
      args.kind = Activation::kSoftmax;
      args.rows = 1;
      args.cols = sample.keys.steps;
      args.x = args.y = weights_.row(row);
      args.x_ld = args.y_ld = weights_.ld;
      args.dy = args.dx = dscores;
      args.dy_ld = args.dx_ld = dweights_.ld;
      kernels.activation_grad(args);
    }
    if (additive()) {
      AdditiveScoresArgs args = additive_args(params, rows, sample, row);
      args.dscores = dscores;
      args.dquery = rows.dqueries.row(row);
      args.dkeys = rows.dkeys.data;  // rows as far apart as those of the keys: both padded(units)
      args.dscore = dscore_.row(sample.index);
      kernels.additive_scores_grad(args);
      continue;
    }
    AttentionArgs keys{};
    keys.sequence = with_ld(sample.keys, rows.keys.ld);
    keys.cols = rows.keys.cols;
    keys.x = rows.keys.data;
    keys.weights = dscores;
    if (rows.dqueries) {
      keys.sum = rows.dqueries.row(row);
      kernels.attention_sum(keys);
    }
    if (rows.dkeys) {
      keys.sequence.ld = rows.dkeys.ld;
      keys.vector = rows.queries.row(row);
      keys.dx = rows.dkeys.data;
      kernels.attention_add_outer(keys);
    }
  }
}

// From the gradients of the projected rows to those of the weights and the inputs.
void AttentionRun::project_backward(const Pass& pass, const ParamTable& params,
                                    std::span<const Value> inputs,
                                    std::span<const Matrix> dx) const {
  const Kernels& kernels = *pass.kernels;
  multiply_tn(kernels, pass.threads, dqueries_,
              {{inputs[0].floats, params.gradient(layer_.weight_query_), layer_.query_.features}},
              nullptr, true, layer_.use_bias_ ? params.gradient(layer_.bias_) : nullptr, scratch_);
  if (dx[0]) {
    multiply(kernels, pass.threads, dqueries_, layer_.query_backward_, nullptr, false, dx[0]);
  }
  if (!additive()) return;
  multiply_tn(kernels, pass.threads, dkeys_,
              {{inputs[1].floats, params.gradient(layer_.weight_key_), layer_.key_.features}},
              nullptr, true, nullptr, scratch_);
  if (dx[1]) {
    // Where keys are the values, too, it holds the values' part already.
    multiply(kernels, pass.threads, dkeys_, layer_.key_backward_, nullptr, !layer_.own_values_,
             dx[1]);
  }
  for (int64_t row = 0; row < dscore_.rows; ++row) {
    kernels.add(params.gradient(layer_.weight_score_), dscore_.row(row), dscore_.cols);
  }
}

}  // namespace ostinato
