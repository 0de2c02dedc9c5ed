#include "query/arrow.h"

#include <cstring>
#include <utility>

#include "duckdb/common/types/decimal.hpp"
#include "duckdb/common/types/hugeint.hpp"
#include "duckdb/common/types/vector.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "duckdb/main/client_context.hpp"
#include "query/flatbuffer.h"

namespace weir {
namespace {

using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::Vector;

// Numbers of the format's enumerations.
enum Kind : uint8_t {
  kInt = 2,
  kFloat = 3,
  kBinary = 4,
  kUtf8 = 5,
  kBool = 6,
  kDecimal = 7,
  kDate = 8,
  kTime = 9,
  kTimestamp = 10,
  kList = 12,
  kStruct = 13,
  kMap = 17
};
enum Unit : int16_t { kSecond = 0, kMilli = 1, kMicro = 2, kNano = 3 };
enum Header : uint8_t { kSchema = 1, kRecordBatch = 3 };
constexpr int16_t kVersion5 = 4;

// The type in which a column travels.
LogicalType Travelling(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::LIST:
      return LogicalType::LIST(Travelling(duckdb::ListType::GetChildType(type)));
    case LogicalTypeId::ARRAY:
      return LogicalType::LIST(Travelling(duckdb::ArrayType::GetChildType(type)));
    case LogicalTypeId::MAP:
      return LogicalType::MAP(Travelling(duckdb::MapType::KeyType(type)),
                              Travelling(duckdb::MapType::ValueType(type)));
    case LogicalTypeId::STRUCT: {
      auto children = duckdb::StructType::GetChildTypes(type);
      for (auto& child : children) child.second = Travelling(child.second);
      return LogicalType::STRUCT(children);
    }
    case LogicalTypeId::BOOLEAN:
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::SMALLINT:
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::BIGINT:
    case LogicalTypeId::UTINYINT:
    case LogicalTypeId::USMALLINT:
    case LogicalTypeId::UINTEGER:
    case LogicalTypeId::UBIGINT:
    case LogicalTypeId::FLOAT:
    case LogicalTypeId::DOUBLE:
    case LogicalTypeId::BLOB:
    case LogicalTypeId::DATE:
    case LogicalTypeId::TIME:
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_TZ:
    case LogicalTypeId::TIMESTAMP_SEC:
    case LogicalTypeId::TIMESTAMP_MS:
    case LogicalTypeId::TIMESTAMP_NS: return type;
    case LogicalTypeId::HUGEINT: return LogicalType::DECIMAL(38, 0);  // what sum() of integers is
    case LogicalTypeId::DECIMAL:
      return LogicalType::DECIMAL(38, duckdb::DecimalType::GetScale(type));
    default: return LogicalType::VARCHAR;
  }
}

class SchemaWriter {
 public:
  std::string Message(const std::vector<Column>& columns) {
    std::vector<FlatBuffer::Ref> fields;
    for (auto& column : columns) fields.push_back(Field(column.name, Travelling(column.type)));
    auto list = buffer_.References(fields);
    buffer_.BeginTable();
    buffer_.Field(0, int16_t{0});  // little-endian
    buffer_.ReferenceField(1, list);
    return Finish(buffer_, kSchema, buffer_.EndTable(), 0);
  }

  static std::string Finish(FlatBuffer& buffer, Header kind, FlatBuffer::Ref header,
                            int64_t body_size) {
    buffer.BeginTable();
    buffer.Field(3, body_size);
    buffer.ReferenceField(2, header);
    buffer.Field(0, kVersion5);
    buffer.Field(1, static_cast<uint8_t>(kind));
    auto root = buffer.EndTable();
    return buffer.Finish(root);
  }

