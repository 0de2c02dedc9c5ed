// The keys of an ORDER BY as RowCodec wants them.
#pragma once

#include <vector>

#include "duck/plan/plan_node.h"
#include "duck/row_codec.h"
#include "flow/operator.h"

namespace weir {

inline std::vector<RowCodec::Direction> Directions(const std::vector<SortKey>& order) {
  std::vector<RowCodec::Direction> directions;
  directions.reserve(order.size());
  for (auto& key : order) directions.push_back({key.descending, key.nulls_first, true});
  return directions;
}

inline RowTypes TypesOf(const std::vector<SortKey>& order) {
  RowTypes types;
  for (auto& key : order) types.push_back(TypeOf(key.by));
  return types;
}

}  // namespace weir
