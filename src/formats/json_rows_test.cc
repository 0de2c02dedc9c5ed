// Rows that are read as expected and rows read in the general way are the same rows: random bodies,
// most of them alike, some of them odd in one of many ways, are read in both.
#include "formats/json_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/error.h"
#include "formats/results.h"

namespace weir {
namespace {

// Reads bodies one after another, as a parser of a connection does.
class Reader {
 public:
  Reader(const Stream& stream, bool expecting) : builder_(stream), rows_(stream, builder_) {
    if (!expecting) rows_.ExpectNothing();
  }
  // All that is known of a body: its rows, what is refused and why.
  std::string Read(RowFormat format, std::string_view body) {
    builder_.Begin(8);
    std::string said;
    try {
      format == RowFormat::kNdjson ? rows_.ParseLines(body) : rows_.ParseDocument(body);
    } catch (const Error& error) {
      said = error.message + "\n";
    }
    ParsedRows parsed = builder_.Finish();
    for (auto& error : parsed.errors) {
      said += std::to_string(error.line) + " [" + error.column + "] " + error.value + ": " +
              error.reason + "\n";
    }
    rows_read_ += parsed.columns->rows;
    return said + JsonRowsOf(*parsed.columns, true);
  }
  uint64_t rows_read() const { return rows_read_; }

 private:
  BlockBuilder builder_;
  JsonRows rows_;
  uint64_t rows_read_ = 0;
};

// Writes rows as a producer does: the same fields in the same order, in his way of spacing.
class Producer {
 public:
  // One value in so many is odd.
  Producer(const Stream& stream, uint64_t seed, uint64_t odd)
      : stream_(stream), random_(seed), odd_(odd) {
    for (auto& column : stream.columns) fields_.push_back(column.name);
    if (OneIn(2)) fields_.push_back("not_a_column");
    std::shuffle(fields_.begin(), fields_.end(), random_);
    if (OneIn(3)) colon_ = ": ";
    if (OneIn(3)) comma_ = ", ";
    if (OneIn(4)) line_end_ = "\r\n";
  }

  std::string Body(RowFormat format, size_t rows) {
    std::string body = format == RowFormat::kJson ? "[" : "";
    for (size_t i = 0; i < rows; i++) {
      if (i && format == RowFormat::kJson) body += ",";
      body += Row() + line_end_;
    }
    if (format == RowFormat::kJson) body += "]";
    if (OneIn(4) && !body.empty()) body.resize(random_() % body.size());  // cut off
    if (OneIn(4) && !body.empty()) body[random_() % body.size()] = static_cast<char>(random_());
    return body;
  }

 private:
  bool OneIn(uint64_t n) { return random_() % n == 0; }
  const std::string& Any(const std::vector<std::string>& of) { return of[random_() % of.size()]; }

  std::string Row() {
    std::vector<std::string> fields = fields_;
    if (OneIn(8)) fields.erase(fields.begin() + static_cast<ptrdiff_t>(random_() % fields.size()));
    if (OneIn(20)) fields.push_back(Any(fields_));
    if (OneIn(20)) std::shuffle(fields.begin(), fields.end(), random_);
    if (OneIn(40)) fields.clear();
    std::string row = "{";
    for (auto& field : fields) {
      if (row.size() > 1) row += OneIn(7 * odd_) ? Any({" , ", ",\n", ",,", "\t,", ""}) : comma_;
      row += "\"" + (OneIn(7 * odd_) ? "\\u0061" + field : field) + "\"";
      row += OneIn(7 * odd_) ? Any({" : ", "\t:\n", "", "::"}) : colon_;
      row += Value(field);
    }
    row += OneIn(7 * odd_) ? Any({" }", "\n}", "", "}}", "},", "} x"}) : "}";
    return row;
  }

