#include "flow/aggregates/distinct.h"

#include "flow/state/key_table.h"

namespace weir {

std::unique_ptr<DistinctSet> DistinctSet::Make(const RowTypes& argument_types, bool append_only) {
  bool words = append_only && argument_types.size() == 1 && KeyTable::IsWord(argument_types[0]);
  return words ? MakeDistinctWords(argument_types[0])
               : MakeDistinctKeys(argument_types, append_only);
}

Upkeep DistinctSet::HowKept() const {
  Upkeep upkeep;
  upkeep.Add(Upkeep::Rung::kClosedForm, "DISTINCT keeps each group's values",
             "Where an estimate is enough, approx_count_distinct keeps a few hundred bytes a group "
             "instead (while rows only come).");
  return upkeep;
}

}  // namespace weir
