// Events of the Nexmark benchmark: an auction house in which people come, open auctions and bid.
//
// The distribution is that of the benchmark's own generator (Apache Beam's and Flink's Nexmark):
// of 50 events 1 is a person, 3 are auctions, 46 are bids; half of the bids are for the hot auction
// of the moment, three quarters by the hot bidder, three quarters of auctions by the hot seller;
// prices are log-uniform.  The same seed and number give the same event.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "base/ids.h"

namespace weir {

struct NexmarkPerson {
  int64_t id;
  std::string name, email, credit_card, city, state;
  Micros time;
  std::string extra;
};

struct NexmarkAuction {
  int64_t id;
  std::string item_name, description;
  int64_t initial_bid, reserve;
  Micros time, expires;
  int64_t seller, category;
  std::string extra;
};

struct NexmarkBid {
  int64_t auction, bidder, price;
  std::string channel, url;
  Micros time;
  std::string extra;
};

using NexmarkEvent = std::variant<NexmarkPerson, NexmarkAuction, NexmarkBid>;

class Nexmark {
 public:
  // Event 0 happens at `base`, each next one `pause` later; times are in whole milliseconds.
  Nexmark(uint64_t seed, Micros base, Micros pause = 100)
      : seed_(seed), base_(base), pause_(pause) {}

  NexmarkEvent Event(uint64_t number) const;

 private:
  Micros TimeOf(uint64_t number) const;

  uint64_t seed_;
  Micros base_, pause_;
};

}  // namespace weir
