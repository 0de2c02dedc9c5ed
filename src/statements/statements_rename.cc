// ALTER ... RENAME TO: queries that read the renamed thing are rewritten, or nothing is renamed.
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "sql/names_in.h"
#include "sql/rename.h"
#include "statements/dependencies.h"
#include "statements/statements.h"

namespace weir {
namespace {

void CheckNotOfProject(bool from_project, const std::string& what) {
  if (!from_project) return;
  throw Error(ErrorCode::kConflict,
              what + " is declared in the project folder, which is the truth for it",
              "At the next start the old name would come back. Rename what was made through SQL, "
              "or start anew under the other name in the folder.");
}

void SameColumns(const std::vector<Column>& before, const std::vector<Column>& after,
                 const std::string& what) {
  bool same = std::equal(
      before.begin(), before.end(), after.begin(), after.end(),
      [](const Column& a, const Column& b) { return a.name == b.name && a.type == b.type; });
  if (!same) {
    throw Error(ErrorCode::kInUse, what + " would have other columns after the renaming");
  }
}

// The names of late rows, and what is asked of a stream's watermark, are made of names.
void CheckNoEventTime(const View& view) {
  if (!view.HasEventTime() && view.late_of.empty()) return;
  throw Error(ErrorCode::kInUse,
              "view " + InQuotes(view.name) + " keeps event time and cannot be rewritten",
              "Drop it, rename, and make it anew with the new name.");
}

class Renamer {
 public:
  Renamer(CatalogState& state, Views& views, std::string from, std::string to)
      : state_(state), views_(views), from_(std::move(from)), to_(std::move(to)) {}

  // Rewrites every query that names it; told before and after are compared.
  void RewriteReaders() {
    for (auto& [key, view] : state_.views) {
      if (!Names(view->kernel_sql)) continue;
      std::string what = "view " + InQuotes(view->name);
      CheckNotOfProject(view->from_project, what + ", which reads it,");
      CheckNoEventTime(*view);
      before_[what] = views_.Bind(state_, view->kernel_sql);
      auto rewritten = std::make_shared<View>(*view);
      Rewrite(*rewritten, what);
      views_after_.emplace_back(key, rewritten);
    }
    for (auto& [key, pump] : state_.pumps) {
      if (!Names(pump->kernel_sql)) continue;
      std::string what = "pump " + InQuotes(pump->name);
      CheckNotOfProject(pump->from_project, what + ", which reads it,");
      before_[what] = views_.Bind(state_, pump->kernel_sql);
      auto rewritten = std::make_shared<Pump>(*pump);
      Rewrite(*rewritten, what);
      pumps_after_.emplace_back(key, rewritten);
    }
    for (auto& [key, view] : views_after_) state_.views[key] = view;
    for (auto& [key, pump] : pumps_after_) state_.pumps[key] = pump;
  }

  // Once the thing itself has its new name.
  void CheckReaders() const {
    for (auto& [key, view] : views_after_) {
      std::string what = "view " + InQuotes(view->name);
      SameColumns(before_.at(what), views_.Bind(state_, view->kernel_sql), what);
    }
    for (auto& [key, pump] : pumps_after_) {
      std::string what = "pump " + InQuotes(pump->name);
      SameColumns(before_.at(what), views_.Bind(state_, pump->kernel_sql), what);
    }
  }

 private:
  bool Names(const KernelSql& query) const {
    auto names = NamesIn(query);
    return std::find(names.begin(), names.end(), Lower(from_)) != names.end();
  }

  template <class Object>
  void Rewrite(Object& object, const std::string& what) const {
    std::string why;
    auto renamed = RenameIn(object.query, object.kernel_sql, from_, to_, why);
    if (!renamed) {
      throw Error(ErrorCode::kInUse,
                  what + " reads " + InQuotes(from_) + " and cannot be rewritten: " + why,
                  "Drop it, rename, and make it anew with the new name.");
    }
    auto place = object.sql.rfind(object.query);
    if (place != std::string::npos) object.sql.replace(place, object.query.size(), *renamed);
    object.kernel_sql = KernelSql(*renamed);
    object.query = std::move(*renamed);
  }

