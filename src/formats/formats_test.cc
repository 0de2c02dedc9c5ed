// Round trips and refusals that the SQL text tests and the API tests do not reach.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <algorithm>
#include <cctype>
#include <random>

#include "base/error.h"
#include "catalog/catalog.h"
#include "duckdb/common/types/uuid.hpp"
#include "formats/block.h"
#include "formats/decompress.h"
#include "formats/json_text.h"
#include "formats/results.h"
#include "formats/rows.h"
#include "formats/text_scan.h"

namespace weir {
namespace {

std::shared_ptr<Stream> StreamOf(const std::vector<std::pair<std::string, std::string>>& columns) {
  auto stream = std::make_shared<Stream>();
  stream->name = "s";
  for (auto& [name, type] : columns) stream->columns.push_back({name, ParseColumnType(type)});
  return stream;
}

ParsedRows Parse(const std::shared_ptr<Stream>& stream, std::string_view body,
                 RowFormat format = RowFormat::kNdjson) {
  return RowParser::Make(stream)->Parse(format, body);
}

std::string Text(const ParsedRows& rows) { return JsonRowsOf(*rows.columns, true); }

TEST(JsonRows, FieldsMayComeInAnyOrderAndChangeIt) {
  auto stream = StreamOf({{"a", "INTEGER"}, {"b", "VARCHAR"}});
  EXPECT_EQ(Text(Parse(stream, "{\"a\":1,\"b\":\"x\"}\n{\"b\":\"y\",\"a\":2}\n{\"b\":\"z\"}\n")),
            R"([[1,"x"],[2,"y"],[null,"z"]])");
}

TEST(JsonRows, NamesAreMatchedWithoutCaseAndWithEscapes) {
  auto stream = StreamOf({{"name", "VARCHAR"}});
  EXPECT_EQ(Text(Parse(stream, R"({"\u006eame":"x"})")), R"([["x"]])");
}

TEST(JsonRows, EscapesSurrogatesAndControlCharacters) {
  auto stream = StreamOf({{"s", "VARCHAR"}});
  EXPECT_EQ(Text(Parse(stream, R"({"s":"\ud83d\ude00\t\u0001\/"})")),
            "[[\"\xf0\x9f\x98\x80\\t\\u0001/\"]]");
  EXPECT_EQ(Parse(stream, R"({"s":"\ud83d"})").error_count, 1u);
}

TEST(JsonRows, LineEndsAndBlankLinesDoNotMatter) {
  auto stream = StreamOf({{"a", "INTEGER"}});
  EXPECT_EQ(Text(Parse(stream, "\n{\"a\":1}\r\n\n  {\"a\":2}  \r\n\r\n{\"a\":3}")),
            "[[1],[2],[3]]");
}

TEST(JsonRows, ARefusedRowSaysLineColumnValueAndReason) {
  auto stream = StreamOf({{"a", "INTEGER"}, {"b", "DATE"}});
  auto rows = Parse(stream, "{\"a\":1}\n{\"b\":\"soon\"}\n{\"a\":1.5}\n");
  ASSERT_EQ(rows.errors.size(), 2u);
  EXPECT_EQ(rows.errors[0].line, 2u);
  EXPECT_EQ(rows.errors[0].column, "b");
  EXPECT_EQ(rows.errors[0].value, "soon");
  EXPECT_FALSE(rows.errors[0].reason.empty());
  EXPECT_EQ(rows.errors[1].line, 3u);
}

TEST(JsonRows, WholeNumbersMayComeWithAPointOrAnExponent) {
  auto stream = StreamOf({{"a", "TINYINT"}, {"b", "UBIGINT"}});
  EXPECT_EQ(Text(Parse(stream, R"({"a":-128.0,"b":1.8e19})")),
            R"([[-128,"18000000000000000000"]])");
  auto rows = Parse(stream, "{\"a\":1.5}\n{\"a\":1.28e2}\n{\"b\":-1.0}\n{\"b\":1e20}\n");
  ASSERT_EQ(rows.errors.size(), 4u);
  EXPECT_EQ(rows.errors[0].reason, "not a TINYINT");
  EXPECT_EQ(rows.errors[1].reason, "out of range for TINYINT");
  EXPECT_EQ(rows.errors[3].reason, "out of range for UBIGINT");
}

TEST(JsonRows, NumbersBeyondTheirTypeAreNotInfinite) {
  auto stream = StreamOf({{"f", "FLOAT"}, {"d", "DOUBLE"}});
  auto rows =
      Parse(stream, "{\"f\":1e39}\n{\"d\":\"1e400\"}\n{\"f\":\"inf\",\"d\":\"-Infinity\"}\n");
  EXPECT_EQ(Text(rows), R"([["Infinity","-Infinity"]])");
  ASSERT_EQ(rows.errors.size(), 2u);
  EXPECT_EQ(rows.errors[0].reason, "out of range for FLOAT");
}

TEST(JsonRows, WhatOthersWriteForTheSameValueIsTaken) {
  auto stream = StreamOf({{"u", "UUID"}, {"b", "BOOLEAN"}});
  EXPECT_EQ(Text(Parse(stream, R"({"u":"A0EEBC999C0B4EF8BB6D6BB9BD380A11","b":1})")),
            R"([["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",true]])");
}

TEST(ReadUuid, EachByteAtEachPlaceIsADigitOrNone) {
  const std::string good = "a0EEbc99-9c0b-4ef8-bb6d-6bb9bd380a11";
  for (size_t place = 0; place < good.size(); place++) {
    for (int byte = 0; byte < 256; byte++) {
      std::string text = good;
      text[place] = static_cast<char>(byte);
      duckdb::hugeint_t theirs;
      bool dash = place == 8 || place == 13 || place == 18 || place == 23;
      bool valid = dash ? byte == '-' : byte < 128 && std::isxdigit(byte);
      auto ours = ReadUuid(text);
      ASSERT_EQ(ours.has_value(), valid) << place << " " << byte;
      if (!valid) continue;
      ASSERT_TRUE(duckdb::UUID::FromString(text, theirs));
      ASSERT_TRUE(*ours == theirs) << text;
    }
  }
}

TEST(JsonRows, DatesAndDecimalsAreWhatACastMakesOfTheirText) {
  std::mt19937_64 random(7);
  for (std::string type : {"DATE", "DECIMAL(4,0)", "DECIMAL(4,4)", "DECIMAL(9,2)", "DECIMAL(18,6)",
                           "DECIMAL(38,0)", "DECIMAL(38,20)"}) {
    auto stream = StreamOf({{"a", type}});
    for (int i = 0; i < 1000; i++) {
      std::string text;
      if (type == "DATE") {
        text = fmt::format("{:04}-{:02}-{:02}", random() % 10000, random() % 14, random() % 33);
      } else {
        text = std::to_string(random()).substr(0, 1 + random() % 6);
        if (random() % 2) text += "." + std::to_string(random()).substr(0, 1 + random() % 8);
        if (random() % 4 == 0) text = "-" + text;
      }
      duckdb::Value cast;
      std::string message;
      bool good =
          duckdb::Value(text).DefaultTryCastAs(stream->columns[0].type, cast, &message, true);
      auto rows = Parse(stream, "a\n" + text + "\n", RowFormat::kCsv);
      ASSERT_EQ(rows.columns->rows, good) << type << " " << text;
      if (!good) continue;
      ASSERT_EQ(rows.columns->chunks[0]->GetValue(0, 0), cast) << type << " " << text;
    }
  }
}

TEST(JsonRows, AnObjectEndsWithItsLine) {
  auto stream = StreamOf({{"a", "INTEGER"}, {"j", "JSON"}});
  auto rows = Parse(stream, "{\"a\":1,\n\"j\":2}\n{\"j\":[1,\n2]}\n{\"a\":3}\n{\"a\":4\n}\n");
  EXPECT_EQ(Text(rows), "[[3,null]]");
  ASSERT_FALSE(rows.errors.empty());
  EXPECT_NE(rows.errors[0].reason.find("several lines"), std::string::npos);
}

TEST(JsonRows, ManyRefusedRowsAreCountedAndTheFirstOnesTold) {
  auto stream = StreamOf({{"a", "INTEGER"}});
  std::string body;
  for (int i = 0; i < 5000; i++) body += i % 2 ? "{\"a\":1}\n" : "{\"a\":\"x\"}\n";
  auto rows = Parse(stream, body);
  EXPECT_EQ(rows.columns->rows, 2500u);
  EXPECT_EQ(rows.error_count, 2500u);
  EXPECT_EQ(rows.errors.size(), 1000u);
}

TEST(JsonRows, AnArrayAndASingleObject) {
  auto stream = StreamOf({{"a", "INTEGER"}});
  EXPECT_EQ(Text(Parse(stream, "[{\"a\":1},{\"a\":2}]", RowFormat::kJson)), "[[1],[2]]");
  EXPECT_EQ(Text(Parse(stream, "{\"a\":3}", RowFormat::kJson)), "[[3]]");
  EXPECT_THROW(Parse(stream, "[{\"a\":1}", RowFormat::kJson), Error);
}

TEST(CsvRows, QuotesNewlinesAndEmptyFields) {
  auto stream = StreamOf({{"a", "INTEGER"}, {"s", "VARCHAR"}});
  EXPECT_EQ(Text(Parse(stream, "s,a\n\"x, \"\"y\"\"\nz\",1\n\"\",\n,2\n", RowFormat::kCsv)),
            R"([[1,"x, \"y\"\nz"],[null,""],[2,null]])");
}

