#include "duck/plan/plan.h"

#include "base/error.h"
#include "duck/errors.h"
#include "duck/functions/clock_functions.h"
#include "duck/functions/zone_use.h"
#include "duck/plan/row_marks.h"
#include "duck/plan/row_subqueries.h"
#include "duck/plan/subquery_joins.h"
#include "duckdb/catalog/catalog.hpp"
#include "duckdb/execution/column_binding_resolver.hpp"
#include "duckdb/function/replacement_scan.hpp"
#include "duckdb/function/table_function.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/config.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/optimizer/optimizer.hpp"
#include "duckdb/parser/expression/constant_expression.hpp"
#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/parsed_data/create_table_function_info.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/subqueryref.hpp"
#include "duckdb/parser/tableref/table_function_ref.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"
#include "duckdb/planner/operator/logical_get.hpp"
#include "duckdb/planner/planner.hpp"

namespace weir {
namespace {

constexpr const char* kSourceFunction = "weir_source";
const duckdb::column_t kOffsetId = (duckdb::column_t(1) << 63) + 1000;
const duckdb::column_t kArrivalTimeId = (duckdb::column_t(1) << 63) + 1001;
const duckdb::column_t kWatermarkId = (duckdb::column_t(1) << 63) + 1002;

// Carries the relations of the query being planned to the binder's callbacks.
struct PlanningState : duckdb::ClientContextState {
  static constexpr const char* kKey = "weir_planning";
  const Relations* relations = nullptr;
  std::string unknown;  // a name in FROM that is none of them
};

const Relations& RelationsOf(duckdb::ClientContext& context) {
  auto state = context.registered_state->Get<PlanningState>(PlanningState::kKey);
  CHECK(state && state->relations);
  return *state->relations;
}

struct SourceBindData : duckdb::TableFunctionData {
  std::string name;
  Relations::Source source;
};

duckdb::unique_ptr<duckdb::FunctionData> BindSource(duckdb::ClientContext& context,
                                                    duckdb::TableFunctionBindInput& input,
                                                    duckdb::vector<duckdb::LogicalType>& types,
                                                    duckdb::vector<duckdb::string>& names) {
  auto data = duckdb::make_uniq<SourceBindData>();
  data->name = input.inputs[0].ToString();
  auto source = RelationsOf(context).FindSource(data->name);
  if (!source) {
    throw Error(ErrorCode::kInvalidSql, "there is no stream, table or view \"" + data->name + "\"");
  }
  for (size_t i = 0; i < source->names.size(); i++) {
    names.push_back(source->names[i]);
    types.push_back(source->types[i]);
  }
  data->source = std::move(*source);
  return data;
}

// Plans are never executed by DuckDB: a scan of a source has no rows.
void ScanSource(duckdb::ClientContext&, duckdb::TableFunctionInput&, duckdb::DataChunk& output) {
  output.SetCardinality(0);
}

duckdb::virtual_column_map_t VirtualColumns(duckdb::ClientContext&,
                                            duckdb::optional_ptr<duckdb::FunctionData> data) {
  duckdb::virtual_column_map_t columns;
  columns.insert(
      {duckdb::COLUMN_IDENTIFIER_EMPTY, duckdb::TableColumn("", duckdb::LogicalType::BOOLEAN)});
  if (data->Cast<SourceBindData>().source.is_stream) {
    columns.insert({kOffsetId, duckdb::TableColumn("_offset", duckdb::LogicalType::UBIGINT)});
    columns.insert(
        {kArrivalTimeId, duckdb::TableColumn("_arrival_time", duckdb::LogicalType::TIMESTAMP_TZ)});
    if (auto& type = data->Cast<SourceBindData>().source.watermark) {
      columns.insert({kWatermarkId, duckdb::TableColumn("_watermark", *type)});
    }
  }
  return columns;
}

duckdb::unique_ptr<duckdb::TableRef> ReplaceName(
    duckdb::ClientContext& context, duckdb::ReplacementScanInput& input,
    duckdb::optional_ptr<duckdb::ReplacementScanData>) {
  auto state = context.registered_state->Get<PlanningState>(PlanningState::kKey);
  if (!state || !state->relations) return nullptr;
  const Relations& relations = *state->relations;
  if (auto query = relations.FindPlainView(input.table_name)) {
    duckdb::Parser parser(context.GetParserOptions());
    parser.ParseQuery(*query);
    auto select = duckdb::unique_ptr_cast<duckdb::SQLStatement, duckdb::SelectStatement>(
        std::move(parser.statements[0]));
    RewriteRowSubqueries(context, *select);
    return duckdb::make_uniq<duckdb::SubqueryRef>(std::move(select), input.table_name);
  }
  if (!relations.FindSource(input.table_name)) {
    state->unknown = input.table_name;
    return nullptr;
  }
  auto ref = duckdb::make_uniq<duckdb::TableFunctionRef>();
  duckdb::vector<duckdb::unique_ptr<duckdb::ParsedExpression>> arguments;
  arguments.push_back(
      duckdb::make_uniq<duckdb::ConstantExpression>(duckdb::Value(input.table_name)));
  ref->function =
      duckdb::make_uniq<duckdb::FunctionExpression>(kSourceFunction, std::move(arguments));
  ref->alias = input.table_name;
  return ref;
}

// Sets the relations for the duration of one planning.
class PlanningScope {
 public:
  PlanningScope(duckdb::ClientContext& context, const Relations& relations)
      : state_(context.registered_state->GetOrCreate<PlanningState>(PlanningState::kKey)),
        outer_(std::exchange(state_->relations, &relations)) {
    state_->unknown.clear();
  }
  ~PlanningScope() { state_->relations = outer_; }  // NOLINT(bugprone-exception-escape): not null

