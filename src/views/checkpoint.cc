#include "views/checkpoint.h"

#include "duckdb/common/checksum.hpp"
#include "flow/state_io.h"

namespace weir {
namespace {

constexpr uint64_t kMagic = 0x38504b4352494557ull;  // "WEIRCKP8"

uint64_t Sum(std::string_view bytes) {
  return duckdb::Checksum(reinterpret_cast<uint8_t*>(const_cast<char*>(bytes.data())),
                          bytes.size());
}

}  // namespace

std::string SaveCheckpoint(const std::vector<LiveViewPtr>& views,
                           const std::vector<LivePumpPtr>& pumps, const InputMark& at) {
  StateWriter writer;
  writer.Put(kMagic);
  writer.Put(at.offset.value);
  writer.Put(at.clock);
  writer.Put(at.log_time);
  uint64_t count = 0;
  StateWriter operators;
  std::set<Operator*> needed;
  for (auto& view : views) needed.insert(view->operators.begin(), view->operators.end());
  for (auto& pump : pumps) needed.insert(pump->operators.begin(), pump->operators.end());
  for (auto* op : needed) {
    if (!op->HasState() || !op->CanSave() || !op->failure().empty()) continue;
    StateWriter state;
    op->Save(state);
    operators.PutString(op->fingerprint);
    operators.PutString(state.bytes());
    count++;
  }
  writer.Put(count);
  writer.bytes() += operators.bytes();
  StateWriter failed;
  uint64_t failed_count = 0;
  for (auto* op : needed) {
    if (!op->failed_rows() || op->failed_rows()->count() == 0) continue;
    StateWriter rows;
    op->failed_rows()->Save(rows);
    failed.PutString(op->fingerprint);
    failed.PutString(rows.bytes());
    failed_count++;
  }
  writer.Put(failed_count);
  writer.bytes() += failed.bytes();
  writer.Put<uint64_t>(views.size());
  for (auto& view : views) {
    writer.Put(view->definition->id);
    writer.PutString(view->definition->Planned());
    StateWriter rows;
    uint64_t row_count = 0;
    view->content.ForEach([&](std::string_view row, int64_t copies) {
      rows.PutString(row);
      rows.Put(copies);
      row_count++;
    });
    writer.Put(row_count);
    writer.bytes() += rows.bytes();
  }
  writer.Put<uint64_t>(pumps.size());
  for (auto& pump : pumps) writer.Put(pump->definition->id);
  writer.Put(Sum(writer.bytes()));
  return std::move(writer.bytes());
}

std::optional<Checkpoint> LoadCheckpoint(std::string_view bytes) {
  if (bytes.size() < 2 * sizeof(uint64_t)) return std::nullopt;
  auto body = bytes.substr(0, bytes.size() - sizeof(uint64_t));
  StateReader tail(bytes.substr(body.size()));
  if (tail.Get<uint64_t>() != Sum(body)) return std::nullopt;
  StateReader reader(body);
  if (reader.Get<uint64_t>() != kMagic) return std::nullopt;
  Checkpoint checkpoint;
  checkpoint.at.offset.value = reader.Get<uint64_t>();
  checkpoint.at.clock = reader.Get<Micros>();
  checkpoint.at.log_time = reader.Get<Micros>();
  for (uint64_t left = reader.Get<uint64_t>(); left; left--) {
    std::string fingerprint(reader.GetString());
    checkpoint.operators[std::move(fingerprint)] = reader.GetString();
  }
  for (uint64_t left = reader.Get<uint64_t>(); left; left--) {
    std::string fingerprint(reader.GetString());
    checkpoint.failed_rows[std::move(fingerprint)] = reader.GetString();
  }
  for (uint64_t left = reader.Get<uint64_t>(); left; left--) {
    auto& view = checkpoint.views[reader.Get<uint32_t>()];
    view.query = reader.GetString();
    for (uint64_t rows = reader.Get<uint64_t>(); rows; rows--) {
      std::string row(reader.GetString());
      view.rows.emplace_back(std::move(row), reader.Get<int64_t>());
    }
  }
  for (uint64_t left = reader.Get<uint64_t>(); left; left--) {
    checkpoint.pumps.insert(reader.Get<uint32_t>());
  }
  return checkpoint;
}

namespace {

bool CoversOperators(const Checkpoint& checkpoint, const Kept& kept) {
  return std::all_of(kept.operators.begin(), kept.operators.end(), [&](Operator* op) {
    return !op->HasState() || checkpoint.operators.contains(op->fingerprint);
  });
}

}  // namespace

bool Covers(const Checkpoint& checkpoint, const LivePump& pump) {
  return checkpoint.pumps.contains(pump.definition->id) && CoversOperators(checkpoint, pump);
}

bool Covers(const Checkpoint& checkpoint, const LiveView& view) {
  auto saved = checkpoint.views.find(view.definition->id);
  if (saved == checkpoint.views.end() || saved->second.query != view.definition->Planned()) {
    return false;
  }
  return CoversOperators(checkpoint, view);
}

void Restore(const Checkpoint& checkpoint, Circuit& circuit,
             const std::vector<LiveViewPtr>& views) {
  for (auto& op : circuit.operators()) {
    auto failed = checkpoint.failed_rows.find(op->fingerprint);
    if (failed != checkpoint.failed_rows.end()) {
      StateReader reader(failed->second);
      op->LoadFailedRows(reader);
    }
    auto saved = checkpoint.operators.find(op->fingerprint);
    if (!op->HasState() || saved == checkpoint.operators.end()) continue;
    StateReader reader(saved->second);
    op->Load(reader);
    if (!reader.AtEnd()) throw Error(ErrorCode::kCorruption, "saved operator state is too long");
  }
  for (auto& view : views) {
    for (auto& [row, copies] : checkpoint.views.at(view->definition->id).rows) {
      view->content.Change(row, copies, 0);
    }
  }
}

}  // namespace weir
