#include "formats/json_shape.h"

#include <algorithm>

namespace weir {

void JsonShape::Learn() {
  if (row_.size() > kStepsMax) return;
  for (const Part& part : row_) {
    if (part.text.size() > kStepBytesMax) return;
  }
  if (steps_.size() + row_.size() > kStepsMax) {
    start_ = Step();
    steps_.clear();
  }
  Step* before = &start_;
  for (const Part& part : row_) {
    Step* step = Find(part);
    auto& followers = before->followers;
    if (std::find(followers.begin(), followers.end(), step) == followers.end()) {
      std::move_backward(followers.begin(), followers.end() - 1, followers.end());
      followers.front() = step;
    }
    before = step;
  }
}

JsonShape::Step* JsonShape::Find(const Part& part) {
  auto found = steps_.find(part.text);
  if (found != steps_.end()) return found->second.get();
  auto step = std::make_unique<Step>();
  std::copy(part.text.begin(), part.text.end(), step->text.begin());
  step->size = part.text.size();
  step->first_bytes = step->size >= 16 ? kAll16 : (1u << step->size) - 1;
  step->column = part.column;
  if (part.column == kUnknown) {
    size_t first = part.text.find('"'), last = part.text.rfind('"');
    step->name = part.text.substr(first + 1, last - first - 1);
  }
  if (part.column >= 0) {
    step->seen_word = static_cast<size_t>(part.column) / 64;
    step->seen_bit = uint64_t{1} << part.column % 64;
  }
  std::string_view text(step->text.data(), step->size);
  return steps_.emplace(text, std::move(step)).first->second.get();
}

}  // namespace weir
