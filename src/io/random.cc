#include "io/random.h"

#include <sys/random.h>

#include "base/error.h"

namespace weir {

namespace {

class KernelRandom : public Random {
 public:
  uint64_t Next() override {
    uint64_t value = 0;
    ASSERT(getrandom(&value, sizeof value, 0) == sizeof value);
    return value;
  }
};

}  // namespace

Random& SystemRandom() {
  static KernelRandom random;
  return random;
}

// SplitMix64: tiny, and every seed (0 too) gives a good sequence.
uint64_t SeededRandom::Next() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace weir
