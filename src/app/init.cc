#include "app/init.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"

namespace weir {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSql = R"(-- A stream is what comes in.  Send events with
--   curl -d '{"event_time": "2026-01-01T12:00:00Z", "event_name": "sign_up"}' \
--     http://127.0.0.1:7070/v1/streams/events/events
CREATE STREAM events (
  event_time TIMESTAMP,
  event_name VARCHAR
);

-- A materialized view is an answer that is kept fresh.  Its comment is its title.
CREATE MATERIALIZED VIEW events_so_far AS
SELECT count(*) AS events FROM events;
COMMENT ON MATERIALIZED VIEW events_so_far IS 'Events so far';

CREATE MATERIALIZED VIEW events_by_hour AS
SELECT date_trunc('hour', event_time) AS hour, count(*) AS events
FROM events GROUP BY hour;
COMMENT ON MATERIALIZED VIEW events_by_hour IS 'Events by hour';
)";

constexpr const char* kToml = R"(# Where to listen, where to keep the data, and what "today" means.
# listen = "127.0.0.1:7070"
# data = "data"
time_zone = "UTC"
)";

void Write(const fs::path& path, const char* text) {
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) throw Error(ErrorCode::kUnavailable, "cannot write " + path.string());
}

}  // namespace

int RunInit(const std::string& folder) {
  fs::path path(folder);
  if (fs::exists(path) && !fs::is_empty(path)) {
    throw Error(ErrorCode::kAlreadyExists, "\"" + folder + "\" is there and not empty",
                "Choose another folder.");
  }
  fs::create_directories(path);
  Write(path / "events.sql", kSql);
  Write(path / "weir.toml", kToml);
  fmt::print("wrote {0}/events.sql and {0}/weir.toml\nnow run: weir serve {0}\n", folder);
  return 0;
}

}  // namespace weir