TEST(CsvRows, LinesThatEndWithCarriageReturnsAloneAreNotTakenForOneHeader) {
  EXPECT_THROW(Parse(StreamOf({{"a", "INTEGER"}}), "a,b\r1,x\r2,y\r", RowFormat::kCsv), Error);
}

TEST(JsonRows, ValuesInsideOthersAreReadAsThoseOfColumns) {
  auto stream = StreamOf({{"s", "STRUCT(t TIMESTAMP, n INTEGER)"}, {"l", "BIGINT[]"}});
  auto rows = Parse(stream, R"({"s":{"t":"2026-01-01T00:00:00+02:00","N":2.0},"l":[1e2,3.0]})");
  EXPECT_EQ(Text(rows), "[[{\"t\":\"2025-12-31 22:00:00\",\"n\":2},[\"100\",\"3\"]]]");
  rows = Parse(stream, R"({"l":[1.5]})");
  ASSERT_EQ(rows.errors.size(), 1u);
  EXPECT_EQ(rows.errors[0].reason, "element 1: not a BIGINT");
}

TEST(JsonRows, AKeyThatAMapHasTwiceRefusesTheRowAlone) {
  auto rows = Parse(StreamOf({{"m", "MAP(INTEGER, VARCHAR)"}}),
                    "{\"m\":{\"1\":\"a\",\"1\":\"b\"}}\n{\"m\":{\"1\":\"a\",\"2\":\"b\"}}\n"
                    "{\"m\":\"{1=a, 1=b}\"}\n");
  EXPECT_EQ(rows.columns->rows, 1u);
  ASSERT_EQ(rows.errors.size(), 2u);
  EXPECT_EQ(rows.errors[0].reason, "key \"1\": there twice");
  EXPECT_EQ(rows.errors[1].line, 3u);
}

