#include "app/nexmark.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace weir {
namespace {

constexpr uint64_t kPersons = 1, kAuctions = 3, kEpoch = 50;
constexpr int64_t kFirstPerson = 1000, kFirstAuction = 1000, kFirstCategory = 10;
constexpr int64_t kHotEvery = 100;  // one auction, one person in so many is a hot one
constexpr int64_t kActivePersons = 1000, kOpenAuctions = 100;
constexpr int64_t kPersonLead = 10, kAuctionLead = 10;  // ids that do not exist yet are bid for too
constexpr int64_t kChannels = 10'000;
constexpr Micros kMilli = 1000;

constexpr std::array<std::string_view, 11> kFirstNames = {
    "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"};
constexpr std::array<std::string_view, 9> kLastNames = {
    "Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"};
constexpr std::array<std::string_view, 10> kCities = {
    "Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland",
    "Bend",    "Redmond",     "Seattle",       "Kent",  "Cheyenne"};
constexpr std::array<std::string_view, 6> kStates = {"AZ", "CA", "ID", "OR", "WA", "WY"};
constexpr std::array<std::string_view, 4> kHotChannels = {"Google", "Facebook", "Baidu", "Apple"};

// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
class Dice {
 public:
  Dice(uint64_t seed, uint64_t number) : state_(seed * 0x9e3779b97f4a7c15ull ^ (number << 20)) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  int64_t Below(int64_t bound) {
    return static_cast<int64_t>(
        (static_cast<unsigned __int128>(Next()) * static_cast<uint64_t>(bound)) >> 64);
  }
  template <size_t N>
  std::string_view OneOf(const std::array<std::string_view, N>& list) {
    return list[static_cast<size_t>(Below(N))];
  }
  int64_t Price() {
    double zero_to_one = static_cast<double>(Next() >> 11) * 0x1p-53;
    return std::llround(std::pow(10.0, zero_to_one * 6) * 100);
  }
  // Letters, of exactly so many.
  std::string Letters(int64_t count) {
    std::string text(static_cast<size_t>(count), 'a');
    uint64_t bits = 0;
    for (size_t i = 0; i < text.size(); i++) {
      if (i % 12 == 0) bits = Next();
      text[i] = static_cast<char>('a' + (bits & 31) % 26);
      bits >>= 5;
    }
    return text;
  }
  // Of three to `most`, with a space (or another mark) here and there.
  std::string Words(int64_t most, char mark = ' ') {
    std::string text = Letters(3 + Below(most - 3));
    for (auto& c : text) {
      if (Below(13) == 0) c = mark;
    }
    return text;
  }
  // Fills an event of `so_far` bytes up to `average`, give or take a fifth.
  std::string Extra(int64_t so_far, int64_t average) {
    if (so_far > average) return "";
    int64_t wanted = average - so_far;
    int64_t spread = std::llround(static_cast<double>(wanted) * 0.2);
    return Letters(wanted - spread + (spread ? Below(2 * spread) : 0));
  }

