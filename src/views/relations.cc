#include "views/relations.h"

#include "base/error.h"

namespace weir {
namespace {

constexpr int kViewsOverViewsMax = 64;

}  // namespace

std::string SourceName(StreamId id) { return std::to_string(id.value); }

std::optional<Relations::Source> CatalogRelations::FindSource(const std::string& name) const {
  Source source;
  if (auto stream = state_.FindStream(name)) {
    source.is_stream = true;
    if (stream->watermark) {
      source.watermark = stream->columns[*stream->Find(stream->watermark->column)].type;
    }
    for (size_t i = 0; i < stream->VisibleColumns(); i++) {
      source.names.push_back(stream->columns[i].name);
      source.types.push_back(stream->columns[i].type);
    }
    return source;
  }
  auto view = state_.FindView(name);
  if (!view || !view->materialized) return std::nullopt;
  if (++depth_ > kViewsOverViewsMax) {
    throw Error(ErrorCode::kInvalidSql, "view \"" + name + "\" depends on itself");
  }
  CatalogRelations inner(state_, session_);
  inner.depth_ = depth_;
  Plan plan = PlanQuery(session_, view->Planned().text, inner);
  depth_--;
  for (auto& column : ColumnsOf(plan)) {
    source.names.push_back(column.name);
    source.types.push_back(column.type);
  }
  return source;
}

std::optional<std::string> CatalogRelations::FindPlainView(const std::string& name) const {
  auto view = state_.FindView(name);
  if (!view || view->materialized) return std::nullopt;
  return view->kernel_sql.text;
}

std::vector<Column> ColumnsOf(const Plan& plan) {
  std::vector<Column> columns;
  for (size_t i = 0; i < plan.names.size(); i++) {
    auto taken = [&](const std::string& name) {
      return std::any_of(columns.begin(), columns.end(),
                         [&](const Column& column) { return column.name == name; });
    };
    std::string name = plan.names[i];
    for (int n = 1; taken(name); n++) name = plan.names[i] + "_" + std::to_string(n);
    columns.push_back({name, plan.types[i]});
  }
  return columns;
}

namespace {

CircuitBuilder::Resolve ResolveIn(const CatalogState& state, const SessionPtr& session,
                                  const CatalogRelations& relations) {
  return [&state, session, &relations](const std::string& source) {
    CircuitBuilder::Named named;
    if (auto stream = state.FindStream(source)) {
      named.is_stream = true;
      named.stream_types = stream->Types();
      named.primary_key = stream->primary_key;
      for (auto& column : stream->columns) named.stream_names.push_back(column.name);
      named.identity = SourceName(stream->id);
      if (auto& watermark = stream->watermark) {
        named.watermark = WatermarkSpec{*stream->Find(watermark->column), watermark->delay,
                                        watermark->idle_timeout};
      }
    } else {
      named.plan = PlanQuery(*session, state.GetView(source)->Planned().text, relations);
    }
    return named;
  };
}

}  // namespace

BuiltView BuildView(Circuit& circuit, const CatalogState& state, SessionPtr session,
                    const std::string& name, const KernelSql& query) {
  CatalogRelations relations(state, *session);
  Plan plan = PlanQuery(*session, query.text, relations);
  return BuildView(circuit, state, std::move(session), name, std::move(plan));
}

BuiltView BuildView(Circuit& circuit, const CatalogState& state, SessionPtr session,
                    const std::string& name, Plan plan) {
  CatalogRelations relations(state, *session);
  BuiltView built;
  built.plan = std::move(plan);
  CircuitBuilder builder(circuit, session, state.time_zone, ResolveIn(state, session, relations));
  built.output = builder.Build(name, built.plan);
  built.unsupported = builder.unsupported();
  built.hint = builder.hint();
  return built;
}

static bool ReadsViews(const PlanNode& node, const CatalogState& state) {
  if (node.kind == PlanNode::Kind::kSource && !state.FindStream(node.scan.name)) return true;
  if (node.kind == PlanNode::Kind::kRecursion) return true;
  return std::any_of(node.inputs.begin(), node.inputs.end(),
                     [&](auto& input) { return ReadsViews(*input, state); });
}

bool GoesByZone(const CatalogState& state, Session& session, const Pump& pump,
                const Stream& stream) {
  CatalogRelations relations(state, session);
  Plan plan = PlanQuery(session, PumpQuery(pump, stream).text, relations);
  return plan.uses_zone || ReadsViews(*plan.root, state);
}

BuiltPump BuildPump(Circuit& circuit, const CatalogState& state, SessionPtr session,
                    const Pump& pump, const Stream& stream) {
  CatalogRelations relations(state, *session);
  Plan plan = PlanQuery(*session, PumpQuery(pump, stream).text, relations);
  CircuitBuilder builder(circuit, session, state.time_zone, ResolveIn(state, session, relations));
  std::vector<std::string> not_null;
  for (auto& column : stream.columns) not_null.push_back(column.not_null ? column.name : "");
  BuiltPump built;
  built.emit = builder.BuildEmit("pump " + std::to_string(pump.id), plan, std::move(not_null));
  built.unsupported = builder.unsupported();
  return built;
}

}  // namespace weir
