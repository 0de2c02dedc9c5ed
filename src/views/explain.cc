#include "views/explain.h"

#include <fmt/format.h>

namespace weir {
namespace {

std::string Bytes(size_t bytes) {
  if (bytes < 10'000) return fmt::format("{} B", bytes);
  if (bytes < 10'000'000) return fmt::format("{} KB", bytes / 1000);
  return fmt::format("{} MB", bytes / 1'000'000);
}

// How many views lie downstream.
size_t Users(const Operator& op) {
  std::set<const Operator*> outputs, seen;
  auto visit = [&](auto& self, const Operator& current) -> void {
    if (!seen.insert(&current).second) return;
    if (current.name() == "output") outputs.insert(&current);
    for (auto& edge : current.outputs) self(self, *edge.to);
  };
  visit(visit, op);
  return outputs.size();
}

void Print(const Operator& op, const CatalogState& state, bool analyze, int depth,
           std::string& text) {
  std::string detail = op.detail;
  if (auto* source = dynamic_cast<const SourceOperator*>(&op)) {
    auto stream = state.FindStream(StreamId{static_cast<uint32_t>(std::stoul(source->stream()))});
    if (stream) detail = (stream->IsTable() ? "changes of table " : "stream ") + stream->name;
  }
  text += std::string(static_cast<size_t>(depth) * 2, ' ') + op.name();
  if (!detail.empty()) text += "  " + detail;
  size_t users = Users(op);
  if (users > 1) text += fmt::format("  [shared by {} views]", users);
  if (analyze) {
    auto& statistics = op.statistics();
    text += fmt::format("  (rows in {}, out {}", statistics.rows_in, statistics.rows_out);
    if (op.HasState()) text += ", state " + Bytes(op.StateBytes());
    text += fmt::format(", {:.3f} ms)", static_cast<double>(statistics.nanos) / 1e6);
  }
  if (!op.failure().empty()) text += "  FAILED: " + op.failure();
  text += "\n";
  for (auto* input : op.inputs) Print(*input, state, analyze, depth + 1, text);
}

}  // namespace

std::string ExplainCircuit(const Operator& output, const CatalogState& state, bool analyze) {
  std::string text = "incremental: maintained by the change\n";
  Print(output, state, analyze, 0, text);
  return text;
}

}  // namespace weir
