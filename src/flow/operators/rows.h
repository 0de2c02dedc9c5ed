// The rows of an input, kept once for all indexes over them ("rows" in EXPLAIN).
//
// A chunk of changes goes its way in one go: rows get their places, with weight 0 where they are
// new; every index (arrange.h) looks up their keys and links them; all readers of the indexes are
// told, in the order of the circuit; then only are the weights changed.  So when a reader hears of
// a change of one input, another input stands where the last chunk left it that the reader has
// heard of, however joins lie above one another: were a chunk of it under way, the reader would be
// above one of those who are being told, and so told later itself.  That is the product rule of
// changes (DBSP, section 4) for any number of inputs.  A reader that looks into the same rows from
// several ports asks for weights with the change at hand or without it.
//
// Rows whose weight is 0 at the end of a step go with the first chunk of the next one: until then
// readers that settle things in Flush still find them.
//
// Rows that end (by a watermark) are forgotten once they are over, without a word to anybody: those
// who look at them have no more to ask of them.  They stand in a heap by their ends.
//
// Cost of a change: a copy; where rows go, a look-up by the whole row.  State: the rows; 16 bytes
// more for one that ends.
#pragma once

#include <optional>

#include "duck/evaluator.h"
#include "flow/operator.h"
#include "flow/operators/operators.h"
#include "flow/state/row_store.h"
#include "flow/state/rows_to_write.h"

namespace weir {

class RowIndex;

class InputRows : public Operator {
 public:
  InputRows(RowTypes types, bool append_only);
  // Rows that only come, and end; then the second input is the watermark.
  InputRows(RowTypes types, const SessionPtr& session, const Expiry& expiry);

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override;
  void Flush() override;
  void OutputsChanged() override;
  bool HasState() const override { return true; }
  std::vector<RowStore*> RowStores() override { return {&store_}; }
  size_t StateBytes() const override;
  void Load(StateReader& reader) override;
  void Loaded() override { std::vector<RowRef>().swap(loaded_); }
  std::string TextOf(duckdb::DataChunk& rows, duckdb::idx_t row) const override;
  void CheckInvariants() const override;

  const RowStore& store() const { return store_; }
  // Of the chunk at hand: each row's place, and whether it came into it with this chunk.
  const RowRef* refs() const { return refs_; }
  bool is_new(duckdb::idx_t row) const { return is_new_[row]; }
  // Between Load and Loaded: the row that had the number when it was saved, or kNoRow.
  RowRef LoadedAt(uint32_t number) const {
    return number < loaded_.size() ? loaded_[number] : kNoRow;
  }
  // How often a row is there, without the chunk at hand or with it.
  int64_t WeightOf(RowRef ref, bool with_change = false) const {
    return store_.WeightOf(ref) + (with_change ? ChangeOf(ref) : 0);
  }

 private:
  struct Reader {
    Edge edge;
    const RowIndex* index;
  };
  struct End {
    Micros end;
    RowRef ref;
    bool operator>(const End& other) const { return end > other.end; }
  };
  void FindReaders();
  void Forget();
  void NoteEnds(duckdb::DataChunk& rows, const RowRef* refs);
  void ForgetThoseOver();
  int64_t ChangeOf(RowRef ref) const;
  bool BeginPieces(StateWriter& writer) override;
  bool SavePieces(StateWriter& writer, const Stop& stop) override;
  void EndPieces() override { to_write_.End(); }
  void SaveNow(StateWriter& writer, RowRef ref) const;
  void SaveBefore(RowRef ref);

  RowStore store_;
  std::vector<Reader> readers_;
  bool readers_are_current_ = false, is_step_over_ = false;
  std::vector<RowRef> gone_;  // whose weight came to 0 in this step

  std::unique_ptr<Evaluator> end_;  // null: rows do not end
  Micros lateness_ = 0;
  std::vector<End> ends_;            // a heap, the first to end on top
  std::optional<Micros> watermark_;  // as the last step left it: nothing of it is under way

  RowsToWrite to_write_;
  std::vector<RowRef> loaded_;

  RowRef refs_[STANDARD_VECTOR_SIZE];
  bool is_new_[STANDARD_VECTOR_SIZE];
  duckdb::idx_t count_ = 0;  // of the chunk at hand
  const int64_t* weights_ = nullptr;
  mutable std::vector<std::pair<RowRef, int64_t>> change_;  // in order; made when asked for
};

// What stands on kept rows: an index by key (arrange.h), or one in order (ordered_index.h).  It is
// told of a chunk before its readers are, and has what it made of the chunk ready for them.  It
// keeps nothing that the rows do not tell, so a checkpoint has the rows only.
class RowIndex : public Operator {
 public:
  using Operator::Operator;

  InputRows& rows() const { return static_cast<InputRows&>(*inputs[0]); }
  void OutputsChanged() override;
  bool HasState() const override { return true; }
  void Load(StateReader& reader) override { Rebuild(); }
  void InputsReplaced() override { Rebuild(); }

  // What kept rows call: row `row` of the chunk at hand is there no more, unless it comes back
  // before Forget, which takes such rows from the index.
  virtual void IsGone(duckdb::idx_t row) = 0;
  virtual void Forget() = 0;
  // Takes rows that are there from the index; between two chunks.
  void Forget(const std::vector<RowRef>& refs);

 protected:
  // Of all rows, and of those of a chunk; what fails on some of them has been said before.
  virtual void Clear() = 0;
  virtual void PutIn(duckdb::DataChunk& rows, const RowRef* refs) = 0;
  virtual void TakeOut(duckdb::DataChunk& rows, const RowRef* refs) = 0;

 private:
  void Rebuild();  // of the rows that are there, when they are others than before
};

}  // namespace weir
