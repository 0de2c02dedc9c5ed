// Values that are words, of rows that only come: the set is one table of (group, value) with the
// bits of the calls that have seen it (seen_values.h).
#include <algorithm>
#include <variant>

#include "base/error.h"
#include "flow/aggregates/distinct.h"
#include "flow/aggregates/seen_values.h"

namespace weir {
namespace {

class DistinctWords : public DistinctSet {
 public:
  explicit DistinctWords(const duckdb::LogicalType& type)
      : width_(duckdb::GetTypeIdSize(type.InternalType())) {
    changed_.InitializeEmpty({type});
  }

  void Update(duckdb::DataChunk& arguments, duckdb::DataChunk& values, const uint32_t* slots,
              const int64_t*) override {
    auto count = arguments.size();
    CHECK(arguments.ColumnCount() == 1 && count <= STANDARD_VECTOR_SIZE);
    AskFor(values, count);
    duckdb::UnifiedVectorFormat format;
    arguments.data[0].ToUnifiedFormat(count, format);
    switch (width_) {
      case 1: Read<uint8_t>(format, count); break;
      case 2: Read<uint16_t>(format, count); break;
      case 4: Read<uint32_t>(format, count); break;
      default: Read<uint64_t>(format, count);
    }
    Widen(slots, count);
    fresh_count_ = 0;
    std::visit([&](auto& seen) { See(seen, format, slots, count); }, seen_);
    Tell(arguments, slots);
  }

  void TrackGroups() override { tracks_groups_ = true; }
  void Forget(uint32_t group) override {
    if (group < nulls_.size()) nulls_[group] = 0;
    if (group >= of_group_.size()) return;
    std::visit(
        [&](auto& seen) {
          for (uint64_t value : of_group_[group]) seen.Remove(value, group);
        },
        seen_);
    noted_bytes_ -= of_group_[group].capacity() * sizeof(uint64_t);
    std::vector<uint64_t>().swap(of_group_[group]);
  }

  void CheckInvariants() const override {
    std::visit([](auto& seen) { seen.CheckInvariants(); }, seen_);
    size_t noted = 0;
    for (auto& values : of_group_) noted += values.capacity() * sizeof(uint64_t);
    CHECK(noted == noted_bytes_ && (tracks_groups_ || of_group_.empty()));
    CHECK(absent_.size() == 0);  // nothing is being loaded
  }
  size_t Bytes() const override {
    return std::visit([](auto& seen) { return seen.Bytes(); }, seen_) +
           nulls_.capacity() * sizeof(uint32_t) +
           of_group_.capacity() * sizeof(std::vector<uint64_t>) + noted_bytes_;
  }

  void SaveGroup(uint32_t group, StateWriter& writer) override {
    if (to_write_.Claim(group)) SaveNull(writer, group);
    if (group >= of_group_.size()) return;
    std::visit(
        [&](auto& seen) {
          for (uint64_t value : of_group_[group]) {
            if (IsAhead(seen.Hash(value, group))) {
              SaveCell(writer, value, group, seen.Find(value, group));
            }
          }
        },
        seen_);
  }
  bool SavePieces(StateWriter& writer, const StopSnapshot& stop) override {
    constexpr size_t kHomes = 256;
    while (!is_written_) {
      written_to_ = std::visit(
          [&](auto& seen) {
            return seen.From(written_to_, kHomes, [&](auto& cell) {
              SaveCell(writer, cell.value, cell.group, cell.bits);
            });
          },
          seen_);
      is_written_ = written_to_ == 0;
      if (!is_written_ && stop()) return false;
    }
    auto write = [&](size_t group) { SaveNull(writer, static_cast<uint32_t>(group)); };
    return to_write_.Continue(write, stop);
  }
  void BeginLoad(StateReader& reader) override {
    if (reader.Get<bool>()) seen_.emplace<Wide>();
    auto values = reader.Get<uint64_t>();
    std::visit([&](auto& seen) { seen.Reserve(values); }, seen_);
  }
  // The first record of a value is that of the snapshot; one without bits, that it was not there.
  void LoadPiece(StateReader& reader) override {
    auto kind = reader.Get<Kind>();
    auto group = reader.Get<uint32_t>(), bits = reader.Get<uint32_t>();
    if (kind == Kind::kNull) return void(AddNull(group, bits));
    uint64_t value = kind == Kind::kNarrow ? reader.Get<uint32_t>() : reader.Get<uint64_t>();
    if (absent_.Find(value, group)) return;
    std::visit(
        [&](auto& seen) {
          if (seen.Find(value, group)) return;
          if (bits == 0) {
            absent_.Add(absent_.Hash(value, group), value, group, 1);
          } else {
            seen.Add(seen.Hash(value, group), value, group, bits);
          }
        },
        seen_);
  }
  void EndLoad() override {
    absent_ = Wide();
    if (!tracks_groups_) return;
    std::visit([&](auto& seen) { seen.ForEach([&](auto& cell) { Note(cell.group, cell.value); }); },
               seen_);
  }