  const std::string& unknown() const { return state_->unknown; }

 private:
  duckdb::shared_ptr<PlanningState> state_;
  const Relations* outer_;  // planning a view plans the views it reads
};

class SaysIsDistinct : public duckdb::LogicalOperatorVisitor {
 public:
  bool found = false;

 protected:
  duckdb::unique_ptr<duckdb::Expression> VisitReplace(
      duckdb::BoundComparisonExpression& comparison,
      duckdb::unique_ptr<duckdb::Expression>*) override {
    found = found || comparison.type == duckdb::ExpressionType::COMPARE_DISTINCT_FROM;
    return nullptr;
  }
};

// DuckDB looks for what may have been meant among its own tables; users mean theirs.
Error InOurWords(Error error, const std::string& unknown, const Relations& relations) {
  size_t begin = unknown.empty() ? std::string::npos : error.message.find("table with name ");
  if (begin == std::string::npos) return error;
  error.message.resize(begin);
  error.message += "there is no stream, table or view \"" + unknown + "\"";
  auto nearest = relations.NearestTo(unknown);
  if (!nearest.empty()) error.hint += "\nDid you mean \"" + nearest + "\"?";
  return error;
}

}  // namespace

void InstallSources(duckdb::DuckDB& database) {
  duckdb::TableFunction source(kSourceFunction, {duckdb::LogicalType::VARCHAR}, ScanSource,
                               BindSource);
  source.projection_pushdown = true;
  source.filter_pushdown = false;
  source.get_virtual_columns = VirtualColumns;
  duckdb::CreateTableFunctionInfo info(source);
  duckdb::Connection connection(database);
  connection.BeginTransaction();
  duckdb::Catalog::GetSystemCatalog(*connection.context)
      .CreateTableFunction(*connection.context, info);
  connection.Commit();
  auto& scans = duckdb::DBConfig::GetConfig(*database.instance).replacement_scans;
  scans.clear();  // a name never means a file
  scans.emplace_back(ReplaceName);
}

namespace {

duckdb::unique_ptr<duckdb::SQLStatement> ParseOne(duckdb::ClientContext& context,
                                                  const std::string& sql) {
  duckdb::Parser parser(context.GetParserOptions());
  parser.ParseQuery(sql);
  if (parser.statements.size() != 1) {
    throw Error(ErrorCode::kInvalidSql, "expected exactly one query");
  }
  if (parser.statements[0]->type != duckdb::StatementType::SELECT_STATEMENT) {
    throw Error(ErrorCode::kInvalidSql, "a view is made of a SELECT, VALUES or FROM query");
  }
  if (!parser.statements[0]->named_param_map.empty()) {
    throw Error(ErrorCode::kInvalidSql, "a query that is kept or explained has no parameters",
                "Write the values in place of $1, $2, ... and ?.");
  }
  return std::move(parser.statements[0]);
}

}  // namespace

Plan PlanQuery(Session& session, const std::string& sql, const Relations& relations) {
  duckdb::ClientContext& context = session.context();
  PlanningScope scope(context, relations);
  try {
    auto statement = ParseOne(context, sql);
    RewriteRowSubqueries(context, statement->Cast<duckdb::SelectStatement>());
    duckdb::Planner planner(context);
    planner.CreatePlan(std::move(statement));
    Plan plan;
    plan.uses_clock = MarkClockFunctionsVolatile(*planner.plan);
    plan.uses_zone = UsesZone(*planner.plan);
    plan.names.assign(planner.names.begin(), planner.names.end());
    plan.types.assign(planner.types.begin(), planner.types.end());
    SaysIsDistinct says;
    says.VisitOperator(*planner.plan);
    // Otherwise it can be told afterwards what was meant, and the rule makes better plans.
    if (says.found) KeepMarksExact(*planner.plan);
    CompareRowsExactly(*planner.binder, planner.plan);
    duckdb::Optimizer optimizer(*planner.binder, context);
    auto root = optimizer.Optimize(std::move(planner.plan));
    root->ResolveOperatorTypes();
    duckdb::ColumnBindingResolver resolver;
    resolver.VisitOperator(*root);
    plan.root = Translate(session, *root, says.found, plan.presentation);
    return plan;
  } catch (const Error&) {
    throw;
  } catch (...) {
    throw InOurWords(SqlErrorFromDuck(sql), scope.unknown(), relations);
  }
}

std::optional<SourceScan> AsSourceScan(const duckdb::LogicalGet& get) {
  if (get.function.name != kSourceFunction) return std::nullopt;
  SourceScan scan;
  scan.name = get.bind_data->Cast<SourceBindData>().name;
  auto add = [&](duckdb::column_t id) {
    if (id == kOffsetId) {
      scan.columns.push_back(kScanOffset);
    } else if (id == kArrivalTimeId) {
      scan.columns.push_back(kScanArrivalTime);
    } else if (id == kWatermarkId) {
      scan.columns.push_back(kScanWatermark);
    } else if (id == duckdb::COLUMN_IDENTIFIER_EMPTY || id == duckdb::COLUMN_IDENTIFIER_ROW_ID) {
      scan.columns.push_back(kScanNothing);
    } else {
      scan.columns.push_back(id);
    }
  };
  auto& ids = get.GetColumnIds();
  if (get.projection_ids.empty()) {
    for (auto& id : ids) add(id.GetPrimaryIndex());
  } else {
    for (auto index : get.projection_ids) add(ids[index].GetPrimaryIndex());
  }
  return scan;
}

}  // namespace weir
