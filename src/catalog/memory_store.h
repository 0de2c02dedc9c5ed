// A catalog's store that forgets with the process: for tests and benchmarks.
#pragma once

#include <string>

#include "catalog/catalog.h"

namespace weir {

class MemoryStore : public CatalogStore {
 public:
  std::string Load() override { return text_; }
  void Save(const std::string& text) override { text_ = text; }

 private:
  std::string text_;
};

}  // namespace weir
