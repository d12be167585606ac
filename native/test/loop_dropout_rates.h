// The rates of dropout inside the time loop that tests ask for.
#pragma once

#include "test/core_recurrent.h"

namespace ostinato::test {

// Of the mask on h, of zoneout of h and c, and of the candidate.
struct Rates {
  double mask, h, c;
  double candidate = 0;
};

inline Options options_of(const Rates& rates) {
  return {{"recurrentDropout", rates.mask},
          {"zoneout.h", rates.h},
          {"zoneout.c", rates.c},
          {"candidateDropout", rates.candidate}};
}

}  // namespace ostinato::test
