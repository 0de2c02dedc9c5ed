// How an operator keeps its answer, and why not by a better way.  Said where it is decided (the
// translator, the builder, the operator itself) and shown by EXPLAIN.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir {

struct Upkeep {
  // From the best to the worst.
  enum class Rung {
    kClosedForm,  // what a change costs does not depend on the rows there are
    kTouched,     // the rows of touched groups or partitions are looked at again
    kRecomputed,  // everything is looked at again when anything changes
  };
  struct Note {
    std::string why;   // what stands in the way, or what is kept for it; no full stop
    std::string hint;  // how the query would do better; "" when nothing is known
    bool operator==(const Note&) const = default;
  };

  Rung rung = Rung::kClosedForm;
  std::vector<Note> notes;

  // Says that something is kept by no better rung than this.
  void Add(Rung at_best, std::string why, std::string hint = "") {
    rung = std::max(rung, at_best);
    Note note{std::move(why), std::move(hint)};
    if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(note);
  }
  void Add(const Upkeep& other) {
    rung = std::max(rung, other.rung);
    for (auto& note : other.notes) Add(rung, note.why, note.hint);
  }
};

inline std::string_view ToString(Upkeep::Rung rung) {
  switch (rung) {
    case Upkeep::Rung::kClosedForm: return "closed form";
    case Upkeep::Rung::kTouched: return "touched groups";
    case Upkeep::Rung::kRecomputed: return "recomputed";
  }
  return "";
}

}  // namespace weir