 private:
  uint64_t state_;
};

// Ids from 0, of the newest person and auction when an event happens.
int64_t LastPerson(uint64_t number) { return static_cast<int64_t>(number / kEpoch * kPersons); }
int64_t LastAuction(uint64_t number) {
  auto epoch = static_cast<int64_t>(number / kEpoch), place = static_cast<int64_t>(number % kEpoch);
  constexpr auto kEach = static_cast<int64_t>(kAuctions);
  if (place < static_cast<int64_t>(kPersons)) return (epoch - 1) * kEach + kEach - 1;
  return epoch * kEach + std::min(place - static_cast<int64_t>(kPersons), kEach - 1);
}
int64_t SomePerson(Dice& dice, uint64_t number) {
  int64_t persons = LastPerson(number) + 1;
  int64_t active = std::min(persons, kActivePersons);
  return persons - active + dice.Below(active + kPersonLead);
}
int64_t SomeAuction(Dice& dice, uint64_t number) {
  int64_t newest = std::max<int64_t>(LastAuction(number), 0);
  int64_t oldest = std::max<int64_t>(newest - kOpenAuctions, 0);
  return oldest + dice.Below(newest - oldest + 1 + kAuctionLead);
}

std::string BaseUrl(Dice& dice) {
  std::string url = "https://www.nexmark.com/";
  for (int i = 0; i < 3; i++) url += dice.Words(5, '_') + "/";
  return url + "item.htm?query=1";
}

uint32_t ReverseBits(uint32_t value) {
  uint32_t reversed = 0;
  for (int i = 0; i < 32; i++) reversed |= ((value >> i) & 1) << (31 - i);
  return reversed;
}

// A channel has one address for ever, most with its number in it.
std::string UrlOf(uint64_t seed, uint64_t channel, bool hot) {
  Dice dice(seed, channel << 1 | static_cast<uint64_t>(hot));
  std::string url = BaseUrl(dice);
  if (hot || dice.Below(10) == 0) return url;
  auto id = static_cast<int32_t>(ReverseBits(static_cast<uint32_t>(channel)));
  return url + "&channel_id=" + std::to_string(std::abs(static_cast<int64_t>(id)));
}

NexmarkPerson MakePerson(Dice dice, uint64_t number, Micros time) {
  NexmarkPerson person;
  person.id = LastPerson(number) + kFirstPerson;
  person.name = std::string(dice.OneOf(kFirstNames)) + " " + std::string(dice.OneOf(kLastNames));
  person.email = dice.Words(7, '_') + "@" + dice.Words(5, '_') + ".com";
  for (int i = 0; i < 4; i++) {
    std::string four = std::to_string(10'000 + dice.Below(10'000)).substr(1);
    person.credit_card += (i ? " " : "") + four;
  }
  person.city = dice.OneOf(kCities);
  person.state = dice.OneOf(kStates);
  person.time = time;
  auto size = 8 + person.name.size() + person.email.size() + person.credit_card.size() +
              person.city.size() + person.state.size();
  person.extra = dice.Extra(static_cast<int64_t>(size), 200);
  return person;
}

NexmarkBid MakeBid(Dice dice, uint64_t seed, uint64_t number, Micros time) {
  NexmarkBid bid;
  bid.auction = dice.Below(2) > 0
                    ? std::max<int64_t>(LastAuction(number), 0) / kHotEvery * kHotEvery
                    : SomeAuction(dice, number);
  bid.auction += kFirstAuction;
  bid.bidder =
      dice.Below(4) > 0 ? LastPerson(number) / kHotEvery * kHotEvery + 1 : SomePerson(dice, number);
  bid.bidder += kFirstPerson;
  bid.price = dice.Price();
  bool hot = dice.Below(2) > 0;
  auto channel = static_cast<uint64_t>(dice.Below(hot ? kHotChannels.size() : kChannels));
  bid.channel = hot ? std::string(kHotChannels[channel]) : "channel-" + std::to_string(channel);
  bid.url = UrlOf(seed, channel, hot);
  bid.time = time;
  bid.extra = dice.Extra(32, 100);
  return bid;
}

}  // namespace

Micros Nexmark::TimeOf(uint64_t number) const {
  return base_ + static_cast<Micros>(number) * pause_ / kMilli * kMilli;
}

NexmarkEvent Nexmark::Event(uint64_t number) const {
  Dice dice(seed_, number);
  Micros time = TimeOf(number);
  uint64_t place = number % kEpoch;
  if (place < kPersons) return MakePerson(dice, number, time);
  if (place >= kPersons + kAuctions) return MakeBid(dice, seed_, number, time);
  NexmarkAuction auction;
  auction.id = LastAuction(number) + kFirstAuction;
  auction.item_name = dice.Words(20);
  auction.description = dice.Words(100);
  auction.initial_bid = dice.Price();
  auction.reserve = auction.initial_bid + dice.Price();
  auction.time = time;
  // So that about kOpenAuctions are open at a time.
  Micros horizon = TimeOf(number + kOpenAuctions * kEpoch / kAuctions) - time;
  auction.expires = time + (1 + dice.Below(std::max<int64_t>(horizon / kMilli * 2, 1))) * kMilli;
  auction.seller =
      dice.Below(4) > 0 ? LastPerson(number) / kHotEvery * kHotEvery : SomePerson(dice, number);
  auction.seller += kFirstPerson;
  auction.category = kFirstCategory + dice.Below(5);
  auto size = 64 + auction.item_name.size() + auction.description.size();
  auction.extra = dice.Extra(static_cast<int64_t>(size), 500);
  return auction;
}

}  // namespace weir
