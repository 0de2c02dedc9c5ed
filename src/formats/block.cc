// A block: header, then each column at an 8-byte boundary; see docs/internals/log-format.md.
#include "formats/block.h"

#include <cstring>
#include <optional>

#include "base/error.h"
#include "duckdb/common/types/vector.hpp"

namespace weir {
namespace {

using duckdb::idx_t;
using duckdb::PhysicalType;
using duckdb::Vector;

constexpr uint32_t kMagic = 0x314b4c42;  // "BLK1"

struct Header {
  uint32_t magic;
  uint32_t columns;
  uint64_t rows;
};

// A piece of a column: rows [0, count) of a flat vector.  A column is the pieces of all its chunks.
struct Piece {
  Vector* vector;
  idx_t count;
};
using Pieces = std::vector<Piece>;

void Align(std::string& out) { out.resize((out.size() + 7) & ~size_t{7}); }

// ---- writing ------------------------------------------------------------------------------------

void EncodeColumn(const Pieces& pieces, const duckdb::LogicalType& type, std::string& out);

idx_t CountRows(const Pieces& pieces) {
  idx_t rows = 0;
  for (auto& piece : pieces) rows += piece.count;
  return rows;
}

void EncodeValidity(const Pieces& pieces, std::string& out) {
  bool all_valid = true;
  for (auto& piece : pieces) {
    all_valid &= duckdb::FlatVector::Validity(*piece.vector).CheckAllValid(piece.count);
  }
  uint64_t has_validity = !all_valid;
  out.append(reinterpret_cast<const char*>(&has_validity), 8);
  if (all_valid) return;
  size_t start = out.size();
  out.resize(start + (CountRows(pieces) + 7) / 8);
  idx_t row = 0;
  for (auto& piece : pieces) {
    auto& validity = duckdb::FlatVector::Validity(*piece.vector);
    for (idx_t i = 0; i < piece.count; i++, row++) {
      if (validity.RowIsValid(i)) out[start + row / 8] |= static_cast<char>(1 << row % 8);
    }
  }
  Align(out);
}

void EncodeFixed(const Pieces& pieces, idx_t width, std::string& out) {
  for (auto& piece : pieces) {
    out.append(reinterpret_cast<const char*>(duckdb::FlatVector::GetData(*piece.vector)),
               piece.count * width);
  }
  Align(out);
}

void EncodeStrings(const Pieces& pieces, std::string& out) {
  uint64_t heap_bytes = 0;
  size_t lengths = out.size();
  out.resize(lengths + CountRows(pieces) * sizeof(uint32_t));
  auto* length = reinterpret_cast<uint32_t*>(out.data() + lengths);
  for (auto& piece : pieces) {
    auto* values = duckdb::FlatVector::GetDataUnsafe<duckdb::string_t>(*piece.vector);
    auto& validity = duckdb::FlatVector::Validity(*piece.vector);
    for (idx_t i = 0; i < piece.count; i++) {
      uint32_t size = validity.RowIsValid(i) ? static_cast<uint32_t>(values[i].GetSize()) : 0;
      *length++ = size;
      heap_bytes += size;
    }
  }
  Align(out);
  out.append(reinterpret_cast<const char*>(&heap_bytes), 8);
  size_t heap = out.size();
  out.resize(heap + heap_bytes);
  char* to = out.data() + heap;
  for (auto& piece : pieces) {
    auto* values = duckdb::FlatVector::GetDataUnsafe<duckdb::string_t>(*piece.vector);
    auto& validity = duckdb::FlatVector::Validity(*piece.vector);
    for (idx_t i = 0; i < piece.count; i++) {
      if (!validity.RowIsValid(i)) continue;
      std::memcpy(to, values[i].GetData(), values[i].GetSize());
      to += values[i].GetSize();
    }
  }
  Align(out);
}

// Lists may share and skip elements: they are written one after the other.
void EncodeLists(const Pieces& pieces, const duckdb::LogicalType& type, std::string& out) {
  size_t lengths = out.size();
  out.resize(lengths + CountRows(pieces) * sizeof(uint32_t));
  size_t row = 0;
  std::vector<std::unique_ptr<Vector>> owned;
  Pieces children;
  for (auto& piece : pieces) {
    auto* entries = duckdb::FlatVector::GetDataUnsafe<duckdb::list_entry_t>(*piece.vector);
    auto& validity = duckdb::FlatVector::Validity(*piece.vector);
    duckdb::SelectionVector elements(
        std::max<idx_t>(duckdb::ListVector::GetListSize(*piece.vector), 1));
    idx_t total = 0;
    for (idx_t i = 0; i < piece.count; i++) total += validity.RowIsValid(i) ? entries[i].length : 0;
    elements.Initialize(std::max<idx_t>(total, 1));
    total = 0;
    for (idx_t i = 0; i < piece.count; i++) {
      uint32_t length = validity.RowIsValid(i) ? static_cast<uint32_t>(entries[i].length) : 0;
      std::memcpy(out.data() + lengths + row++ * sizeof(uint32_t), &length, sizeof(length));
      for (idx_t e = 0; e < length; e++) elements.set_index(total++, entries[i].offset + e);
    }
    auto child =
        std::make_unique<Vector>(duckdb::ListVector::GetEntry(*piece.vector), elements, total);
    child->Flatten(total);
    children.push_back({child.get(), total});
    owned.push_back(std::move(child));
  }
  Align(out);
  uint64_t total = CountRows(children);
  out.append(reinterpret_cast<const char*>(&total), 8);
  EncodeColumn(children, duckdb::ListType::GetChildType(type), out);
}

void EncodeColumn(const Pieces& pieces, const duckdb::LogicalType& type, std::string& out) {
  EncodeValidity(pieces, out);
  switch (type.InternalType()) {
    case PhysicalType::VARCHAR: return EncodeStrings(pieces, out);
    case PhysicalType::LIST: return EncodeLists(pieces, type, out);
    case PhysicalType::STRUCT: {
      auto& fields = duckdb::StructType::GetChildTypes(type);
      for (size_t field = 0; field < fields.size(); field++) {
        Pieces children;
        for (auto& piece : pieces) {
          auto& child = *duckdb::StructVector::GetEntries(*piece.vector)[field];
          child.Flatten(piece.count);
          children.push_back({&child, piece.count});
        }
        EncodeColumn(children, fields[field].second, out);
      }
      return;
    }
    case PhysicalType::ARRAY: {
      auto size = duckdb::ArrayType::GetSize(type);
      Pieces children;
      for (auto& piece : pieces) {
        auto& child = duckdb::ArrayVector::GetEntry(*piece.vector);
        child.Flatten(piece.count * size);
        children.push_back({&child, piece.count * size});
      }
      return EncodeColumn(children, duckdb::ArrayType::GetChildType(type), out);
    }
    default: return EncodeFixed(pieces, duckdb::GetTypeIdSize(type.InternalType()), out);
  }
}

// ---- reading ------------------------------------------------------------------------------------

[[noreturn]] void Damaged() {
  throw Error(ErrorCode::kCorruption, "a block of the log is damaged");
}

// One encoded column, opened: knows where its parts are, gives any range of rows.
class ColumnReader {
 public:
  // Reads a column of `rows` values at `at`, which moves behind it.
  ColumnReader(std::string_view bytes, size_t& at, const duckdb::LogicalType& type, uint64_t rows)
      : bytes_(bytes), type_(type), rows_(rows) {
    if (Number(at)) validity_ = Take(at, (rows + 7) / 8);
    switch (type.InternalType()) {
      case PhysicalType::VARCHAR: {
        lengths_ = Take(at, Times(rows, sizeof(uint32_t)));
        heap_ = Take(at, Number(at));
        uint64_t sum = 0;
        for (uint64_t i = 0; i < rows; i++) sum += Length(i);
        if (sum != heap_.size()) Damaged();
        break;
      }
      case PhysicalType::LIST: {
        lengths_ = Take(at, Times(rows, sizeof(uint32_t)));
        uint64_t elements = Number(at), sum = 0;
        for (uint64_t i = 0; i < rows; i++) sum += Length(i);
        if (sum != elements || elements > bytes.size() * 8) Damaged();
        children_.emplace_back(bytes, at, duckdb::ListType::GetChildType(type), elements);
        break;
      }
      case PhysicalType::STRUCT:
        for (auto& field : duckdb::StructType::GetChildTypes(type)) {
          children_.emplace_back(bytes, at, field.second, rows);
        }
        break;
      case PhysicalType::ARRAY:
        children_.emplace_back(bytes, at, duckdb::ArrayType::GetChildType(type),
                               Times(rows, duckdb::ArrayType::GetSize(type)));
        break;
      default: heap_ = Take(at, Times(rows, duckdb::GetTypeIdSize(type.InternalType())));
    }
  }