  std::string Digits(size_t most) {
    std::string digits = std::to_string(random_());
    return digits.substr(0, 1 + random_() % most);
  }
  std::string Time() {
    std::string time = Any({"2020-02-29", "1999-12-31", "0001-01-01", "2024-03-10"}) +
                       (OneIn(4) ? " " : "T") + Any({"00:00", "23:59", "12:34"}) + ":" +
                       Any({"00", "59", "07"});
    if (!OneIn(3)) time += "." + Digits(9);
    return time + Any({"Z", "Z", "", "+00:00", "+02:00", "-0930", "+05"});
  }
  // Mostly what fits a column of this type.
  std::string Value(const std::string& field) {
    auto index = stream_.Find(field);
    if (!index || OneIn(odd_)) return Any(kOdd);
    using duckdb::LogicalTypeId;
    auto& type = stream_.columns[*index].type;
    switch (type.IsJSONType() ? LogicalTypeId::INVALID : type.id()) {
      case LogicalTypeId::UUID: {
        std::string uuid = "a0EEbc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        for (char& c : uuid) {
          if (c != '-' && OneIn(2)) c = "0123456789abcdefABCDEF"[random_() % 22];
        }
        if (OneIn(2 * odd_)) uuid[random_() % uuid.size()] = static_cast<char>(random_());
        return "\"" + uuid + "\"";
      }
      case LogicalTypeId::TIMESTAMP:
      case LogicalTypeId::TIMESTAMP_TZ:
        if (OneIn(4)) return Digits(18);
        if (OneIn(odd_)) {
          std::string time = Time();
          time[random_() % time.size()] = "0123456789-:TZ. "[random_() % 16];
          return "\"" + time + "\"";
        }
        return "\"" + Time() + "\"";
      case LogicalTypeId::BOOLEAN: return Any({"true", "false"});
      case LogicalTypeId::FLOAT:
      case LogicalTypeId::DOUBLE:
        return (OneIn(2) ? "-" : "") + Digits(12) + (OneIn(2) ? "." + Digits(9) : "") +
               (OneIn(9) ? "e" + Digits(2) : "");
      case LogicalTypeId::VARCHAR: {
        std::string text = std::string(random_() % 15 * (OneIn(9) ? 7 : 1), 'x');
        for (char& c : text) c = static_cast<char>(' ' + random_() % 95);
        std::replace(text.begin(), text.end(), '"', '-');
        std::replace(text.begin(), text.end(), '\\', '/');
        if (OneIn(6)) text.insert(random_() % (text.size() + 1), Any(kInText));
        return "\"" + text + "\"";
      }
      case LogicalTypeId::DATE: return Any({"\"2020-02-29\"", "\"1999-01-01\"", "\"2021-02-29\""});
      case LogicalTypeId::DECIMAL: return Digits(7) + (OneIn(2) ? "." + Digits(4) : "");
      case LogicalTypeId::LIST: return Any({"[]", "[\"a\", \"b\"]", "[1,\n2]", "[[1]]"});
      case LogicalTypeId::INVALID: return Any(kOdd);
      default: return (OneIn(9) ? "-" : "") + Digits(OneIn(3) ? 20 : 3);  // a whole number
    }
  }

  inline static const std::vector<std::string> kOdd = {"null",
                                                       "null",
                                                       "null",
                                                       "true",
                                                       "false",
                                                       "0",
                                                       "-0",
                                                       "1.0",
                                                       "5e3",
                                                       "00",
                                                       "-",
                                                       "1.",
                                                       "+1",
                                                       "1e999",
                                                       "\"\"",
                                                       "\"7\"",
                                                       "\"x\"",
                                                       "{}",
                                                       "[1,2]",
                                                       "{\"a\":",
                                                       "[\n1]",
                                                       "nul",
                                                       "tru",
                                                       "\"open",
                                                       "\"\t\"",
                                                       "\"\\\"",
                                                       "\"\\u00e9\"",
                                                       "\"true\"",
                                                       "\"NaN\"",
                                                       "0.1e-7",
                                                       "1e5",
                                                       "-1.5E+3",
                                                       "\"\\\\",
                                                       "12 13",
                                                       "9007199254740993",
                                                       "18446744073709551616",
                                                       "65536",
                                                       "-129"};
  inline static const std::vector<std::string> kInText = {
      "\\n", "\\u0041", "\\ud83d\\ude00", "\\",  "\xc3\xa9",        "\xff", "\xe2\x82",
      "\t",  "\"",      "\\\"",           "\\x", "\xf0\x9f\x98\x80"};

