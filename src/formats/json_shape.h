// The shape that rows are expected to have, learned from rows before.
//
// Producers write the same fields in the same order, some now and then left out.  What stands
// between two values (`,"event_time":`, with any blanks the producer writes) is a step, compared as
// raw bytes; each step knows which ones have followed it.  So a row that repeats what was seen
// needs no search for its names and no look at its grammar: each chain of steps was one of a good
// row, from the brace that opens it to the one that closes it, or is made of parts of such.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/text_blocks.h"

namespace weir {

class JsonShape {
 public:
  static constexpr size_t kStepBytesMax = 64;
  static constexpr int kUnknown = -1;  // a field that is no column of the stream
  static constexpr int kEnd = -2;      // no value follows: the object ends here

  // What stands before a value (or behind the last one).
  struct Step {
    std::array<char, kStepBytesMax> text{};  // zeros behind
    size_t size = 0;
    unsigned first_bytes = 0;  // a bit for each of its first 16 bytes
    int column = kUnknown;
    std::string name;          // of a field that is no column, as it is written
    mutable uint64_t met = 0;  // the last body that had it
    size_t seen_word = 0;      // where a column is marked as seen
    uint64_t seen_bit = 0;
    std::array<const Step*, 8> followers{};  // the latest learned first; null behind the last

    // Whether it stands at `at`, from where 64 bytes can be read.
    bool StandsAt(const char* at) const {
      if ((EqualBytes(Load16(at), Load16(text.data())) & first_bytes) != first_bytes) return false;
      return size <= 16 || std::memcmp(at + 16, text.data() + 16, size - 16) == 0;
    }
    // The one of its followers that stands at `at`, or null.
    const Step* Follower(const char* at) const {
      for (const Step* step : followers) {
        if (!step) break;
        if (step->StandsAt(at)) return step;
      }
      return nullptr;
    }
  };

  // Every row follows this one.
  const Step& start() const { return start_; }

  // Collects the steps of a row while it is read another way.  Texts must live until Learn.
  void BeginRow() { row_.clear(); }
  void AddStep(std::string_view text, int column) {
    if (row_.size() <= kStepsMax) row_.push_back({text, column});  // more are never learned
  }
  // The row was a good one: expect such rows from now on.
  void Learn();
  // Calls `visit` with the names of fields that are no columns that body `body` had.
  template <class Visit>
  void ForEachUnknown(uint64_t body, const Visit& visit) const {
    for (auto& [text, step] : steps_) {
      if (step->column == kUnknown && step->met == body) visit(step->name);
    }
  }

 private:
  static constexpr size_t kStepsMax = 1024;  // beyond it all is forgotten

  struct Part {
    std::string_view text;
    int column;
  };
  Step* Find(const Part& part);

  Step start_;
  std::unordered_map<std::string_view, std::unique_ptr<Step>> steps_;  // by their text
  std::vector<Part> row_;
};

}  // namespace weir