  // Copies the next `count` rows into `out`, a fresh flat vector with room from `place`.
  void Read(idx_t count, Vector& out, idx_t place = 0) {
    if (!validity_.empty()) {
      for (idx_t i = 0; i < count; i++) {
        uint64_t row = next_ + i;
        if (!(validity_[row / 8] >> row % 8 & 1)) duckdb::FlatVector::SetNull(out, place + i, true);
      }
    }
    switch (type_.InternalType()) {
      case PhysicalType::VARCHAR: {
        auto* values = duckdb::FlatVector::GetDataUnsafe<duckdb::string_t>(out) + place;
        const char* heap = heap_.data() + next_heap_;
        for (idx_t i = 0; i < count; i++) {
          uint32_t length = Length(next_ + i);
          values[i] =
              length <= duckdb::string_t::INLINE_LENGTH
                  ? duckdb::string_t(heap, length)
                  : duckdb::StringVector::AddStringOrBlob(out, duckdb::string_t(heap, length));
          heap += length;
        }
        next_heap_ = static_cast<size_t>(heap - heap_.data());
        break;
      }
      case PhysicalType::LIST: {
        auto* entries = duckdb::FlatVector::GetDataUnsafe<duckdb::list_entry_t>(out) + place;
        idx_t offset = duckdb::ListVector::GetListSize(out), total = 0;
        for (idx_t i = 0; i < count; i++) {
          entries[i] = {offset + total, Length(next_ + i)};
          total += entries[i].length;
        }
        duckdb::ListVector::Reserve(out, offset + total);
        children_[0].Read(total, duckdb::ListVector::GetEntry(out), offset);
        duckdb::ListVector::SetListSize(out, offset + total);
        break;
      }
      case PhysicalType::STRUCT: {
        auto& fields = duckdb::StructVector::GetEntries(out);
        for (size_t i = 0; i < fields.size(); i++) children_[i].Read(count, *fields[i], place);
        break;
      }
      case PhysicalType::ARRAY: {
        auto size = duckdb::ArrayType::GetSize(type_);
        children_[0].Read(count * size, duckdb::ArrayVector::GetEntry(out), place * size);
        break;
      }
      default: {
        auto width = duckdb::GetTypeIdSize(type_.InternalType());
        std::memcpy(duckdb::FlatVector::GetData(out) + place * width, heap_.data() + next_ * width,
                    count * width);
      }
    }
    next_ += count;
  }

