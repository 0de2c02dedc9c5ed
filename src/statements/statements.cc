#include "statements/statements.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "duckdb/common/string_util.hpp"
#include "io/clock.h"
#include "query/shut_in.h"
#include "sql/event_time.h"
#include "statements/dependencies.h"
#include "statements/late_views.h"

namespace weir {
namespace {

const char* KindOf(const Stream& stream) { return stream.IsTable() ? "table" : "stream"; }

}  // namespace

void CheckNameIsFree(const CatalogState& state, const std::string& name) {
  if (state.FindStream(name)) {
    throw Error(ErrorCode::kAlreadyExists, "there is already a " +
                                               std::string(KindOf(*state.FindStream(name))) + " " +
                                               InQuotes(name));
  }
  if (state.FindView(name)) {
    throw Error(ErrorCode::kAlreadyExists, "there is already a view " + InQuotes(name));
  }
  if (state.FindPump(name)) {
    throw Error(ErrorCode::kAlreadyExists, "there is already a pump " + InQuotes(name));
  }
}

std::shared_ptr<const Stream> GetPlainStream(const CatalogState& state, const std::string& name) {
  auto stream = state.GetStream(name);
  if (!stream->IsTable()) return stream;
  throw Error(ErrorCode::kUnknownStream, InQuotes(name) + " is a table, not a stream",
              "Say TABLE in place of STREAM.");
}

namespace {

std::vector<std::string> Lines(const std::string& text) {
  auto lines = duckdb::StringUtil::Split(text, '\n');
  return {lines.begin(), lines.end()};
}

}  // namespace

ResultTable Statements::Run(const Statement& statement, const std::string& params_json) {
  return std::visit(
      [&](auto& body) -> ResultTable {
        if constexpr (requires { DoWrite(body, params_json); }) {
          return DoWrite(body, params_json);
        } else {
          return Do(body);
        }
      },
      statement.body);
}

ResultTable Statements::Do(const CreateStream& create) {
  auto is_there = [&](const CatalogState& state) {
    return create.if_not_exists && state.FindStream(create.stream.name) != nullptr;
  };
  ResultTable there{
      {}, {}, KindOf(create.stream) + (" " + InQuotes(create.stream.name)) + " is there already"};
  if (is_there(*catalog_.Current())) return there;
  if (!create.query.empty()) return CreateDerived(create);
  bool came_first = false;  // another statement, which made it meanwhile
  catalog_.Change([&](CatalogState& state) {
    came_first = is_there(state);
    if (came_first) return;
    CheckNameIsFree(state, create.stream.name);
    auto stream = std::make_shared<Stream>(create.stream);
    stream->id = StreamId{state.next_id++};
    state.streams[Lower(stream->name)] = stream;
  });
  if (came_first) return there;
  return {
      {}, {}, std::string("created ") + KindOf(create.stream) + " " + InQuotes(create.stream.name)};
}

ResultTable Statements::Do(const CreateView& create) {
  auto current = catalog_.Current();
  ResultTable there{{}, {}, "view " + InQuotes(create.view.name) + " is there already"};
  if (create.if_not_exists && current->FindView(create.view.name)) return there;
  for (auto& name : NamesIn(create.view.kernel_sql)) {
    if (name != Lower(create.view.name)) continue;
    throw Error(ErrorCode::kInvalidSql, "view " + InQuotes(create.view.name) + " reads itself");
  }
  CheckShutIn(create.view.kernel_sql);
  auto spelled_out = [&](const CatalogState& state) {
    auto view = std::make_shared<View>(create.view);
    SpellOutEventTime(*view, state);
    return view;
  };
  views_.Bind(*current, spelled_out(*current)->Planned());
  if (create.view.materialized) {
    views_.CheckRoom(ErrorCode::kLimitExceeded,
                     "view " + InQuotes(create.view.name) + " is not made");
  }
  bool replaces = false, came_first = false, was_kept = false;
  catalog_.ChangeBeside([&](CatalogState& state) {
    came_first = create.if_not_exists && state.FindView(create.view.name);
    if (came_first) return;
    auto existing = state.FindView(create.view.name);
    replaces = create.or_replace && existing;
    was_kept = existing && existing->materialized;
    if (!replaces) CheckNameIsFree(state, create.view.name);
    Dependents dependents;
    if (replaces) dependents = DependentsOf(state, create.view.name);
    if (!dependents.pumps.empty()) {
      throw Error(ErrorCode::kInUse,
                  "view " + InQuotes(create.view.name) + " feeds streams through " +
                      Dependents{{}, dependents.pumps}.List() +
                      ", and what was emitted cannot be taken back",
                  "DROP the pump, replace the view, and CREATE a PUMP WITH (start = 'now').");
    }
    auto view = spelled_out(state);
    view->id = state.next_id++;
    if (replaces) CheckStandsByItself(*state.GetView(view->name));
    if (replaces && view->comment.empty()) {
      view->comment = state.GetView(view->name)->comment;
    }
    PutView(state, view);
    // What reads a replaced view reads another one now: it is made anew, too.
    for (auto& dependent : dependents.views) {
      RenewView(state, dependent);
      views_.Bind(state, state.GetView(dependent)->Planned());
    }
  });
  if (came_first) return there;
  views_.Reconcile();
  std::string notice = (replaces ? "replaced view " : "created view ") + InQuotes(create.view.name);
  // Mostly it is there in no time; who reads next is to see what he asked for.
  constexpr Micros kPatience = 3'000'000;
  if (was_kept && create.view.materialized &&
      !views_.Await(create.view.name, Offset{0}, SystemClock().Monotonic() + kPatience)) {
    notice += "; it is being filled, and until then the one before answers";
  }
  return {{}, {}, notice};
}

ResultTable Statements::Do(const Drop& drop) {
  if (drop.kind == ObjectKind::kPump) return DropPump(drop);
  bool stream = drop.kind != ObjectKind::kView;
  auto is_there = [&](const CatalogState& state) {
    auto found = state.FindStream(drop.name);
    bool of_kind = found && found->IsTable() == (drop.kind == ObjectKind::kTable);
    return stream ? of_kind : state.FindView(drop.name) != nullptr;
  };
  ResultTable nothing{{}, {}, "there was no " + InQuotes(drop.name)};
  if (drop.if_exists && !is_there(*catalog_.Current())) return nothing;
  Dependents gone;
  bool went_first = false;  // another statement dropped it meanwhile
  catalog_.Change([&](CatalogState& state) {
    went_first = drop.if_exists && !is_there(state);
    if (went_first) return;
    gone = DependentsOf(state, drop.name);
    if (stream) {
      auto fed = drop.kind == ObjectKind::kTable ? state.GetTable(drop.name)
                                                 : GetPlainStream(state, drop.name);
      for (auto& pump : state.PumpsInto(fed->id)) {
        bool own = Lower(pump->name) == Lower(drop.name);  // CREATE STREAM ... AS made both
        if (!own) gone.pumps.push_back(pump->name);
      }
    } else {
      CheckStandsByItself(*state.GetView(drop.name));
    }
    if (!gone.empty() && !drop.cascade) {
      throw Error(ErrorCode::kInUse, InQuotes(drop.name) + " is used by " + gone.List(),
                  "Drop what uses it first, or say CASCADE.");
    }
    for (auto& name : gone.views) RemoveView(state, name);
    for (auto& name : gone.pumps) RemovePump(state, Lower(name));
    if (stream) {
      auto own = state.FindPump(drop.name);
      if (own) state.pumps.erase(Lower(drop.name));
      state.DropStream(Lower(drop.name));
    } else {
      RemoveView(state, drop.name);
    }
  });
  if (went_first) return nothing;
  views_.Reconcile();
  const char* kind = !stream ? "view" : drop.kind == ObjectKind::kTable ? "table" : "stream";
  std::string notice = std::string("dropped ") + kind + " " + InQuotes(drop.name);
  for (auto& name : gone.views) notice += ", view " + InQuotes(name);
  for (auto& name : gone.pumps) notice += ", pump " + InQuotes(name);
  return {{}, {}, notice};
}

ResultTable Statements::Do(const Comment& comment) {
  catalog_.Change([&](CatalogState& state) {
    if (comment.kind == ObjectKind::kStream || comment.kind == ObjectKind::kTable) {
      bool table = comment.kind == ObjectKind::kTable;
      auto stream = std::make_shared<Stream>(
          *(table ? state.GetTable(comment.name) : GetPlainStream(state, comment.name)));
      stream->comment = comment.text;
      state.streams[Lower(comment.name)] = stream;
    } else if (comment.kind == ObjectKind::kPump) {
      auto pump = std::make_shared<Pump>(*state.GetPump(comment.name));
      pump->comment = comment.text;
      state.pumps[Lower(comment.name)] = pump;
    } else {
      auto view = std::make_shared<View>(*state.GetView(comment.name));
      view->comment = comment.text;
      state.views[Lower(comment.name)] = view;
    }
  });
  views_.Reconcile();
  return {{}, {}, "commented on " + InQuotes(comment.name)};
}

ResultTable Statements::Do(const Explain& explain) {
  auto state = catalog_.Current();
  auto pump = explain.view.empty() || state->FindView(explain.view) ? nullptr
                                                                    : state->FindPump(explain.view);
  std::string text;
  if (pump) {
    text = "feeds stream " + InQuotes(state->FindStream(pump->stream)->name) + ", each row once\n" +
           views_.ExplainPump(*pump, explain.analyze);
  } else if (explain.view.empty()) {
    CheckShutIn(explain.query);
    text = views_.ExplainQuery(explain.query);
  } else {
    text = views_.ExplainView(explain.view, explain.analyze);
  }
  ResultTable table{{"plan"}, {}, ""};
  for (auto& line : Lines(text)) {
    if (!line.empty()) table.rows.push_back({line});
  }
  return table;
}

ResultTable Statements::ShowPumps(const CatalogState& state) {
  ResultTable table{{"name", "stream", "status", "emitted", "comment"}, {}, ""};
  auto infos = views_.PumpInfos();
  for (auto& [key, pump] : state.pumps) {
    std::string status = "filling", emitted = "0";
    for (auto& info : infos) {
      if (info.id != pump->id) continue;
      if (info.status == ViewStatus::kLive) status = info.error ? "waiting" : "live";
      if (info.status == ViewStatus::kParked) status = "parked";
      if (info.error) status += ": " + info.error->message;
      emitted = std::to_string(info.rows);
    }
    table.rows.push_back(
        {pump->name, state.FindStream(pump->stream)->name, status, emitted, pump->comment});
  }
  return table;
}

ResultTable Statements::Do(const Show& show) {
  auto state = catalog_.Current();
  if (show.what == ShowWhat::kTimeZone) return {{"TimeZone"}, {{state->time_zone}}, ""};
  if (show.what == ShowWhat::kPumps) return ShowPumps(*state);
  ResultTable table{{"name", "kind", "comment"}, {}, ""};
  bool all = show.what == ShowWhat::kAll;
  for (auto& [key, stream] : state->streams) {
    if (all || show.what == (stream->IsTable() ? ShowWhat::kTables : ShowWhat::kStreams)) {
      table.rows.push_back({stream->name, KindOf(*stream), stream->comment});
    }
  }
  if (all || show.what == ShowWhat::kViews) {
    for (auto& [key, view] : state->views) {
      table.rows.push_back(
          {view->name, view->materialized ? "materialized view" : "view", view->comment});
    }
  }
  if (show.what == ShowWhat::kAll) {
    for (auto& [key, pump] : state->pumps)
      table.rows.push_back({pump->name, "pump", pump->comment});
  }
  return table;
}

ResultTable Statements::Do(const DescribeObject& describe) {
  auto state = catalog_.Current();
  ResultTable table{{"column_name", "column_type", "null"}, {}, ""};
  if (auto stream = state->FindStream(describe.name)) {
    if (stream->IsTable()) table.columns.push_back("key");
    for (size_t i = 0; i < stream->VisibleColumns(); i++) {
      auto& column = stream->columns[i];
      table.rows.push_back({column.name, column.type.ToString(), column.not_null ? "NO" : "YES"});
      if (stream->IsTable()) table.rows.back().push_back(stream->IsKey(i) ? "PRI" : "");
    }
    return table;
  }
  auto pump = state->FindPump(describe.name);
  auto query = pump ? pump->kernel_sql : state->GetView(describe.name)->Planned();
  for (auto& column : views_.Bind(*state, query)) {
    table.rows.push_back({column.name, column.type.ToString(), "YES"});
  }
  return table;
}

ResultTable Statements::Do(const SetTimeZone& set) {
  catalog_.ChangeBeside([&](CatalogState& state) {
    if (state.time_zone == set.zone) return;
    CheckZoneMayChange(state, views_);
    state.time_zone = set.zone;
    views_.CheckTimeZone(set.zone);
    // Times mean something else now: every view is made anew.
    for (auto& [key, view] : state.views) {
      auto renewed = std::make_shared<View>(*view);
      renewed->id = state.next_id++;
      view = renewed;
    }
  });
  views_.Reconcile();
  return {{}, {}, "time zone is " + set.zone};
}

namespace {

ResultTable Written(const WriteResult& written, const char* what, const std::string& table) {
  ResultTable result;
  result.notice = std::to_string(written.rows) + (written.rows == 1 ? " row " : " rows ") + what +
                  " " + InQuotes(table);
  result.written = written;
  return result;
}

}  // namespace

ResultTable Statements::DoWrite(const Insert& insert, const std::string& params_json) {
  auto state = catalog_.Current();
  auto stream = state->GetStream(insert.table);
  if (IsStanding(*state, insert)) return CreateUnnamedPump(insert);
  return Written(writes_.Run(insert, params_json), "inserted into", stream->name);
}

ResultTable Statements::DoWrite(const Update& update, const std::string& params_json) {
  return Written(writes_.Run(update, params_json), "updated in", update.table);
}

ResultTable Statements::DoWrite(const Delete& erase, const std::string& params_json) {
  return Written(writes_.Run(erase, params_json), "deleted from", erase.table);
}

ResultTable Statements::Do(const CopyFrom& copy) {
  return Written(writes_.Run(copy), "copied into", copy.table);
}

void CheckZoneMayChange(const CatalogState& state, Views& views) {
  Dependents pumps;
  for (auto& [key, pump] : state.pumps) {
    if (views.GoesByZone(state, *pump)) pumps.pumps.push_back(pump->name);
  }
  if (pumps.pumps.empty()) return;
  throw Error(ErrorCode::kInUse,
              "the time zone says what days and months mean, and " + pumps.List() +
                  " emitted rows by it that cannot be taken back",
              "DROP the pumps, set the time zone, and CREATE them anew WITH (start = 'now').");
}

ResultTable Statements::Do(const Subscribe&) {
  throw Error(ErrorCode::kInvalidRequest, "the answer to SUBSCRIBE never ends",
              "Send the query to POST /v1/subscribe, or use `weir sql`.");
}

ResultTable Statements::Do(const Query&) {
  throw Error(ErrorCode::kInternal, "a query is not a statement of the catalog");
}

}  // namespace weir
