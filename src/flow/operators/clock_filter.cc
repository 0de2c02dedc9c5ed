// Rows for which f(row) COMPARISON g(clock) holds, as time goes by.
//
// Rows are kept ordered by f(row).  When g moves, the rows between its old and its new value enter
// or leave; nothing else is looked at, so a step costs by what changes.  This is right whichever
// way g moves.  When g never goes back (the usual case), or only by so much, rows that have left
// for good are not kept, and rows that are in for good are not kept either.
#include <map>
#include <optional>
#include <tuple>

#include "base/error.h"
#include "duck/evaluator.h"
#include "duck/row_codec.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "flow/operators/operators.h"
#include "flow/row_buffer.h"
#include "flow/state/allocated.h"
#include "flow/state/weights.h"

namespace weir {
namespace {

class ClockFilter : public Operator {
 public:
  ClockFilter(SessionPtr session, ClockFilterSpec spec, RowTypes input, RowTypes output,
              bool append_only)
      : Operator("clock filter", output, append_only),
        spec_(std::move(spec)),
        clock_(session, {spec_.predicate.clock}),
        key_codec_({KeyType()}),
        row_codec_(output),
        out_(output) {
    if (!spec_.by_last_column) {
      key_evaluator_ = std::make_unique<Evaluator>(session, std::vector{spec_.predicate.row});
    }
    keys_.InitializeEmpty(DuckTypes({KeyType()}));
    rows_.InitializeEmpty(DuckTypes(output));
    decoded_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(output), 1);
  }

  bool WantsClock() const override { return true; }

  void SetClock(Micros now) override {
    clock_.session().SetClock(now);
    duckdb::Value value = clock_.RunOnce();
    std::string bound = value.IsNull() ? std::string() : key_codec_.Encode(value);
    if (has_clock_ && bound == bound_) return;
    settled_below_ = SettledBelow(value);
    std::string before = std::exchange(bound_, bound);
    has_clock_ = true;
    if (kept_.empty()) return;
    auto emit = [&](duckdb::DataChunk& rows, const int64_t* weights) { Emit(rows, weights); };
    // Only keys between the two bounds, inclusive, can change sides.
    auto from = kept_.lower_bound(std::min(before, bound_));
    std::string high = std::max(before, bound_);
    if (spec_.predicate.comparison == Comparison::kNotEqual && (before.empty() || bound_.empty())) {
      from = kept_.begin();
      high = kept_.rbegin()->first;
    }
    while (from != kept_.end() && from->first <= high) {
      bool was = Holds(from->first, before);
      bool is = Holds(from->first, bound_);
      if (was != is) {
        for (auto& [row, weight] : from->second) EmitRow(row, is ? weight : -weight, emit);
      }
      if (Settled(from->first)) {
        from = Forget(from);
      } else {
        ++from;
      }
    }
    out_.Flush(emit);
    // Where g may go back, the rows that have left for good are behind those that have left.
    while (!kept_.empty() && kept_.begin()->first < settled_below_) Forget(kept_.begin());
  }

