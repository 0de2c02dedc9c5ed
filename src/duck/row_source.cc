#include "duck/row_source.h"

#include "base/error.h"
#include "duckdb/common/types/data_chunk.hpp"
#include "duckdb/function/table_function.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/parser/parsed_data/create_table_function_info.hpp"
#include "duckdb/storage/statistics/node_statistics.hpp"

namespace weir {
namespace {

struct Info : public duckdb::TableFunctionInfo {
  explicit Info(RowSources& sources) : sources(sources) {}
  RowSources& sources;
};

struct BindData : public duckdb::TableFunctionData {
  explicit BindData(std::shared_ptr<RowSource> source) : source(std::move(source)) {}
  std::shared_ptr<RowSource> source;
};

struct ScanState : public duckdb::GlobalTableFunctionState {
  std::unique_ptr<RowCursor> cursor;
  duckdb::DataChunk rows;        // the columns the source knows
  std::vector<size_t> targets;   // where each goes in the output
  std::vector<size_t> virtuals;  // output columns that only stand for "a row"
};

duckdb::unique_ptr<duckdb::FunctionData> Bind(duckdb::ClientContext&,
                                              duckdb::TableFunctionBindInput& input,
                                              duckdb::vector<duckdb::LogicalType>& types,
                                              duckdb::vector<duckdb::string>& names) {
  auto& info = input.info->Cast<Info>();
  auto source = info.sources.Get(input.inputs[0].ToString());
  for (auto& name : source->Names()) names.push_back(name);
  for (auto& type : source->Types()) types.push_back(type);
  return duckdb::make_uniq<BindData>(std::move(source));
}

duckdb::unique_ptr<duckdb::GlobalTableFunctionState> Init(duckdb::ClientContext&,
                                                          duckdb::TableFunctionInitInput& input) {
  auto& source = *input.bind_data->Cast<BindData>().source;
  auto state = duckdb::make_uniq<ScanState>();
  std::vector<size_t> columns;
  duckdb::vector<duckdb::LogicalType> types;
  for (size_t i = 0; i < input.column_ids.size(); i++) {
    auto column = input.column_ids[i];
    if (column >= source.Names().size()) {
      state->virtuals.push_back(i);
      continue;
    }
    columns.push_back(column);
    types.push_back(source.Types()[column]);
    state->targets.push_back(i);
  }
  state->rows.InitializeEmpty(types);
  state->cursor = source.Scan(std::move(columns));
  return state;
}

void Produce(duckdb::ClientContext&, duckdb::TableFunctionInput& input, duckdb::DataChunk& output) {
  auto& state = input.global_state->Cast<ScanState>();
  state.rows.SetCardinality(0);
  state.cursor->Next(state.rows);
  for (size_t i = 0; i < state.targets.size(); i++) {
    output.data[state.targets[i]].Reference(state.rows.data[i]);
  }
  for (size_t target : state.virtuals) {
    output.data[target].SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
    duckdb::ConstantVector::SetNull(output.data[target], true);
  }
  output.SetCardinality(state.rows.size());
}

duckdb::unique_ptr<duckdb::NodeStatistics> Cardinality(duckdb::ClientContext&,
                                                       const duckdb::FunctionData* data) {
  return duckdb::make_uniq<duckdb::NodeStatistics>(data->Cast<BindData>().source->EstimatedRows());
}

}  // namespace

void RowSources::Set(const std::string& name, std::shared_ptr<RowSource> source) {
  std::lock_guard lock(mutex_);
  sources_[name] = std::move(source);
}

void RowSources::Clear() {
  std::lock_guard lock(mutex_);
  sources_.clear();
}

std::shared_ptr<RowSource> RowSources::Get(const std::string& name) const {
  std::lock_guard lock(mutex_);
  auto found = sources_.find(name);
  if (found == sources_.end()) {
    throw Error(ErrorCode::kInvalidSql, "there are no rows named \"" + name + "\"");
  }
  return found->second;
}

void RegisterRowSources(duckdb::ClientContext& context, RowSources& sources) {
  duckdb::TableFunction function("weir_rows", {duckdb::LogicalType::VARCHAR}, Produce, Bind, Init);
  function.projection_pushdown = true;
  function.cardinality = Cardinality;
  function.function_info = duckdb::make_shared_ptr<Info>(sources);
  duckdb::CreateTableFunctionInfo info(function);
  context.RegisterFunction(info);
}

}  // namespace weir