 private:
  using Narrow = SeenValues<NarrowSeen>;
  using Wide = SeenValues<WideSeen>;

  // ---- saved: values by their hashes, and before that those that change; NULLs by group

  enum class Kind : uint8_t { kNarrow, kWide, kNull };

  void Begin(StateWriter& writer) override {
    writer.Put<bool>(std::holds_alternative<Wide>(seen_));
    writer.Put<uint64_t>(std::visit([](auto& seen) { return seen.size(); }, seen_));
    to_write_.Begin(nulls_.size());
    written_to_ = 0;
    is_written_ = false;
  }
  void End() override { to_write_.End(); }
  bool IsAhead(uint64_t hash) const { return !is_written_ && hash >= written_to_; }
  void SaveCell(StateWriter& writer, uint64_t value, uint32_t group, uint32_t bits) const {
    bool narrow = value < NarrowSeen::kValues;
    writer.Put(mark());
    writer.Put(narrow ? Kind::kNarrow : Kind::kWide);
    writer.Put(group);
    writer.Put(bits);
    narrow ? writer.Put(static_cast<uint32_t>(value)) : writer.Put(value);
  }
  void SaveNull(StateWriter& writer, uint32_t group) const {
    if (nulls_[group] == 0) return;
    writer.Put(mark());
    writer.Put(Kind::kNull);
    writer.Put(group);
    writer.Put(nulls_[group]);
  }

  // asked_: by row, the members whose filter holds.
  void AskFor(duckdb::DataChunk& values, duckdb::idx_t count) {
    uint32_t all = 0;
    for (size_t m = 0; m < members_.size(); m++) {
      if (!members_[m].filter) all |= uint32_t{1} << m;
    }
    std::fill_n(asked_, count, all);
    for (size_t m = 0; m < members_.size(); m++) {
      if (!members_[m].filter) continue;
      duckdb::UnifiedVectorFormat filter;
      values.data[*members_[m].filter].ToUnifiedFormat(count, filter);
      auto* holds = duckdb::UnifiedVectorFormat::GetDataUnsafe<bool>(filter);
      bool all_valid = filter.validity.AllValid();
      for (duckdb::idx_t row = 0; row < count; row++) {
        auto index = filter.sel->get_index(row);
        bool yes = (all_valid || filter.validity.RowIsValid(index)) && holds[index];
        asked_[row] |= uint32_t{yes} << m;
      }
    }
  }

  template <class Word>
  void Read(const duckdb::UnifiedVectorFormat& format, duckdb::idx_t count) {
    auto* words = reinterpret_cast<const Word*>(format.data);
    if (!format.sel->IsSet()) {
      std::copy_n(words, count, words_);
    } else {
      for (duckdb::idx_t row = 0; row < count; row++) {
        words_[row] = words[format.sel->get_index(row)];
      }
    }
  }

  void Widen(const uint32_t* slots, duckdb::idx_t count) {
    auto* narrow = std::get_if<Narrow>(&seen_);
    if (!narrow) return;
    uint64_t values = 0, groups = 0;
    for (duckdb::idx_t row = 0; row < count; row++) {
      values |= words_[row];
      groups |= slots[row];
    }
    if (values < NarrowSeen::kValues && groups < NarrowSeen::kGroups &&
        members_.size() <= NarrowSeen::kBits) {
      return;
    }
    Wide wide;
    wide.Take(*narrow);
    seen_ = std::move(wide);
  }

