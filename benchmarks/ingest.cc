// Sends prepared NDJSON bodies over several connections as fast as they are answered, until all are
// acknowledged: bench_ingest URL EVENTS CONNECTIONS.  Prints the seconds and the last offset.
#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "app/api_client.h"
#include "base/error.h"
#include "io/net/http_client.h"
#include "report.h"
#include "sample_events.h"

namespace weir {
namespace {

constexpr size_t kBodyEvents = 10'000;

int Main(const std::string& url, size_t events, int connections) {
  std::string all = SampleNdjson(events);
  std::vector<std::string_view> bodies;
  for (size_t begin = 0, rows = 0, at = 0; at < all.size();) {
    at = all.find('\n', at) + 1;
    if (++rows == kBodyEvents || at == all.size()) {
      bodies.push_back(std::string_view(all).substr(begin, at - begin));
      begin = at;
      rows = 0;
    }
  }
  std::atomic<size_t> next{0};
  std::atomic<uint64_t> accepted{0}, retried{0};
  std::mutex mutex;
  uint64_t last = 0;
  auto send = [&] {
    HttpClient client(url);
    for (size_t i; (i = next++) < bodies.size();) {
      for (;;) {
        auto answer = client.Request("POST", "/v1/streams/events/events",
                                     {{"Content-Type", "application/x-ndjson"}}, bodies[i]);
        if (answer.status == 429) {
          retried++;
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
          continue;
        }
        CheckAnswer(answer);
        auto document = ParseJson(answer.body);
        auto* root = duckdb_yyjson::yyjson_doc_get_root(document.get());
        accepted += JsonNumber(root, "accepted");
        std::lock_guard lock(mutex);
        last = std::max<uint64_t>(last, JsonNumber(root, "offset"));
        break;
      }
    }
  };
  double acknowledged = 0;
  double seconds = Seconds([&] {
    acknowledged = Seconds([&] {
      std::vector<std::thread> threads;
      for (int i = 0; i < connections; i++) threads.emplace_back(send);
      for (auto& thread : threads) thread.join();
    });
    HttpClient client(url);
    CheckAnswer(
        client.Request("GET", "/v1/views/users_so_far?wait_for=" + std::to_string(last), {}, ""));
  });
  if (accepted != events) {
    fmt::print(stderr, "{} of {} events were accepted\n", accepted.load(), events);
    return 1;
  }
  Report({"ingest",
          "durable and in the views",
          static_cast<double>(events) / seconds / 1e6,
          "million events/s",
          2.5,
          false,
          {{"acknowledged, million events/s", static_cast<double>(events) / acknowledged / 1e6},
           {"MB/s of NDJSON", static_cast<double>(all.size()) / seconds / 1e6},
           {"bodies asked to come later", static_cast<double>(retried)}}});
  return 0;
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "bench_ingest URL [EVENTS] [CONNECTIONS]\n");
    return 2;
  }
  try {
    return weir::Main(argv[1], argc > 2 ? std::stoull(argv[2]) : 10'000'000,
                      argc > 3 ? std::stoi(argv[3]) : 4);
  } catch (const weir::Error& error) {
    fmt::print(stderr, "{}\n", error.message);
    return 1;
  }
}
