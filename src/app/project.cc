#include "app/project.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/text.h"
#include "duck/errors.h"
#include "duckdb/common/string_util.hpp"
#include "query/shut_in.h"
#include "query/statements.h"

namespace weir {
namespace {

namespace fs = std::filesystem;

std::string ReadText(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) throw Error(ErrorCode::kInvalidRequest, "cannot read " + path.string());
  return text.str();
}

ProjectSettings ReadSettings(const fs::path& path) {
  ProjectSettings settings;
  toml::table table;
  try {
    table = toml::parse_file(path.string());
  } catch (const toml::parse_error& error) {
    throw Error(ErrorCode::kInvalidRequest, path.filename().string() + ":" +
                                                std::to_string(error.source().begin.line) + ":" +
                                                std::to_string(error.source().begin.column) + ": " +
                                                std::string(error.description()));
  }
  static constexpr std::string_view kKeys[] = {"listen", "data", "time_zone", "memory_limit",
                                               "spill_limit"};
  for (auto&& [key, value] : table) {
    std::string name(key.str());
    auto text = value.value<std::string>();
    if (std::find(std::begin(kKeys), std::end(kKeys), name) == std::end(kKeys)) {
      auto nearest = NearestName(name, std::begin(kKeys), std::end(kKeys));
      throw Error(ErrorCode::kInvalidRequest,
                  path.filename().string() + ": there is no setting \"" + name + "\"",
                  nearest.empty() ? "Settings are listen, data, time_zone, memory_limit and "
                                    "spill_limit."
                                  : "Did you mean \"" + nearest + "\"?");
    }
    if (!text) {
      throw Error(ErrorCode::kInvalidRequest,
                  path.filename().string() + ": \"" + name + "\" is a text in quotes");
    }
    (name == "listen"         ? settings.listen
     : name == "data"         ? settings.data
     : name == "memory_limit" ? settings.memory_limit
     : name == "spill_limit"  ? settings.spill_limit
                              : settings.time_zone) = *text;
  }
  return settings;
}

bool SameColumns(const Stream& a, const Stream& b) {
  return std::equal(a.columns.begin(), a.columns.end(), b.columns.begin(), b.columns.end(),
                    [](const Column& x, const Column& y) {
                      return x.name == y.name && x.type == y.type && x.not_null == y.not_null &&
                             x.epoch == y.epoch;
                    }) &&
         a.primary_key == b.primary_key;
}

std::string KindOf(const Stream& stream) { return stream.IsTable() ? "table " : "stream "; }

// Brings one state in line with a project; says what it did.
class Applier {
 public:
  Applier(const Project& project, CatalogState& state) : project_(project), state_(state) {}

  std::vector<std::string> Run() {
    if (!project_.settings.time_zone.empty()) SetZone(project_.settings.time_zone);
    for (size_t i = 0; i < project_.statements.size(); i++) {
      try {
        Apply(project_.statements[i].body);
      } catch (const Error& error) {
        throw AtItsPlace(i, error);
      }
    }
    RemoveGone();
    RenewDependents();
    return std::move(done_);
  }

 private:
  void Apply(const StatementBody& body) {
    if (auto* stream = std::get_if<CreateStream>(&body)) {
      Apply(stream->stream);
    } else if (auto* view = std::get_if<CreateView>(&body)) {
      Apply(view->view);
    } else if (auto* comment = std::get_if<Comment>(&body)) {
      Apply(*comment);
    } else if (auto* zone = std::get_if<SetTimeZone>(&body)) {
      SetZone(zone->zone);
    } else {
      throw Error(ErrorCode::kInvalidSql, "a project has CREATE, COMMENT ON and SET TimeZone only",
                  "Run other statements with `weir sql`.");
    }
  }

  Error AtItsPlace(size_t statement, const Error& error) const {
    auto& file = project_.files[statement];
    Error placed = SqlErrorAt(project_.texts.at(file), project_.statements[statement].position,
                              file, error.message);
    placed.code = error.code;
    if (!error.hint.empty()) placed.hint += "\n" + error.hint;
    return placed;
  }

  // Notes that the project names it; twice is a mistake.
  void Name(const std::string& name) {
    if (std::find(named_.begin(), named_.end(), Lower(name)) != named_.end()) {
      throw Error(ErrorCode::kAlreadyExists, "the project makes \"" + name + "\" twice",
                  "Remove one of the two, or rename it.");
    }
    named_.push_back(Lower(name));
  }

