// Exact sums of floating-point numbers: what a sum says does not depend on the order its values
// come in, nor on values that came and went, and passing the largest double on the way loses
// nothing.
//
// FloatSum is what nearly every sum fits in: two doubles of which the second holds what the first
// rounded away (error-free addition by Knuth, TAOCP vol. 2, 4.2.2).  Where that loses a bit, or
// leaves the range of a double, the sum goes on as a WideSum: a fixed-point number of all bits that
// doubles have, as Kulisch's accumulator, in limbs with room for carries (Neal, "Fast exact
// summation using small and large superaccumulators", 2015).
//
// Not thread-safe.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace weir {

class WideSum {
 public:
  // A finite value, so many times.
  void Add(double value, int64_t weight);
  void Add(const WideSum& other);
  // The nearest double; infinite where that is beyond them.
  double Value() const;
  bool IsZero() const;

 private:
  static constexpr int kLimbBits = 32;
  // From the lowest bit of a double, 2^-1074, to the highest times a weight, 2^1088; then room.
  static constexpr size_t kLimbs = 70;
  // How much may be added before limbs could overflow: each adds less than 2^32 to one, twice.
  static constexpr uint32_t kAddsMax = 1u << 29;

  void Carry();
  void AddBits(uint64_t bits, size_t limb, int shift, bool negative);

  std::array<int64_t, kLimbs> limbs_{};
  uint32_t adds_ = 0;
};

struct FloatSum {
  double total = 0, lost = 0;  // their sum is exact; `lost` is NaN where a WideSum has it all
  int64_t count = 0;           // of values that are not NULL
  int64_t infinities = 0, negative_infinities = 0, nans = 0;  // kept apart: they would stick

  // False where the value does not fit in; nothing has changed then.
  bool TryAdd(double value) {
    double next = total + value, part = next - total;
    double error = (total - (next - part)) + (value - part);
    double low = lost + error, low_part = low - lost;
    double low_error = (lost - (low - low_part)) + (error - low_part);
    if (!(low_error == 0)) return false;  // or it is NaN: of an infinity, or of a NaN
    total = next;
    lost = low;
    return true;
  }
  bool IsWide() const { return std::isnan(lost); }

  // What TryAdd refused; `wide` is the sum's own, zero until then.
  template <class Wide>
  void AddSlowly(double value, int64_t weight, Wide wide) {
    if (std::isnan(value)) {
      nans += weight;
    } else if (std::isinf(value)) {
      (value > 0 ? infinities : negative_infinities) += weight;
    } else {
      WideSum& sum = wide();
      if (!IsWide()) Widen(sum);
      sum.Add(value, weight);
    }
  }
  void Widen(WideSum& sum) {
    sum.Add(total, 1);
    sum.Add(lost, 1);
    total = 0;
    lost = NAN;
  }
  // True where the sum fits in two doubles again; then `sum` is no longer needed.
  bool TryNarrow(const WideSum& sum) {
    double high = sum.Value();
    if (std::isinf(high)) return false;
    WideSum rest = sum;
    rest.Add(high, -1);
    double low = rest.Value();
    rest.Add(low, -1);
    if (!rest.IsZero()) return false;
    total = high;
    lost = low;
    return true;
  }

  // `wide`: where IsWide() says so.
  double Value(const WideSum* wide) const {
    if (nans || (infinities && negative_infinities)) return NAN;
    if (infinities) return INFINITY;
    if (negative_infinities) return -INFINITY;
    return wide ? wide->Value() : total + lost;
  }
};

}  // namespace weir