TEST(JsonRows, NestedJsonIsKeptAsItCame) {
  auto stream = StreamOf({{"s", "STRUCT(v JSON, n INTEGER)"},
                          {"l", "JSON[]"},
                          {"m", "MAP(VARCHAR, JSON)"},
                          {"e", "STRUCT(k ENUM('x', 'y'))[]"}});
  auto rows = Parse(stream, R"({"s":{"v":{"a":[1e400,1.50]},"n":1},"l":[1,"a",null,[{}]],)"
                            R"("m":{"k":{"deep":true},"n":null},"e":[{"k":"y"},null]})"
                            "\n"
                            R"({"e":[{"k":"z"}]})");
  EXPECT_EQ(Text(rows), R"([[{"v":{"a":[1e400,1.50]},"n":1},[1,"a",null,[{}]],)"
                        R"({"k":{"deep":true},"n":null},[{"k":"y"},null]]])");
  ASSERT_EQ(rows.errors.size(), 1u);
  EXPECT_EQ(rows.errors[0].line, 2u);
}

TEST(JsonRows, ARefusedRowLeavesNothingOfItsListsBehind) {
  auto stream =
      StreamOf({{"l", "VARCHAR[][]"}, {"m", "MAP(VARCHAR, INTEGER[])"}, {"n", "INTEGER"}});
  std::string body, expected;
  for (int i = 0; i < 3000; i++) {
    std::string number = std::to_string(i), text = "longer than twelve bytes " + number;
    body += R"({"l":[["refused"],["too"]],"m":{"a":[1,2],"b":[3,"x"]}})"
            "\n";
    body += R"({"l":[["refused"]],"n":"x"})"
            "\n";
    std::string list = "[[\"" + text + "\"],[],null]";
    std::string map = "{\"" + text + "\":[" + number + ",null]}";
    body += "{\"l\":" + list + ",\"m\":" + map + ",\"n\":" + number + "}\n";
    expected += (i ? ",[" : "[") + list + "," + map + "," + number + "]";
  }
  auto rows = Parse(stream, body);
  EXPECT_EQ(rows.error_count, 6000u);
  EXPECT_EQ(Text(rows), "[" + expected + "]");
  auto types = stream->Types();
  Columns back = DecodeBlock(EncodeBlock(*rows.columns, types), types, {0, 1, 2});
  EXPECT_EQ(JsonRowsOf(back, true), "[" + expected + "]");
}

