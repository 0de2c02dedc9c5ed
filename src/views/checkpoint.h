// The engine's state at one log position as one file, so that a start replays seconds of log
// instead of all history.  A checkpoint is a cache: a missing or damaged one costs time, not rows.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "flow/circuit.h"
#include "views/live_pump.h"
#include "views/live_view.h"

namespace weir {

struct Checkpoint {
  struct SavedView {
    std::string query;
    std::vector<std::pair<std::string, int64_t>> rows;
  };
  InputMark at;
  std::map<std::string, std::string> operators;    // state by fingerprint
  std::map<std::string, std::string> failed_rows;  // of those that have some, by fingerprint
  std::map<uint32_t, SavedView> views;             // by id
  // Pumps by id: whatever they had to emit up to here was in the log before this was written.
  std::set<uint32_t> pumps;
};

// Engine thread, between two steps.
std::string SaveCheckpoint(const std::vector<LiveViewPtr>& views,
                           const std::vector<LivePumpPtr>& pumps, const InputMark& at);
// Nothing when the bytes are not a whole checkpoint of this version.
std::optional<Checkpoint> LoadCheckpoint(std::string_view bytes);

// True when every stateful operator of the view is in the checkpoint.
bool Covers(const Checkpoint& checkpoint, const LiveView& view);
bool Covers(const Checkpoint& checkpoint, const LivePump& pump);
// Puts saved state into the circuit's operators and the views' contents (as of step 0).
void Restore(const Checkpoint& checkpoint, Circuit& circuit, const std::vector<LiveViewPtr>& views);

}  // namespace weir
