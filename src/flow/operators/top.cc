// ORDER BY ... LIMIT k OFFSET m: all rows in order, with weights; a step emits the difference
// between the window it showed and the one it shows now.  While input only grows, rows that can
// never be among the first m + k are not kept.  Ties are broken by the whole row, so the answer is
// determined.
#include <map>
#include <optional>

#include "base/error.h"
#include "duck/evaluator.h"
#include "duck/row_codec.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "flow/operators/operators.h"
#include "flow/operators/sort_order.h"
#include "flow/row_buffer.h"
#include "flow/state/allocated.h"
#include "flow/state/weights.h"

namespace weir {
namespace {

std::vector<ExpressionPtr> Expressions(const std::vector<SortKey>& order) {
  std::vector<ExpressionPtr> expressions;
  for (auto& key : order) expressions.push_back(key.by);
  return expressions;
}

class Top : public Operator {
 public:
  Top(SessionPtr session, std::vector<SortKey> order, std::optional<uint64_t> limit,
      uint64_t offset, RowTypes types, bool append_only)
      : Operator("top", std::move(types), false),
        keys_(std::move(session), Expressions(order)),
        key_codec_(keys_.types(), Directions(order)),
        row_codec_(this->types()),
        limit_(limit),
        offset_(offset),
        prune_(append_only && limit.has_value()),
        out_(this->types()) {
    decoded_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(this->types()), 1);
    if (!prune_) {
      upkeep.Add(Upkeep::Rung::kClosedForm,
                 limit_ ? "its input has rows that go, so all rows are kept in order: any may come "
                          "up"
                        : "without LIMIT all rows are kept in order");
    }
  }

