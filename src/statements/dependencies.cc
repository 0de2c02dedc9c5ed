#include "statements/dependencies.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "sql/names_in.h"
#include "statements/late_views.h"

namespace weir {
namespace {

bool Reads(const KernelSql& query, const std::string& lower_name) {
  auto names = NamesIn(query);
  return std::find(names.begin(), names.end(), lower_name) != names.end();
}

void AddOnce(std::vector<std::string>& list, const std::string& name) {
  if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
}

// The way from a query's names to a stream, "" when there is none.
std::string PathTo(const CatalogState& state, const KernelSql& query, StreamId target,
                   std::set<std::string>& seen) {
  for (auto& name : NamesIn(query)) {
    if (!seen.insert(name).second) continue;
    if (auto stream = state.FindStream(name)) {
      if (stream->id == target) return "\"" + stream->name + "\"";
      for (auto& pump : state.PumpsInto(stream->id)) {
        auto path = PathTo(state, pump->kernel_sql, target, seen);
        if (!path.empty()) return path + " -> \"" + stream->name + "\"";
      }
    } else if (auto view = state.FindView(name)) {
      auto path = PathTo(state, view->kernel_sql, target, seen);
      if (!path.empty()) return path + " -> \"" + view->name + "\"";
    }
  }
  return "";
}

}  // namespace

std::string Dependents::List() const {
  std::string list;
  for (auto& view : views) list += (list.empty() ? "\"" : ", \"") + view + "\"";
  for (auto& pump : pumps) list += (list.empty() ? "pump \"" : ", pump \"") + pump + "\"";
  return list;
}

namespace {

void AddDependents(const CatalogState& state, const std::string& lower_name,
                   std::set<std::string>& seen, Dependents& dependents) {
  // Who reads a view's late rows reads the view.
  for (auto& late : LateViewsOf(state, lower_name)) {
    if (seen.insert(Lower(late)).second) AddDependents(state, Lower(late), seen, dependents);
  }
  for (auto& [key, pump] : state.pumps) {
    if (Reads(pump->kernel_sql, lower_name)) AddOnce(dependents.pumps, pump->name);
  }
  for (auto& [key, view] : state.views) {
    if (!Reads(view->kernel_sql, lower_name) || !seen.insert(key).second) continue;
    AddDependents(state, key, seen, dependents);
    AddOnce(dependents.views, view->name);
  }
}

}  // namespace

Dependents DependentsOf(const CatalogState& state, const std::string& name) {
  Dependents dependents;
  std::set<std::string> seen{Lower(name)};
  AddDependents(state, Lower(name), seen, dependents);
  return dependents;
}

void CheckNoLoop(const CatalogState& state) {
  for (auto& [key, pump] : state.pumps) {
    std::set<std::string> seen;
    auto path = PathTo(state, pump->kernel_sql, pump->stream, seen);
    if (path.empty()) continue;
    throw Error(ErrorCode::kInvalidSql,
                "stream " + path.substr(0, path.find(" -> ")) + " would read itself: " + path +
                    " -> pump \"" + pump->name + "\"",
                "What a pump emits may not come back to it.");
  }
}

}  // namespace weir
