#include "flow/row_store.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/common/types/vector.hpp"

namespace weir {
namespace {

using duckdb::PhysicalType;

size_t UnitsFor(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit; }

// Copies one fixed-width value of a column into each row.
template <size_t kWidth>
void PutFixed(const duckdb::UnifiedVectorFormat& format, duckdb::idx_t count, char* const* rows,
              size_t offset) {
  auto* data = reinterpret_cast<const char*>(format.data);
  for (duckdb::idx_t i = 0; i < count; i++) {
    std::memcpy(rows[i] + offset, data + format.sel->get_index(i) * kWidth, kWidth);
  }
}

template <size_t kWidth>
void GetFixed(const char* const* rows, duckdb::idx_t count, size_t offset, char* to) {
  for (duckdb::idx_t i = 0; i < count; i++) {
    std::memcpy(to + i * kWidth, rows[i] + offset, kWidth);
  }
}

// Calls `work` with the width as a constant.
template <class Work>
void WithWidth(size_t width, Work work) {
  switch (width) {
    case 1: return work(std::integral_constant<size_t, 1>());
    case 2: return work(std::integral_constant<size_t, 2>());
    case 4: return work(std::integral_constant<size_t, 4>());
    case 8: return work(std::integral_constant<size_t, 8>());
    default: CHECK(width == 16); return work(std::integral_constant<size_t, 16>());
  }
}

}  // namespace

RowStore::RowStore(RowTypes types, bool indexed, bool with_notes)
    : types_(std::move(types)),
      indexed_(indexed),
      header_bytes_(sizeof(Entry) + (with_notes ? sizeof(Note) : 0)),
      bitmap_bytes_(types_.size() / 8 + 1),
      fixed_bytes_(bitmap_bytes_) {
  for (auto& type : types_) {
    ColumnPlace place;
    auto physical = type.InternalType();
    place.fixed = duckdb::TypeIsConstantSize(physical);
    place.width = place.fixed ? duckdb::GetTypeIdSize(physical) : sizeof(uint32_t);
    place.offset = fixed_bytes_;
    if (!place.fixed && physical != PhysicalType::VARCHAR) {
      place.codec = std::make_unique<RowCodec>(RowTypes{type});
    }
    fixed_bytes_ += place.width;
    places_.push_back(std::move(place));
  }
  nested_.resize(types_.size());
}

const std::vector<std::string_view>& RowStore::Encode(duckdb::DataChunk& rows) {
  auto count = rows.size();
  std::vector<duckdb::UnifiedVectorFormat> formats(types_.size());
  sizes_.assign(count, fixed_bytes_);
  for (size_t c = 0; c < types_.size(); c++) {
    auto& place = places_[c];
    rows.data[c].ToUnifiedFormat(count, formats[c]);
    if (place.fixed) continue;
    auto& texts = nested_[c];
    texts.clear();
    if (place.codec) {
      duckdb::DataChunk column;
      column.InitializeEmpty({types_[c]});
      column.data[0].Reference(rows.data[c]);
      column.SetCardinality(count);
      texts = place.codec->Encode(column);
    } else {
      auto* data = duckdb::UnifiedVectorFormat::GetDataUnsafe<duckdb::string_t>(formats[c]);
      for (duckdb::idx_t i = 0; i < count; i++) {
        auto index = formats[c].sel->get_index(i);
        // Not a view of an inlined text in a temporary: the vector's own place.
        bool valid = formats[c].validity.RowIsValid(index);
        texts.push_back(valid ? std::string_view(data[index].GetData(), data[index].GetSize())
                              : std::string_view());
      }
    }
    for (duckdb::idx_t i = 0; i < count; i++) sizes_[i] += texts[i].size();
  }
  offsets_.resize(count + 1);
  offsets_[0] = 0;
  for (duckdb::idx_t i = 0; i < count; i++) offsets_[i + 1] = offsets_[i] + sizes_[i];
  if (scratch_.size() < offsets_[count]) scratch_.resize(offsets_[count]);
  std::vector<char*> to(count);
  for (duckdb::idx_t i = 0; i < count; i++) {
    to[i] = scratch_.data() + offsets_[i];
    std::memset(to[i], 0, bitmap_bytes_);
  }
  for (size_t c = 0; c < types_.size(); c++) {
    auto& place = places_[c];
    auto& format = formats[c];
    if (place.fixed) {
      WithWidth(place.width, [&](auto width) {
        PutFixed<decltype(width)::value>(format, count, to.data(), place.offset);
      });
    } else {
      for (duckdb::idx_t i = 0; i < count; i++) {
        auto size = static_cast<uint32_t>(nested_[c][i].size());
        std::memcpy(to[i] + place.offset, &size, sizeof(size));
      }
    }
    if (format.validity.AllValid()) continue;
    for (duckdb::idx_t i = 0; i < count; i++) {
      if (format.validity.RowIsValid(format.sel->get_index(i))) continue;
      to[i][c / 8] = static_cast<char>(to[i][c / 8] | (1 << (c % 8)));
      std::memset(to[i] + place.offset, 0, place.fixed ? place.width : 0);
    }
  }
  for (duckdb::idx_t i = 0; i < count; i++) to[i] += fixed_bytes_;
  for (size_t c = 0; c < types_.size(); c++) {
    if (places_[c].fixed) continue;
    for (duckdb::idx_t i = 0; i < count; i++) {
      to[i] = std::copy(nested_[c][i].begin(), nested_[c][i].end(), to[i]);
    }
  }
  encoded_.clear();
  for (duckdb::idx_t i = 0; i < count; i++) {
    encoded_.emplace_back(scratch_.data() + offsets_[i], sizes_[i]);
  }
  return encoded_;
}

RowRef RowStore::Allocate(size_t units) {
  auto found = free_.find(units);
  if (found != free_.end() && !found->second.empty()) {
    RowRef ref = found->second.back();
    found->second.pop_back();
    return ref;
  }
  if (next_free_ + units > end_free_) {
    // A row larger than a page gets pages that follow one another in one allocation.
    size_t pages = UnitsFor(units, kPageUnits);
    if (pages_.size() + pages > UINT32_MAX / kPageUnits) {
      throw Error(ErrorCode::kTooLarge, "an operator keeps more than 32 GB of rows");
    }
    if (next_free_ < end_free_) free_[end_free_ - next_free_].push_back(next_free_);
    size_t bytes = pages * kPageUnits * kUnit;
    owned_.push_back(std::make_unique_for_overwrite<std::byte[]>(bytes));
    next_free_ = static_cast<RowRef>(pages_.size() * kPageUnits);
    for (size_t i = 0; i < pages; i++) {
      pages_.push_back(owned_.back().get() + i * kPageUnits * kUnit);
    }
    end_free_ = static_cast<RowRef>(pages_.size() * kPageUnits);
    if (next_free_ == 0) next_free_ = 1;  // 0 is no row
    if (next_free_ + units > end_free_) return Allocate(units);
    pages_bytes_ += bytes;
  }
  RowRef ref = next_free_;
  next_free_ += static_cast<RowRef>(units);
  return ref;
}

RowRef RowStore::Add(std::string_view row, RowRef& head) {
  RowRef ref = Allocate(UnitsFor(header_bytes_ + row.size(), kUnit));
  Entry& entry = At(ref);
  entry = Entry{head, kNoRow, 0, static_cast<uint32_t>(row.size())};
  if (has_notes()) NoteOf(ref) = Note();
  std::memcpy(Address(ref) + header_bytes_, row.data(), row.size());
  if (head != kNoRow) At(head).previous = ref;
  head = ref;
  rows_++;
  return ref;
}

RowRef RowStore::FindOrAdd(std::string_view row, RowRef& head) {
  if (!indexed_) return Add(row, head);
  if (index_.NeedsGrowth()) index_.Grow([&](uint32_t ref) { return HashOf(Bytes(ref)); });
  return index_.FindOrAdd(
      HashOf(row), [&](uint32_t ref) { return Bytes(ref) == row; }, [&] { return Add(row, head); });
}

void RowStore::Remove(RowRef ref, RowRef& head) {
  if (indexed_) index_.Remove(ref, [&](uint32_t other) { return HashOf(Bytes(other)); });
  Entry& entry = At(ref);
  if (entry.previous != kNoRow) {
    At(entry.previous).next = entry.next;
  } else {
    head = entry.next;
  }
  if (entry.next != kNoRow) At(entry.next).previous = entry.previous;
  free_[UnitsFor(header_bytes_ + entry.size, kUnit)].push_back(ref);
  rows_--;
}

void RowStore::Save(StateWriter& writer, const std::vector<RowRef>& heads) const {
  writer.Put<uint64_t>(heads.size());
  std::vector<RowRef> list;
  for (RowRef head : heads) {
    list.clear();
    for (RowRef ref = head; ref != kNoRow; ref = At(ref).next) list.push_back(ref);
    // Rows are put in front of their list: the last is written first.
    for (auto ref = list.rbegin(); ref != list.rend(); ++ref) {
      writer.PutString(Bytes(*ref));
      writer.Put(At(*ref).weight);
      if (!has_notes()) continue;
      writer.Put(NoteOf(*ref).matches);
      writer.Put(NoteOf(*ref).unknowns);
    }
    writer.PutString("");  // no row is empty: each has a bitmap
  }
}

void RowStore::Load(StateReader& reader, std::vector<RowRef>& heads) {
  auto count = reader.Get<uint64_t>();
  heads.clear();
  while (heads.size() < count) {
    RowRef head = kNoRow;
    for (auto row = reader.GetString(); !row.empty(); row = reader.GetString()) {
      RowRef ref = FindOrAdd(row, head);
      At(ref).weight = reader.Get<int32_t>();
      if (!has_notes()) continue;
      NoteOf(ref).matches = reader.Get<int32_t>();
      NoteOf(ref).unknowns = reader.Get<int32_t>();
    }
    heads.push_back(head);
  }
}

void RowStore::Gather(const RowRef* refs, duckdb::idx_t count, duckdb::DataChunk& out,
                      size_t first_column) const {
  std::vector<const char*> rows(count);
  for (duckdb::idx_t i = 0; i < count; i++) {
    rows[i] = reinterpret_cast<const char*>(Address(refs[i])) + header_bytes_;
  }
  cursor_.assign(rows.begin(), rows.end());
  for (auto& cursor : cursor_) cursor += fixed_bytes_;
  for (size_t c = 0; c < types_.size(); c++) {
    auto& place = places_[c];
    auto& column = out.data[first_column + c];
    auto& validity = duckdb::FlatVector::Validity(column);
    auto is_null = [&](duckdb::idx_t i) { return (rows[i][c / 8] >> (c % 8)) & 1; };
    for (duckdb::idx_t i = 0; i < count; i++) {
      if (is_null(i)) validity.SetInvalid(i);
    }
    if (place.fixed) {
      WithWidth(place.width, [&](auto width) {
        GetFixed<decltype(width)::value>(
            rows.data(), count, place.offset,
            reinterpret_cast<char*>(duckdb::FlatVector::GetData(column)));
      });
      continue;
    }
    auto* texts =
        place.codec ? nullptr : duckdb::FlatVector::GetDataUnsafe<duckdb::string_t>(column);
    duckdb::DataChunk nested;
    if (place.codec) {
      nested.InitializeEmpty({types_[c]});
      nested.data[0].Reference(column);
    }
    for (duckdb::idx_t i = 0; i < count; i++) {
      uint32_t size;
      std::memcpy(&size, rows[i] + place.offset, sizeof(size));
      if (place.codec) {
        place.codec->Decode({cursor_[i], size}, nested, i);
      } else {
        texts[i] = duckdb::string_t(cursor_[i], size);
      }
      cursor_[i] += size;
    }
  }
}

}  // namespace weir
