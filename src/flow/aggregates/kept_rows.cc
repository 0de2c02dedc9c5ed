// Aggregates that need all rows of a group: DuckDB's own functions over input from which rows also
// go, and those with an ORDER BY inside.  A group keeps its rows, sorted by the ORDER BY and then
// as they came; a group that was touched is computed again.
#include <map>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "duck/native_aggregate.h"
#include "duck/row_codec.h"
#include "flow/aggregates/aggregate_state.h"
#include "flow/state/allocated.h"

namespace weir {
namespace {

std::string BigEndian(uint64_t number) {
  std::string bytes(sizeof(number), '\0');
  for (size_t i = bytes.size(); i-- > 0; number >>= 8) bytes[i] = static_cast<char>(number);
  return bytes;
}

// What BigEndian has put at the end of a place.
uint64_t NumberIn(std::string_view place) {
  if (place.size() < sizeof(uint64_t)) StateReader::Bad();
  uint64_t number = 0;
  for (char byte : place.substr(place.size() - sizeof(number))) {
    number = number << 8 | static_cast<uint8_t>(byte);
  }
  return number;
}

class KeptRows : public AggregateState {
 public:
  KeptRows(const AggregateCall& call, bool append_only, bool once)
      : call_(call), indexed_(!append_only), once_(once), codec_(call.argument_types) {
    size_t arguments = call.argument_types.size() - call.order.size();
    RowTypes order_types(call.argument_types.begin() + static_cast<ptrdiff_t>(arguments),
                         call.argument_types.end());
    if (!order_types.empty()) {
      std::vector<RowCodec::Direction> directions;
      for (auto& key : call.order) directions.push_back({key.descending, key.nulls_first, true});
      order_codec_.emplace(order_types, directions);
    }
    order_.InitializeEmpty(DuckTypes(order_types));
    given_.InitializeEmpty(
        DuckTypes(RowTypes(call.argument_types.begin(),
                           call.argument_types.begin() + static_cast<ptrdiff_t>(arguments))));
    page_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(call.argument_types));
  }

  void Grow(size_t slots) override {
    if (slots > groups_.size()) groups_.resize(slots);
  }

  void Update(duckdb::DataChunk& arguments, const uint32_t* slots,
              const int64_t* weights) override {
    auto& rows = codec_.Encode(arguments);
    const std::vector<std::string_view>* orders = nullptr;
    if (order_codec_) {
      for (duckdb::idx_t i = 0; i < order_.ColumnCount(); i++) {
        order_.data[i].Reference(arguments.data[given_.ColumnCount() + i]);
      }
      order_.SetCardinality(arguments.size());
      orders = &order_codec_->Encode(order_);
    }
    for (duckdb::idx_t i = 0; i < arguments.size(); i++) {
      Group& group = groups_[slots[i]];
      std::string_view order = orders ? (*orders)[i] : std::string_view();
      int64_t weight = weights ? weights[i] : 1;
      for (; weight > 0; weight--) Add(group, order, rows[i]);
      for (; weight < 0; weight++) Remove(slots[i], rows[i]);
    }
  }

  void Result(const uint32_t* slots, duckdb::idx_t count, duckdb::Vector& out) override {
    result_ = std::make_unique<NativeAggregate>(call_);
    result_->Grow(count);
    states_.resize(count);
    for (uint32_t state = 0; state < count; state++) {
      states_[state] = state;
      page_.Reset();
      duckdb::idx_t rows = 0;
      for (auto& [place, row] : groups_[slots[state]].rows) {
        codec_.Decode(row, page_, rows++);
        if (rows == STANDARD_VECTOR_SIZE) rows = Feed(state, rows);
      }
      Feed(state, rows);
    }
    result_->Result(states_.data(), count, out);
  }

  void Clear(uint32_t slot) override {
    bytes_ -= groups_[slot].bytes;
    groups_[slot] = Group();
  }

  Upkeep HowKept() const override {
    Upkeep upkeep;
    if (once_) {
      upkeep.Add(Upkeep::Rung::kClosedForm, call_.function +
                                                " keeps the rows of open windows and is computed "
                                                "once, when they close");
    } else if (!call_.order.empty()) {
      upkeep.Add(Upkeep::Rung::kTouched,
                 call_.function +
                     " with ORDER BY keeps each group's rows and computes touched "
                     "groups again",
                 "Without the ORDER BY inside, or with it in the query that reads the view, it "
                 "need not.");
    } else if (indexed_) {
      upkeep.Add(Upkeep::Rung::kTouched,
                 "its input has rows that go, and " + call_.function +
                     " has no closed form for that: touched groups are computed again",
                 "Over a stream, whose rows only come, it would be kept by the change.");
    } else {
      upkeep.Add(Upkeep::Rung::kTouched,
                 call_.function + " of several values is computed again for touched groups");
    }
    return upkeep;
  }

  size_t Bytes() const override {
    return bytes_ + groups_.capacity() * sizeof(Group) + (result_ ? result_->Bytes() : 0);
  }

