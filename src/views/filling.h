// Fills a circuit of new views from history, beside the engine and while ingest goes on.
//
// The circuit is the filler's alone until it has caught up; then the engine absorbs it between two
// steps.  One filling at a time; runs on a thread of its own.
#pragma once

#include <functional>
#include <vector>

#include "views/live_pump.h"
#include "views/live_view.h"

namespace weir {

struct Filling {
  Circuit circuit;
  std::vector<LiveViewPtr> views;
  std::vector<LivePumpPtr> pumps;
  std::map<std::string, std::shared_ptr<const Stream>> streams;  // by source name
  Offset position;                                               // everything up to here is in
  InputMark reached;  // of one with pumps: up to where their rows were taken out
  bool empty() const { return views.empty() && pumps.empty(); }

  // What operators that pumps need failed on first, since its rows were last taken out.
  std::map<const Operator*, std::string> rejected;

  // Rows that expressions failed on since the last call did so up to here.
  void SettleErrors(Offset reached);
};

// Feeds rows of (filling.position, up_to] to the sources.  `progress` is told the offset reached
// and returns false to stop; it may drop operators from the circuit.  Views whose operators fail
// are left to the caller to find.
// `log_time`: the time of the log at `up_to`, as far as windows may close by it.
void FillUpTo(Filling& filling, History& history, Offset up_to,
              const std::function<bool(Offset)>& progress, Micros log_time = 0);

}  // namespace weir
