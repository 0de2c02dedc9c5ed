// WITH RECURSIVE, kept by the change.
//
// The recursive term is a circuit of its own, whose state holds all rows of the recursion so far:
// new rows of the recursion meet what is there of the other inputs, new rows of those meet the rows
// of the recursion, and what comes out goes in again until nothing does (semi-naive evaluation;
// Bancilhon 1986).  That is the answer because the term is linear in the recursion (checked by
// duck/translate_recursion.cc): the rows of all rounds together give what each round by itself
// does.
//
//  - UNION ALL: rows that go take what came of them with them, by weights.
//  - UNION: a row that goes may have been reached in other ways, even by itself.  Then all is
//    computed again from the inputs' rows, which are kept for that where rows can go, and the
//    difference is shown.
//
// Cost: by what changes.  State: that of the term's operators, and each row of a UNION once.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "duck/constant.h"
#include "duck/errors.h"
#include "duck/row_codec.h"
#include "flow/circuit.h"
#include "flow/row_buffer.h"
#include "flow/state/allocated.h"
#include "flow/state/row_store.h"
#include "flow/state/rows_to_write.h"
#include "flow/state/weights.h"
#include "io/process/busy_file.h"

namespace weir {
namespace {

constexpr uint64_t kRoundsMax = 1'000'000;

class Recursion : public Operator {
 public:
  explicit Recursion(RecursionSpec spec, bool append_only)
      : Operator("recursion", spec.types, append_only),
        spec_(std::move(spec)),
        codec_(types()),
        out_(types()) {
    term_ = spec_.make_term();
    if (!spec_.keeps_copies && !append_only) {
      for (auto& input : spec_.inputs) rows_.push_back(std::make_unique<InputOf>(input));
    }
  }

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override {
    CHECK(port <= term_.inputs.size() && (rows_.empty() || port < rows_.size()));
    is_touched_ = true;
    if (!rows_.empty()) {
      Keep(static_cast<uint32_t>(port), rows, weights);
      if (starts_again_) return;
    }
    if (port > 0) return Feed(*term_.inputs[port - 1], rows, weights);
    auto& encoded = codec_.Encode(rows);
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      AddWeight(come_[std::string(encoded[i])], weights ? weights[i] : 1);
    }
  }

  void Flush() override {
    if (!is_touched_ && has_begun_) return;
    is_touched_ = false;
    has_begun_ = true;
    if (!starts_again_ && !GoOn()) starts_again_ = true;
    if (starts_again_) StartAgain();
    starts_again_ = false;
    out_.Flush([&](duckdb::DataChunk& rows, const int64_t* weights) { Emit(rows, weights); });
    TakeFailedRows();
  }

  void CheckInvariants() const override {
    Operator::CheckInvariants();
    term_.circuit->CheckInvariants();
    for (auto& op : term_.circuit->operators()) op->CheckInvariants();
    for (auto& input : rows_) input->rows.CheckInvariants();
    CHECK(come_.empty() && !starts_again_ && !is_silent_);
    CHECK(known_.size() == known_in_order_.size());
    size_t bytes = 0;
    for (auto* row : known_in_order_) {
      CHECK(known_.contains(*row));
      bytes += KnownBytes(*row);
    }
    CHECK(bytes == known_bytes_);
  }
  bool HasState() const override { return true; }
  bool CanSave() const override {
    for (auto& op : term_.circuit->operators()) {
      if (op->HasState() && !op->CanSave()) return false;
    }
    return true;
  }
  std::vector<RowStore*> RowStores() override {
    std::vector<RowStore*> stores;
    for (auto& input : rows_) stores.push_back(&input->rows);
    return stores;
  }
  size_t StateBytes() const override {
    size_t bytes = known_bytes_ + known_in_order_.capacity() * sizeof(const std::string*);
    for (auto& input : rows_) bytes += input->rows.Bytes();
    for (auto& op : term_.circuit->operators()) bytes += op->StateBytes();
    return bytes;
  }
  std::vector<Operator*> Inner() const override {
    std::vector<Operator*> inner;
    for (auto& op : term_.circuit->operators()) inner.push_back(op.get());
    return inner;
  }
  // The term's operators are loaded by whoever loads us.
  void Load(StateReader& reader) override {
    has_begun_ = reader.Get<bool>();
    for (auto at = reader.Get<uint32_t>(); at != kEnd; at = reader.Get<uint32_t>()) {
      if (at == kKnown) {
        Know(std::string(reader.GetString()));
      } else if (at < rows_.size()) {
        rows_[at]->rows.LoadRow(reader);
      } else {
        StateReader::Bad();
      }
    }
  }
  void Loaded() override {
    for (auto& op : term_.circuit->operators()) op->Loaded();
  }