  void Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) override {
    auto& keys = key_codec_.Encode(keys_.Run(rows));
    auto& encoded = row_codec_.Encode(rows);
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      Add({std::string(keys[i]), std::string(encoded[i])}, weights ? weights[i] : 1);
    }
    changed_ = true;
    if (prune_) Prune();
  }

  void Flush() override {
    if (!changed_) return;
    changed_ = false;
    auto now = Shown();
    auto emit = [&](duckdb::DataChunk& rows, const int64_t* weights) { Emit(rows, weights); };
    for (auto& [row, weight] : shown_) {
      auto found = now.find(row);
      int64_t change = (found == now.end() ? 0 : found->second) - weight;
      if (change < 0) EmitRow(row, change, emit);
    }
    for (auto& [row, weight] : now) {
      auto found = shown_.find(row);
      int64_t change = weight - (found == shown_.end() ? 0 : found->second);
      if (change > 0) EmitRow(row, change, emit);
    }
    out_.Flush(emit);
    shown_ = std::move(now);
    CountShown();
  }

  void CheckInvariants() const override {
    Operator::CheckInvariants();
    size_t bytes = 0;
    for (auto& [position, weight] : rows_) {
      CHECK(weight != 0);
      bytes += Size(position);
    }
    CHECK(bytes == bytes_ && (!prune_ || rows_.size() <= offset_ + *limit_));
    CHECK(changed_ || shown_ == Shown());
  }
  bool HasState() const override { return true; }
  size_t StateBytes() const override { return bytes_ + shown_bytes_; }

  void Load(StateReader& reader) override {
    std::vector<Position> absent;
    while (reader.Get<bool>()) {
      std::string key(reader.GetString());
      Position position{std::move(key), std::string(reader.GetString())};
      auto weight = reader.Get<int64_t>();
      auto [entry, is_first] = rows_.try_emplace(std::move(position), weight);
      if (!is_first) continue;  // the first record counts
      bytes_ += Size(entry->first);
      if (weight == 0) absent.push_back(entry->first);
    }
    for (auto& position : absent) Add(position, 0);
    shown_ = Shown();
    CountShown();
  }

 private:
  struct Position {
    std::string key, row;
    auto operator<=>(const Position&) const = default;
  };

  // ---- saved: rows in order, and before that those that change, each time they do; of the records
  // of a row the first counts.  What is shown follows from them.

  bool BeginPieces(StateWriter&) override {
    last_written_.reset();
    return true;
  }
  bool SavePieces(StateWriter& writer, const Stop& stop) override {
    constexpr size_t kAtOnce = 64;
    size_t looked = 0;
    auto row = last_written_ ? rows_.upper_bound(*last_written_) : rows_.begin();
    for (; row != rows_.end(); ++row) {
      SaveNow(writer, row->first, row->second);
      if (++looked % kAtOnce != 0 || !stop()) continue;
      last_written_ = row->first;
      return false;
    }
    writer.Put(false);
    return true;
  }
  static void SaveNow(StateWriter& writer, const Position& position, int64_t weight) {
    writer.Put(true);
    writer.PutString(position.key);
    writer.PutString(position.row);
    writer.Put(weight);
  }
  // `weight`: 0 of one that was not there.
  void SaveBefore(const Position& position, int64_t weight) {
    BeforeChange([&](StateWriter& writer) {
      if (!last_written_ || *last_written_ < position) SaveNow(writer, position, weight);
    });
  }

  // The rows of the window, and how often each is there.
  std::map<std::string, int64_t> Shown() const {
    std::map<std::string, int64_t> now;
    uint64_t skip = offset_;
    uint64_t room = limit_.value_or(UINT64_MAX);
    for (auto& [position, weight] : rows_) {
      if (room == 0) break;
      uint64_t copies = weight > 0 ? static_cast<uint64_t>(weight) : 0;
      uint64_t skipped = std::min(skip, copies);
      skip -= skipped;
      uint64_t taken = std::min(room, copies - skipped);
      room -= taken;
      if (taken) now[position.row] += static_cast<int64_t>(taken);
    }
    return now;
  }

  void Add(Position position, int64_t weight) {
    auto [entry, added] = rows_.try_emplace(std::move(position), 0);
    if (added) bytes_ += Size(entry->first);
    SaveBefore(entry->first, entry->second);
    AddWeight(entry->second, weight);
    if (entry->second == 0) {
      bytes_ -= Size(entry->first);
      rows_.erase(entry);
    }
  }
  static size_t Size(const Position& position) {
    return TreeNodeBytes<std::pair<const Position, int64_t>>() + TextBytes(position.key.size()) +
           TextBytes(position.row.size());
  }
  void CountShown() {
    shown_bytes_ = 0;
    for (auto& [row, weight] : shown_) {
      shown_bytes_ += TreeNodeBytes<decltype(shown_)::value_type>() + TextBytes(row.size());
    }
  }

  // Each entry stands for at least one row, so the first offset + limit entries are enough.
  void Prune() {
    while (rows_.size() > offset_ + *limit_) {
      auto last = std::prev(rows_.end());
      SaveBefore(last->first, last->second);
      bytes_ -= Size(last->first);
      rows_.erase(last);
    }
  }

  template <class EmitRows>
  void EmitRow(const std::string& row, int64_t weight, EmitRows emit) {
    decoded_.Reset();
    row_codec_.Decode(row, decoded_, 0);
    decoded_.SetCardinality(1);
    for (duckdb::idx_t column = 0; column < decoded_.ColumnCount(); column++) {
      duckdb::VectorOperations::Copy(decoded_.data[column], out_.chunk().data[column], 1, 0,
                                     out_.next());
    }
    out_.Added(weight, emit);
  }

  Evaluator keys_;
  RowCodec key_codec_, row_codec_;
  std::optional<uint64_t> limit_;
  uint64_t offset_;
  bool prune_;
  bool changed_ = false;
  std::map<Position, int64_t> rows_;
  std::map<std::string, int64_t> shown_;
  size_t bytes_ = 0, shown_bytes_ = 0;
  std::optional<Position> last_written_;  // of a snapshot
  duckdb::DataChunk decoded_;
  RowBuffer out_;
};

}  // namespace

std::unique_ptr<Operator> MakeTop(SessionPtr session, std::vector<SortKey> order,
                                  std::optional<uint64_t> limit, uint64_t offset, RowTypes types,
                                  bool append_only) {
  return std::make_unique<Top>(std::move(session), std::move(order), limit, offset,
                               std::move(types), append_only);
}

}  // namespace weir
