#include "views/explain.h"

#include <fmt/format.h>

#include "flow/state/row_store.h"

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
    if (current.name() == "output" || current.name() == "emit") outputs.insert(&current);
    for (auto& edge : current.outputs) self(self, *edge.to);
  };
  visit(visit, op);
  return outputs.size();
}

size_t BytesInFile(Operator& op) {
  size_t bytes = 0;
  for (RowStore* store : op.RowStores()) bytes += store->BytesInFile();
  return bytes;
}

// How many operators read an index, or how many indexes stand on rows.
std::string Readers(const Operator& op) {
  bool is_index = op.name() == "index";
  if (!is_index && op.name() != "rows") return "";
  std::set<const Operator*> readers;
  for (auto& edge : op.outputs) readers.insert(edge.to);
  if (readers.size() < 2) return "";
  return fmt::format("  [shared by {} {}]", readers.size(), is_index ? "joins" : "indexes");
}

std::string_view RungOf(const Operator& op) {
  if (!op.HasState() && op.upkeep.rung == Upkeep::Rung::kClosedForm) return "row by row";
  return ToString(op.upkeep.rung);
}

void Print(Operator& op, const CatalogState& state, bool analyze, int depth,
           std::set<const Operator*>& printed, std::string& text) {
  std::string detail = op.detail;
  if (auto* source = dynamic_cast<const SourceOperator*>(&op)) {
    auto stream = state.FindStream(StreamId{static_cast<uint32_t>(std::stoul(source->stream()))});
    if (stream) detail = (stream->IsTable() ? "changes of table " : "stream ") + stream->name;
  }
  std::string indent(static_cast<size_t>(depth) * 2, ' ');
  text += indent + op.name();
  if (!detail.empty()) text += "  " + detail;
  if (!op.inputs.empty() && op.name() != "output") text += fmt::format("  [{}]", RungOf(op));
  size_t users = Users(op);
  if (users > 1) text += fmt::format("  [shared by {} views]", users);
  text += Readers(op);
  if (analyze) {
    auto& statistics = op.statistics();
    text += fmt::format("  (rows in {}, out {}", statistics.rows_in, statistics.rows_out);
    if (op.HasState()) text += ", state " + Bytes(op.StateBytes());
    if (auto in_file = BytesInFile(op)) text += ", of it on disk " + Bytes(in_file);
    text += fmt::format(", {:.3f} ms)", static_cast<double>(statistics.nanos) / 1e6);
  }
  if (op.failed_rows() && op.failed_rows()->count() > 0) {
    text += fmt::format("  {} error rows", op.failed_rows()->count());
  }
  if (!op.failure().empty()) text += "  FAILED: " + op.failure();
  text += "\n";
  for (auto& note : op.upkeep.notes) {
    text += indent + "  - " + note.why + "\n";
    if (!note.hint.empty()) text += indent + "    hint: " + note.hint + "\n";
  }
  for (auto* input : op.inputs) {
    // Several indexes of one join may stand on the same rows.
    if (input->name() == "rows" && !printed.insert(input).second) {
      text += indent + "  rows  as above\n";
    } else {
      Print(*input, state, analyze, depth + 1, printed, text);
    }
  }
}

}  // namespace

std::string ExplainCircuit(Operator& output, const CatalogState& state, bool analyze) {
  auto worst = Upkeep::Rung::kClosedForm;
  for (Operator* op : Circuit::Needs(&output)) worst = std::max(worst, op->upkeep.rung);
  std::string text = "incremental: maintained by the change";
  if (worst == Upkeep::Rung::kTouched) text += ", touched groups and partitions computed again";
  if (worst == Upkeep::Rung::kRecomputed) text += ", a part of it computed again as a whole";
  text += "\n";
  std::set<const Operator*> printed;
  Print(output, state, analyze, 0, printed, text);
  return text;
}

std::string ExplainRecomputed(const std::string& why, const std::string& hint) {
  std::string text =
      "recomputed: asked again from scratch when something changed, at most once a second\n"
      "because of " +
      why + "\n";
  return hint.empty() ? text : text + "hint: " + hint + "\n";
}

std::string OneLine(const Upkeep& upkeep) {
  std::string line(ToString(upkeep.rung));
  const char* before = ": ";
  for (auto& note : upkeep.notes) {
    line += std::exchange(before, "; ") + note.why;
  }
  for (auto& note : upkeep.notes) {
    if (note.hint.empty()) continue;
    line += ". " + note.hint;
    break;
  }
  return line;
}

OperatorInfo Describe(Operator& op) {
  OperatorInfo info;
  info.id = fmt::format("{:016x}", std::hash<std::string>()(op.fingerprint));
  info.name = op.name();
  info.detail = op.detail;
  info.upkeep = op.upkeep;
  info.rows_in = op.statistics().rows_in;
  info.rows_out = op.statistics().rows_out;
  info.nanos = op.statistics().nanos;
  info.state_bytes = op.StateBytes();
  if (op.failed_rows()) info.state_bytes += op.failed_rows()->Bytes();
  info.file_bytes = BytesInFile(op);
  info.failure = op.failure();
  return info;
}

}  // namespace weir