  const Stream& stream_;
  std::mt19937_64 random_;
  const uint64_t odd_;
  std::vector<std::string> fields_;
  std::string colon_ = ":", comma_ = ",", line_end_ = "\n";
};

Stream StreamOf(const std::vector<std::string>& types, size_t copies, uint64_t seed) {
  std::mt19937_64 random(seed);
  Stream stream;
  stream.name = "s";
  for (size_t copy = 0; copy < copies; copy++) {
    for (auto& type : types) {
      Column column{"field_" + std::to_string(stream.columns.size()), ParseColumnType(type)};
      if (random() % 4 == 0) column.name += "_with_a_name_that_is_longer_than_most_are_by_far";
      column.not_null = random() % 8 == 0;
      column.epoch = static_cast<EpochUnit>(random() % 4);
      stream.columns.push_back(column);
    }
  }
  if (random() % 8 == 0) stream.unknown_fields = UnknownFields::kReject;
  return stream;
}

void Compare(const Stream& stream, uint64_t seed, uint64_t odd, uint64_t& rows_read) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Producer producer(stream, seed, odd);
  Reader expecting(stream, true), general(stream, false);
  for (int body = 0; body < 6; body++) {
    auto format = body % 3 == 2 ? RowFormat::kJson : RowFormat::kNdjson;
    std::string text = producer.Body(format, 60);
    ASSERT_EQ(expecting.Read(format, text), general.Read(format, text)) << text;
  }
  rows_read += expecting.rows_read();
}

const std::vector<std::string> kTypes = {
    "UUID",         "TIMESTAMP", "TIMESTAMPTZ", "VARCHAR", "BOOLEAN",      "BIGINT",
    "INTEGER",      "SMALLINT",  "TINYINT",     "UBIGINT", "UINTEGER",     "USMALLINT",
    "UTINYINT",     "DOUBLE",    "JSON",        "DATE",    "DECIMAL(9,2)", "DECIMAL(38,10)",
    "DECIMAL(4,0)", "FLOAT",     "VARCHAR[]"};

TEST(ExpectedRows, AreWhatTheGeneralWayReads) {
  uint64_t rows = 0;
  for (uint64_t seed = 0; seed < 400; seed++) {
    std::mt19937_64 random(seed);
    auto types = kTypes;
    std::shuffle(types.begin(), types.end(), random);
    types.resize(1 + random() % 6);
    ASSERT_NO_FATAL_FAILURE(Compare(StreamOf(types, 1, seed), seed, 30, rows));
  }
  EXPECT_GT(rows, 20'000u);  // most are good
}

TEST(ExpectedRows, MayHaveManyColumns) {
  uint64_t rows = 0;
  for (uint64_t seed = 0; seed < 5; seed++) {
    ASSERT_NO_FATAL_FAILURE(Compare(StreamOf({"DOUBLE", "BOOLEAN"}, 70, seed), seed, 3000, rows));
  }
  EXPECT_GT(rows, 500u);
}

TEST(ExpectedRows, EveryByteOfAGoodRowMayBeAnother) {
  Stream stream = StreamOf({"UUID", "TIMESTAMP", "VARCHAR", "BIGINT", "DOUBLE"}, 1, 1);
  for (auto& column : stream.columns) column.name.resize(7), column.not_null = false;
  const std::string good =
      "{\"field_0\":\"a0EEbc99-9c0b-4ef8-bb6d-6bb9bd380a11\",\"field_1\":\"2020-02-29T12:34:56."
      "789Z\","
      "\"field_2\":\"sign_up\",\"field_3\":1234567890123456,\"field_4\":-12.25}\n";
  Reader expecting(stream, true), general(stream, false);
  ASSERT_EQ(expecting.Read(RowFormat::kNdjson, good), general.Read(RowFormat::kNdjson, good));
  ASSERT_EQ(expecting.rows_read(), 1u);
  for (size_t place = 0; place < good.size(); place++) {
    std::string body;
    for (int byte = 0; byte < 256; byte++) {
      std::string row = good;
      row[place] = static_cast<char>(byte);
      body += row;
    }
    ASSERT_EQ(expecting.Read(RowFormat::kNdjson, body), general.Read(RowFormat::kNdjson, body))
        << "byte " << place;
  }
}

TEST(ExpectedRows, TheTextBehindABodyIsNotPartOfIt) {
  Stream stream = StreamOf({"BIGINT"}, 1, 1);
  stream.columns[0].name = "a";
  std::string text;
  for (int i = 0; i < 100; i++) text += "{\"a\":1}\n";
  Reader reader(stream, true);
  EXPECT_EQ(reader.Read(RowFormat::kNdjson, std::string_view(text).substr(0, 16)),
            R"([["1"],["1"]])");
  EXPECT_EQ(reader.Read(RowFormat::kNdjson, std::string_view(text).substr(0, 160)).size(),
            20 * 6 + 1);
}

}  // namespace
}  // namespace weir