TEST(JsonRows, ValuesOfAUnionAreOfTheMemberTheyLookLike) {
  auto stream = StreamOf({{"u", "UNION(num INTEGER, str VARCHAR, yes BOOLEAN)"}});
  auto rows = Parse(stream, "{\"u\":5}\n{\"u\":\"a\"}\n{\"u\":true}\n{\"u\":1e400}\n");
  ASSERT_EQ(rows.columns->rows, 4u);
  auto tag = [&](size_t row) {
    return duckdb::UnionValue::GetTag(rows.columns->chunks[0]->GetValue(0, row));
  };
  EXPECT_EQ(tag(0), 0);
  EXPECT_EQ(tag(1), 1);
  EXPECT_EQ(tag(2), 2);
  EXPECT_EQ(tag(3), 1);
}

// ---- depth --------------------------------------------------------------------------------------

std::string Nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(JsonDepth, IsTheSameAtEveryWayIn) {
  auto stream = StreamOf({{"j", "JSON"}, {"s", "STRUCT(v JSON)"}, {"l", "JSON[]"}});
  for (size_t depth : {63, 64, 200'000}) {
    bool good = depth <= 63;
    auto json = Parse(stream, "{\"j\":" + Nested(depth) + "}");
    EXPECT_EQ(json.columns->rows, good) << depth;
    auto csv = Parse(stream, "j\n" + Nested(depth) + "\n", RowFormat::kCsv);
    EXPECT_EQ(csv.columns->rows, good) << depth;
    if (!good) {
      ASSERT_EQ(csv.errors.size(), 1u);
      EXPECT_EQ(csv.errors[0].reason, "JSON that is nested too deeply");
    }
    // As JSON, and as DuckDB writes it.
    for (auto& [column, before, after] :
         {std::tuple("s", "{\"\"v\"\": ", "}"), std::tuple("s", "{'v': ", "}"),
          std::tuple("l", "[", "]")}) {
      auto rows =
          Parse(stream, std::string(column) + "\n\"" + before + Nested(depth) + after + "\"\n",
                RowFormat::kCsv);
      EXPECT_EQ(rows.columns->rows, good) << column << depth;
    }
  }
}

TEST(JsonDepth, OfValuesThatAStatementWritesIsChecked) {
  auto json = duckdb::LogicalType::JSON();
  for (size_t depth : {63, 64, 200'000}) {
    duckdb::Value leaf(Nested(depth));
    leaf.Reinterpret(json);
    auto fields = duckdb::Value::STRUCT({{"v", leaf}});
    std::vector<std::pair<std::string, duckdb::Value>> values = {
        {"JSON", leaf},
        {"STRUCT(v JSON)", fields},
        {"JSON[]", duckdb::Value::LIST(json, {leaf})},
        {"MAP(VARCHAR, JSON)",
         duckdb::Value::MAP(duckdb::LogicalType::VARCHAR, json, {duckdb::Value("k")}, {leaf})},
        {"JSON[1]", duckdb::Value::ARRAY(json, {leaf})},
        {"STRUCT(v JSON)[]", duckdb::Value::LIST(fields.type(), {fields})}};
    for (auto& [text, value] : values) {
      auto type = ParseColumnType(text);
      EXPECT_TRUE(HoldsJson(type)) << text;
      Columns columns;
      auto chunk = std::make_unique<duckdb::DataChunk>();
      chunk->Initialize(duckdb::Allocator::DefaultAllocator(), {type});
      chunk->SetValue(0, 0, value);
      chunk->SetCardinality(1);
      columns.rows = 1;
      columns.chunks.push_back(std::move(chunk));
      if (depth <= 63) {
        EXPECT_NO_THROW(CheckJsonDepth(columns, {type}, {"c"})) << text;
      } else {
        EXPECT_THROW(CheckJsonDepth(columns, {type}, {"c"}), Error) << text;
      }
    }
  }
}

// ---- unknown fields -----------------------------------------------------------------------------

TEST(JsonRows, AnObjectThatHasNoFieldOfTheStreamIsRefused) {
  auto stream = StreamOf({{"a", "INTEGER"}, {"b", "INTEGER"}});
  auto parser = RowParser::Make(stream);
  for (int round = 0; round < 3; round++) {  // what is known by then is read in another way
    auto rows = parser->Parse(RowFormat::kNdjson, R"({"a":1,"x":1,"y":2}
{"x":1,"y":2,"a":3}
{"x":1,"y":2}
{"Records":[{"a":1}]}
{}
{"x":1,"y":2}
)");
    EXPECT_EQ(Text(rows), "[[1,null],[3,null],[null,null]]");
    ASSERT_EQ(rows.errors.size(), 3u);
    EXPECT_EQ(rows.errors[0].line, 3u);
    EXPECT_EQ(rows.errors[0].reason, "none of its fields is a column of the stream: \"x\", \"y\"");
    EXPECT_EQ(rows.errors[1].reason, "none of its fields is a column of the stream: \"Records\"");
    auto names = rows.unknown_fields;
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names, (std::vector<std::string>{"Records", "x", "y"}));
  }
  auto good = parser->Parse(RowFormat::kJson, R"([{"a":1,"x":1},{"b":1}])");
  EXPECT_EQ(good.unknown_fields, std::vector<std::string>{"x"});
  good = parser->Parse(RowFormat::kJson, R"([{"a":1},{"b":1}])");
  EXPECT_TRUE(good.unknown_fields.empty());
  good = parser->Parse(RowFormat::kCsv, "a,other\n1,2\n");
  EXPECT_EQ(good.unknown_fields, std::vector<std::string>{"other"});
}

TEST(CsvRows, NamesInAHeaderMayHaveBlanksAround) {
  auto stream = StreamOf({{"id", "INTEGER"}, {"name", "VARCHAR"}});
  EXPECT_EQ(Text(Parse(stream, "id, name \n1, x\n", RowFormat::kCsv)), R"([[1," x"]])");
}

// ---- memory -------------------------------------------------------------------------------------

ErrorCode RefusalOf(const std::shared_ptr<Stream>& stream, std::string_view body, RowFormat format,
                    RowMemory& memory) {
  RowMemory::Hold hold(memory);
  try {
    RowParser::Make(stream)->Parse(format, body, &hold);
  } catch (const Error& error) {
    return error.code;
  }
  return ErrorCode::kInternal;
}

TEST(RowMemory, OfABodyIsBounded) {
  RowMemory memory(8 << 20, 12 << 20);
  auto wide = StreamOf({{"a", "VARCHAR"}, {"b", "DECIMAL(38,2)"}, {"c", "INTEGER[]"}});
  std::string rows;
  for (int i = 0; i < 400'000; i++) rows += "{}\n";
  EXPECT_EQ(RefusalOf(wide, rows, RowFormat::kNdjson, memory), ErrorCode::kTooLarge);
  std::string list = R"({"c":[0)";
  for (int i = 0; i < 3'000'000; i++) list += ",0";
  EXPECT_EQ(RefusalOf(wide, "[" + list + "]}]", RowFormat::kJson, memory), ErrorCode::kTooLarge);
  EXPECT_EQ(memory.used(), 0u);
  EXPECT_EQ(RefusalOf(wide, rows.substr(0, size_t{3} * 1000), RowFormat::kNdjson, memory),
            ErrorCode::kInternal);
  RowMemory::Hold other(memory);
  other.Add(8 << 20);
  EXPECT_EQ(RefusalOf(wide, rows.substr(0, size_t{3} * 120'000), RowFormat::kNdjson, memory),
            ErrorCode::kTooManyRequests);
  EXPECT_EQ(memory.used(), size_t{8} << 20);
}

TEST(RowMemory, FieldsOfARecordBeyondTheHeaderAreNotKept) {
  auto stream = StreamOf({{"a", "INTEGER"}});
  std::string commas(5'000'000, ',');
  auto rows = Parse(stream, "a\n" + commas + "\n7\n", RowFormat::kCsv);
  EXPECT_EQ(Text(rows), "[[7]]");
  ASSERT_EQ(rows.errors.size(), 1u);
  EXPECT_EQ(rows.errors[0].reason, "has 5000001 fields, the header 1");
  try {
    Parse(stream, "a" + commas + "\n7\n", RowFormat::kCsv);
    FAIL() << "it was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kTooLarge);
  }
}

TEST(RowMemory, ABodyThatPacksWellIsCountedWhileItGrows) {
  RowMemory memory(8 << 20, 64 << 20);
  std::string packed = Gzip(std::string(32 << 20, '{'));
  RowMemory::Hold hold(memory);
  EXPECT_THROW(Decompress(Compression::kGzip, packed, 64 << 20, &hold), Error);
  EXPECT_LE(hold.bytes(), size_t{8} << 20);
}

TEST(CsvRows, NumbersThatAreNoneSayWhatTheyShouldBe) {
  auto stream = StreamOf({{"x", "DOUBLE"}});
  auto rows = Parse(stream, "x\n1.5\n-inf\nabc\n1e999\n", RowFormat::kCsv);
  EXPECT_EQ(Text(rows), R"([[1.5],["-Infinity"]])");
  ASSERT_EQ(rows.errors.size(), 2u);
  EXPECT_EQ(rows.errors[0].reason, "not a DOUBLE");
  EXPECT_EQ(rows.errors[0].line, 4u);
}

TEST(CsvRows, JsonIsTakenAsJsonAndNothingElse) {
  auto stream = StreamOf({{"j", "JSON"}});
  auto rows =
      Parse(stream, "j\n5\n\"{\"\"a\"\": [1]}\"\n\"\"\"text\"\"\"\n{broken\n", RowFormat::kCsv);
  EXPECT_EQ(Text(rows), R"([[5],[{"a": [1]}],["text"]])");
  ASSERT_EQ(rows.errors.size(), 1u);
  EXPECT_EQ(rows.errors[0].reason, "not JSON");
}

TEST(CsvRows, NestedValuesAreReadAsJsonAndAsWeWriteThem) {
  auto stream = StreamOf({{"l", "VARCHAR[]"}, {"s", "STRUCT(a INTEGER)"}});
  EXPECT_EQ(Text(Parse(stream,
                       "l,s\n\"[\"\"a\"\", \"\"b\"\"]\",\"{\"\"a\"\": 1}\"\n"
                       "\"[a, b]\",{'a': 1}\n",
                       RowFormat::kCsv)),
            R"([[["a","b"],{"a":1}],[["a","b"],{"a":1}]])");
}

TEST(Results, JsonOverSeveralLinesIsWrittenOnOne) {
  auto stream = StreamOf({{"j", "JSON"}});
  auto rows = Parse(stream, "[{\"j\": {\n  \"a\":\r\n 1}}]", RowFormat::kJson);
  auto text = Text(rows);
  EXPECT_EQ(text.find_first_of("\r\n"), std::string::npos) << text;
}

TEST(Block, EveryCutIsAnErrorAndNoCrash) {
  auto stream = StreamOf({{"a", "INTEGER"},
                          {"s", "VARCHAR"},
                          {"l", "VARCHAR[]"},
                          {"st", "STRUCT(x DOUBLE, y VARCHAR)"}});
  auto rows = Parse(stream,
                    "{\"a\":1,\"s\":\"a long string that is not inlined\",\"l\":[\"x\",null]}\n"
                    "{\"st\":{\"x\":1.5,\"y\":\"z\"}}\n");
  std::string block = EncodeBlock(*rows.columns, stream->Types());
  auto whole = DecodeBlock(block, stream->Types(), {0, 1, 2, 3});
  EXPECT_EQ(JsonRowsOf(whole, true), Text(rows));
  // It ends with up to seven bytes that only fill it up.
  for (size_t size = 0; size + 8 <= block.size(); size++) {
    EXPECT_THROW(
        DecodeBlock(std::string_view(block).substr(0, size), stream->Types(), {0, 1, 2, 3}), Error)
        << size;
  }
  for (size_t at = 0; at < block.size(); at++) {
    std::string flipped = block;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x41);
    try {
      DecodeBlock(flipped, stream->Types(), {0, 1, 2, 3});
    } catch (const Error&) {
    }
  }
}

TEST(Block, AColumnThatCameLaterIsNull) {
  auto before = StreamOf({{"a", "INTEGER"}});
  auto after = StreamOf({{"a", "INTEGER"}, {"b", "VARCHAR"}});
  std::string block = EncodeBlock(*Parse(before, "{\"a\":1}").columns, before->Types());
  EXPECT_EQ(JsonRowsOf(DecodeBlock(block, after->Types(), {1, 0}), true), "[[null,1]]");
}

TEST(Block, ColumnsOfSeveralChunks) {
  auto stream = StreamOf({{"a", "INTEGER"}, {"s", "VARCHAR"}});
  std::string body;
  for (int i = 0; i < 10'000; i++) {
    body += "{\"a\":" + std::to_string(i) +
            (i % 3 ? ",\"s\":\"" + std::string(i % 40, 'x') + "\"" : "") + "}\n";
  }
  auto rows = Parse(stream, body);
  auto back = DecodeBlock(EncodeBlock(*rows.columns, stream->Types()), stream->Types(), {0, 1});
  EXPECT_EQ(back.rows, 10'000u);
  EXPECT_EQ(JsonRowsOf(back, true), Text(rows));
}

TEST(Decompress, ABodyThatPacksVeryWellIsNoBomb) {
  std::string body;
  for (int i = 0; i < 200'000; i++) body += "{\"id\":\"z\",\"n\":1}\n";
  // zstd makes less than a thousandth of it; gzip cannot.
  std::string packed(ZSTD_compressBound(body.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), body.data(), body.size(), 3));
  ASSERT_LT(packed.size(), body.size() / 1000);
  EXPECT_EQ(Decompress(Compression::kZstd, packed, 64 << 20), body);
  EXPECT_THROW(Decompress(Compression::kZstd, packed, body.size() / 2), Error);
}

TEST(JsonRows, AnUnknownFieldOfAStrictStreamIsToldWithItsValue) {
  auto stream = StreamOf({{"a", "INTEGER"}});
  stream->unknown_fields = UnknownFields::kReject;
  auto rows = Parse(stream, "{\"a\":1,\"b\":2}\n{\"a\":1,\"b\":\"x\"}\n");
  ASSERT_EQ(rows.errors.size(), 2u);
  EXPECT_EQ(rows.errors[0].value, "2");
  EXPECT_EQ(rows.errors[1].value, "x");
}

TEST(Decompress, WhatWasPackedComesBack) {
  std::string text(100'000, 'x');
  EXPECT_EQ(Decompress(Compression::kGzip, Gzip(text), 1 << 20), text);
  EXPECT_THROW(Decompress(Compression::kGzip, Gzip(text), 1000), Error);
  EXPECT_THROW(Decompress(Compression::kZstd, "hello", 1000), Error);
}

}  // namespace
}  // namespace weir
