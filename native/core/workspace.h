// The memory of one run, declared before it is realised: layers state what they need for a
// geometry, then one arena gives all of it. Saved regions live from the forward to the end of the
// backward pass; scratch regions of different layers overlap, since only one layer runs at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "core/arena.h"
#include "core/tensor.h"

namespace ostinato {

enum class Lifetime : uint8_t { kSaved, kScratch };

class Workspace {
 public:
  // Starts a plan anew. Keeps all capacity.
  void begin();
  // The following scratch declarations may overlap those of the layers before.
  void next_layer();
  // Asks for floats; *pointer is set by `realise`. The pointer must stay where it is until then.
  void want(float** pointer, int64_t floats, Lifetime lifetime);
  // Asks for a matrix with rows padded to kPad floats; sets its data by `realise`.
  void want(Matrix* matrix, int64_t rows, int64_t cols, Lifetime lifetime);
  // The same for a matrix whose columns are read across many rows: its rows do not lie a multiple
  // of 1 KiB apart, where a column would fall into few sets of a cache.
  void want_spread(Matrix* matrix, int64_t rows, int64_t cols, Lifetime lifetime);
  void realise();
  int64_t bytes() const;

 private:
  struct Request {
    float** pointer;
    int64_t offset;
    Lifetime lifetime;
  };
  std::vector<Request> requests_;
  int64_t saved_ = 0, scratch_ = 0, scratch_top_ = 0;
  AlignedBuffer arena_;
};

}  // namespace ostinato
