// Writes the values of one column into the vectors of the block being built.
//
// A value arrives as the text of a JSON token (or a CSV field) and goes straight into its vector;
// types without a reader of their own go through DuckDB's casts.  One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "catalog/catalog.h"
#include "duckdb/common/types/vector.hpp"
#include "formats/text_room.h"
#include "formats/time_text.h"

namespace weir {

// What a JSON value is.  kString: the text between the quotes, escapes already resolved.
enum class TokenKind { kString, kNumber, kTrue, kFalse, kNull, kArray, kObject };

class ColumnWriter {
 public:
  explicit ColumnWriter(const Column& column);

  // Where the next values go.
  void Open(duckdb::Vector& vector);

  // Writes `text` to `row`; returns "" or the reason why it is no value of this column.
  // A string may be referenced by the block only through its copy: `text` may go away.
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
    kNested,
    kCast,
  };
  static Reader ReaderFor(const Column& column);

  template <class Int>
  std::string WriteInteger(duckdb::idx_t row, TokenKind kind, std::string_view text);
  template <class Real>
  std::string WriteReal(duckdb::idx_t row, TokenKind kind, std::string_view text);
  bool WriteDecimal(duckdb::idx_t row, std::string_view text);
  std::string WriteTime(duckdb::idx_t row, TokenKind kind, std::string_view text);
  std::string WriteText(duckdb::idx_t row, std::string_view text);
  std::string WriteCast(duckdb::idx_t row, TokenKind kind, std::string_view text);
  std::string WriteNested(duckdb::idx_t row, TokenKind kind, std::string_view text);
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
};

}  // namespace weir
