// Views that say something about event time, in the catalog: each has its late rows in a view of
// their own, which comes, changes and goes with it.  Edits of a catalog state, as in
// query/statements.h.
#pragma once

#include <string>
#include <vector>

#include "catalog/catalog.h"

namespace weir {

// The views that keep the late rows of a view.
std::vector<std::string> LateViewsOf(const CatalogState& state, const std::string& view);

// Puts `view` (spelled out) in its place, and those in theirs that keep its late rows from now on.
void PutView(CatalogState& state, std::shared_ptr<const View> view);

// Made anew, under a new id: what it reads is another now.
void RenewView(CatalogState& state, const std::string& name);

// With those of its late rows; nothing when it is gone already.
void RemoveView(CatalogState& state, const std::string& name);

// Throws kInUse when the view keeps the late rows of another, with which it comes and goes.
void CheckStandsByItself(const View& view);

}  // namespace weir