 private:
  uint64_t Times(uint64_t rows, uint64_t width) {
    uint64_t bytes;
    if (__builtin_mul_overflow(rows, width, &bytes)) Damaged();
    return bytes;
  }
  uint64_t Number(size_t& at) {
    uint64_t number;
    std::memcpy(&number, Take(at, 8).data(), 8);
    return number;
  }
  std::string_view Take(size_t& at, uint64_t size) {
    if (size > bytes_.size() || at > bytes_.size() - size) Damaged();
    auto taken = bytes_.substr(at, size);
    at = std::min(at + ((size + 7) & ~uint64_t{7}), bytes_.size());
    return taken;
  }
  uint32_t Length(uint64_t row) const {
    uint32_t length;
    std::memcpy(&length, lengths_.data() + row * sizeof(length), sizeof(length));
    return length;
  }

  std::string_view bytes_, validity_, lengths_, heap_;
  duckdb::LogicalType type_;
  uint64_t rows_;
  std::vector<ColumnReader> children_;
  uint64_t next_ = 0;
  size_t next_heap_ = 0;
};

}  // namespace

std::string EncodeBlock(const Columns& columns, const std::vector<duckdb::LogicalType>& types) {
  std::string out;
  size_t estimate = sizeof(Header) + types.size() * 16;
  for (auto& type : types) {
    estimate += columns.rows * (duckdb::TypeIsConstantSize(type.InternalType())
                                    ? duckdb::GetTypeIdSize(type.InternalType())
                                    : 20);
  }
  out.reserve(estimate);
  Header header{kMagic, static_cast<uint32_t>(types.size()), columns.rows};
  out.append(reinterpret_cast<const char*>(&header), sizeof(header));
  size_t places = out.size();
  out.resize(places + types.size() * sizeof(uint64_t));
  for (size_t column = 0; column < types.size(); column++) {
    uint64_t place = out.size();
    std::memcpy(out.data() + places + column * sizeof(place), &place, sizeof(place));
    Pieces pieces;
    for (auto& chunk : columns.chunks) {
      auto& vector = chunk->data[column];
      if (vector.GetVectorType() != duckdb::VectorType::FLAT_VECTOR) vector.Flatten(chunk->size());
      pieces.push_back({&vector, chunk->size()});
    }
    EncodeColumn(pieces, types[column], out);
  }
  return out;
}

Columns DecodeBlock(std::string_view bytes, const std::vector<duckdb::LogicalType>& types,
                    const std::vector<size_t>& projection, std::shared_ptr<const void>) {
  Header header;
  if (bytes.size() < sizeof(header)) Damaged();
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.magic != kMagic || header.columns > (bytes.size() - sizeof(header)) / 8 ||
      header.rows > bytes.size() * 64) {
    Damaged();
  }
  duckdb::vector<duckdb::LogicalType> out_types;
  std::vector<std::optional<ColumnReader>> readers;
  for (size_t column : projection) {
    out_types.push_back(types.at(column));
    if (column >= header.columns) {
      readers.emplace_back();
      continue;
    }
    uint64_t place;
    std::memcpy(&place, bytes.data() + sizeof(header) + column * sizeof(place), sizeof(place));
    if (place > bytes.size()) Damaged();
    size_t at = place;
    readers.emplace_back(std::in_place, bytes, at, types[column], header.rows);
  }
  Columns columns;
  while (columns.rows < header.rows) {
    idx_t count = std::min<idx_t>(STANDARD_VECTOR_SIZE, header.rows - columns.rows);
    auto chunk = std::make_unique<duckdb::DataChunk>();
    if (!out_types.empty()) {
      chunk->Initialize(duckdb::Allocator::DefaultAllocator(), out_types, count);
    }
    for (size_t i = 0; i < readers.size(); i++) {
      if (readers[i]) {
        readers[i]->Read(count, chunk->data[i]);
      } else {
        chunk->data[i].Reference(duckdb::Value(out_types[i]));
      }
    }
    chunk->SetCardinality(count);
    columns.chunks.push_back(std::move(chunk));
    columns.rows += count;
  }
  return columns;
}

}  // namespace weir