  void Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) override {
    if (spec_.by_last_column) {
      keys_.data[0].Reference(rows.data[rows.ColumnCount() - 1]);
    } else {
      keys_.data[0].Reference(key_evaluator_->Run(rows).data[0]);
    }
    keys_.SetCardinality(rows.size());
    for (duckdb::idx_t i = 0; i < rows_.ColumnCount(); i++) rows_.data[i].Reference(rows.data[i]);
    rows_.SetCardinality(rows.size());

    duckdb::UnifiedVectorFormat nulls;
    keys_.data[0].ToUnifiedFormat(rows.size(), nulls);
    auto& keys = key_codec_.Encode(keys_);
    duckdb::SelectionVector visible(rows.size());
    duckdb::SelectionVector kept(rows.size());
    duckdb::idx_t visible_count = 0, kept_count = 0;
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      if (!nulls.validity.RowIsValid(nulls.sel->get_index(i))) continue;  // never true
      if (Holds(keys[i], bound_)) visible.set_index(visible_count++, i);
      if (!Settled(keys[i])) kept.set_index(kept_count++, i);
    }
    if (kept_count) {
      auto& encoded = row_codec_.Encode(rows_);
      for (duckdb::idx_t i = 0; i < kept_count; i++) {
        auto row = kept.get_index(i);
        Keep(std::string(keys[row]), std::string(encoded[row]), weights ? weights[row] : 1);
      }
    }
    if (visible_count == 0) return;
    if (visible_count < rows.size()) rows_.Slice(visible, visible_count);
    std::vector<int64_t> visible_weights;
    if (weights) {
      for (duckdb::idx_t i = 0; i < visible_count; i++) {
        visible_weights.push_back(weights[visible.get_index(i)]);
      }
    }
    Emit(rows_, weights ? visible_weights.data() : nullptr);
  }

  void CheckInvariants() const override {
    Operator::CheckInvariants();
    size_t bytes = 0;
    for (auto& [key, rows] : kept_) {
      CHECK(!rows.empty());
      bytes += KeyBytes(key);
      for (auto& [row, weight] : rows) {
        CHECK(weight != 0);
        bytes += BytesOf(row);
      }
    }
    CHECK(bytes == bytes_);
  }
  bool HasState() const override { return true; }
  size_t StateBytes() const override { return bytes_; }

  void Load(StateReader& reader) override {
    has_clock_ = reader.Get<bool>();
    bound_ = reader.GetString();
    std::vector<std::pair<std::string, std::string>> absent;
    for (std::string key(reader.GetString()); !key.empty(); key = reader.GetString()) {
      std::string row(reader.GetString());
      auto weight = reader.Get<int64_t>();
      auto [at, new_key] = kept_.try_emplace(key);
      if (new_key) bytes_ += KeyBytes(key);
      auto [entry, is_first] = at->second.try_emplace(row, weight);
      if (!is_first) continue;  // the first record counts
      bytes_ += BytesOf(row);
      if (weight == 0) absent.emplace_back(std::move(key), std::move(row));
    }
    for (auto& [key, row] : absent) Keep(key, row, 0);
  }

 private:
  using Rows = std::map<std::string, int64_t>;
  using Kept = std::map<std::string, Rows, std::less<>>;
  static size_t BytesOf(const std::string& row) {
    return TreeNodeBytes<Rows::value_type>() + TextBytes(row.size());
  }
  static size_t KeyBytes(const std::string& key) {
    return TreeNodeBytes<Kept::value_type>() + TextBytes(key.size());
  }

  // ---- saved: rows by key, and before that those that change, each time they do; of the records
  // of a row the first counts

  bool BeginPieces(StateWriter& writer) override {
    writer.Put(has_clock_);
    writer.PutString(bound_);
    last_written_.reset();
    return true;
  }
  bool SavePieces(StateWriter& writer, const Stop& stop) override {
    constexpr size_t kAtOnce = 64;
    size_t looked = 0;
    auto at = last_written_ ? kept_.lower_bound(last_written_->first) : kept_.begin();
    for (; at != kept_.end(); ++at) {
      bool goes_on = last_written_ && at->first == last_written_->first;
      auto row = goes_on ? at->second.upper_bound(last_written_->second) : at->second.begin();
      for (; row != at->second.end(); ++row) {
        SaveNow(writer, at->first, row->first, row->second);
        if (++looked % kAtOnce != 0 || !stop()) continue;
        last_written_.emplace(at->first, row->first);
        return false;
      }
    }
    writer.PutString("");
    return true;
  }
  static void SaveNow(StateWriter& writer, const std::string& key, const std::string& row,
                      int64_t weight) {
    writer.PutString(key);
    writer.PutString(row);
    writer.Put(weight);
  }
  // `weight`: 0 of one that was not there.
  void SaveBefore(const std::string& key, const std::string& row, int64_t weight) {
    BeforeChange([&](StateWriter& writer) {
      bool is_written = last_written_ &&
                        std::tie(key, row) <= std::tie(last_written_->first, last_written_->second);
      if (!is_written) SaveNow(writer, key, row, weight);
    });
  }

  duckdb::LogicalType KeyType() const { return spec_.predicate.type; }

  bool Holds(std::string_view key, std::string_view bound) const {
    if (bound.empty()) return false;  // before the first clock reading, and NULL
    switch (spec_.predicate.comparison) {
      case Comparison::kEqual: return key == bound;
      case Comparison::kNotEqual: return key != bound;
      case Comparison::kLess: return key < bound;
      case Comparison::kLessOrEqual: return key <= bound;
      case Comparison::kGreater: return key > bound;
      case Comparison::kGreaterOrEqual: return key >= bound;
    }
    return false;
  }

  // Keys below this are on their side for good, where g goes back by so much only.
  std::string SettledBelow(const duckdb::Value& bound) {
    auto goes_back = spec_.predicate.goes_back;
    if (bound.IsNull() || !goes_back || *goes_back == 0) return "";
    switch (bound.type().id()) {
      case duckdb::LogicalTypeId::TIMESTAMP:
      case duckdb::LogicalTypeId::TIMESTAMP_TZ: {
        auto time = duckdb::timestamp_t(bound.GetValueUnsafe<int64_t>());
        if (!duckdb::Timestamp::IsFinite(time)) return "";
        time.value -= *goes_back;
        return key_codec_.Encode(bound.type().id() == duckdb::LogicalTypeId::TIMESTAMP
                                     ? duckdb::Value::TIMESTAMP(time)
                                     : duckdb::Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(time)));
      }
      case duckdb::LogicalTypeId::DATE: {
        constexpr Micros kDay = duckdb::Interval::MICROS_PER_DAY;
        auto date = bound.GetValue<duckdb::date_t>();
        if (!duckdb::Date::IsFinite(date)) return "";
        date.days -= static_cast<int32_t>((*goes_back + kDay - 1) / kDay);
        return key_codec_.Encode(duckdb::Value::DATE(date));
      }
      default: return "";
    }
  }

  // True when no later clock can change on which side the key is.
  bool Settled(std::string_view key) const {
    if (key < settled_below_) return true;
    if (spec_.predicate.goes_back != 0 || bound_.empty()) return false;
    switch (spec_.predicate.comparison) {
      case Comparison::kLessOrEqual: return key <= bound_;
      default: return key < bound_;
    }
  }

  Kept::iterator Forget(Kept::iterator at) {
    for (auto& [row, weight] : at->second) {
      SaveBefore(at->first, row, weight);
      bytes_ -= BytesOf(row);
    }
    bytes_ -= KeyBytes(at->first);
    return kept_.erase(at);
  }

  void Keep(std::string key, std::string row, int64_t weight) {
    auto [at, new_key] = kept_.try_emplace(std::move(key));
    auto& rows = at->second;
    if (new_key) bytes_ += KeyBytes(at->first);
    auto [entry, added] = rows.try_emplace(std::move(row), 0);
    if (added) bytes_ += BytesOf(entry->first);
    SaveBefore(at->first, entry->first, entry->second);
    AddWeight(entry->second, weight);
    if (entry->second != 0) return;
    bytes_ -= BytesOf(entry->first);
    rows.erase(entry);
    if (!rows.empty()) return;
    bytes_ -= KeyBytes(at->first);
    kept_.erase(at);
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

  ClockFilterSpec spec_;
  Evaluator clock_;
  std::unique_ptr<Evaluator> key_evaluator_;
  RowCodec key_codec_, row_codec_;
  bool has_clock_ = false;
  std::string bound_, settled_below_;
  Kept kept_;
  size_t bytes_ = 0;
  std::optional<std::pair<std::string, std::string>> last_written_;  // key and row, of a snapshot
  duckdb::DataChunk keys_, rows_, decoded_;
  RowBuffer out_;
};

}  // namespace

std::unique_ptr<Operator> MakeClockFilter(SessionPtr session, ClockFilterSpec spec, RowTypes input,
                                          bool append_only) {
  RowTypes output = input;
  if (spec.drop_last) output.pop_back();
  auto comparison = spec.predicate.comparison;
  bool only_enters = spec.predicate.goes_back == 0 &&
                     (comparison == Comparison::kLess || comparison == Comparison::kLessOrEqual);
  return std::make_unique<ClockFilter>(std::move(session), std::move(spec), std::move(input),
                                       std::move(output), append_only && only_enters);
}

}  // namespace weir
