// What DuckDB's batch operators compute again for the keys a step touched: window functions by
// partition, ASOF joins by their equalities, recursion as a whole.  Rung (b) of the ladder: cost is
// by the rows of touched keys.  State: the rows of every input and of the output, by key.
#include <map>
#include <unordered_map>

#include "base/error.h"
#include "duck/batch_plan.h"
#include "duck/errors.h"
#include "duck/evaluator.h"
#include "duck/row_codec.h"
#include "flow/operators/operators.h"
#include "flow/state/key_table.h"
#include "flow/state/row_store.h"
#include "flow/state/rows_to_write.h"
#include "flow/state/weights.h"

namespace weir {
namespace {

// Rows by the slot of their key.
struct Kept {
  std::unique_ptr<Evaluator> keys;  // null: all in slot 0
  std::unique_ptr<RowStore> rows;
  std::vector<RowRef> heads;
  RowsToWrite to_write;
  uint8_t number = 0;  // among all of an operator's
};

class Batch : public Operator {
 public:
  Batch(const SessionPtr& session, BatchSpec spec)
      : Operator("batch", RowTypes(spec.pattern->types.begin(), spec.pattern->types.end()), false),
        runner_(*session, spec.pattern),
        name_of_pattern_(spec.pattern->name) {
    RowTypes key_types;
    for (auto& key : spec.output_keys) key_types.push_back(TypeOf(key));
    if (!key_types.empty()) {
      table_ = KeyTable::Make(key_types);
      keys_.InitializeEmpty(DuckTypes(key_types));
      output_.keys = std::make_unique<Evaluator>(session, spec.output_keys);
    }
    for (size_t i = 0; i < spec.pattern->inputs.size(); i++) {
      Kept input;
      if (table_) input.keys = std::make_unique<Evaluator>(session, spec.keys[i]);
      auto& types = spec.pattern->inputs[i];
      input.rows =
          std::make_unique<RowStore>(RowTypes(types.begin(), types.end()), !spec.append_only[i]);
      input.number = static_cast<uint8_t>(i);
      inputs_.push_back(std::move(input));
    }
    output_.rows = std::make_unique<RowStore>(this->types(), true);
    output_.number = static_cast<uint8_t>(inputs_.size());
    if (!table_) {
      Grow(1);
      Touch(0);  // it may have rows of no input at all
    }
  }

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override {
    CHECK(port < inputs_.size());
    auto& input = inputs_[port];
    Resolve(input, rows);
    auto& encoded = input.rows->Encode(rows);
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      Touch(slots_[i]);
      Change(input, encoded[i], slots_[i], weights ? weights[i] : 1);
    }
  }

  void Flush() override {
    if (touched_.empty()) return;
    for (uint32_t slot : touched_) {
      auto failed = failed_keys_.find(slot);
      if (failed == failed_keys_.end()) continue;
      Reject(failed->second, -1);
      failed_keys_.erase(failed);
    }
    Compute(touched_.data(), touched_.size());
    for (uint32_t slot : touched_) Forget(slot);
    touched_.clear();
  }

  bool HasState() const override { return true; }
  std::vector<RowStore*> RowStores() override {
    std::vector<RowStore*> stores{output_.rows.get()};
    for (auto& input : inputs_) stores.push_back(input.rows.get());
    return stores;
  }
  size_t StateBytes() const override {
    size_t bytes = (table_ ? table_->Bytes() : 0) + is_touched_.capacity() +
                   touched_.capacity() * sizeof(uint32_t);
    auto add = [&](const Kept& kept) {
      bytes += kept.rows->Bytes() + kept.heads.capacity() * sizeof(RowRef);
    };
    for (auto& input : inputs_) add(input);
    add(output_);
    return bytes;
  }
  // Keys follow from the rows.
  void Load(StateReader& reader) override {
    if (!reader.Get<bool>()) {
      for (uint32_t slot : touched_) is_touched_[slot] = false;
      touched_.clear();
    }
    std::vector<std::pair<std::string, FailedRow>> failed;
    for (auto left = reader.Get<uint64_t>(); left > 0; left--) {
      std::string key(reader.GetString());
      failed.emplace_back(std::move(key), LoadFailed(reader));
    }
    auto all = All();
    for (auto at = reader.Get<uint8_t>(); at != kEnd; at = reader.Get<uint8_t>()) {
      if (at >= all.size()) StateReader::Bad();
      all[at]->rows->LoadRow(reader);
    }
    for (auto* kept : all) {
      kept->rows->ForEachChunk([&](duckdb::DataChunk& rows, const RowRef* refs) {
        Resolve(*kept, rows);
        for (duckdb::idx_t i = 0; i < rows.size(); i++) {
          kept->rows->PutInFront(refs[i], kept->heads[slots_[i]]);
        }
      });
    }
    for (auto& [key, row] : failed) failed_keys_[SlotOf(key)] = std::move(row);
  }

