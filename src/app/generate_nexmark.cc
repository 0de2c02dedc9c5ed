#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <memory>
#include <thread>

#include "app/delivery.h"
#include "app/generate.h"
#include "app/nexmark.h"
#include "app/stop_signal.h"
#include "formats/json_value.h"
#include "formats/results.h"
#include "io/clock.h"

namespace weir {
namespace {

constexpr uint64_t kBatch = 20'000;
constexpr std::array<const char*, 3> kStreams = {"person", "auction", "bid"};

std::string Json(const NexmarkPerson& person) {
  return fmt::format(
      R"({{"id":{},"name":{},"emailAddress":{},"creditCard":"{}","city":"{}","state":"{}",)"
      R"("dateTime":"{}","extra":"{}"}})"
      "\n",
      person.id, QuoteJson(person.name), QuoteJson(person.email), person.credit_card, person.city,
      person.state, IsoTime(person.time), person.extra);
}
std::string Json(const NexmarkAuction& auction) {
  return fmt::format(
      R"({{"id":{},"itemName":{},"description":{},"initialBid":{},"reserve":{},"dateTime":"{}",)"
      R"("expires":"{}","seller":{},"category":{},"extra":"{}"}})"
      "\n",
      auction.id, QuoteJson(auction.item_name), QuoteJson(auction.description), auction.initial_bid,
      auction.reserve, IsoTime(auction.time), IsoTime(auction.expires), auction.seller,
      auction.category, auction.extra);
}
std::string Json(const NexmarkBid& bid) {
  return fmt::format(
      R"({{"auction":{},"bidder":{},"price":{},"channel":"{}","url":"{}","dateTime":"{}",)"
      R"("extra":"{}"}})"
      "\n",
      bid.auction, bid.bidder, bid.price, bid.channel, bid.url, IsoTime(bid.time), bid.extra);
}

// Where the batches go, a body for each stream.
class Sink {
 public:
  Sink(const GenerateNexmarkOptions& options, Micros base)
      : run_(fmt::format("nexmark-{}-{}", options.seed, base)) {
    if (options.to.empty()) return;
    for (auto* stream : kStreams) {
      deliveries_.push_back(std::make_unique<Delivery>(options.to, stream, "application/x-ndjson"));
    }
  }

  void Add(const NexmarkEvent& event) {
    bodies_[event.index()] += std::visit([](auto& made) { return Json(made); }, event);
  }

  void Send() {
    for (size_t i = 0; i < bodies_.size(); i++) {
      if (bodies_[i].empty()) continue;
      if (deliveries_.empty()) {
        fwrite(bodies_[i].data(), 1, bodies_[i].size(), stdout);
      } else {
        accepted_ += deliveries_[i]->Send(run_ + "-" + std::to_string(batch_), bodies_[i]).accepted;
      }
      bodies_[i].clear();
    }
    batch_++;
    if (deliveries_.empty()) std::fflush(stdout);
  }

  bool delivers() const { return !deliveries_.empty(); }
  uint64_t accepted() const { return accepted_; }

 private:
  std::string run_;
  std::vector<std::unique_ptr<Delivery>> deliveries_;
  std::array<std::string, 3> bodies_;
  uint64_t batch_ = 0, accepted_ = 0;
};

}  // namespace

int RunGenerateNexmark(const GenerateNexmarkOptions& options) {
  StopOnSignal();
  Micros base = SystemClock().Now() / 1000 * 1000;
  double rate = options.rate > 0 ? options.rate : 10'000;
  Nexmark nexmark(options.seed, base, std::max<Micros>(1, static_cast<Micros>(1e6 / rate)));
  Sink sink(options, base);
  Micros started = SystemClock().Monotonic(), shown = started;
  uint64_t made = 0;
  while (!stop_requested && (options.count == 0 || made < options.count)) {
    uint64_t due = made + kBatch;
    if (options.rate > 0) {
      double seconds = static_cast<double>(SystemClock().Monotonic() - started) / 1e6;
      due = std::min(due, static_cast<uint64_t>(seconds * options.rate) + 1);
    }
    if (options.count > 0) due = std::min(due, options.count);
    if (made >= due) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      continue;
    }
    while (made < due) sink.Add(nexmark.Event(made++));
    sink.Send();
    Micros now = SystemClock().Monotonic();
    if (sink.delivers() && isatty(STDERR_FILENO) && now - shown > 200'000) {
      shown = now;
      fmt::print(stderr, "\r{} events", made);
    }
  }
  if (sink.delivers()) {
    fmt::print(stderr, "\rgenerated {} events, {} accepted\n", made, sink.accepted());
  }
  return 0;
}

}  // namespace weir
