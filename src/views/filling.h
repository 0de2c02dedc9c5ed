// Fills a circuit of new views from history, beside the engine and while ingest goes on.
//
// The circuit is the filler's alone until it has caught up; then the engine absorbs it between two
// steps.  One filling at a time; runs on a thread of its own.
#pragma once

#include <functional>
#include <map>
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
  std::map<const SourceOperator*, Offset> ahead;  // sources that have come further than that
  bool attached = false;  // the engine has it: what is thrown from then on is not its affair
  InputMark reached;      // of one with pumps: up to where their rows were taken out
  bool empty() const { return views.empty() && pumps.empty(); }

  // What operators that pumps need failed on first, since its rows were last taken out.
  std::map<const Operator*, std::string> rejected;

  // Drops the operators that none of its views and pumps needs.
  void KeepNeeded();
  // Rows that expressions failed on since the last call did so up to here.
  void SettleErrors(Offset reached);
};

// Why a source could not be fed.
struct FillTrouble {
  SourceOperator& source;
  const Stream& stream;
  const Error& error;
  bool may_pass;  // reading failed: what was not read can be read again
  int tries;      // that failed before
};
// Returns true to go on where reading stopped.  Otherwise it has taken everything that reads the
// source out of the filling, or it throws.
using OnFillTrouble = std::function<bool(const FillTrouble&)>;

// Feeds rows of (filling.position, up_to] to the sources.  `progress` is told the offset reached
// and returns false to stop; it may drop operators from the circuit.  Views whose operators fail
// are left to the caller to find.  REQUIRES: up_to is no less than in the last call.
// `log_time`: the time of the log at `up_to`, as far as windows may close by it.
// When `trouble` throws the filling stays as it is, and the next call goes on there.
void FillUpTo(Filling& filling, History& history, Offset up_to,
              const std::function<bool(Offset)>& progress, const OnFillTrouble& trouble,
              Micros log_time = 0);

}  // namespace weir
