// The engine's state at one log position as one file, so that a start replays seconds of log
// instead of all history.  A checkpoint is a cache: a missing or damaged one costs time, not rows.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "flow/circuit.h"
#include "views/live_view.h"

namespace weir {

struct Checkpoint {
  struct SavedView {
    uint32_t id = 0;
    std::string query;
    std::vector<std::pair<std::string, int64_t>> rows;
  };
  Offset position;
  Micros clock = 0;
  std::map<std::string, std::string> operators;  // state by fingerprint
  std::map<std::string, SavedView> views;        // by name
};

// Engine thread, between two steps.
std::string SaveCheckpoint(const Circuit& circuit, const std::vector<LiveViewPtr>& views,
                           Offset position, Micros clock);
// Nothing when the bytes are not a whole checkpoint of this version.
std::optional<Checkpoint> LoadCheckpoint(std::string_view bytes);

// True when every stateful operator of the view is in the checkpoint.
bool Covers(const Checkpoint& checkpoint, const LiveView& view);
// Puts saved state into the circuit's operators and the views' contents (as of step 0).
void Restore(const Checkpoint& checkpoint, Circuit& circuit, const std::vector<LiveViewPtr>& views);

}  // namespace weir