  template <class Seen>
  void See(Seen& seen, const duckdb::UnifiedVectorFormat& format, const uint32_t* slots,
           duckdb::idx_t count) {
    for (duckdb::idx_t row = 0; row < count; row++) {
      hashes_[row] = Seen::Hash(words_[row], slots[row]);
    }
    if (seen.IsLarge()) {
      for (duckdb::idx_t row = 0; row < count; row++) seen.Prefetch(hashes_[row]);
    }
    bool all_valid = format.validity.AllValid();
    for (duckdb::idx_t row = 0; row < count; row++) {
      if (!asked_[row]) continue;
      uint32_t before;
      bool is_word = all_valid || format.validity.RowIsValid(format.sel->get_index(row));
      if (is_word) {
        before = seen.Add(hashes_[row], words_[row], slots[row], asked_[row]);
        if (before == 0 && tracks_groups_) Note(slots[row], words_[row]);
      } else {
        before = AddNull(slots[row], asked_[row]);
      }
      uint32_t fresh = asked_[row] & ~before;
      if (!fresh) continue;
      BeforeChange([&](StateWriter& writer) {
        if (is_word && IsAhead(hashes_[row])) SaveCell(writer, words_[row], slots[row], before);
      });
      fresh_rows_[fresh_count_] = static_cast<uint32_t>(row);
      fresh_[fresh_count_++] = fresh;
    }
  }

  // NULL is a value like any, for those aggregates that want to know; it has no word.
  uint32_t AddNull(uint32_t group, uint32_t members) {
    BeforeChange([&](StateWriter& writer) {
      if (to_write_.Claim(group)) SaveNull(writer, group);
    });
    if (nulls_.size() <= group) nulls_.resize(group + 1);
    uint32_t before = nulls_[group];
    nulls_[group] |= members;
    return before;
  }

  void Note(uint32_t group, uint64_t value) {
    if (of_group_.size() <= group) of_group_.resize(group + 1);
    auto& noted = of_group_[group];
    noted_bytes_ -= noted.capacity() * sizeof(uint64_t);
    noted.push_back(value);
    noted_bytes_ += noted.capacity() * sizeof(uint64_t);
  }

  // Tells each member of the rows that are its first of a value.
  void Tell(duckdb::DataChunk& arguments, const uint32_t* slots) {
    for (size_t m = 0; m < members_.size(); m++) {
      duckdb::idx_t changed = 0;
      for (size_t i = 0; i < fresh_count_; i++) {
        // Written in any case: which member it is, nobody can foretell.
        rows_.set_index(changed, fresh_rows_[i]);
        row_slots_[changed] = slots[fresh_rows_[i]];
        changed += fresh_[i] >> m & 1;
      }
      if (changed == 0) continue;
      changed_.Reference(arguments);
      changed_.Slice(rows_, changed);
      members_[m].state->Update(changed_, row_slots_, nullptr);
    }
  }

  size_t width_;
  std::variant<Narrow, Wide> seen_;
  std::vector<uint32_t> nulls_;  // by group, the members that have seen NULL

  uint64_t written_to_ = 0;  // hashes below it
  bool is_written_ = false;  // all are
  UnitsToWrite to_write_;    // groups, of nulls_
  Wide absent_;              // while it is loaded

  bool tracks_groups_ = false;
  std::vector<std::vector<uint64_t>> of_group_;  // its values
  size_t noted_bytes_ = 0;

  // Of the chunk at hand.
  uint32_t asked_[STANDARD_VECTOR_SIZE];
  uint64_t words_[STANDARD_VECTOR_SIZE], hashes_[STANDARD_VECTOR_SIZE];
  uint32_t fresh_rows_[STANDARD_VECTOR_SIZE], fresh_[STANDARD_VECTOR_SIZE];
  size_t fresh_count_ = 0;
  duckdb::DataChunk changed_;
  duckdb::SelectionVector rows_{STANDARD_VECTOR_SIZE};
  uint32_t row_slots_[STANDARD_VECTOR_SIZE];
};

}  // namespace

std::unique_ptr<DistinctSet> MakeDistinctWords(const duckdb::LogicalType& type) {
  return std::make_unique<DistinctWords>(type);
}

}  // namespace weir