 private:
  FlatBuffer::Ref Field(const std::string& name, const LogicalType& type, bool nullable = true) {
    std::vector<FlatBuffer::Ref> children;
    if (type.id() == LogicalTypeId::LIST) {
      children.push_back(Field("item", duckdb::ListType::GetChildType(type)));
    } else if (type.id() == LogicalTypeId::STRUCT) {
      for (auto& child : duckdb::StructType::GetChildTypes(type)) {
        children.push_back(Field(child.first, child.second));
      }
    } else if (type.id() == LogicalTypeId::MAP) {
      auto key = Field("key", duckdb::MapType::KeyType(type), false);
      auto value = Field("value", duckdb::MapType::ValueType(type));
      children.push_back(StructField("entries", {key, value}));
    }
    auto [kind, described] = Type(type);
    return Finish(name, kind, described, children, nullable);
  }

  FlatBuffer::Ref StructField(const std::string& name,
                              const std::vector<FlatBuffer::Ref>& children) {
    buffer_.BeginTable();
    return Finish(name, kStruct, buffer_.EndTable(), children, false);
  }

  FlatBuffer::Ref Finish(const std::string& name, Kind kind, FlatBuffer::Ref type,
                         const std::vector<FlatBuffer::Ref>& children, bool nullable) {
    auto label = buffer_.String(name);
    auto list = buffer_.References(children);
    buffer_.BeginTable();
    buffer_.ReferenceField(0, label);
    buffer_.ReferenceField(3, type);
    buffer_.ReferenceField(5, list);
    buffer_.Field(1, static_cast<uint8_t>(nullable));
    buffer_.Field(2, static_cast<uint8_t>(kind));
    return buffer_.EndTable();
  }

  std::pair<Kind, FlatBuffer::Ref> Int(int32_t bits, bool is_signed) {
    buffer_.BeginTable();
    buffer_.Field(0, bits);
    buffer_.Field(1, static_cast<uint8_t>(is_signed));
    return {kInt, buffer_.EndTable()};
  }
  template <typename T>
  std::pair<Kind, FlatBuffer::Ref> With(Kind kind, T value) {
    buffer_.BeginTable();
    buffer_.Field(0, value);
    return {kind, buffer_.EndTable()};
  }
  std::pair<Kind, FlatBuffer::Ref> Plain(Kind kind) {
    buffer_.BeginTable();
    return {kind, buffer_.EndTable()};
  }

  std::pair<Kind, FlatBuffer::Ref> Type(const LogicalType& type) {
    switch (type.id()) {
      case LogicalTypeId::BOOLEAN: return Plain(kBool);
      case LogicalTypeId::TINYINT: return Int(8, true);
      case LogicalTypeId::SMALLINT: return Int(16, true);
      case LogicalTypeId::INTEGER: return Int(32, true);
      case LogicalTypeId::BIGINT: return Int(64, true);
      case LogicalTypeId::UTINYINT: return Int(8, false);
      case LogicalTypeId::USMALLINT: return Int(16, false);
      case LogicalTypeId::UINTEGER: return Int(32, false);
      case LogicalTypeId::UBIGINT: return Int(64, false);
      case LogicalTypeId::FLOAT: return With(kFloat, int16_t{1});
      case LogicalTypeId::DOUBLE: return With(kFloat, int16_t{2});
      case LogicalTypeId::BLOB: return Plain(kBinary);
      case LogicalTypeId::DATE: return With(kDate, int16_t{0});
      case LogicalTypeId::TIMESTAMP: return With(kTimestamp, int16_t{kMicro});
      case LogicalTypeId::TIMESTAMP_SEC: return With(kTimestamp, int16_t{kSecond});
      case LogicalTypeId::TIMESTAMP_MS: return With(kTimestamp, int16_t{kMilli});
      case LogicalTypeId::TIMESTAMP_NS: return With(kTimestamp, int16_t{kNano});
      case LogicalTypeId::LIST: return Plain(kList);
      case LogicalTypeId::STRUCT: return Plain(kStruct);
      case LogicalTypeId::MAP: return Plain(kMap);
      case LogicalTypeId::TIME: {
        buffer_.BeginTable();
        buffer_.Field(1, int32_t{64});
        buffer_.Field(0, int16_t{kMicro});
        return {kTime, buffer_.EndTable()};
      }
      case LogicalTypeId::TIMESTAMP_TZ: {
        auto zone = buffer_.String("UTC");
        buffer_.BeginTable();
        buffer_.ReferenceField(1, zone);
        buffer_.Field(0, int16_t{kMicro});
        return {kTimestamp, buffer_.EndTable()};
      }
      case LogicalTypeId::DECIMAL: {
        buffer_.BeginTable();
        buffer_.Field(0, static_cast<int32_t>(duckdb::DecimalType::GetWidth(type)));
        buffer_.Field(1, static_cast<int32_t>(duckdb::DecimalType::GetScale(type)));
        buffer_.Field(2, int32_t{128});
        return {kDecimal, buffer_.EndTable()};
      }
      default: return Plain(kUtf8);
    }
  }