 private:
  static constexpr uint8_t kEnd = UINT8_MAX;

  std::vector<Kept*> All() {
    std::vector<Kept*> all;
    for (auto& input : inputs_) all.push_back(&input);
    all.push_back(&output_);
    return all;
  }

  // ---- saved: keys that failed, then rows in any order

  static void SaveNow(StateWriter& writer, const Kept& kept, RowRef ref) {
    if (kept.rows->At(ref).weight == 0) return;  // it comes just now
    writer.Put(kept.number);
    kept.rows->SaveRow(writer, ref);
  }
  void SaveBefore(Kept& kept, RowRef ref) {
    BeforeChange([&](StateWriter& writer) {
      if (kept.to_write.Claim(*kept.rows, ref)) SaveNow(writer, kept, ref);
    });
  }
  bool BeginPieces(StateWriter& writer) override {
    writer.Put(!touched_.empty());
    writer.Put<uint64_t>(failed_keys_.size());
    for (auto& [slot, row] : failed_keys_) {
      writer.PutString(KeyOf(slot));
      SaveFailed(writer, row);
    }
    for (auto* kept : All()) kept->to_write.Begin(*kept->rows);
    return true;
  }
  bool SavePieces(StateWriter& writer, const Stop& stop) override {
    for (auto* kept : All()) {
      auto write = [&](RowRef ref) { SaveNow(writer, *kept, ref); };
      if (!kept->to_write.Continue(*kept->rows, write, stop)) return false;
    }
    writer.Put(kEnd);
    return true;
  }
  void EndPieces() override {
    for (auto* kept : All()) kept->to_write.End();
  }
  std::string KeyOf(uint32_t slot) {
    if (!table_) return "";
    duckdb::DataChunk key;
    key.Initialize(duckdb::Allocator::DefaultAllocator(), keys_.GetTypes(), 1);
    table_->Keys(&slot, 1, key);
    key.SetCardinality(1);
    return std::string(RowCodec(KeyTypes()).Encode(key)[0]);
  }
  uint32_t SlotOf(std::string_view bytes) {
    if (!table_) return 0;
    duckdb::DataChunk key;
    key.Initialize(duckdb::Allocator::DefaultAllocator(), keys_.GetTypes(), 1);
    RowCodec(KeyTypes()).Decode(bytes, key, 0);
    key.SetCardinality(1);
    uint32_t slot = 0;
    table_->Resolve(key, &slot);
    Grow(table_->Slots());
    return slot;
  }
  RowTypes KeyTypes() const {
    auto types = keys_.GetTypes();
    return RowTypes(types.begin(), types.end());
  }

  void Grow(size_t slots) {
    if (is_touched_.size() >= slots) return;
    size_t room = std::max(slots, is_touched_.size() + is_touched_.size() / 2);
    is_touched_.resize(room);
    output_.heads.resize(room, kNoRow);
    for (auto& input : inputs_) input.heads.resize(room, kNoRow);
  }

  void Resolve(Kept& kept, duckdb::DataChunk& rows) {
    if (!table_) {
      std::fill_n(slots_, rows.size(), 0);
      return;
    }
    auto& values = kept.keys->Run(rows);
    keys_.Reference(values);
    table_->Resolve(keys_, slots_);
    Grow(table_->Slots());
  }

  // Shows what the pattern says of these keys instead of what it said before.  A key it fails on
  // shows nothing and is a failed row, until it is touched again.
  void Compute(const uint32_t* slots, size_t count) {
    std::vector<std::unique_ptr<duckdb::ColumnDataCollection>> rows;
    for (size_t i = 0; i < inputs_.size(); i++) rows.push_back(Collect(i, slots, count));
    // What each row's weight changes by: what is there goes, what is computed comes.
    std::unordered_map<RowRef, int64_t> changes;
    for (size_t i = 0; i < count; i++) {
      for (RowRef ref = output_.heads[slots[i]]; ref != kNoRow; ref = output_.rows->At(ref).next) {
        changes[ref] = -output_.rows->At(ref).weight;
      }
    }
    try {
      runner_.Run(rows, [&](duckdb::DataChunk& chunk) {
        Resolve(output_, chunk);
        auto& encoded = output_.rows->Encode(chunk);
        for (duckdb::idx_t i = 0; i < chunk.size(); i++) {
          changes[output_.rows->FindOrAdd(encoded[i], output_.heads[slots_[i]])] += 1;
        }
      });
    } catch (...) {
      try {
        RethrowExpressionFailure(name_of_pattern_);
      } catch (const ExpressionFailed& why) {
        if (count == 1) {
          FailKey(slots[0], why);
          // It may have said some of its rows before it failed.
          for (auto& [ref, change] : changes) change = -output_.rows->At(ref).weight;
        } else {
          Compute(slots, count / 2);
          Compute(slots + count / 2, count - count / 2);
          return;
        }
      }
    }
    for (auto& [ref, change] : changes) Show(ref, change);
    FlushOut();
  }