 private:
  using Rows = std::unordered_map<std::string, int64_t>;
  // The rows of an input from which rows can go.
  struct InputOf {
    explicit InputOf(const RowTypes& types) : rows(types, true, RowStore::Lists::kUnlisted) {}
    RowStore rows;
    RowsToWrite to_write;
  };

  // ---- saved: known rows in the order in which they came, rows of inputs in any order.  Known
  // rows only come, until all starts again.

  static constexpr uint32_t kEnd = UINT32_MAX, kKnown = UINT32_MAX - 1;

  bool BeginPieces(StateWriter& writer) override {
    writer.Put(has_begun_);
    known_written_ = 0;
    known_to_write_ = known_in_order_.size();
    for (auto& input : rows_) input->to_write.Begin(input->rows);
    return true;
  }
  bool SavePieces(StateWriter& writer, const Stop& stop) override {
    if (!SaveKnown(writer, stop)) return false;
    for (uint32_t i = 0; i < rows_.size(); i++) {
      auto& input = *rows_[i];
      auto write = [&](RowRef ref) { SaveNow(writer, i, ref); };
      if (!input.to_write.Continue(input.rows, write, stop)) return false;
    }
    for (auto& op : term_.circuit->operators()) {
      if (!op->ContinueSnapshot(stop)) return false;
    }
    writer.Put(kEnd);
    return true;
  }
  void EndPieces() override {
    for (auto& input : rows_) input->to_write.End();
    for (auto& op : term_.circuit->operators()) op->GiveUpSnapshot();
  }
  bool SaveKnown(StateWriter& writer, const Stop& stop) {
    constexpr size_t kAtOnce = 64;
    while (known_written_ < known_to_write_) {
      writer.Put(kKnown);
      writer.PutString(*known_in_order_[known_written_]);
      if (++known_written_ % kAtOnce == 0 && stop()) return false;
    }
    return true;
  }
  void SaveNow(StateWriter& writer, uint32_t input, RowRef ref) const {
    auto& rows = rows_[input]->rows;
    if (rows.WeightOf(ref) == 0) return;  // it comes just now
    writer.Put(input);
    rows.SaveRow(writer, ref);
  }

  void Keep(uint32_t port, duckdb::DataChunk& rows, const int64_t* weights) {
    auto& input = *rows_[port];
    RowRef refs[STANDARD_VECTOR_SIZE];
    bool is_new[STANDARD_VECTOR_SIZE];
    input.rows.FindOrAdd(rows, refs, is_new);
    BeforeChange([&](StateWriter& writer) {
      for (duckdb::idx_t i = 0; i < rows.size(); i++) {
        if (input.to_write.Claim(input.rows, refs[i])) SaveNow(writer, port, refs[i]);
      }
    });
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      int64_t weight = weights ? weights[i] : 1;
      AddWeight(input.rows.WeightOf(refs[i]), weight);
      if (weight < 0) starts_again_ = true;
    }
    std::sort(refs, refs + rows.size());
    auto* end = std::unique(refs, refs + rows.size());
    for (auto* ref = refs; ref != end; ++ref) {
      if (input.rows.WeightOf(*ref) == 0) input.rows.Remove(*ref);
    }
  }

  static size_t KnownBytes(const std::string& row) {
    return HashNodeBytes<std::string>() + TextBytes(row.size());
  }

  bool Know(std::string row) {
    auto [known, is_new] = known_.insert(std::move(row));
    if (!is_new) return false;
    known_bytes_ += KnownBytes(*known);
    known_in_order_.push_back(&*known);
    return true;
  }

  // Feeds rows to a source, whose hidden columns nobody reads.
  static void Feed(SourceOperator& source, duckdb::DataChunk& rows, const int64_t* weights) {
    duckdb::DataChunk wide;
    wide.InitializeEmpty(DuckTypes(source.types()));
    for (duckdb::idx_t i = 0; i < wide.ColumnCount(); i++) {
      if (i < rows.ColumnCount()) {
        wide.data[i].Reference(rows.data[i]);
      } else {
        SetNull(wide.data[i]);
      }
    }
    wide.SetCardinality(rows.size());
    source.Receive(0, wide, weights);
  }
  // To the recursion itself.
  void FeedRows(const Rows& rows) {
    RowBuffer buffer(types());
    auto feed = [&](duckdb::DataChunk& chunk, const int64_t* weights) {
      Feed(*term_.recursion, chunk, weights);
    };
    for (auto& [row, weight] : rows) {
      codec_.Decode(row, buffer.chunk(), buffer.next());
      buffer.Added(weight, feed);
    }
    buffer.Flush(feed);
  }

