// Memory for what comes, before anything else is changed: then what is done needs none.
#pragma once

#include <algorithm>
#include <vector>

namespace weir {

// For so many items more, growing as push_back does.
template <class Item>
void MakeRoom(std::vector<Item>& items, size_t more) {
  if (items.capacity() - items.size() >= more) return;
  items.reserve(std::max(2 * items.capacity(), items.size() + more));
}

}  // namespace weir