  FlatBuffer buffer_;
};

// One vector of rows as the buffers of a record batch.
class BatchWriter {
 public:
  std::string Message(duckdb::DataChunk& rows) {
    for (idx_t i = 0; i < rows.ColumnCount(); i++) Column(rows.data[i], rows.size());
    FlatBuffer buffer;
    auto buffers = buffer.Pairs(buffers_);
    auto nodes = buffer.Pairs(nodes_);
    buffer.BeginTable();
    buffer.Field(0, static_cast<int64_t>(rows.size()));
    buffer.ReferenceField(1, nodes);
    buffer.ReferenceField(2, buffers);
    auto header = buffer.EndTable();
    return SchemaWriter::Finish(buffer, kRecordBatch, header, static_cast<int64_t>(body_.size()));
  }
  const std::string& body() const { return body_; }

 private:
  void Buffer(const void* bytes, size_t size) {
    buffers_.emplace_back(static_cast<int64_t>(body_.size()), static_cast<int64_t>(size));
    body_.append(static_cast<const char*>(bytes), size);
    body_.append((8 - size % 8) % 8, '\0');
  }

  template <typename Test>
  void Bits(idx_t count, Test test) {
    std::string bits((count + 7) / 8, '\0');
    for (idx_t i = 0; i < count; i++) {
      if (test(i)) bits[i / 8] = static_cast<char>(bits[i / 8] | (1 << (i % 8)));
    }
    Buffer(bits.data(), bits.size());
  }

  // Length, number of NULLs and which they are: first of every column.
  void Node(Vector& vector, idx_t count) {
    auto& validity = duckdb::FlatVector::Validity(vector);
    idx_t nulls = count - validity.CountValid(count);
    nodes_.emplace_back(static_cast<int64_t>(count), static_cast<int64_t>(nulls));
    if (nulls == 0) {
      Buffer(nullptr, 0);
    } else {
      Bits(count, [&](idx_t i) { return validity.RowIsValid(i); });
    }
  }

  void Column(Vector& vector, idx_t count) {
    vector.Flatten(count);
    Node(vector, count);
    auto& type = vector.GetType();
    switch (type.id()) {
      case LogicalTypeId::BOOLEAN: {
        auto* values = duckdb::FlatVector::GetData<bool>(vector);
        Bits(count, [&](idx_t i) { return values[i]; });
        break;
      }
      case LogicalTypeId::VARCHAR:
      case LogicalTypeId::BLOB: Strings(vector, count); break;
      case LogicalTypeId::STRUCT:
        for (auto& child : duckdb::StructVector::GetEntries(vector)) Column(*child, count);
        break;
      case LogicalTypeId::LIST: List(vector, count, false); break;
      case LogicalTypeId::MAP: List(vector, count, true); break;
      default:
        Buffer(duckdb::FlatVector::GetData(vector),
               count * duckdb::GetTypeIdSize(type.InternalType()));
    }
  }

