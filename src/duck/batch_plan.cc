#include "duck/batch_plan.h"

#include <map>
#include <mutex>

#include "base/error.h"
#include "duck/errors.h"
#include "duckdb/common/serializer/binary_serializer.hpp"
#include "duckdb/common/serializer/memory_stream.hpp"
#include "duckdb/main/client_config.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/query_result.hpp"
#include "duckdb/parser/statement/logical_plan_statement.hpp"
#include "duckdb/planner/operator/logical_column_data_get.hpp"
#include "duckdb/planner/operator/logical_dummy_scan.hpp"

namespace weir {
namespace {

// Table indexes from here on are places.
constexpr duckdb::idx_t kFirstPlace = duckdb::idx_t{1} << 40;

using Inputs = BatchRunner::Inputs;

void Fill(duckdb::unique_ptr<duckdb::LogicalOperator>& op, const BatchPattern& pattern,
          Inputs& inputs) {
  if (auto input = PlaceOf(*op)) {
    auto& types = pattern.inputs[*input];
    op = duckdb::make_uniq<duckdb::LogicalColumnDataGet>(
        kFirstPlace + *input, duckdb::vector<duckdb::LogicalType>(types.begin(), types.end()),
        *inputs[*input]);
    return;
  }
  for (auto& child : op->children) Fill(child, pattern, inputs);
}

}  // namespace

std::unique_ptr<duckdb::LogicalOperator> MakePlace(size_t index) {
  return std::make_unique<duckdb::LogicalDummyScan>(kFirstPlace + index);
}

std::optional<size_t> PlaceOf(const duckdb::LogicalOperator& op) {
  if (op.type != duckdb::LogicalOperatorType::LOGICAL_DUMMY_SCAN) return std::nullopt;
  auto index = op.Cast<duckdb::LogicalDummyScan>().table_index;
  if (index < kFirstPlace) return std::nullopt;
  return index - kFirstPlace;
}

std::string IdentityOf(const duckdb::LogicalOperator& plan) {
  duckdb::MemoryStream stream;
  duckdb::BinarySerializer::Serialize(plan, stream);
  return std::string(reinterpret_cast<const char*>(stream.GetData()), stream.GetPosition());
}

BatchRunner::BatchRunner(const Session& like, BatchPatternPtr pattern)
    : session_(like.Another()), pattern_(std::move(pattern)) {
  // The pattern was optimized with the query it is of.
  duckdb::ClientConfig::GetConfig(session_->context()).enable_optimizer = false;
}

std::unique_ptr<duckdb::ColumnDataCollection> BatchRunner::Rows(size_t input) const {
  auto& types = pattern_->inputs[input];
  return std::make_unique<duckdb::ColumnDataCollection>(
      duckdb::Allocator::DefaultAllocator(),
      duckdb::vector<duckdb::LogicalType>(types.begin(), types.end()));
}

namespace {

std::mutex running_mutex;
std::map<duckdb::ClientContext*, std::thread::id> running;

class RunningBatch {
 public:
  explicit RunningBatch(duckdb::ClientContext& context) : context_(context) {
    std::lock_guard lock(running_mutex);
    running.emplace(&context_, std::this_thread::get_id());
  }
  ~RunningBatch() {
    std::lock_guard lock(running_mutex);
    running.erase(&context_);
  }

 private:
  duckdb::ClientContext& context_;
};

}  // namespace

void InterruptBatchRuns(std::optional<std::thread::id> thread) {
  std::lock_guard lock(running_mutex);
  for (auto& [context, runs_on] : running) {
    if (!thread || *thread == runs_on) context->Interrupt();
  }
}

std::unique_ptr<duckdb::QueryResult> BatchRunner::Ask(Inputs& inputs, bool streamed) {
  auto& context = session_->context();
  RunningBatch here(context);
  auto plan = pattern_->root->Copy(context);
  Fill(plan, *pattern_, inputs);
  plan->ResolveOperatorTypes();
  auto result = context.Query(duckdb::make_uniq<duckdb::LogicalPlanStatement>(std::move(plan)),
                              duckdb::QueryParameters(streamed));
  Check(*result);
  return std::unique_ptr<duckdb::QueryResult>(result.release());
}

void BatchRunner::Check(duckdb::QueryResult& result) {
  if (!result.HasError()) return;
  session_->Reset();
  result.ThrowError();
}

void BatchRunner::Run(Inputs& inputs, const std::function<void(duckdb::DataChunk&)>& sink) {
  auto result = Ask(inputs, false);
  while (auto chunk = result->Fetch()) {
    if (chunk->size() == 0) break;
    sink(*chunk);
  }
}

void BatchRunner::RunWhile(Inputs& inputs, const std::function<bool(duckdb::DataChunk&)>& sink) {
  auto result = Ask(inputs, true);
  while (auto chunk = result->Fetch()) {
    if (chunk->size() == 0 || !sink(*chunk)) break;
  }
  Check(*result);
}

}  // namespace weir
