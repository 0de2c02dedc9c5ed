#include "duck/functions/float_sum.h"

#include <bit>

#include "base/error.h"

namespace weir {
namespace {

constexpr uint64_t kFractionBits = 52;
constexpr int kLowest = -1074;  // the exponent of the lowest bit of a double

}  // namespace

// Adds bits * 2^(shift + 32 * limb), shift < 32.
void WideSum::AddBits(uint64_t bits, size_t limb, int shift, bool negative) {
  auto shifted = static_cast<unsigned __int128>(bits) << shift;
  for (size_t i = 0; shifted != 0; i++, shifted >>= kLimbBits) {
    auto part = static_cast<int64_t>(static_cast<uint32_t>(shifted));
    limbs_.at(limb + i) += negative ? -part : part;
  }
}

void WideSum::Add(double value, int64_t weight) {
  DEBUG_ASSERT(std::isfinite(value));
  if (value == 0 || weight == 0) return;
  auto bits = std::bit_cast<uint64_t>(value);
  auto exponent = static_cast<int>(bits >> kFractionBits & 0x7ff);
  uint64_t mantissa = bits & ((uint64_t{1} << kFractionBits) - 1);
  if (exponent != 0) mantissa |= uint64_t{1} << kFractionBits;
  int place = exponent == 0 ? 0 : exponent - 1;  // of its lowest bit, above 2^kLowest
  bool negative = (value < 0) != (weight < 0);
  uint64_t copies = weight < 0 ? -static_cast<uint64_t>(weight) : static_cast<uint64_t>(weight);
  auto product = static_cast<unsigned __int128>(mantissa) * copies;
  auto limb = static_cast<size_t>(place / kLimbBits);
  AddBits(static_cast<uint64_t>(product), limb, place % kLimbBits, negative);
  AddBits(static_cast<uint64_t>(product >> 64), limb + 2, place % kLimbBits, negative);
  if (++adds_ == kAddsMax) Carry();
}

void WideSum::Add(const WideSum& other) {
  Carry();
  WideSum more = other;
  more.Carry();
  for (size_t i = 0; i < kLimbs; i++) limbs_[i] += more.limbs_[i];
  adds_ = 1;
}

// All limbs but the last from 0 to 2^32 - 1: the last one says the sign.
void WideSum::Carry() {
  for (size_t i = 0; i + 1 < kLimbs; i++) {
    int64_t carry = limbs_[i] >> kLimbBits;  // towards minus infinity
    limbs_[i] -= carry * (int64_t{1} << kLimbBits);
    limbs_[i + 1] += carry;
  }
  adds_ = 0;
}

bool WideSum::IsZero() const {
  WideSum sum = *this;
  sum.Carry();
  for (int64_t limb : sum.limbs_) {
    if (limb != 0) return false;
  }
  return true;
}

double WideSum::Value() const {
  WideSum sum = *this;
  sum.Carry();
  bool negative = sum.limbs_.back() < 0;
  if (negative) {
    for (auto& limb : sum.limbs_) limb = -limb;
    sum.Carry();
  }
  size_t top = kLimbs;
  while (top > 0 && sum.limbs_[top - 1] == 0) top--;
  if (top == 0) return 0;
  // The highest 64 bits from the highest one on, the last of them standing for all below it, so
  // that the conversion rounds once.  (The highest limb of all is far from having 32 bits.)
  auto limb = [&](size_t below) {
    return top > below ? static_cast<uint64_t>(sum.limbs_[top - 1 - below]) : 0;
  };
  int spare = std::countl_zero(static_cast<uint32_t>(limb(0)));
  auto high = static_cast<unsigned __int128>(limb(0)) << 64 | limb(1) << 32 | limb(2);
  high <<= spare + 32;  // now its highest bit is the highest of all
  auto kept = static_cast<uint64_t>(high >> 64);
  bool more = static_cast<uint64_t>(high) != 0;
  for (size_t i = 3; i < top; i++) more = more || limb(i) != 0;
  if (more) kept |= 1;
  int exponent = kLowest + static_cast<int>(top - 1) * kLimbBits - 32 - spare;
  double value = std::ldexp(static_cast<double>(kept), exponent);
  return negative ? -value : value;
}

}  // namespace weir
