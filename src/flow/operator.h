// A node of a circuit.  Rows with weights come in (+1 a row came, -1 it went), changes go out.
//
// One step of a circuit: SetClock on every operator in order, Push for the rows of the sources,
// Flush on every operator in order.  Stateless operators answer inside Push; stateful ones collect
// in Push and emit what changed in Flush, so that a group touched a thousand times changes once.
//
// An expression that fails on a row (ExpressionFailed) is data: the row goes to the operator's
// failed rows, with its weight.  For that Push runs all its expressions before it changes anything,
// so that it can be called again with fewer rows; nothing is paid while none fails.  Everything
// else that is thrown parks the operator and so the views that need it.
//
// Owned by its Circuit; used by one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "duck/column_equals.h"
#include "duckdb/common/types/data_chunk.hpp"
#include "flow/state/failed_rows.h"
#include "flow/state/row_types.h"
#include "flow/state/state_snapshot.h"
#include "flow/upkeep.h"

namespace weir {

class ExpressionFailed;
class PageMemory;
class FilterRouter;
class RowStore;

class Operator {
 public:
  struct Statistics {
    uint64_t rows_in = 0, rows_out = 0;
    uint64_t nanos = 0;  // in this operator, without those it feeds
  };

  Operator(std::string name, RowTypes types, bool append_only);
  virtual ~Operator();
  Operator(const Operator&) = delete;

  // `weights` has one entry for each row; null means +1 each.  Rows are only valid in the call.
  // REQUIRES: they have the columns of the input's rows, and there are at most 2,048.
  virtual void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) = 0;
  virtual void SetClock(Micros now) {}
  virtual void Flush() {}

  // True when an operator's content depends on the clock, so that steps are needed without events.
  virtual bool WantsClock() const { return false; }  // the same for all its life
  // Of a filter that lets nothing pass but rows whose column is a constant: which.
  virtual const ColumnEquals* passes_only() const { return nullptr; }
  virtual bool HasState() const { return false; }
  // All bytes of state, between two steps, wherever they stand; cheap enough for once a second.
  virtual size_t StateBytes() const { return 0; }
  // The stores whose pages may be moved to a file.
  virtual std::vector<RowStore*> RowStores() { return {}; }
  // The least watermark at which something that waits for it would come or be freed.
  virtual std::optional<Micros> WaitsForWatermark() const { return std::nullopt; }
  // The watermark is there: it has something to say though no row came.
  virtual bool IsDue() const { return false; }
  // Writes and reads the state as of the end of a step; false: this operator has to be refilled.
  // Save is of operators that keep nothing but a few numbers; see BeginPieces for the others.
  virtual bool CanSave() const { return true; }
  virtual void Save(StateWriter& writer) const {}
  virtual void Load(StateReader& reader) {}
  // Operators that stand inside of this one, and are saved and loaded beside it.  Their snapshots
  // go on with its own.
  virtual std::vector<Operator*> Inner() const { return {}; }
  // After Load of all operators of a circuit.
  virtual void Loaded() {}
  // Twins at the same position took the place of some of its inputs (Circuit::Absorb).
  virtual void InputsReplaced() {}

  const std::string& name() const { return name_; }
  const RowTypes& types() const { return types_; }
  // True: only ever emits rows that come, none that go.
  bool append_only() const { return append_only_; }
  const Statistics& statistics() const { return statistics_; }
  const std::string& failure() const { return failure_; }

  // Rows that expressions of this operator failed on; null while there never were any.
  FailedRows* failed_rows() const { return failed_rows_.get(); }
  void LoadFailedRows(StateReader& reader);
  // Of a twin that has seen more of the past.
  void TakeFailedRows(Operator& twin);
  // Between two steps, of an operator that has not failed and whose rows are not lost: throws when
  // what it keeps contradicts itself.  Looks at all of it: for tests.
  virtual void CheckInvariants() const;

  // A row this operator gives, for people.
  virtual std::string TextOf(duckdb::DataChunk& rows, duckdb::idx_t row) const;

  // Identity: equal fingerprints at one log position mean equal output and equal state.
  std::string fingerprint;
  uint64_t busy_as = 0;  // its hash, by which a start knows what the last process died of; 0: none
  std::string detail;    // for EXPLAIN
  Upkeep upkeep;         // for EXPLAIN
  std::vector<Operator*> inputs;  // for EXPLAIN and for finding what a view needs
  struct Edge {
    Operator* to;
    size_t port;
  };
  std::vector<Edge> outputs;  // whoever changes them calls OutputsChanged
  virtual void OutputsChanged();
  uint64_t position = 0;  // in its circuit: above that of all its inputs

