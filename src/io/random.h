// The only way anything in Weir gets randomness.  SystemRandom is the machine's, for identities
// nobody may guess; SeededRandom repeats itself, for tests.  SystemRandom is thread-safe, a
// SeededRandom belongs to one thread.
#pragma once

#include <cstdint>

namespace weir {

class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t Next() = 0;
  // Evenly in [0, bound); bound > 0.
  uint64_t Below(uint64_t bound) { return Next() % bound; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
};

Random& SystemRandom();

class SeededRandom : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}
  uint64_t Next() override;

 private:
  uint64_t state_;
};

}  // namespace weir