  void Strings(Vector& vector, idx_t count) {
    auto* values = duckdb::FlatVector::GetData<duckdb::string_t>(vector);
    auto& validity = duckdb::FlatVector::Validity(vector);
    std::vector<int32_t> ends(count + 1);
    std::string bytes;
    for (idx_t i = 0; i < count; i++) {
      if (validity.RowIsValid(i)) bytes.append(values[i].GetData(), values[i].GetSize());
      ends[i + 1] = static_cast<int32_t>(bytes.size());
    }
    Buffer(ends.data(), ends.size() * sizeof(int32_t));
    Buffer(bytes.data(), bytes.size());
  }

  // Elements lie in any order in DuckDB's vector: they are put in the order of the rows.
  void List(Vector& vector, idx_t count, bool map) {
    auto* lists = duckdb::ListVector::GetData(vector);
    auto& validity = duckdb::FlatVector::Validity(vector);
    std::vector<int32_t> ends(count + 1);
    idx_t total = 0;
    for (idx_t i = 0; i < count; i++) {
      if (validity.RowIsValid(i)) total += lists[i].length;
      ends[i + 1] = static_cast<int32_t>(total);
    }
    Buffer(ends.data(), ends.size() * sizeof(int32_t));
    duckdb::SelectionVector order(std::max<idx_t>(total, 1));
    idx_t next = 0;
    for (idx_t i = 0; i < count; i++) {
      if (!validity.RowIsValid(i)) continue;
      for (idx_t j = 0; j < lists[i].length; j++) order.set_index(next++, lists[i].offset + j);
    }
    Vector elements(duckdb::ListVector::GetEntry(vector), order, total);
    if (!map) {
      Column(elements, total);
      return;
    }
    elements.Flatten(total);
    Node(elements, total);
    for (auto& child : duckdb::StructVector::GetEntries(elements)) Column(*child, total);
  }

  std::vector<std::pair<int64_t, int64_t>> nodes_, buffers_;
  std::string body_;
};

class ArrowWriter : public AnswerWriter {
 public:
  ArrowWriter(duckdb::ClientContext& context, AnswerOut out)
      : context_(context), out_(std::move(out)) {}

  void Begin(const std::vector<Column>& columns) override {
    for (auto& column : columns) types_.push_back(Travelling(column.type));
    out_(Framed(SchemaWriter().Message(columns), ""));
  }

  void Rows(duckdb::DataChunk& rows) override {
    duckdb::DataChunk travelling;
    travelling.Initialize(duckdb::Allocator::DefaultAllocator(), types_);
    for (idx_t i = 0; i < types_.size(); i++) {
      if (rows.data[i].GetType() == types_[i]) {
        travelling.data[i].Reference(rows.data[i]);
      } else {
        duckdb::VectorOperations::Cast(context_, rows.data[i], travelling.data[i], rows.size());
      }
    }
    travelling.SetCardinality(rows.size());
    BatchWriter batch;
    std::string message = batch.Message(travelling);
    out_(Framed(message, batch.body()));
  }

  void End(bool) override { out_(std::string("\xFF\xFF\xFF\xFF\0\0\0\0", 8)); }

 private:
  static std::string Framed(const std::string& message, const std::string& body) {
    std::string framed = "\xFF\xFF\xFF\xFF";
    auto size = static_cast<uint32_t>((message.size() + 7) / 8 * 8);
    framed.append(reinterpret_cast<const char*>(&size), sizeof(size));
    framed += message;
    framed.append(size - message.size(), '\0');
    return framed + body;
  }

  duckdb::ClientContext& context_;
  AnswerOut out_;
  duckdb::vector<LogicalType> types_;
};

}  // namespace

std::unique_ptr<AnswerWriter> MakeArrowWriter(duckdb::ClientContext& context, AnswerOut out) {
  return std::make_unique<ArrowWriter>(context, std::move(out));
}

}  // namespace weir