  // Rounds until no new row comes; false: a row of a UNION went.
  bool GoOn() {
    for (auto& op : term_.circuit->operators()) op->busy_as = busy_as;
    for (uint64_t round = 0;; round++) {
      StopIfInterrupted();
      term_.circuit->Flush();
      for (auto& op : term_.circuit->operators()) {
        if (!op->failure().empty()) throw Error(ErrorCode::kQueryFailed, op->failure());
      }
      term_.output->Take([&](std::string_view row, int64_t weight) {
        AddWeight(come_[std::string(row)], weight);
      });
      Rows fresh;
      for (auto& [row, weight] : come_) {
        if (weight == 0) continue;
        if (!spec_.keeps_copies) {
          if (weight < 0) return false;
          if (!Know(row)) continue;
          fresh[row] = 1;
        } else {
          fresh[row] = weight;
        }
      }
      come_.clear();
      if (fresh.empty()) return true;
      if (round == kRoundsMax) {
        throw Error(ErrorCode::kQueryFailed,
                    "a recursion does not end after " + std::to_string(kRoundsMax) + " rounds",
                    "Use UNION instead of UNION ALL, or count the rounds and stop.");
      }
      if (!is_silent_) {
        for (auto& [row, weight] : fresh) Show(row, weight);
      }
      FeedRows(fresh);
    }
  }

  void StartAgain() {
    if (rows_.empty()) {
      throw Error(ErrorCode::kInternal, "a recursion over growing inputs lost a row");
    }
    if (failed_rows()) failed_rows()->WithdrawAll();
    BeforeChange([&](StateWriter& writer) {  // as much as is computed below
      auto never = [] { return false; };
      SaveKnown(writer, never);
      for (auto& op : term_.circuit->operators()) op->ContinueSnapshot(never);
    });
    term_ = spec_.make_term();
    come_.clear();
    auto before = std::move(known_);
    known_.clear();
    known_in_order_.clear();
    known_bytes_ = 0;
    rows_[0]->rows.ForEachChunk([&](duckdb::DataChunk& rows, const RowRef* refs) {
      auto& encoded = codec_.Encode(rows);
      for (duckdb::idx_t i = 0; i < rows.size(); i++) {
        come_[std::string(encoded[i])] = rows_[0]->rows.WeightOf(refs[i]);
      }
    });
    for (size_t port = 1; port < rows_.size(); port++) {
      auto& input = rows_[port]->rows;
      input.ForEachChunk([&](duckdb::DataChunk& rows, const RowRef* refs) {
        int64_t weights[STANDARD_VECTOR_SIZE];
        for (duckdb::idx_t i = 0; i < rows.size(); i++) weights[i] = input.WeightOf(refs[i]);
        Feed(*term_.inputs[port - 1], rows, weights);
      });
    }
    is_silent_ = true;
    bool grew = GoOn();
    is_silent_ = false;
    if (!grew) {
      throw Error(ErrorCode::kQueryFailed, "a recursive query takes rows back in its own rounds");
    }
    for (auto& row : before) {
      if (!known_.contains(row)) Show(row, -1);
    }
    for (auto& row : known_) {
      if (!before.contains(row)) Show(row, 1);
    }
  }

  void Show(const std::string& row, int64_t weight) {
    codec_.Decode(row, out_.chunk(), out_.next());
    out_.Added(weight,
               [&](duckdb::DataChunk& rows, const int64_t* weights) { Emit(rows, weights); });
  }

  // Rows that expressions of the term fail on are ours.
  void TakeFailedRows() {
    for (auto& op : term_.circuit->operators()) {
      if (!op->failed_rows() || !op->failed_rows()->HasChanges()) continue;
      op->failed_rows()->TakeChanges(
          {}, [&](const FailedRow& row, Offset, int64_t count) { Reject(row, count); });
    }
  }

  RecursionSpec spec_;
  RecursionTerm term_;
  RowCodec codec_;
  RowBuffer out_;
  Rows come_;                                       // of this round
  std::unordered_set<std::string> known_;           // of a UNION
  std::vector<const std::string*> known_in_order_;  // its rows, as they came
  size_t known_bytes_ = 0;
  size_t known_written_ = 0, known_to_write_ = 0;  // of a snapshot
  std::vector<std::unique_ptr<InputOf>> rows_;     // by port; none where no row goes
  bool is_touched_ = false, has_begun_ = false, starts_again_ = false, is_silent_ = false;
};

}  // namespace

std::unique_ptr<Operator> MakeRecursion(RecursionSpec spec) {
  bool append_only = spec.inputs_only_grow && spec.term_only_grows;
  return std::make_unique<Recursion>(std::move(spec), append_only);
}

}  // namespace weir