  void FailKey(uint32_t slot, const ExpressionFailed& why) {
    std::string text = "(all rows)";
    if (table_) {
      duckdb::DataChunk key;
      key.Initialize(duckdb::Allocator::DefaultAllocator(), keys_.GetTypes(), 1);
      table_->Keys(&slot, 1, key);
      key.SetCardinality(1);
      text = ValuesOf(key, 0);
    }
    auto& failed = failed_keys_[slot] = Failure(std::move(text), why);
    Reject(failed, 1);
  }

  void Touch(uint32_t slot) {
    if (is_touched_[slot]) return;
    is_touched_[slot] = true;
    touched_.push_back(slot);
  }

  void Change(Kept& kept, std::string_view row, uint32_t slot, int64_t weight) {
    RowRef ref = kept.rows->FindOrAdd(row, kept.heads[slot]);
    SaveBefore(kept, ref);
    auto& entry = kept.rows->At(ref);
    AddWeight(entry.weight, weight);
    if (entry.weight == 0) kept.rows->Remove(ref, kept.heads[slot]);
  }

  // The rows of the keys, oldest first.
  std::unique_ptr<duckdb::ColumnDataCollection> Collect(size_t index, const uint32_t* slots,
                                                        size_t slot_count) {
    auto& input = inputs_[index];
    auto collection = runner_.Rows(index);
    duckdb::DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(input.rows->types()));
    RowRef refs[STANDARD_VECTOR_SIZE];
    duckdb::idx_t count = 0;
    auto append = [&] {
      if (count == 0) return;
      chunk.Reset();
      input.rows->Gather(refs, count, chunk, 0);
      chunk.SetCardinality(count);
      collection->Append(chunk);
      count = 0;
    };
    std::vector<RowRef> list;
    for (size_t i = 0; i < slot_count; i++) {
      list.clear();
      for (RowRef ref = input.heads[slots[i]]; ref != kNoRow; ref = input.rows->At(ref).next) {
        list.push_back(ref);
      }
      for (auto ref = list.rbegin(); ref != list.rend(); ++ref) {
        for (int32_t copy = 0; copy < input.rows->At(*ref).weight; copy++) {
          refs[count++] = *ref;
          if (count == STANDARD_VECTOR_SIZE) append();
        }
      }
    }
    append();
    return collection;
  }

  void Show(RowRef ref, int64_t change) {
    if (change == 0) return;
    SaveBefore(output_, ref);
    AddWeight(output_.rows->At(ref).weight, change);
    shown_[shown_count_] = ref;
    shown_weights_[shown_count_++] = change;
    if (shown_count_ == STANDARD_VECTOR_SIZE) FlushOut();
  }
  void FlushOut() {
    if (shown_count_ == 0) return;
    if (out_.ColumnCount() == 0) {
      out_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types()));
    }
    out_.Reset();
    output_.rows->Gather(shown_, shown_count_, out_, 0);
    out_.SetCardinality(shown_count_);
    Emit(out_, shown_weights_);
    shown_count_ = 0;
  }

  // Drops output rows that are gone, and the key when nothing has it any more.
  void Forget(uint32_t slot) {
    is_touched_[slot] = false;
    for (RowRef ref = output_.heads[slot]; ref != kNoRow;) {
      RowRef next = output_.rows->At(ref).next;
      if (output_.rows->At(ref).weight == 0) output_.rows->Remove(ref, output_.heads[slot]);
      ref = next;
    }
    if (!table_ || output_.heads[slot] != kNoRow) return;
    for (auto& input : inputs_) {
      if (input.heads[slot] != kNoRow) return;
    }
    table_->Erase(slot);
  }

  BatchRunner runner_;
  std::string name_of_pattern_;
  std::map<uint32_t, FailedRow> failed_keys_;  // by slot
  std::unique_ptr<KeyTable> table_;
  std::vector<Kept> inputs_;
  Kept output_;
  std::vector<uint8_t> is_touched_;
  std::vector<uint32_t> touched_;
  uint32_t slots_[STANDARD_VECTOR_SIZE];
  RowRef shown_[STANDARD_VECTOR_SIZE];
  int64_t shown_weights_[STANDARD_VECTOR_SIZE];
  duckdb::idx_t shown_count_ = 0;
  duckdb::DataChunk keys_, out_;
};

}  // namespace

std::unique_ptr<Operator> MakeBatch(const SessionPtr& session, BatchSpec spec) {
  return std::make_unique<Batch>(session, std::move(spec));
}

}  // namespace weir
