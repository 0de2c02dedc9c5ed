// Random rows for the streams (or tables) of random/streams.sql: few different values, so that
// groups meet, ties happen and NULLs are common.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "io/random.h"

namespace weir {

class RandomEvents {
 public:
  // `keys`: 0 for events, each with an id of its own; else for rows of a table of so many keys,
  // which come, change and go.
  explicit RandomEvents(Random& random, uint64_t keys = 0) : random_(random), keys_(keys) {}

  // NDJSON of so many rows with times around `now`.
  std::string Body(Micros now, uint64_t rows) {
    std::string body;
    for (uint64_t i = 0; i < rows; i++) body += Row(now);
    return body;
  }

 private:
  static constexpr Micros kMinute = 60'000'000;

  std::string Row(Micros now) {
    std::string row = "{\"id\": " + std::to_string(keys_ ? random_.Below(keys_) : next_++);
    if (keys_ && random_.OneIn(5)) row += ", \"_deleted\": true";
    Put(row, "g", [&] { return Text({"a", "b", "c", "", "a longer name of a group"}); });
    Put(row, "h", [&] { return std::to_string(random_.Below(4)); });
    Put(row, "i", [&] { return std::to_string(static_cast<int64_t>(random_.Below(21)) - 10); });
    Put(row, "b", [&] { return std::to_string(static_cast<int64_t>(random_.Next() >> 20)); });
    Put(row, "d",
        [&] { return std::to_string(static_cast<double>(random_.Below(100'000)) / 1000 - 50); });
    Put(row, "c", [&] {
      return std::to_string(random_.Below(1000)) + "." + std::to_string(random_.Below(10));
    });
    Put(row, "f", [&] { return random_.OneIn(2) ? "true" : "false"; });
    Put(row, "t", [&] { return std::to_string(Time(now)); });
    Put(row, "z", [&] { return std::to_string(Time(now)); });
    Put(row, "tags", [&] {
      std::string list = "[";
      for (uint64_t left = random_.Below(4); left > 0; left--) {
        list += (list.size() > 1 ? "," : "") + Text({"x", "y", "z"});
      }
      return list + "]";
    });
    return row + "}\n";
  }

  template <class Value>
  void Put(std::string& row, const char* name, Value value) {
    if (random_.OneIn(9)) return;  // missing is NULL
    row += std::string(", \"") + name + "\": " + (random_.OneIn(20) ? "null" : value());
  }
  std::string Text(const std::vector<const char*>& choices) {
    return std::string("\"") + choices[random_.Below(choices.size())] + "\"";
  }
  // Around now, mostly of the last days; microseconds.
  Micros Time(Micros now) {
    Micros span = random_.OneIn(3) ? 40 * 24 * 60 * kMinute : 90 * kMinute;
    return now + 10 * kMinute - static_cast<Micros>(random_.Below(static_cast<uint64_t>(span)));
  }

  Random& random_;
  const uint64_t keys_;
  uint64_t next_ = 1;
};

}  // namespace weir
