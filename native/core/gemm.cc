#include "core/gemm.h"

#include <algorithm>

#include "core/parallel.h"

namespace ostinato {

namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// A grid of parts of a product: `rows` by `cols` parts, at most `threads` in all. Rows first, since
// parts that differ in rows share no output; columns take the threads that are left.
struct Grid {
  int rows, cols;
  Grid(int threads, int64_t row_tiles, int64_t col_tiles) {
    rows = static_cast<int>(std::clamp<int64_t>(row_tiles, 1, threads));
    cols =
        static_cast<int>(std::clamp<int64_t>(threads / rows, 1, std::max<int64_t>(col_tiles, 1)));
  }
  int parts() const { return rows * cols; }
  Member row_member(int part) const { return {part / cols, rows}; }
  Member col_member(int part) const { return {part % cols, cols}; }
};

// Runs fn(part, member) for every part, on a team that may turn out smaller than asked for.
template <class Fn>
void for_parts(int parts, const Fn& fn) {
  parallel_team(parts, [&](const Member& member) {
    for (int part = member.index; part < parts; part += member.size) fn(part, member.index);
  });
}

// Splits C = A . B over the threads; `product` says everything of B, and what happens with C.
void share_product(const Kernels& kernels, int threads, const Matrix& a, const GemmArgs& product,
                   const Matrix& c) {
  const int64_t m = a.rows;
  if (m <= 0 || product.n <= 0) return;
  const int64_t tiles = ceil_div(m, kernels.gemm_rows);
  const int64_t panels = ceil_div(product.n, kernels.gemm_width);
  const Grid grid(threads_for(m * product.n * product.k, threads), tiles, panels);
  for_parts(grid.parts(), [&](int part, int) {
    const Member::Range rows = grid.row_member(part).share(m, kernels.gemm_rows);
    const Member::Range cols = grid.col_member(part).share(panels);
    if (rows.begin >= rows.end || cols.begin >= cols.end) return;
    GemmArgs args = product;
    args.m = rows.end - rows.begin;
    args.a = a.row(rows.begin);
    args.a_ld = a.ld;
    args.c = c.row(rows.begin);
    args.c_ld = c.ld;
    args.panel_begin = cols.begin;
    args.panel_end = cols.end;
    kernels.gemm(args);
  });
}

}  // namespace

int threads_for(int64_t work, int threads) {
  return static_cast<int>(std::clamp<int64_t>(work / kWorkPerThread, 1, std::max(threads, 1)));
}

void PackedMatrix::pack(const Kernels& kernels, const float* src, int64_t src_ld, bool transposed,
                        int64_t k, int64_t n, const int32_t* map, int64_t n_source, int threads) {
  k_ = k;
  n_ = n;
  const int64_t panels = ceil_div(n, kernels.gemm_width);
  buffer_.reserve(panels * kernels.gemm_width * k);
  PackArgs args{};
  args.src = src;
  args.src_ld = src_ld;
  args.map = map;
  args.transposed = transposed;
  args.k = k;
  args.n = n;
  args.n_source = n_source < 0 ? n : n_source;
  args.width = kernels.gemm_width;
  args.dst = buffer_.data();
  parallel_for(threads_to_pack(k * n, threads), panels, 1, [&](int64_t begin, int64_t end) {
    PackArgs part = args;
    part.panel_begin = begin;
    part.panel_end = end;
    kernels.pack(part);
  });
}

void multiply(const Kernels& kernels, int threads, const Matrix& a, const PackedMatrix& b,
              const float* bias, bool accumulate, const Matrix& c) {
  GemmArgs args{};
  args.n = b.n();
  args.k = b.k();
  args.b = b.data();
  args.bias = bias;
  args.accumulate = accumulate;
  share_product(kernels, threads, a, args, c);
}

void multiply(const Kernels& kernels, int threads, const Matrix& a, const MappedRows& b,
              bool accumulate, const Matrix& c) {
  GemmArgs args{};
  args.n = b.rows.cols;
  args.k = b.k;
  args.b = b.rows.data;
  args.b_map = b.map;
  args.b_ld = b.rows.ld;
  args.accumulate = accumulate;
  share_product(kernels, threads, a, args, c);
}

int64_t multiply_tn_scratch(const Kernels& kernels, int threads) {
  return padded(kernels.gemm_tn_scratch) * std::max(threads, 1);
}

void multiply_tn(const Kernels& kernels, int threads, const Matrix& a,
                 std::initializer_list<TnProduct> products, const int32_t* c_map, bool accumulate,
                 float* sums, float* scratch) {
  constexpr int kMaxProducts = 2;
  const int64_t m = a.cols;
  if (m <= 0) return;
  int64_t work = 0, panels = 0;
  for (const TnProduct& product : products) {
    work += m * product.b.cols * product.b.rows;
    panels = std::max(panels, ceil_div(product.b.cols, kernels.gemm_tn_width));
  }
  const Grid grid(threads_for(work, threads), ceil_div(m, kernels.gemm_tn_rows), panels);
  for_parts(grid.parts(), [&](int part, int member) {
    const Member::Range rows = grid.row_member(part).share(m, kernels.gemm_tn_rows);
    if (rows.begin >= rows.end) return;
    GemmTnProduct parts[kMaxProducts];
    GemmTnArgs args{};
    args.products = parts;
    for (const TnProduct& product : products) {
      const Member::Range cols = grid.col_member(part).share(product.b.cols, kernels.gemm_tn_width);
      GemmTnProduct& share = parts[args.product_count++];
      share.b = product.b.data;
      share.b_ld = product.b.ld;
      share.b_rows = product.b_rows;
      share.k_begin = product.first;
      share.k_end = product.first + product.b.rows;
      share.c = product.c;
      share.c_ld = product.c_ld;
      share.n = product.b.cols;
      share.n_begin = cols.begin;
      share.n_end = cols.end;
    }
    args.m = m;
    args.k = a.rows;
    args.a = a.data;
    args.a_ld = a.ld;
    args.c_map = c_map;
    args.accumulate = accumulate;
    args.column_sums = grid.col_member(part).index == 0 ? sums : nullptr;
    args.m_begin = rows.begin;
    args.m_end = std::min(rows.end, m);
    args.scratch = scratch + padded(kernels.gemm_tn_scratch) * member;
    kernels.gemm_tn(args);
  });
}

}  // namespace ostinato
