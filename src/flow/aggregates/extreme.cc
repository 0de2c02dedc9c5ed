// min and max.  While input only grows the best value so far is enough; otherwise each group keeps
// its values in order with their weights, so that the next best is known when the best one goes.
#include <map>

#include "duck/row_codec.h"
#include "flow/aggregates/aggregate_state.h"
#include "flow/allocated.h"

namespace weir {
namespace {

// Decodes the encoded winner of each slot ("" for none) into `out`.
template <class WinnerOf>
void WriteWinners(const RowCodec& codec, const uint32_t* slots, duckdb::idx_t count,
                  duckdb::Vector& out, WinnerOf winner_of) {
  duckdb::DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(codec.types()));
  for (duckdb::idx_t i = 0; i < count; i++) {
    const std::string* winner = winner_of(slots[i]);
    if (winner) {
      codec.Decode(*winner, chunk, i);
    } else {
      duckdb::FlatVector::SetNull(chunk.data[0], i, true);
    }
  }
  out.Reference(chunk.data[0]);
}

class GrowingExtreme : public AggregateState {
 public:
  GrowingExtreme(const AggregateCall& call)
      : maximum_(call.function == "max"), codec_({call.argument_types[0]}) {}

  void Grow(size_t slots) override { best_.resize(slots); }

  void Update(duckdb::DataChunk& arguments, const uint32_t* slots, const int64_t*) override {
    duckdb::UnifiedVectorFormat format;
    arguments.data[0].ToUnifiedFormat(arguments.size(), format);
    auto& keys = codec_.Encode(arguments);
    for (duckdb::idx_t i = 0; i < arguments.size(); i++) {
      if (!format.validity.RowIsValid(format.sel->get_index(i))) continue;
      std::string& best = best_[slots[i]];
      if (!best.empty() && (maximum_ ? keys[i] <= best : keys[i] >= best)) continue;
      text_bytes_ -= TextBytes(best.size());
      best = keys[i];
      text_bytes_ += TextBytes(best.size());
    }
  }

  void Result(const uint32_t* slots, duckdb::idx_t count, duckdb::Vector& out) override {
    WriteWinners(codec_, slots, count, out,
                 [&](uint32_t slot) { return best_[slot].empty() ? nullptr : &best_[slot]; });
  }

  void Clear(uint32_t slot) override {
    text_bytes_ -= TextBytes(best_[slot].size());
    best_[slot] = std::string();
  }
  size_t Bytes() const override { return best_.capacity() * sizeof(std::string) + text_bytes_; }
  void Save(StateWriter& writer) const override {
    writer.Put<uint64_t>(best_.size());
    for (auto& best : best_) writer.PutString(best);
  }
  void Load(StateReader& reader) override {
    best_.clear();
    for (uint64_t left = reader.Get<uint64_t>(); left; left--) {
      text_bytes_ += TextBytes(best_.emplace_back(reader.GetString()).size());
    }
  }

 private:
  bool maximum_;
  RowCodec codec_;
  std::vector<std::string> best_;
  size_t text_bytes_ = 0;
};

class Extreme : public AggregateState {
 public:
  Extreme(const AggregateCall& call)
      : maximum_(call.function == "max"), codec_({call.argument_types[0]}) {}

  void Grow(size_t slots) override { values_.resize(slots); }

  void Update(duckdb::DataChunk& arguments, const uint32_t* slots,
              const int64_t* weights) override {
    duckdb::UnifiedVectorFormat format;
    arguments.data[0].ToUnifiedFormat(arguments.size(), format);
    auto& keys = codec_.Encode(arguments);
    for (duckdb::idx_t i = 0; i < arguments.size(); i++) {
      if (!format.validity.RowIsValid(format.sel->get_index(i))) continue;
      auto& values = values_[slots[i]];
      auto [entry, added] = values.try_emplace(std::string(keys[i]), 0);
      if (added) bytes_ += BytesOf(entry->first);
      entry->second += weights ? weights[i] : 1;
      if (entry->second == 0) {
        bytes_ -= BytesOf(entry->first);
        values.erase(entry);
      }
    }
  }

  void Result(const uint32_t* slots, duckdb::idx_t count, duckdb::Vector& out) override {
    WriteWinners(codec_, slots, count, out, [&](uint32_t slot) -> const std::string* {
      auto& values = values_[slot];
      if (values.empty()) return nullptr;
      return maximum_ ? &values.rbegin()->first : &values.begin()->first;
    });
  }

  void Clear(uint32_t slot) override {
    for (auto& [value, weight] : values_[slot]) bytes_ -= BytesOf(value);
    values_[slot].clear();
  }
  Upkeep HowKept() const override {
    Upkeep upkeep;
    upkeep.Add(Upkeep::Rung::kClosedForm, std::string("its input has rows that go, so ") +
                                              (maximum_ ? "max" : "min") +
                                              " keeps an ordered multiset of each group's values");
    return upkeep;
  }
  size_t Bytes() const override { return values_.capacity() * sizeof(values_[0]) + bytes_; }
  void Save(StateWriter& writer) const override {
    writer.Put<uint64_t>(values_.size());
    for (auto& values : values_) {
      writer.Put<uint64_t>(values.size());
      for (auto& [value, weight] : values) {
        writer.PutString(value);
        writer.Put(weight);
      }
    }
  }
  void Load(StateReader& reader) override {
    values_.clear();
    for (uint64_t slots = reader.Get<uint64_t>(); slots; slots--) {
      auto& values = values_.emplace_back();
      for (uint64_t left = reader.Get<uint64_t>(); left; left--) {
        std::string value(reader.GetString());
        bytes_ += BytesOf(value);
        values.emplace_hint(values.end(), std::move(value), reader.Get<int64_t>());
      }
    }
  }

 private:
  using Values = std::map<std::string, int64_t>;
  static size_t BytesOf(const std::string& value) {
    return TreeNodeBytes<Values::value_type>() + TextBytes(value.size());
  }
  bool maximum_;
  RowCodec codec_;
  std::vector<Values> values_;
  size_t bytes_ = 0;
};

}  // namespace

std::unique_ptr<AggregateState> MakeExtreme(const AggregateCall& call, bool append_only) {
  if (append_only) return std::make_unique<GrowingExtreme>(call);
  return std::make_unique<Extreme>(call);
}

}  // namespace weir