  void SetZone(const std::string& zone) {
    if (state_.time_zone == zone) return;
    if (state_.version > 0) done_.push_back("time zone is now " + zone);
    state_.time_zone = zone;
    for (auto& [name, view] : state_.views) Renew(name);
  }

  void Renew(const std::string& name) {
    auto renewed = std::make_shared<View>(*state_.views.at(name));
    renewed->id = state_.next_id++;
    state_.views[name] = renewed;
  }

  void Apply(const Stream& wanted) {
    std::string name = Lower(wanted.name);
    Name(wanted.name);
    if (state_.views.contains(name)) {
      throw Error(ErrorCode::kAlreadyExists, "\"" + wanted.name + "\" is a view already");
    }
    auto stream = std::make_shared<Stream>(wanted);
    stream->from_project = true;
    auto found = state_.streams.find(name);
    if (found == state_.streams.end()) {
      stream->id = StreamId{state_.next_id++};
      done_.push_back(KindOf(wanted) + wanted.name + " is new");
    } else {
      stream->id = found->second->id;
      stream->comment = found->second->comment;
      if (!SameColumns(*found->second, wanted)) {
        throw Error(ErrorCode::kConflict,
                    "the columns of " + KindOf(wanted) + "\"" + wanted.name +
                        "\" differ from those it was made with, and it may hold " +
                        (wanted.IsTable() ? "rows" : "events"),
                    "Give the new shape another name, or DROP " +
                        std::string(found->second->IsTable() ? "TABLE " : "STREAM ") + wanted.name +
                        " first (its Parquet files stay).");
      }
    }
    state_.streams[name] = stream;
  }

  void Apply(const View& wanted) {
    std::string name = Lower(wanted.name);
    Name(wanted.name);
    if (state_.streams.contains(name)) {
      throw Error(ErrorCode::kAlreadyExists,
                  "\"" + wanted.name + "\" is a " + KindOf(*state_.streams.at(name)) + "already");
    }
    auto view = std::make_shared<View>(wanted);
    view->from_project = true;
    auto found = state_.views.find(name);
    if (found == state_.views.end()) {
      view->id = state_.next_id++;
      done_.push_back("view " + wanted.name + " is new and is filled from history");
    } else {
      view->comment = found->second->comment;
      bool same = found->second->query == wanted.query &&
                  found->second->materialized == wanted.materialized;
      view->id = same ? found->second->id : state_.next_id++;
      if (!same) {
        done_.push_back("view " + wanted.name + " has changed and is filled again beside the old");
        changed_.push_back(wanted.name);
      }
    }
    state_.views[name] = view;
  }

  void Apply(const Comment& comment) {
    std::string name = Lower(comment.name);
    if (comment.kind != ObjectKind::kView) {
      bool table = comment.kind == ObjectKind::kTable;
      auto stream = std::make_shared<Stream>(
          *(table ? state_.GetTable(comment.name) : state_.GetStream(comment.name)));
      stream->comment = comment.text;
      state_.streams[name] = stream;
    } else {
      auto view = std::make_shared<View>(*state_.GetView(comment.name));
      view->comment = comment.text;
      state_.views[name] = view;
    }
  }

  void RemoveGone() {
    auto is_gone = [&](const std::string& name, bool from_project) {
      return from_project && std::find(named_.begin(), named_.end(), name) == named_.end();
    };
    std::erase_if(state_.views, [&](auto& entry) {
      if (!is_gone(entry.first, entry.second->from_project)) return false;
      done_.push_back("view " + entry.second->name + " is gone");
      return true;
    });
    std::erase_if(state_.streams, [&](auto& entry) {
      if (!is_gone(entry.first, entry.second->from_project)) return false;
      done_.push_back(KindOf(*entry.second) + entry.second->name +
                      " is gone; its Parquet files stay");
      return true;
    });
  }

  void RenewDependents() {
    for (auto& name : changed_) {
      for (auto& dependent : Statements::Dependents(state_, name)) Renew(Lower(dependent));
    }
  }

  const Project& project_;
  CatalogState& state_;
  std::vector<std::string> named_, changed_, done_;
};

// Several errors told as one.
class ErrorList {
 public:
  void Add(const Error& error) { errors_.push_back(error); }
  void ThrowIfAny() const {
    if (errors_.empty()) return;
    Error all = errors_[0];
    for (size_t i = 1; i < errors_.size(); i++) {
      if (!all.hint.empty()) all.message += "\n" + all.hint;
      all.message += "\n" + errors_[i].message;
      all.hint = errors_[i].hint;
    }
    throw all;
  }

