#include "app/generate.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <random>
#include <thread>

#include "app/delivery.h"
#include "app/stop_signal.h"
#include "base/error.h"
#include "formats/results.h"
#include "io/clock.h"

namespace weir {
namespace {

constexpr Micros kSecond = 1'000'000;
constexpr Micros kDay = 86'400 * kSecond;
constexpr Micros kSlice = 60 * kSecond;  // history is made minute by minute
constexpr uint64_t kBatchEvents = 20'000;

Micros ParseSpan(const std::string& text) {
  size_t used = 0;
  double number = 0;
  try {
    number = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  std::string unit = text.substr(used);
  Micros scale = unit == "d" ? kDay : unit == "h" ? kDay / 24 : unit == "m" ? 60 * kSecond : 0;
  if (used == 0 || scale == 0 || number < 0) {
    throw Error(ErrorCode::kInvalidRequest, "\"" + text + "\" is no length of time",
                "Write for example 30d, 12h or 90m.");
  }
  return static_cast<Micros>(number * static_cast<double>(scale));
}

// How busy a moment is, around 1: nights are quiet, Sundays too (times of the American east).
double Rhythm(Micros time) {
  double local = static_cast<double>(time) / static_cast<double>(kDay) - 5.0 / 24;
  double hour = (local - std::floor(local)) * 24;
  int weekday = static_cast<int>((static_cast<int64_t>(std::floor(local)) % 7 + 11) % 7);
  double daily = 1 + 0.75 * std::sin((hour - 8.5) / 24 * 2 * M_PI) +
                 0.15 * std::sin((hour - 2) / 12 * 2 * M_PI);
  double weekly = weekday == 0 ? 0.62 : weekday == 6 ? 0.72 : 1.13;
  return std::max(0.05, daily) * weekly;
}

const char* Name(uint64_t random) {
  unsigned percent = static_cast<unsigned>(random % 100);
  if (percent < 20) return "sign_up";
  if (percent < 88) return "sign_in";
  if (percent < 94) return "password_reset";
  return "sign_out";
}

void AppendEvent(std::string& body, std::mt19937_64& random, Micros time) {
  uint64_t a = random(), b = random();
  fmt::format_to(std::back_inserter(body),
                 R"({{"event_id":"{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}","event_time":"{}",)"
                 R"("event_name":"{}"}})"
                 "\n",
                 a >> 32, a >> 16 & 0xffff, a >> 4 & 0xfff, b & 0xfff, b >> 16, IsoTime(time),
                 Name(a ^ (b >> 7)));
}

// Where a run stands: when history began, and how many of its minutes are delivered.
struct State {
  Micros history_start = 0;
  uint64_t slices_done = 0;
};

class Generator {
 public:
  explicit Generator(const GenerateOptions& options) : options_(options) {
    if (!options_.to.empty()) {
      delivery_ = std::make_unique<Delivery>(options_.to, options_.stream, "application/x-ndjson");
    }
    LoadState();
  }

  int Run() {
    History();
    if (options_.rate > 0 && !Finished()) {
      if (delivery_) fmt::print(stderr, "live: {} events a second on average\n", options_.rate);
      Live();
    }
    if (delivery_) {
      fmt::print(stderr, "generated {} events, {} accepted\n", made_, accepted_);
    }
    return 0;
  }

 private:
  bool Finished() const {
    return stop_requested || (options_.count > 0 && made_ >= options_.count);
  }

  void LoadState() {
    Micros span = ParseSpan(options_.history);
    Micros now = SystemClock().Now();
    state_.history_start = (now - span) / kSlice * kSlice;
    slices_ = static_cast<uint64_t>(span / kSlice);
    std::ifstream file(options_.state_file);
    State saved;
    uint64_t seed;
    if (!options_.state_file.empty() && file >> seed >> saved.history_start >> saved.slices_done &&
        seed == options_.seed) {
      state_ = saved;
      // The pause since the last run is filled like history.
      slices_ = static_cast<uint64_t>((now - saved.history_start) / kSlice);
    }
  }

  void SaveState() {
    if (options_.state_file.empty()) return;
    std::string temporary = options_.state_file + ".tmp";
    std::ofstream(temporary) << options_.seed << ' ' << state_.history_start << ' '
                             << state_.slices_done << '\n';
    rename(temporary.c_str(), options_.state_file.c_str());
  }

  // Bodies are cut at fixed minutes and each has a key of its own: whatever is sent again after an
  // interruption is known already.
  void Deliver(const std::string& key) {
    if (body_.empty()) return;
    if (delivery_) {
      accepted_ += delivery_->Send(key, body_).accepted;
    } else {
      fwrite(body_.data(), 1, body_.size(), stdout);
    }
    body_.clear();
    rows_ = 0;
  }

  std::string Key(uint64_t slice) const {
    return fmt::format("signups-{}-{}-{}", options_.seed, state_.history_start, slice);
  }

  void History() {
    auto started = std::chrono::steady_clock::now();
    uint64_t first = state_.slices_done;
    for (uint64_t slice = first; slice < slices_ && !Finished(); slice++) {
      std::mt19937_64 random(options_.seed * 0x9e3779b97f4a7c15ull + slice);
      Micros begin = state_.history_start + static_cast<Micros>(slice) * kSlice;
      double mean = options_.per_day / 1440 * Rhythm(begin + kSlice / 2);
      auto events = std::poisson_distribution<uint64_t>(std::max(mean, 0.01))(random);
      if (options_.count > 0) events = std::min(events, options_.count - made_);
      for (uint64_t i = 0; i < events; i++) {
        AppendEvent(body_, random,
                    begin + static_cast<Micros>(static_cast<double>(i) /
                                                static_cast<double>(events) * kSlice));
      }
      made_ += events;
      rows_ += events;
      bool last = slice + 1 == slices_ || (slice + 1) % kSlicesPerBody == 0;
      if (!last && !Finished()) continue;
      Deliver(Key(slice));
      state_.slices_done = slice + 1;
      SaveState();
      Progress(slice + 1 - first, slices_ - first, started);
    }
    Deliver(Key(state_.slices_done));
    if (progress_shown_ && isatty(STDERR_FILENO)) fmt::print(stderr, "\n");
  }

  void Progress(uint64_t done, uint64_t all, std::chrono::steady_clock::time_point started) {
    if (!delivery_) return;
    bool terminal = isatty(STDERR_FILENO);
    auto now = std::chrono::steady_clock::now();
    auto pause = std::chrono::milliseconds(terminal ? 200 : 5000);
    if (now - shown_ < pause && done < all) return;
    shown_ = now;
    progress_shown_ = true;
    double seconds = std::chrono::duration<double>(now - started).count();
    double left = seconds / static_cast<double>(done) * static_cast<double>(all - done);
    fmt::print(stderr,
               "{}history {:3.0f} %  {:.1f} million events, {:.2f} million/s, {:.0f} s left   {}",
               terminal ? "\r" : "", 100.0 * static_cast<double>(done) / static_cast<double>(all),
               static_cast<double>(made_) / 1e6, static_cast<double>(made_) / 1e6 / seconds, left,
               terminal ? "" : "\n");
  }

  void Live() {
    std::mt19937_64 random(options_.seed ^ static_cast<uint64_t>(SystemClock().Now()));
    std::string run = fmt::format("live-{:016x}", random());
    uint64_t number = 0;
    double owed = 0;
    Micros last = SystemClock().Monotonic();
    Micros written = last;
    while (!Finished()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(options_.rate > 200 ? 5 : 50));
      Micros now = SystemClock().Monotonic();
      double mean =
          static_cast<double>(now - last) / 1e6 * options_.rate * Rhythm(SystemClock().Now());
      last = now;
      owed = mean > 0 ? static_cast<double>(std::poisson_distribution<uint64_t>(mean)(random)) : 0;
      auto events = static_cast<uint64_t>(owed);
      if (options_.count > 0) events = std::min(events, options_.count - made_);
      for (uint64_t i = 0; i < events; i++) AppendEvent(body_, random, SystemClock().Now());
      made_ += events;
      Deliver(run + "-" + std::to_string(number++));
      if (!delivery_) std::fflush(stdout);
      // A later run fills the pause from here.
      if (now - written > 5 * kSecond) {
        written = now;
        state_.slices_done =
            static_cast<uint64_t>((SystemClock().Now() - state_.history_start) / kSlice) + 1;
        SaveState();
      }
    }
  }

  static constexpr uint64_t kSlicesPerBody = 20;
  GenerateOptions options_;
  std::unique_ptr<Delivery> delivery_;
  State state_;
  uint64_t slices_ = 0;
  std::string body_;
  uint64_t rows_ = 0, made_ = 0, accepted_ = 0;
  bool progress_shown_ = false;
  std::chrono::steady_clock::time_point shown_{};
};

}  // namespace

int RunGenerate(const GenerateOptions& options) {
  StopOnSignal();
  return Generator(options).Run();
}

}  // namespace weir
