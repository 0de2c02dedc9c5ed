#include "statements/late_views.h"

#include <map>

#include "base/error.h"
#include "base/text.h"
#include "sql/event_time.h"
#include "statements/statements.h"

namespace weir {

std::vector<std::string> LateViewsOf(const CatalogState& state, const std::string& view) {
  std::vector<std::string> names;
  for (auto& [key, other] : state.views) {
    if (!other->late_of.empty() && Lower(other->late_of) == Lower(view)) {
      names.push_back(other->name);
    }
  }
  return names;
}

void PutView(CatalogState& state, std::shared_ptr<const View> view) {
  std::map<std::string, std::shared_ptr<const View>> before;
  for (auto& name : LateViewsOf(state, view->name)) {
    before[Lower(name)] = state.FindView(name);
    state.views.erase(Lower(name));
  }
  for (auto& late : LateViews(*view, state)) {
    auto& there = before[Lower(late.name)];
    auto kept = std::make_shared<View>(late);
    CheckNameIsFree(state, late.name);
    bool same = there && there->query == late.query;
    kept->id = same ? there->id : state.next_id++;
    if (there) kept->comment = there->comment;
    state.views[Lower(late.name)] = std::move(kept);
  }
  std::string key = Lower(view->name);
  state.views[key] = std::move(view);
}

void RenewView(CatalogState& state, const std::string& name) {
  auto renewed = std::make_shared<View>(*state.GetView(name));
  SpellOutEventTime(*renewed, state);
  renewed->id = state.next_id++;
  PutView(state, std::move(renewed));
}

void RemoveView(CatalogState& state, const std::string& name) {
  for (auto& late : LateViewsOf(state, name)) state.views.erase(Lower(late));
  state.views.erase(Lower(name));
}

void CheckStandsByItself(const View& view) {
  if (view.late_of.empty()) return;
  throw Error(ErrorCode::kInUse,
              "\"" + view.name + "\" keeps the late rows of \"" + view.late_of + "\"",
              "It comes, changes and goes with that view.");
}

}  // namespace weir
