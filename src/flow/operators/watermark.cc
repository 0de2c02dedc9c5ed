#include "flow/operators/operators.h"

namespace weir {

std::optional<Micros> WatermarkOperator::Current() const {
  std::optional<Micros> least;
  for (auto* input : inputs) {
    auto watermark = static_cast<SourceOperator*>(input)->watermark();
    if (!watermark) return std::nullopt;
    least = std::min(*watermark, least.value_or(*watermark));
  }
  return least;
}

bool WatermarkOperator::HasPassed(std::optional<Micros> time) const {
  if (!time) return false;
  auto watermark = Current();
  return watermark && *time <= *watermark;
}

std::optional<Micros> WatermarkOperator::LogTimeFor(Micros watermark) const {
  std::optional<Micros> latest;
  for (auto* input : inputs) {
    auto at = static_cast<SourceOperator*>(input)->LogTimeFor(watermark);
    if (!at) return std::nullopt;
    latest = std::max(*at, latest.value_or(*at));
  }
  return latest;
}

}  // namespace weir