 private:
  std::vector<Error> errors_;
};

// An error at LINE:COLUMN of a view's query, at its place in the project.
Error InItsFile(const Project& project, const View& view, Error error) {
  size_t line = 0, column = 0;
  int used = 0;
  bool placed =
      std::sscanf(error.message.c_str(), "%zu:%zu: %n", &line, &column, &used) == 2 && used;
  for (size_t i = 0; i < project.statements.size() && placed; i++) {
    auto& statement = project.statements[i];
    auto* create = std::get_if<CreateView>(&statement.body);
    if (!create || Lower(create->view.name) != Lower(view.name)) continue;
    auto begin = statement.text.find(view.query);
    if (begin == std::string::npos) continue;
    auto [first_line, first_column] =
        LineAndColumn(project.texts.at(project.files[i]), statement.position + begin);
    if (line == 1) column += first_column - 1;
    line += first_line - 1;
    error.message = project.files[i] + ":" + std::to_string(line) + ":" + std::to_string(column) +
                    ": " + error.message.substr(static_cast<size_t>(used));
    return error;
  }
  error.message = "view \"" + view.name + "\": " + error.message;
  return error;
}

// Of each view that is wrong by itself; one that only reads a wrong one is left out.
std::vector<Error> BindingErrors(const Project& project, const CatalogState& state, Views& views) {
  std::set<std::string> wrong;
  for (auto& statement : project.wrong)
    wrong.insert(statement.names.begin(), statement.names.end());
  std::vector<std::pair<std::shared_ptr<const View>, Error>> failed;
  for (auto& [name, view] : state.views) {
    try {
      CheckShutIn(view->query);
      views.Bind(state, view->query);
    } catch (const Error& error) {
      failed.emplace_back(view, InItsFile(project, *view, error));
    }
  }
  for (auto& [view, error] : failed) wrong.insert(Lower(view->name));
  std::vector<Error> errors;
  for (auto& [view, error] : failed) {
    auto reads = NamesIn(view->query);
    bool follows = std::any_of(reads.begin(), reads.end(), [&, view = view](auto& name) {
      return name != Lower(view->name) && wrong.contains(name);
    });
    if (!follows) errors.push_back(error);
  }
  // Views that read each other in a circle.
  if (errors.empty() && project.wrong.empty()) {
    for (auto& [view, error] : failed) errors.push_back(error);
  }
  return errors;
}

}  // namespace

std::string ReferenceFolderOf(const std::string& project) {
  return fs::weakly_canonical(fs::path(project) / "reference").string();
}

Project LoadProject(const std::string& folder) {
  Project project;
  project.folder = folder;
  if (!fs::is_directory(folder)) {
    throw Error(ErrorCode::kInvalidRequest, "there is no folder \"" + folder + "\"",
                "Make one with `weir init " + folder + "`.");
  }
  std::vector<fs::path> files;
  for (auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".sql") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    throw Error(ErrorCode::kInvalidRequest, "folder \"" + folder + "\" has no .sql file",
                "A project says in *.sql files which streams and views there are; `weir init DIR` "
                "writes an example.");
  }
  if (fs::exists(fs::path(folder) / "weir.toml")) {
    project.settings = ReadSettings(fs::path(folder) / "weir.toml");
  }
  for (auto& path : files) {
    std::string file = path.filename().string();
    std::string& text = project.texts[file] = ReadText(path);
    for (auto& statement : ParseStatements(text, file, project.wrong)) {
      project.statements.push_back(statement);
      project.files.push_back(file);
    }
  }
  return project;
}

std::vector<std::string> ApplyProject(const Project& project, Catalog& catalog, Views& views) {
  // Tried on a copy first: nothing changes when the project is wrong, and nothing is written when
  // it says what is there already.
  CatalogState trial = *catalog.Current();
  ErrorList errors;
  for (auto& wrong : project.wrong) errors.Add(wrong.error);
  try {
    Applier(project, trial).Run();
  } catch (const Error& error) {
    // What names a thing that did not parse is not wrong by itself.
    if (project.wrong.empty()) throw;
  }
  try {
    views.Bind(trial, "SELECT 1");  // throws when there is no such time zone
  } catch (const Error& error) {
    errors.Add(error);
    errors.ThrowIfAny();  // nothing else would bind
  }
  for (auto& error : BindingErrors(project, trial, views)) errors.Add(error);
  errors.ThrowIfAny();
  if (SaveCatalog(trial) == SaveCatalog(*catalog.Current())) return {};
  std::vector<std::string> done;
  catalog.Change([&](CatalogState& state) { done = Applier(project, state).Run(); });
  return done;
}

}  // namespace weir
