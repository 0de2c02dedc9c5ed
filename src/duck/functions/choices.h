// A few constant texts, among which others are looked up.  Immutable once used; any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "duck/functions/short_texts.h"

namespace weir {

class Choices {
 public:
  // Of equal texts the first is found.
  void Add(const std::string& text) {
    kept_.push_back(std::make_unique<std::string>(text));
    texts_.emplace_back(kept_.back()->data(), static_cast<uint32_t>(text.size()));
    sizes_ |= SizeBit(text.size());
    if (auto short_text = ShortText::Of(text)) short_texts_.push_back(*short_text);
  }

  size_t size() const { return texts_.size(); }

  // The number of the choice that `text` is; size() when it is none.
  size_t Find(const duckdb::string_t& text) const {
    if (short_texts_.size() == texts_.size() && texts_.size() <= kFew) return FindShort(text);
    if (sizes_ & SizeBit(text.GetSize())) {
      for (size_t i = 0; i < texts_.size(); i++) {
        if (texts_[i] == text) return i;
      }
    }
    return texts_.size();
  }

 private:
  static constexpr size_t kFew = 16;

  static uint64_t SizeBit(size_t size) { return uint64_t{1} << size % 64; }
  // All are looked at: which of them it is, no processor foresees.
  size_t FindShort(const duckdb::string_t& text) const {
    size_t found = short_texts_.size();
    for (size_t i = found; i-- > 0;) found = short_texts_[i].Equals(text) ? i : found;
    return found;
  }

  std::vector<std::unique_ptr<std::string>> kept_;
  std::vector<duckdb::string_t> texts_;
  std::vector<ShortText> short_texts_;  // those that are short
  uint64_t sizes_ = 0;                  // that any of the texts has: tells most others apart
};

}  // namespace weir
