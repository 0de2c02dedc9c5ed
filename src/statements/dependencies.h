// Who reads whom in the catalog.
#pragma once

#include <string>
#include <vector>

#include "catalog/catalog.h"

namespace weir {

// What reads a stream or view, directly and indirectly, in the order it must go.
struct Dependents {
  std::vector<std::string> views, pumps;
  bool empty() const { return views.empty() && pumps.empty(); }
  std::string List() const;  // for messages: "a", pump "b"
};
Dependents DependentsOf(const CatalogState& state, const std::string& name);

// Throws when what a pump emits would come back to it, through streams, views and other pumps.
void CheckNoLoop(const CatalogState& state);

}  // namespace weir
