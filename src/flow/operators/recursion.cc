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
#include <unordered_map>
#include <unordered_set>

#include "duck/constant.h"
#include "duck/errors.h"
#include "duck/row_codec.h"
#include "flow/allocated.h"
#include "flow/circuit.h"
#include "flow/row_buffer.h"
#include "flow/weights.h"
#include "io/busy_file.h"

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
      for (size_t i = 0; i < spec_.inputs.size(); i++) {
        codecs_.emplace_back(std::make_unique<RowCodec>(spec_.inputs[i]));
      }
      rows_.resize(spec_.inputs.size());
    }
  }

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override {
    is_touched_ = true;
    if (!rows_.empty()) {
      auto& encoded = codecs_[port]->Encode(rows);
      for (duckdb::idx_t i = 0; i < rows.size(); i++) {
        int64_t weight = weights ? weights[i] : 1;
        auto [entry, added] = rows_[port].try_emplace(std::string(encoded[i]), 0);
        AddWeight(entry->second, weight);
        if (added) bytes_ += BytesOf(entry->first);
        if (weight < 0) starts_again_ = true;
        if (entry->second == 0) {
          bytes_ -= BytesOf(entry->first);
          rows_[port].erase(entry);
        }
      }
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

  bool HasState() const override { return true; }
  bool CanSave() const override {
    for (auto& op : term_.circuit->operators()) {
      if (op->HasState() && !op->CanSave()) return false;
    }
    return true;
  }
  size_t StateBytes() const override {
    size_t bytes = bytes_;
    for (auto& op : term_.circuit->operators()) bytes += op->StateBytes();
    return bytes;
  }
  void Save(StateWriter& writer) const override {
    writer.Put(has_begun_);
    writer.Put<uint64_t>(known_.size());
    for (auto& row : known_) writer.PutString(row);
    for (auto& rows : rows_) {
      writer.Put<uint64_t>(rows.size());
      for (auto& [row, weight] : rows) {
        writer.PutString(row);
        writer.Put(weight);
      }
    }
    for (auto& op : term_.circuit->operators()) {
      if (op->HasState()) op->Save(writer);
    }
  }
  void Load(StateReader& reader) override {
    has_begun_ = reader.Get<bool>();
    for (auto left = reader.Get<uint64_t>(); left > 0; left--)
      Know(std::string(reader.GetString()));
    for (auto& rows : rows_) {
      for (auto left = reader.Get<uint64_t>(); left > 0; left--) {
        std::string row(reader.GetString());
        bytes_ += BytesOf(row);
        rows[std::move(row)] = reader.Get<int64_t>();
      }
    }
    for (auto& op : term_.circuit->operators()) {
      if (op->HasState()) op->Load(reader);
    }
    for (auto& op : term_.circuit->operators()) op->Loaded();
  }

 private:
  using Rows = std::unordered_map<std::string, int64_t>;
  static size_t BytesOf(const std::string& row) {
    return HashNodeBytes<Rows::value_type>() + TextBytes(row.size());
  }

  static size_t KnownBytes(const std::string& row) {
    return HashNodeBytes<std::string>() + TextBytes(row.size());
  }

  bool Know(std::string row) {
    auto [known, is_new] = known_.insert(std::move(row));
    if (is_new) bytes_ += KnownBytes(*known);
    return is_new;
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
  void FeedRows(SourceOperator& source, const RowCodec& codec, const RowTypes& types,
                const Rows& rows) {
    RowBuffer buffer(types);
    auto feed = [&](duckdb::DataChunk& chunk, const int64_t* weights) {
      Feed(source, chunk, weights);
    };
    for (auto& [row, weight] : rows) {
      codec.Decode(row, buffer.chunk(), buffer.next());
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
      FeedRows(*term_.recursion, codec_, types(), fresh);
    }
  }

  void StartAgain() {
    if (rows_.empty()) {
      throw Error(ErrorCode::kInternal, "a recursion over growing inputs lost a row");
    }
    if (failed_rows()) failed_rows()->WithdrawAll();
    term_ = spec_.make_term();
    come_.clear();
    auto before = std::move(known_);
    known_.clear();
    for (auto& row : before) bytes_ -= KnownBytes(row);
    for (auto& [row, weight] : rows_[0]) come_[row] = weight;
    for (size_t i = 1; i < rows_.size(); i++) {
      FeedRows(*term_.inputs[i - 1], *codecs_[i], spec_.inputs[i], rows_[i]);
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
  Rows come_;                              // of this round
  std::unordered_set<std::string> known_;  // of a UNION
  // Of inputs whose rows can go, by port.
  std::vector<std::unique_ptr<RowCodec>> codecs_;
  std::vector<Rows> rows_;
  size_t bytes_ = 0;
  bool is_touched_ = false, has_begun_ = false, starts_again_ = false, is_silent_ = false;
};

}  // namespace

std::unique_ptr<Operator> MakeRecursion(RecursionSpec spec) {
  bool append_only = spec.inputs_only_grow && spec.term_only_grows;
  return std::make_unique<Recursion>(std::move(spec), append_only);
}

}  // namespace weir
