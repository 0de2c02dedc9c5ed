// Operators of all views that step together, in an order in which each comes after its inputs.
//
// Operators are told apart by fingerprint: what computes the same from the same is there once, and
// feeds all views that need it.  Owned by one engine or one filling; one thread at a time.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "flow/operators/operators.h"

namespace weir {

class Circuit {
 public:
  // For the rows of operators added from now on; outlives the circuit.
  void UseMemory(PageMemory* memory) { memory_ = memory; }
  std::vector<RowStore*> RowStores();  // of all operators

  // Takes the operator, connected to its inputs, unless an equal one is there already; returns the
  // one that stays.  When it throws, nothing has changed.  REQUIRES: the inputs are of this
  // circuit.
  Operator* Add(std::unique_ptr<Operator> op, std::vector<Operator*> inputs,
                std::string fingerprint);

  // One step: SetClock, feed the sources, Flush.
  void SetClock(Micros now);
  // The time of the log: when the last record arrived that was fed, or a later tick.
  void SetLogTime(Micros log_time);
  // The time of the log at which the next window would close without another event.
  std::optional<Micros> NextLogTime() const;
  void Flush();
  // To be called after each step before anything of it is believed: operators whose rows were lost
  // fail (RowStore::HasLostRows).
  void FailWhereRowsAreLost();

  // Takes over all operators of `other`, which is empty then; what is here already stays, and users
  // of the twin are connected to it.  Returns where each operator of `other` went.  When it throws,
  // nothing has changed in either.  REQUIRES: both stand at the same position, between two steps.
  std::map<Operator*, Operator*> Absorb(Circuit& other);

  // Drops every operator that none of `outputs`, which are of this circuit, needs.
  void KeepOnly(const std::set<Operator*>& outputs);

  std::vector<SourceOperator*> Sources(const std::string& stream) const;
  const std::vector<SourceOperator*>& Sources() const { return sources_; }
  bool WantsClock() const { return !clocked_.empty(); }
  const std::vector<std::unique_ptr<Operator>>& operators() const { return operators_; }
  // Of how its operators are connected, between two steps.
  void CheckInvariants() const;

  // `op` and all it needs, each once, inputs first.
  static std::vector<Operator*> Needs(Operator* op);

 private:
  void Enter(std::unique_ptr<Operator> op) noexcept;
  void Join(Circuit& other, const std::map<Operator*, Operator*>& went) noexcept;

  PageMemory* memory_ = nullptr;
  uint64_t pages_lost_ = 0;  // so far looked at
  uint64_t next_position_ = 0;
  std::vector<std::unique_ptr<Operator>> operators_;
  std::vector<SourceOperator*> sources_;  // among operators_
  std::vector<Operator*> clocked_;        // those that want the clock, in order
  std::map<std::string, Operator*> by_fingerprint_;
};

}  // namespace weir
