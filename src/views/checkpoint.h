// The engine's state at one log position as one file, so that a start replays seconds of log
// instead of all history.  A checkpoint is a cache: a missing or damaged one costs time, not rows.
//
// The file is written beside the steps (checkpoint_writer.h): parts of sections one after the
// other, as they come, then an index of them.
//
//   "WEIRCK11" | parts | index | CRC-32C of the index | its length | "WEIRCK11"
//
// A section has the state of an operator, or the rows of a view.  Each part has its CRC-32C in the
// index.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "flow/circuit.h"
#include "io/disk/disk.h"
#include "views/live_pump.h"
#include "views/live_view.h"

namespace weir {

// What the index says.
struct CheckpointIndex {
  struct Part {
    uint64_t position;
    uint32_t size, checksum;
  };
  struct Section {
    std::string fingerprint;  // of the operator; "" for a view's
    bool is_whole = false;    // false: its operator had gone before it was written
    std::vector<Part> parts;
    uint64_t Bytes() const;
  };
  struct SavedView {
    std::string query;
    uint32_t section = 0;
    uint64_t rows = 0;
  };
  InputMark at;
  std::vector<Section> sections;
  std::map<std::string, std::string> failed_rows;  // of operators that have some, by fingerprint
  std::map<uint32_t, SavedView> views;             // by id
  // Pumps by id: whatever they had to emit up to here was in the log before this was written.
  std::set<uint32_t> pumps;

  std::string Encode() const;
  // Throws Error(kCorruption).
  static CheckpointIndex Decode(std::string_view bytes);
};

inline constexpr std::string_view kCheckpointMagic = "WEIRCK11";

// What the section of an operator inside of another is called.
inline std::string InnerSection(const Operator& outer, const Operator& inner) {
  return outer.fingerprint + " > " + inner.fingerprint;
}

// A checkpoint that can be read.  One thread at a time.
class Checkpoint {
 public:
  // Nothing when the file is not a whole checkpoint of this version.
  static std::optional<Checkpoint> Open(Disk& disk, const std::string& path);

  const InputMark& at() const { return index_.at; }
  // True when every stateful operator of the view is in the checkpoint.
  bool Covers(const LiveView& view) const;
  bool Covers(const LivePump& pump) const;
  // Puts saved state into the circuit's operators and the views' contents (as of step 0).  Throws
  // Error(kCorruption) when something is damaged.
  void Restore(Circuit& circuit, const std::vector<LiveViewPtr>& views) const;

 private:
  Checkpoint(std::unique_ptr<File> file, CheckpointIndex index);
  bool CoversOperators(const Kept& kept) const;
  void Load(Operator& op, const std::string& section) const;
  StateReader Read(const CheckpointIndex::Section& section) const;

  std::unique_ptr<File> file_;
  CheckpointIndex index_;
  std::map<std::string, uint32_t> by_fingerprint_;  // sections
};

}  // namespace weir
