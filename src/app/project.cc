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
#include "sql/event_time.h"
#include "statements/dependencies.h"
#include "statements/late_views.h"
#include "statements/statements.h"

namespace weir {
namespace {

namespace fs = std::filesystem;

std::string ReadText(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) throw Error(ErrorCode::kInvalidRequest, "cannot read " + path.string());
  std::string read = text.str();
  if (read.starts_with("\xef\xbb\xbf")) read.erase(0, 3);  // editors on Windows mark UTF-8 so
  return read;
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
  static constexpr std::string_view kKeys[] = {"listen",       "data",         "time_zone",
                                               "memory_limit", "spill_limit",  "landing_interval",
                                               "landing_rows", "segment_size", "scrub_rate",
                                               "hosts",        "step_limit"};
  const std::map<std::string, std::string*> fields = {
      {"listen", &settings.listen},
      {"data", &settings.data},
      {"time_zone", &settings.time_zone},
      {"memory_limit", &settings.memory_limit},
      {"spill_limit", &settings.spill_limit},
      {"landing_interval", &settings.landing_interval},
      {"landing_rows", &settings.landing_rows},
      {"segment_size", &settings.segment_size},
      {"scrub_rate", &settings.scrub_rate},
      {"hosts", &settings.hosts},
      {"step_limit", &settings.step_limit}};
  for (auto&& [key, value] : table) {
    std::string name(key.str());
    auto text = value.value<std::string>();
    if (std::find(std::begin(kKeys), std::end(kKeys), name) == std::end(kKeys)) {
      auto nearest = NearestName(name, std::begin(kKeys), std::end(kKeys));
      throw Error(ErrorCode::kInvalidRequest,
                  path.filename().string() + ": there is no setting \"" + name + "\"",
                  nearest.empty() ? "Settings are listen, data, time_zone, memory_limit, "
                                    "spill_limit, landing_interval, landing_rows, segment_size, "
                                    "scrub_rate, hosts and step_limit."
                                  : "Did you mean \"" + nearest + "\"?");
    }
    if (!text) {
      throw Error(ErrorCode::kInvalidRequest,
                  path.filename().string() + ": \"" + name + "\" is a text in quotes");
    }
    *fields.at(name) = *text;
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
  Applier(const Project& project, CatalogState& state, Views& views, bool allow_drop)
      : project_(project), state_(state), views_(views), allow_drop_(allow_drop) {}

  std::vector<std::string> Run() {
    if (!project_.settings.time_zone.empty()) SetZone(project_.settings.time_zone);
    auto each = [&](auto apply) {
      for (auto& statement : project_.statements) {
        Placed(statement, [&] { std::visit(apply, statement.body); });
      }
    };
    each([&](auto& body) { Apply(body); });
    ApplyOrdered();
    ApplyPumps();
    each([&](auto& body) {
      if constexpr (std::is_same_v<std::decay_t<decltype(body)>, Comment>) ApplyComment(body);
    });
    RemoveGone();
    RenewDependents();
    CheckNoLoop(state_);
    return std::move(done_);
  }

 private:
  void Apply(const CreateStream& create) {
    if (create.query.empty()) Apply(create.stream);
  }
  // Event time is spelled out by the streams there are: once they are all there (ApplyOrdered).
  void Apply(const CreateView& create) {
    if (!create.view.HasEventTime()) Apply(create.view);
  }
  void Apply(const SetTimeZone& set) { SetZone(set.zone); }
  // Pumps come later: they may read views that stand further down.  Comments come last: what they
  // are about may be made of queries.
  void Apply(const CreatePump&) {}
  void Apply(const Insert&) {}
  void Apply(const Comment&) {}
  template <class Other>
  void Apply(const Other&) {
    throw Error(ErrorCode::kInvalidSql,
                "a project has CREATE, INSERT INTO a stream, COMMENT ON and SET TimeZone only",
                "Run other statements with `weir sql`.");
  }

  Error AtItsPlace(const Statement& statement, const Error& error) const {
    auto& file = project_.files[static_cast<size_t>(&statement - project_.statements.data())];
    Error placed = SqlErrorAt(project_.texts.at(file), statement.position, file, error.message);
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
    CheckZoneMayChange(state_, views_);
    if (state_.version > 0) done_.push_back("time zone is now " + zone);
    state_.time_zone = zone;
    for (auto& [name, view] : state_.views) {
      auto renewed = std::make_shared<View>(*view);
      renewed->id = state_.next_id++;
      view = std::move(renewed);
    }
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
      if (found->second->watermark != wanted.watermark) watermarks_changed_.push_back(wanted.name);
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
    SpellOutEventTime(*view, state_);
    auto found = state_.views.find(name);
    if (found == state_.views.end()) {
      view->id = state_.next_id++;
      done_.push_back("view " + wanted.name + " is new and is filled from history");
    } else {
      view->comment = found->second->comment;
      bool same = found->second->Planned() == view->Planned() &&
                  found->second->materialized == wanted.materialized;
      view->id = same ? found->second->id : state_.next_id++;
      if (!same) {
        done_.push_back("view " + wanted.name + " has changed and is filled again beside the old");
        changed_.push_back(wanted.name);
      }
    }
    PutView(state_, view);
    for (auto& late : LateViewsOf(state_, view->name)) named_.push_back(Lower(late));
  }

  void ApplyComment(const Comment& comment) {
    std::string name = Lower(comment.name);
    if (comment.kind == ObjectKind::kPump) {
      auto pump = std::make_shared<Pump>(*state_.GetPump(comment.name));
      pump->comment = comment.text;
      state_.pumps[name] = pump;
    } else if (comment.kind != ObjectKind::kView) {
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

  // Streams made of queries, and views with event time, once what they read is there: one may read
  // another.
  void ApplyOrdered() {
    std::vector<const Statement*> left;
    for (auto& statement : project_.statements) {
      auto* create = std::get_if<CreateStream>(&statement.body);
      auto* view = std::get_if<CreateView>(&statement.body);
      bool waits = (create && !create->query.empty()) || (view && view->view.HasEventTime());
      if (waits) left.push_back(&statement);
    }
    while (!left.empty()) {
      std::vector<const Statement*> later;
      for (auto* statement : left) {
        bool waits = std::any_of(left.begin(), left.end(), [&](auto* other) {
          return other != statement && ReadsThrough(QueryOf(*statement), NameOf(*other));
        });
        if (waits) {
          later.push_back(statement);
        } else if (auto* view = std::get_if<CreateView>(&statement->body)) {
          Placed(*statement, [&] { Apply(view->view); });
        } else {
          Placed(*statement, [&] { ApplyDerived(std::get<CreateStream>(statement->body)); });
        }
      }
      if (later.size() == left.size()) {
        bool view = std::holds_alternative<CreateView>(left[0]->body);
        throw Error(ErrorCode::kInvalidSql, std::string(view ? "view" : "stream") + " \"" +
                                                NameOf(*left[0]) + "\" reads itself");
      }
      left = std::move(later);
    }
  }

  static std::string NameOf(const Statement& statement) {
    if (auto* create = std::get_if<CreateView>(&statement.body)) return create->view.name;
    return std::get<CreateStream>(statement.body).stream.name;
  }
  static const KernelSql& QueryOf(const Statement& statement) {
    if (auto* create = std::get_if<CreateView>(&statement.body)) return create->view.kernel_sql;
    return std::get<CreateStream>(statement.body).kernel_sql;
  }

  // Whether a query reads an object or its late rows, itself or through views.
  bool ReadsThrough(const KernelSql& query, const std::string& name, int depth = 0) const {
    for (auto& read : NamesIn(query)) {
      if (read == Lower(name) || read.starts_with(Lower(name) + "_late")) return true;
      auto view = depth < 64 ? state_.FindView(read) : nullptr;
      if (view && ReadsThrough(view->kernel_sql, name, depth + 1)) return true;
    }
    return false;
  }

  void ApplyDerived(const CreateStream& create) {
    Stream wanted = create.stream;
    if (wanted.columns.empty()) NameColumns(state_, views_, create.kernel_sql, wanted);
    std::string name = Lower(wanted.name);
    bool is_new = !state_.streams.contains(name);
    bool derived = is_new || state_.streams.at(name)->derived;
    Apply(wanted);
    auto stream = std::make_shared<Stream>(*state_.streams.at(name));
    stream->derived = derived;
    state_.streams[name] = stream;
    CheckShutIn(create.kernel_sql);
    Pump pump;
    pump.name = wanted.name;
    pump.stream = stream->id;
    pump.query = create.query;
    pump.kernel_sql = create.kernel_sql;
    pump.sql = wanted.sql;
    Apply(std::move(pump), create.from_now);
  }

  void ApplyPumps() {
    std::vector<const Statement*> changed;
    for (auto& statement : project_.statements) {
      Placed(statement, [&] {
        if (auto* create = std::get_if<CreatePump>(&statement.body)) {
          Name(create->name);
          Pump pump =
              PumpOf(state_, views_, create->insert, state_.GetStream(create->insert.table)->id);
          pump.name = create->name;
          Apply(std::move(pump), create->from_now);
        } else if (auto* insert = std::get_if<Insert>(&statement.body)) {
          if (!IsStanding(state_, *insert)) {
            throw Error(ErrorCode::kInvalidSql,
                        "an INSERT in a project feeds a stream with what a query reads; this one "
                        "would run at every start",
                        "Run it once with `weir sql`.");
          }
          Pump pump = Unnamed(*insert);
          if (pump.name.empty()) {
            changed.push_back(&statement);
          } else {
            Apply(std::move(pump), false);
          }
        }
      });
    }
    for (auto* statement : changed) {
      Placed(*statement, [&] {
        Pump pump = Unnamed(std::get<Insert>(statement->body));
        CheckIsNew(pump);
        pump.name = NameForPump(state_, *state_.FindStream(pump.stream));
        Apply(std::move(pump), false);
      });
    }
  }

  // An INSERT's pump; without a name of its own it is known by what it does.
  Pump Unnamed(const Insert& insert) {
    auto stream = state_.GetStream(insert.table);
    Pump pump = PumpOf(state_, views_, insert, stream->id);
    for (auto& other : state_.PumpsInto(stream->id)) {
      if (other->from_project && other->query == pump.query) pump.name = other->name;
    }
    return pump;
  }

  // An INSERT whose query was edited looks like a new one beside one that is gone, and would emit
  // all of history a second time.
  void CheckIsNew(const Pump& pump) {
    for (auto& other : state_.PumpsInto(pump.stream)) {
      bool named = std::find(pumps_named_.begin(), pumps_named_.end(), Lower(other->name)) !=
                   pumps_named_.end();
      if (!other->from_project || named || !IsUnnamed(*other)) continue;
      throw Error(ErrorCode::kConflict,
                  "the project's INSERT INTO \"" + state_.FindStream(pump.stream)->name +
                      "\" is not the one whose rows have been emitted (pump \"" + other->name +
                      "\"), and those stay",
                  "Write it as CREATE PUMP name WITH (start = 'now') AS INSERT INTO ...: the old "
                  "one ends and the new one goes on from now.");
    }
  }

  static bool IsUnnamed(const Pump& pump) {
    return duckdb::StringUtil::StartsWith(duckdb::StringUtil::Upper(pump.sql), "INSERT");
  }

  void Apply(Pump wanted, bool from_now) {
    std::string name = Lower(wanted.name);
    pumps_named_.push_back(name);
    wanted.from_project = true;
    auto found = state_.pumps.find(name);
    if (found == state_.pumps.end()) {
      if (from_now) wanted.start = StartNow(views_);
      done_.push_back("pump " + wanted.name + " is new");
      newly_fed_.insert(wanted.stream);
      return AddPump(state_, views_, std::move(wanted));
    }
    auto& old = *found->second;
    if (old.query != wanted.query || old.stream != wanted.stream) {
      throw Error(
          ErrorCode::kConflict,
          "pump \"" + wanted.name +
              "\" differs from the one whose rows have been emitted, and those stay",
          "Give it another name (CREATE PUMP name WITH (start = 'now') AS INSERT INTO ...): "
          "the old one ends and the new one goes on from now.");
    }
    auto pump = std::make_shared<Pump>(old);
    pump->from_project = true;
    pump->sql = wanted.sql;
    state_.pumps[name] = pump;
  }

  // Runs what a statement asks for; an error tells where it stands.
  template <class Work>
  void Placed(const Statement& statement, Work work) {
    try {
      work();
    } catch (const Error& error) {
      throw AtItsPlace(statement, error);
    }
  }

  // A file that is missing for once (a mount that is not there, a copy that is not done) must not
  // cost what cannot be had back: events, and how far a pump has come.  A pump that has a new one
  // in its place was replaced.
  void CheckMayGo() const {
    if (allow_drop_) return;
    std::vector<std::string> gone;
    for (auto& [name, stream] : state_.streams) {
      bool named = std::find(named_.begin(), named_.end(), name) != named_.end();
      if (stream->from_project && !named) gone.push_back(KindOf(*stream) + stream->name);
    }
    for (auto& [name, pump] : state_.pumps) {
      bool named = std::find(pumps_named_.begin(), pumps_named_.end(), name) != pumps_named_.end();
      if (!pump->from_project || named || newly_fed_.contains(pump->stream)) continue;
      gone.push_back("pump " + pump->name);
    }
    if (gone.empty()) return;
    std::string list;
    for (auto& one : gone) list += (list.empty() ? "" : ", ") + one;
    throw Error(ErrorCode::kInUse,
                "the project in \"" + project_.folder + "\" has no longer: " + list,
                "Put the file back that makes it. To drop it, start once with `--allow-drop`.");
  }

  void RemoveGone() {
    CheckMayGo();
    std::vector<std::string> pumps_gone;
    for (auto& [name, pump] : state_.pumps) {
      bool named = std::find(pumps_named_.begin(), pumps_named_.end(), name) != pumps_named_.end();
      if (pump->from_project && !named) pumps_gone.push_back(name);
    }
    for (auto& name : pumps_gone) {
      done_.push_back("pump " + state_.pumps.at(name)->name + " is gone; what it emitted stays");
      RemovePump(state_, name);
    }
    auto is_gone = [&](const std::string& name, bool from_project) {
      return from_project && std::find(named_.begin(), named_.end(), name) == named_.end();
    };
    std::erase_if(state_.views, [&](auto& entry) {
      if (!is_gone(entry.first, entry.second->from_project)) return false;
      done_.push_back("view " + entry.second->name + " is gone");
      return true;
    });
    std::vector<std::string> streams_gone;
    for (auto& [name, stream] : state_.streams) {
      if (!is_gone(name, stream->from_project)) continue;
      streams_gone.push_back(name);
      done_.push_back(KindOf(*stream) + stream->name +
                      " is gone; its events stay, as Parquet files in the lake");
    }
    for (auto& name : streams_gone) state_.DropStream(name);
  }

  void RenewDependents() {
    for (auto& stream : watermarks_changed_) {
      for (auto& name : DependentsOf(state_, stream).views) {
        auto view = state_.FindView(name);
        if (!view || !view->HasEventTime()) continue;
        RenewView(state_, name);
        changed_.push_back(name);
        done_.push_back("view " + name + " is filled again by the new watermark of " + stream);
      }
    }
    for (auto& name : changed_) {
      auto dependents = DependentsOf(state_, name);
      if (!dependents.pumps.empty()) {
        throw Error(ErrorCode::kInUse,
                    "view \"" + name + "\" has changed and feeds streams through " +
                        Dependents{{}, dependents.pumps}.List() +
                        ", and what was emitted cannot be taken back",
                    "Give the new view another name, and a pump of its own.");
      }
      for (auto& dependent : dependents.views) RenewView(state_, dependent);
    }
    for (auto& [name, pump] : state_.pumps) {
      if (state_.FindStream(pump->stream)) continue;
      throw Error(ErrorCode::kInUse, "the stream that pump \"" + pump->name + "\" feeds is gone",
                  "DROP PUMP " + pump->name + " first.");
    }
  }

  const Project& project_;
  CatalogState& state_;
  Views& views_;
  const bool allow_drop_;
  std::set<StreamId> newly_fed_;  // streams with a pump that was not there before
  std::vector<std::string> named_, pumps_named_, changed_, watermarks_changed_, done_;
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

// The views with what each reads before it, but for those that read each other in a circle, and
// what reads these.
std::vector<std::shared_ptr<const View>> InOrderOfReading(const CatalogState& state) {
  std::map<std::string, std::set<std::string>> waiting;  // for the views it reads
  for (auto& [name, view] : state.views) {
    auto& reads = waiting[name];
    for (auto& read : NamesIn(view->kernel_sql)) {
      if (state.views.contains(read)) reads.insert(read);
    }
  }
  std::vector<std::shared_ptr<const View>> ordered;
  while (!waiting.empty()) {
    std::vector<std::string> ready;
    for (auto& [name, reads] : waiting) {
      if (reads.empty()) ready.push_back(name);
    }
    if (ready.empty()) break;
    for (auto& name : ready) {
      waiting.erase(name);
      ordered.push_back(state.views.at(name));
    }
    for (auto& [name, reads] : waiting) {
      for (auto& done : ready) reads.erase(done);
    }
  }
  return ordered;
}

// Of each view that is wrong by itself.  One that reads a wrong one is not looked at: what takes
// too much to plan takes it again in each view above.
std::vector<Error> BindingErrors(const Project& project, const CatalogState& state, Views& views) {
  std::set<std::string> wrong;
  for (auto& statement : project.wrong)
    wrong.insert(statement.names.begin(), statement.names.end());
  std::vector<std::pair<std::shared_ptr<const View>, Error>> failed;
  auto binds = [&](const std::shared_ptr<const View>& view) {
    try {
      CheckShutIn(view->kernel_sql);
      views.Bind(state, view->Planned());
      return true;
    } catch (const Error& error) {
      failed.emplace_back(view, InItsFile(project, *view, error));
      return false;
    }
  };
  std::set<std::string> ordered;
  for (auto& view : InOrderOfReading(state)) {
    ordered.insert(Lower(view->name));
    auto reads = NamesIn(view->kernel_sql);
    bool follows =
        std::any_of(reads.begin(), reads.end(), [&](auto& name) { return wrong.contains(name); });
    if (follows || !binds(view)) wrong.insert(Lower(view->name));
  }
  for (auto& [name, view] : state.views) {
    if (!ordered.contains(name)) binds(view);
  }
  for (auto& [view, error] : failed) wrong.insert(Lower(view->name));
  std::vector<Error> errors;
  for (auto& [view, error] : failed) {
    auto reads = NamesIn(view->kernel_sql);
    bool follows = std::any_of(reads.begin(), reads.end(), [&, view = view](auto& name) {
      return name != Lower(view->name) && wrong.contains(name);
    });
    if (!follows) errors.push_back(error);
  }
  // Views that read each other in a circle.
  if (errors.empty() && project.wrong.empty()) {
    for (auto& [view, error] : failed) {
      errors.emplace_back(ErrorCode::kInvalidSql,
                          "view \"" + view->name + "\" reads itself, through other views");
    }
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

std::vector<std::string> ApplyProject(const Project& project, Catalog& catalog, Views& views,
                                      bool allow_drop) {
  // Tried on a copy first: nothing changes when the project is wrong, and nothing is written when
  // it says what is there already.
  CatalogState trial = *catalog.Current();
  ErrorList errors;
  for (auto& wrong : project.wrong) errors.Add(wrong.error);
  try {
    Applier(project, trial, views, allow_drop).Run();
  } catch (const Error& error) {
    // What names a thing that did not parse is not wrong by itself.
    if (project.wrong.empty()) throw;
  }
  try {
    views.CheckTimeZone(trial.time_zone);
  } catch (const Error& error) {
    errors.Add(error);
    errors.ThrowIfAny();  // nothing else would bind
  }
  // What is there already bound when it was made; should it no longer, it is parked.
  bool same = SaveCatalog(trial) == SaveCatalog(*catalog.Current());
  if (same && project.wrong.empty()) return {};
  for (auto& error : BindingErrors(project, trial, views)) errors.Add(error);
  errors.ThrowIfAny();
  if (same) return {};
  std::vector<std::string> done;
  catalog.Change(
      [&](CatalogState& state) { done = Applier(project, state, views, allow_drop).Run(); });
  return done;
}

}  // namespace weir
