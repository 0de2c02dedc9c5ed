// How fast sign-up events in NDJSON become columns, on one core, beside DuckDB's read_json.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/main/materialized_query_result.hpp"
#include "formats/rows.h"
#include "sample_events.h"

namespace {

double Seconds(auto work) {
  auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  size_t events = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2'000'000;
  std::string body = weir::SampleNdjson(events);
  auto parser = weir::RowParser::Make(weir::SampleStream());

  // In bodies of about a megabyte, as producers send them.
  auto parse_all = [&] {
    size_t rows = 0;
    for (size_t start = 0; start < body.size();) {
      size_t end = std::min(body.size(), start + (1 << 20));
      if (end < body.size()) end = body.rfind('\n', end) + 1;
      auto parsed = parser->Parse(weir::RowFormat::kNdjson,
                                  std::string_view(body).substr(start, end - start));
      rows += parsed.columns->rows;
      start = end;
    }
    if (rows != events) {
      std::fprintf(stderr, "parsed %zu of %zu events\n", rows, events);
      std::exit(1);
    }
  };
  parse_all();
  double ours = 1e9;
  for (int i = 0; i < 5; i++) ours = std::min(ours, Seconds(parse_all));

  auto path = (std::filesystem::temp_directory_path() /
               ("weir-parse-" + std::to_string(getpid()) + ".ndjson"))
                  .string();
  std::ofstream(path) << body;
  duckdb::DuckDB database(nullptr);
  duckdb::Connection connection(database);
  connection.Query("SET threads = 1");
  std::string read =
      "SELECT count(event_id), count(event_time), count(event_name), max(event_time) FROM "
      "read_json('" +
      path +
      "', format = 'newline_delimited', columns = {event_id: 'UUID', "
      "event_time: 'TIMESTAMP', event_name: 'VARCHAR'})";
  double duck = 1e9;
  for (int i = 0; i < 3; i++) {
    duck = std::min(duck, Seconds([&] {
                      auto result = connection.Query(read);
                      if (result->HasError()) {
                        std::fprintf(stderr, "%s\n", result->GetError().c_str());
                        std::exit(1);
                      }
                    }));
  }
  std::filesystem::remove(path);

  double gigabytes = static_cast<double>(body.size()) / 1e9;
  double speed = gigabytes / ours, duck_speed = gigabytes / duck;
  std::printf(
      "{\"bench\":\"parse\",\"case\":\"sign-up NDJSON to columns, one core\",\"value\":%.3f,"
      "\"unit\":\"GB/s\",\"must\":1.2,\"ok\":%s,\"beside\":{\"million events/s\":%.1f,"
      "\"read_json GB/s\":%.3f}}\n",
      speed, speed >= 1.2 ? "true" : "false", static_cast<double>(events) / ours / 1e6, duck_speed);
  std::printf(
      "{\"bench\":\"parse\",\"case\":\"times DuckDB read_json\",\"value\":%.2f,\"unit\":"
      "\"ratio\",\"must\":2.5,\"ok\":%s,\"beside\":{\"seconds\":%.3f,"
      "\"read_json seconds\":%.3f}}\n",
      speed / duck_speed, speed / duck_speed >= 2.5 ? "true" : "false", ours, duck);
}