  CatalogState& state_;
  Views& views_;
  const std::string from_, to_;
  std::map<std::string, std::vector<Column>> before_;
  std::vector<std::pair<std::string, std::shared_ptr<const View>>> views_after_;
  std::vector<std::pair<std::string, std::shared_ptr<const Pump>>> pumps_after_;
};

void CheckNewName(const CatalogState& state, const Rename& rename) {
  if (Lower(rename.to) != Lower(rename.name)) CheckNameIsFree(state, rename.to);
}

// A table, too.
void RenameStream(CatalogState& state, Views& views, const Rename& rename) {
  bool table = rename.kind == ObjectKind::kTable;
  auto old = table ? state.GetTable(rename.name) : GetPlainStream(state, rename.name);
  CheckNotOfProject(old->from_project, (table ? "table " : "stream ") + InQuotes(old->name));
  CheckNewName(state, rename);
  Renamer renamer(state, views, old->name, rename.to);
  renamer.RewriteReaders();
  auto stream = std::make_shared<Stream>(*old);
  stream->name = rename.to;
  stream->sql = RenameCreated(stream->sql, old->name, rename.to);
  state.streams.erase(Lower(old->name));
  state.streams[Lower(rename.to)] = stream;
  for (auto& pump : state.PumpsInto(stream->id)) {
    auto feeding = std::make_shared<Pump>(*pump);
    bool own = Lower(pump->name) == Lower(old->name);
    if (own) {
      feeding->name = rename.to;
      feeding->sql = stream->sql;
    } else {
      CheckNotOfProject(pump->from_project, "pump " + InQuotes(pump->name) + ", which feeds it,");
    }
    state.pumps.erase(Lower(pump->name));
    state.pumps[Lower(feeding->name)] = feeding;
  }
  renamer.CheckReaders();
}

void RenameView(CatalogState& state, Views& views, const Rename& rename) {
  auto old = state.GetView(rename.name);
  CheckNotOfProject(old->from_project, "view " + InQuotes(old->name));
  CheckNoEventTime(*old);
  CheckNewName(state, rename);
  Renamer renamer(state, views, old->name, rename.to);
  renamer.RewriteReaders();
  auto view = std::make_shared<View>(*old);
  view->name = rename.to;
  view->sql = RenameCreated(view->sql, old->name, rename.to);
  state.views.erase(Lower(old->name));
  state.views[Lower(rename.to)] = view;
  renamer.CheckReaders();
}

void RenamePump(CatalogState& state, const Rename& rename) {
  auto old = state.GetPump(rename.name);
  CheckNotOfProject(old->from_project, "pump " + InQuotes(old->name));
  if (Lower(old->name) == Lower(state.FindStream(old->stream)->name)) {
    throw Error(ErrorCode::kConflict, "pump " + InQuotes(old->name) + " is part of its stream",
                "ALTER STREAM " + old->name + " RENAME TO ... renames both.");
  }
  CheckNewName(state, rename);
  auto pump = std::make_shared<Pump>(*old);
  pump->name = rename.to;
  pump->sql = RenameCreated(pump->sql, old->name, rename.to);
  state.pumps.erase(Lower(old->name));
  state.pumps[Lower(rename.to)] = pump;
}

}  // namespace

ResultTable Statements::Do(const Rename& rename) {
  auto current = catalog_.Current();
  bool there = rename.kind == ObjectKind::kView   ? current->FindView(rename.name) != nullptr
               : rename.kind == ObjectKind::kPump ? current->FindPump(rename.name) != nullptr
                                                  : current->FindStream(rename.name) != nullptr;
  if (!there && rename.if_exists) return {{}, {}, "there was no " + InQuotes(rename.name)};
  catalog_.ChangeBeside([&](CatalogState& state) {
    switch (rename.kind) {
      case ObjectKind::kStream:
      case ObjectKind::kTable: return RenameStream(state, views_, rename);
      case ObjectKind::kView: return RenameView(state, views_, rename);
      case ObjectKind::kPump: return RenamePump(state, rename);
    }
  });
  views_.Reconcile();
  return {{}, {}, "renamed " + InQuotes(rename.name) + " to " + InQuotes(rename.to)};
}

}  // namespace weir
