// Every type a column can have, in every nesting, with values at their edges: for tests.
#pragma once

#include <string>
#include <vector>

#include "duckdb/common/types/value.hpp"
#include "duckdb/common/types/vector.hpp"

namespace weir {

inline duckdb::Value CastText(const std::string& text, const duckdb::LogicalType& type) {
  return duckdb::Value(text).DefaultCastAs(type);
}

// A type with values at its edges.
struct Sample {
  duckdb::LogicalType type;
  std::vector<duckdb::Value> values;
};

inline std::vector<Sample> ScalarSamples() {
  duckdb::Vector labels(duckdb::LogicalType::VARCHAR, 3);
  labels.SetValue(0, duckdb::Value("plain"));
  labels.SetValue(1, duckdb::Value("it's, [one] {two} \"three\""));
  labels.SetValue(2, duckdb::Value("NULL"));
  std::vector<std::pair<duckdb::LogicalType, std::vector<std::string>>> texts = {
      {duckdb::LogicalType::BOOLEAN, {"true", "false"}},
      {duckdb::LogicalType::TINYINT, {"-128", "127"}},
      {duckdb::LogicalType::SMALLINT, {"-32768", "32767"}},
      {duckdb::LogicalType::INTEGER, {"-2147483648", "2147483647"}},
      {duckdb::LogicalType::BIGINT, {"-9223372036854775808", "9223372036854775807"}},
      {duckdb::LogicalType::UTINYINT, {"0", "255"}},
      {duckdb::LogicalType::USMALLINT, {"0", "65535"}},
      {duckdb::LogicalType::UINTEGER, {"0", "4294967295"}},
      {duckdb::LogicalType::UBIGINT, {"0", "18446744073709551615"}},
      {duckdb::LogicalType::HUGEINT,
       {"-170141183460469231731687303715884105728", "170141183460469231731687303715884105727"}},
      {duckdb::LogicalType::UHUGEINT, {"0", "340282366920938463463374607431768211455"}},
      {duckdb::LogicalType::FLOAT,
       {"-0.0", "nan", "inf", "-inf", "1.1754944e-38", "16777217", "0.1"}},
      {duckdb::LogicalType::DOUBLE,
       {"-0.0", "nan", "-inf", "5e-324", "1.7976931348623157e308", "0.1"}},
      {duckdb::LogicalType::DECIMAL(4, 1), {"-999.9", "0.1"}},
      {duckdb::LogicalType::DECIMAL(9, 2), {"-9999999.99", "0.01"}},
      {duckdb::LogicalType::DECIMAL(18, 3), {"-999999999999999.999", "0.001"}},
      {duckdb::LogicalType::DECIMAL(38, 10),
       {"-9999999999999999999999999999.9999999999", "0.0000000001"}},
      {duckdb::LogicalType::VARCHAR,
       {"", "NULL", "it's \"quoted\" \\ [1, 2] {a: b}", "ÄÖ\xF0\x9F\x98\x80",
        "a longer text than fits into twelve bytes"}},
      {duckdb::LogicalType::BLOB, {"", "\\x00\\xFF'\\x5C"}},
      {duckdb::LogicalType::BIT, {"0", "010101110100101110110"}},
      {duckdb::LogicalType::UUID,
       {"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"}},
      {duckdb::LogicalType::DATE,
       {"0001-01-01", "9999-12-31", "4000-01-01 (BC)", "infinity", "-infinity"}},
      {duckdb::LogicalType::TIME, {"00:00:00", "24:00:00", "23:59:59.999999"}},
      {duckdb::LogicalType::TIME_TZ,
       {"00:00:00+15:59:59", "23:59:59.999999-15:59:59", "12:00:00+00"}},
      {duckdb::LogicalType::TIMESTAMP,
       {"1969-12-31 23:59:59.999999", "294247-01-10 04:00:54.775806", "infinity", "-infinity"}},
      {duckdb::LogicalType::TIMESTAMP_S, {"1969-12-31 23:59:59", "infinity", "-infinity"}},
      {duckdb::LogicalType::TIMESTAMP_MS, {"1969-12-31 23:59:59.999", "infinity"}},
      {duckdb::LogicalType::TIMESTAMP_NS,
       {"1969-12-31 23:59:59.999999999", "2262-04-11 23:47:16.854775806", "infinity"}},
      {duckdb::LogicalType::TIMESTAMP_TZ, {"1969-12-31 23:59:59.999999+00", "infinity"}},
      {duckdb::LogicalType::INTERVAL,
       {"1 year 2 months 3 days 00:00:00.000001", "1 month", "30 days", "720:00:00",
        "-1 month 31 days -25:00:00", "0 days"}},
      {duckdb::LogicalType::JSON(), {"null", "\"NULL\"", "{\"k\": [1, 2.50, null]}", "1e400"}},
      {duckdb::LogicalType::ENUM(labels, 3), {"plain", "it's, [one] {two} \"three\"", "NULL"}},
      {duckdb::LogicalType::BIGNUM,
       {"-123456789012345678901234567890123456789012345678901234567890", "0"}},
  };
  std::vector<Sample> samples;
  for (auto& [type, of_type] : texts) {
    Sample sample{type, {}};
    for (auto& text : of_type) sample.values.push_back(CastText(text, type));
    sample.values.emplace_back(type);  // NULL
    samples.push_back(std::move(sample));
  }
  return samples;
}

inline duckdb::Value SampleAt(const Sample& sample, size_t i) {
  return sample.values[i % sample.values.size()];
}

inline Sample ListOf(const Sample& of) {
  Sample list{duckdb::LogicalType::LIST(of.type), {}};
  for (size_t i = 0; i < of.values.size(); i++) {
    list.values.push_back(duckdb::Value::LIST(
        of.type, {SampleAt(of, i), duckdb::Value(of.type), SampleAt(of, i + 1)}));
  }
  list.values.push_back(duckdb::Value::LIST(of.type, duckdb::vector<duckdb::Value>()));
  list.values.emplace_back(list.type);
  return list;
}

inline Sample ArrayOf(const Sample& of) {
  Sample array{duckdb::LogicalType::ARRAY(of.type, 2), {}};
  for (size_t i = 0; i < of.values.size(); i++) {
    array.values.push_back(duckdb::Value::ARRAY(of.type, {SampleAt(of, i), SampleAt(of, i + 1)}));
  }
  array.values.emplace_back(array.type);
  return array;
}

inline Sample StructOf(const Sample& of) {
  Sample record{
      duckdb::LogicalType::STRUCT({{"a b", of.type}, {"tag", duckdb::LogicalType::INTEGER}}), {}};
  for (size_t i = 0; i < of.values.size(); i++) {
    record.values.push_back(duckdb::Value::STRUCT(
        record.type, {SampleAt(of, i), i % 2 ? duckdb::Value(duckdb::LogicalType::INTEGER)
                                             : duckdb::Value::INTEGER(7)}));
  }
  record.values.push_back(duckdb::Value::STRUCT(
      record.type, {duckdb::Value(of.type), duckdb::Value(duckdb::LogicalType::INTEGER)}));
  record.values.emplace_back(record.type);
  return record;
}

inline Sample MapTo(const Sample& of) {
  Sample map{duckdb::LogicalType::MAP(duckdb::LogicalType::VARCHAR, of.type), {}};
  for (size_t i = 0; i < of.values.size(); i++) {
    map.values.push_back(duckdb::Value::MAP(duckdb::LogicalType::VARCHAR, of.type,
                                            {duckdb::Value("k"), duckdb::Value("NULL")},
                                            {SampleAt(of, i), SampleAt(of, i + 1)}));
  }
  map.values.push_back(duckdb::Value::MAP(duckdb::LogicalType::VARCHAR, of.type, {}, {}));
  map.values.emplace_back(map.type);
  return map;
}

inline Sample MapFrom(const Sample& of) {
  Sample map{duckdb::LogicalType::MAP(of.type, duckdb::LogicalType::INTEGER), {}};
  for (auto& value : of.values) {
    if (value.IsNull()) continue;
    map.values.push_back(duckdb::Value::MAP(of.type, duckdb::LogicalType::INTEGER, {value},
                                            {duckdb::Value(duckdb::LogicalType::INTEGER)}));
  }
  map.values.emplace_back(map.type);
  return map;
}

inline Sample UnionOf(const Sample& of) {
  duckdb::child_list_t<duckdb::LogicalType> members = {{"n", duckdb::LogicalType::INTEGER},
                                                       {"Tag", of.type}};
  Sample choice{duckdb::LogicalType::UNION(members), {}};
  for (size_t i = 0; i < of.values.size(); i++) {
    choice.values.push_back(
        duckdb::Value::UNION(members, 1, SampleAt(of, i)));  // also of a NULL member
  }
  choice.values.push_back(duckdb::Value::UNION(members, 0, duckdb::Value::INTEGER(3)));
  choice.values.push_back(
      duckdb::Value::UNION(members, 0, duckdb::Value(duckdb::LogicalType::INTEGER)));
  choice.values.emplace_back(choice.type);
  return choice;
}

inline std::vector<Sample> TypeSamples() {
  std::vector<Sample> samples;
  for (auto& scalar : ScalarSamples()) {
    samples.push_back(scalar);
    samples.push_back(ListOf(scalar));
    samples.push_back(ArrayOf(scalar));
    samples.push_back(StructOf(scalar));
    samples.push_back(MapTo(scalar));
    samples.push_back(MapFrom(scalar));
    samples.push_back(ListOf(StructOf(scalar)));
    samples.push_back(StructOf(ListOf(scalar)));
    if (scalar.type.IsJSONType()) continue;  // no statement makes it a member of a UNION
    samples.push_back(UnionOf(scalar));
    samples.push_back(ListOf(UnionOf(scalar)));
    samples.push_back(ArrayOf(UnionOf(scalar)));
    samples.push_back(StructOf(UnionOf(scalar)));
    samples.push_back(MapTo(UnionOf(scalar)));
    samples.push_back(UnionOf(UnionOf(scalar)));
    samples.push_back(UnionOf(ListOf(scalar)));
    samples.push_back(UnionOf(MapTo(StructOf(scalar))));
  }
  return samples;
}

}  // namespace weir
