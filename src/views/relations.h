// The catalog as the planner sees it, and circuits for the views in it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "duck/plan/plan.h"
#include "flow/builder.h"

namespace weir {

class CatalogRelations : public Relations {
 public:
  CatalogRelations(const CatalogState& state, Session& session)
      : state_(state), session_(session) {}
  std::optional<Source> FindSource(const std::string& name) const override;
  std::optional<std::string> FindPlainView(const std::string& name) const override;
  std::string NearestTo(const std::string& name) const override {
    return state_.NearestRelation(name);
  }

 private:
  const CatalogState& state_;
  Session& session_;
  mutable int depth_ = 0;
};

// Column names a view shows: as the query gives them, made distinct as DuckDB does (x, x_1).
std::vector<Column> ColumnsOf(const Plan& plan);

// Builds the circuit of one view's query; null with `unsupported` set when it is not incremental.
struct BuiltView {
  OutputOperator* output = nullptr;
  std::string unsupported, hint;
  Plan plan;
};
BuiltView BuildView(Circuit& circuit, const CatalogState& state, SessionPtr session,
                    const std::string& name, const KernelSql& query);
// The same of one that is planned already, by this session.
BuiltView BuildView(Circuit& circuit, const CatalogState& state, SessionPtr session,
                    const std::string& name, Plan plan);

// The same of a pump's query, as its stream takes it.
struct BuiltPump {
  EmitOperator* emit = nullptr;
  std::string unsupported;
};
BuiltPump BuildPump(Circuit& circuit, const CatalogState& state, SessionPtr session,
                    const Pump& pump, const Stream& stream);

// Whether what it has emitted may depend on the time zone, or on views that do.
bool GoesByZone(const CatalogState& state, Session& session, const Pump& pump,
                const Stream& stream);

// How a stream's source operators are called in a circuit.
std::string SourceName(StreamId id);

}  // namespace weir