  // Entry points of the circuit: as the virtual ones, but measured, and a failure parks this
  // operator (and so all that depends on it) instead of passing to others.  Whom no row and no
  // clock reached since its last Flush has nothing to say: of thousands of operators, few cost a
  // step.
  void Receive(size_t port, duckdb::DataChunk& rows, const int64_t* weights);
  void ReceiveClock(Micros now);
  void ReceiveFlush();
  void Fail(std::string why) { failure_ = std::move(why); }
  // In a catch block; also when there is no memory for a word about it.
  void FailForWhatIsThrown() noexcept;

  // Begins to write the state as the last step left it.  It goes on before rows change what is not
  // written yet, and with ContinueSnapshot, which writes more until `stop` says so, and is true
  // once all is written.  REQUIRES: between two steps; it has not failed, and no snapshot is under
  // way.
  using Stop = StopSnapshot;
  void BeginSnapshot(std::unique_ptr<SnapshotSection> section);
  bool ContinueSnapshot(const Stop& stop);
  bool IsInSnapshot() const { return snapshot_ != nullptr; }
  // Of the last snapshot: it was written in pieces, not as a whole by Save.
  bool WritesPieces() const { return writes_pieces_; }
  // What steps took to write what they were about to change, in this thread since the last call.
  static Micros TakeTimeForSnapshots();
  void GiveUpSnapshot();
  void SetAppendOnly(bool append_only) { append_only_ = append_only; }

 protected:
  // REQUIRES: rows of types(); none goes where append_only().
  void Emit(duckdb::DataChunk& rows, const int64_t* weights);
  // For an operator that says itself who gets what: hands rows to one, and counts what it gave.
  void HandTo(const Edge& edge, duckdb::DataChunk& rows, const int64_t* weights);
  void CountOut(duckdb::idx_t rows) { statistics_.rows_out += rows; }

  // For operators whose state can be large: all that keep rows, keys or values.  BeginPieces is
  // true of one that writes in pieces: it calls BeforeChange ahead of every change, and writes what
  // is left in SavePieces, which is true once nothing is.  What it writes between two looks at
  // `stop` must be small whatever there is under one key.  EndPieces frees what that took.
  virtual bool BeginPieces(StateWriter& writer) { return false; }
  virtual bool SavePieces(StateWriter& writer, const Stop& stop) { return true; }
  virtual void EndPieces() {}
  template <class Write>
  void BeforeChange(Write write) {
    if (snapshot_) [[unlikely]] {
      uint64_t begun = WriteBegins();
      InSnapshot([&] { write(snapshot_->writer()); });
      WriteEnds(begun);
    }
  }

  // Adds to the failed rows (takes from them when `weight` is negative).
  void Reject(std::string row, int64_t weight, const ExpressionFailed& why);
  void Reject(const FailedRow& row, int64_t weight);
  FailedRow Failure(std::string row, const ExpressionFailed& why) const;
  static std::string ValuesOf(duckdb::DataChunk& rows, duckdb::idx_t row);

 private:
  template <class Work>
  void Measured(Work work);
  template <class Work>
  void NotOurs(Work work);
  void WriteBeforeNews();
  static uint64_t WriteBegins();
  static void WriteEnds(uint64_t begun);
  template <class Work>
  void InSnapshot(Work work);
  void PushParts(size_t port, duckdb::DataChunk& rows, const int64_t* weights,
                 const ExpressionFailed& why);

  std::string name_;
  RowTypes types_;
  bool append_only_;
  std::unique_ptr<FilterRouter> router_;  // for `outputs`, where they are many
  bool router_is_current_ = false;
  bool has_news_ = true;  // also in its first step, for what is there without any row
  Statistics statistics_;
  std::string failure_;
  std::unique_ptr<FailedRows> failed_rows_;
  std::unique_ptr<SnapshotSection> snapshot_;  // while one is under way
  bool writes_pieces_ = false;
};

// What cannot be written costs the snapshot, not the operator.
template <class Work>
void Operator::InSnapshot(Work work) {
  try {
    work();
  } catch (...) {
    GiveUpSnapshot();
  }
}

inline duckdb::vector<duckdb::LogicalType> DuckTypes(const RowTypes& types) {
  return duckdb::vector<duckdb::LogicalType>(types.begin(), types.end());
}

}  // namespace weir