  void SaveSlot(uint32_t, StateWriter&) const override {}
  void LoadSlot(uint32_t, StateReader&) override {}
  void SaveBeforeClear(uint32_t slot, StateWriter& writer) override {
    for (auto& [place, row] : groups_[slot].rows) {
      if (IsAhead(slot, place)) Save(writer, slot, place, row);
    }
  }
  bool SavePieces(StateWriter& writer, const StopSnapshot& stop) override {
    constexpr size_t kAtOnce = 64;
    for (size_t looked = 0; written_to_ < slots_;) {
      auto& rows = groups_[written_to_].rows;
      auto entry = last_written_ ? rows.upper_bound(*last_written_) : rows.begin();
      bool is_end = entry == rows.end();
      for (; entry != rows.end(); ++entry) {
        if (IsOld(entry->first)) Save(writer, written_to_, entry->first, entry->second);
        if (++looked % kAtOnce != 0 || !stop()) continue;
        last_written_ = entry->first;
        return false;
      }
      last_written_.reset();
      written_to_++;
      if (is_end && ++looked % kAtOnce == 0 && stop()) return false;
    }
    return true;
  }
  void LoadPiece(StateReader& reader) override {
    auto slot = reader.Get<uint32_t>();
    std::string place(reader.GetString());
    if (slot >= groups_.size()) StateReader::Bad();
    next_ = std::max(next_, NumberIn(place) + 1);
    bool is_new = Insert(groups_[slot], std::move(place), std::string(reader.GetString()));
    if (!is_new) StateReader::Bad();
  }

 private:
  struct Group {
    std::map<std::string, std::string> rows;                   // place to row
    std::unordered_multimap<std::string, std::string> places;  // row to place, when indexed
    size_t bytes = 0;
  };
  static size_t BytesOf(const std::string& place, const std::string& row, bool indexed) {
    size_t texts = TextBytes(place.size()) + TextBytes(row.size());
    size_t bytes = TreeNodeBytes<std::pair<const std::string, std::string>>() + texts;
    if (indexed) bytes += HashNodeBytes<std::pair<const std::string, std::string>>() + texts;
    return bytes;
  }

  // False when something stands in that place.
  bool Insert(Group& group, std::string place, std::string row) {
    size_t bytes = BytesOf(place, row, indexed_);
    group.bytes += bytes;
    bytes_ += bytes;
    if (indexed_) group.places.emplace(row, place);
    return group.rows.emplace(std::move(place), std::move(row)).second;
  }
  void Add(Group& group, std::string_view order, std::string_view row) {
    bool is_new = Insert(group, std::string(order) + BigEndian(next_++), std::string(row));
    CHECK(is_new);
  }
  void Remove(uint32_t slot, std::string_view row) {
    Group& group = groups_[slot];
    auto found = group.places.find(std::string(row));
    CHECK(found != group.places.end());
    BeforeChange([&](StateWriter& writer) {
      if (IsAhead(slot, found->second)) Save(writer, slot, found->second, found->first);
    });
    size_t bytes = BytesOf(found->second, found->first, indexed_);
    group.bytes -= bytes;
    bytes_ -= bytes;
    CHECK(bytes_ >= group.bytes);
    bool was_there = group.rows.erase(found->second) == 1;
    group.places.erase(found);
    CHECK(was_there && group.rows.size() == group.places.size());
  }

  // ---- saved: rows by slot and place, and before that those that go; rows only come and go

  void Begin(StateWriter&) override {
    slots_ = static_cast<uint32_t>(groups_.size());
    next_then_ = next_;
    written_to_ = 0;
    last_written_.reset();
  }
  bool IsOld(std::string_view place) const { return NumberIn(place) < next_then_; }
  bool IsAhead(uint32_t slot, const std::string& place) const {
    if (slot < written_to_ || slot >= slots_ || !IsOld(place)) return false;
    return slot > written_to_ || !last_written_ || *last_written_ < place;
  }
  void Save(StateWriter& writer, uint32_t slot, const std::string& place,
            const std::string& row) const {
    writer.Put(mark());
    writer.Put(slot);
    writer.PutString(place);
    writer.PutString(row);
  }

  duckdb::idx_t Feed(uint32_t state, duckdb::idx_t rows) {
    if (rows == 0) return 0;
    for (duckdb::idx_t i = 0; i < given_.ColumnCount(); i++)
      given_.data[i].Reference(page_.data[i]);
    given_.SetCardinality(rows);
    fed_.assign(rows, state);
    result_->Update(given_, fed_.data());
    page_.Reset();
    return 0;
  }

  const AggregateCall call_;
  const bool indexed_, once_;
  RowCodec codec_;
  std::optional<RowCodec> order_codec_;
  std::vector<Group> groups_;
  uint64_t next_ = 0;
  size_t bytes_ = 0;

  uint32_t slots_ = 0, written_to_ = 0;      // of the snapshot
  uint64_t next_then_ = 0;                   // as it began
  std::optional<std::string> last_written_;  // of slot written_to_
  duckdb::DataChunk order_, given_, page_;
  std::vector<uint32_t> fed_, states_;
  // What a result refers to lives until the next one is asked for.
  std::unique_ptr<NativeAggregate> result_;
};

}  // namespace

std::unique_ptr<AggregateState> MakeKeptRows(const AggregateCall& call, bool append_only,
                                             bool once) {
  return std::make_unique<KeptRows>(call, append_only, once);
}

}  // namespace weir
