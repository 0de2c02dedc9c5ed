// Writes the values of one column into the vectors of the block being built.
//
// A value arrives as the text of a JSON token (or a CSV field) and goes straight into its vector;
// types without a reader of their own go through DuckDB's casts.  What stands inside of lists,
// structs and maps is written by writers of its own, by the same rules.  One thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/catalog.h"
#include "duckdb/common/types/vector.hpp"
#include "formats/row_memory.h"
#include "formats/text_room.h"
#include "formats/time_text.h"

namespace weir {

// What a JSON value is.  kString: the text between the quotes, escapes already resolved.
enum class TokenKind { kString, kNumber, kTrue, kFalse, kNull, kArray, kObject };

class JsonScanner;

class ColumnWriter {
 public:
  explicit ColumnWriter(const Column& column);

  // Where the next values go.  What elements of lists take is added to `memory`, which may be null.
  void Open(duckdb::Vector& vector, RowMemory::Hold* memory = nullptr);

  // Writes `text` to `row`; returns "" or the reason why it is no value of this column.
  // A string may be referenced by the block only through its copy: `text` may go away.  Of arrays
  // and objects, which are JSON already, 64 bytes can be read behind the end.
  std::string Write(duckdb::idx_t row, TokenKind kind, std::string_view text);
  // Writes the JSON value that stands at `at`, from where 64 bytes can be read, to `row`, when it
  // is of a form that machines write for this type; returns the place behind it.  Null for every
  // other form, good or bad: Write decides.  Defined in column_writer_quick.h.
  const char* WriteQuick(duckdb::idx_t row, const char* at);
  // "" or the reason why the column must not be NULL.
  std::string WriteNull(duckdb::idx_t row);

  const std::string& name() const { return column_.name; }

 private:
  enum class Reader {
    kText,
    kUuid,
    kTimestamp,
    kTimestampTz,
    kBoolean,
    kInt64,
    kInt32,
    kInt16,
    kInt8,
    kUint64,
    kUint32,
    kUint16,
    kUint8,
    kDouble,
    kFloat,
    kDecimal,
    kDate,
    kJson,
    kList,
    kArray,
    kStruct,
    kMap,
    kCast,
  };
  static Reader ReaderFor(const Column& column);

  template <class Int>
  std::string WriteInteger(duckdb::idx_t row, TokenKind kind, std::string_view text);
  template <class Real>
  std::string WriteReal(duckdb::idx_t row, TokenKind kind, std::string_view text);
  std::string WriteDecimal(duckdb::idx_t row, TokenKind kind, std::string_view text);
  bool WriteShortDecimal(duckdb::idx_t row, std::string_view text);
  void PutDecimal(duckdb::idx_t row, const duckdb::hugeint_t& value);
  std::string WriteTime(duckdb::idx_t row, TokenKind kind, std::string_view text);
  std::string WriteText(duckdb::idx_t row, std::string_view text);
  std::string WriteCast(duckdb::idx_t row, TokenKind kind, std::string_view text);
  std::string WriteUnion(duckdb::idx_t row, TokenKind kind, std::string_view text);
  std::string WriteNested(duckdb::idx_t row, TokenKind kind, std::string_view text);
  std::string WriteElements(duckdb::idx_t row, JsonScanner& in);
  std::string WriteFields(duckdb::idx_t row, JsonScanner& in);
  std::string WriteEntries(duckdb::idx_t row, JsonScanner& in);
  std::string WriteChild(size_t child, duckdb::idx_t place, JsonScanner& in);
  std::optional<std::string> KeyTwice(duckdb::idx_t first, duckdb::idx_t count) const;
  int FieldOf(std::string_view name) const;
  void MakeChildren();
  void OpenChildren();
  void Moved();
  void MakeRoom(duckdb::idx_t elements);
  std::string NoValue() const;

  template <class Int>
  const char* WriteQuickInteger(duckdb::idx_t row, const char* at);
  const char* WriteQuickDecimal(duckdb::idx_t row, const char* at);
  const char* WriteQuickTime(duckdb::idx_t row, const char* at);
  const char* WriteQuickText(duckdb::idx_t row, const char* at);

  template <class Value>
  void Put(duckdb::idx_t row, Value value) {
    reinterpret_cast<Value*>(values_)[row] = value;
    SetValid(row);
  }
  void SetValid(duckdb::idx_t row) {
    if (!validity_->AllValid()) validity_->SetValid(row);
  }

  Reader reader_;
  Micros epoch_unit_;  // 0 when the column says none
  duckdb::data_ptr_t values_ = nullptr;
  duckdb::ValidityMask* validity_ = nullptr;
  duckdb::Vector* vector_ = nullptr;
  TextRoom room_;
  TimeReader times_;
  Column column_;
  // The element of a list or array, the fields of a struct, the key and value of a map.
  std::vector<ColumnWriter> children_;
  std::vector<char> written_;  // the fields of a struct that this row has
  size_t next_field_ = 0;      // the one that is expected
  size_t element_bytes_ = 0;   // of a list or map
  RowMemory::Hold* memory_ = nullptr;
  bool inside_ = false;  // of another value
};

}  // namespace weir
