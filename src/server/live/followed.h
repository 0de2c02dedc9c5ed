// How many different queries each client follows: one may not have them all.  Thread-safe.  Owned
// by Server, and alive as long as anything of it is.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/error.h"

namespace weir {

class Followed {
 public:
  static constexpr size_t kOfOneClient = 48;  // of the 64 there are

  Followed() : state_(std::make_shared<State>()) {}

  // Counts a query of a client while what it returns lives.  Throws Error(kTooManyRequests).
  std::shared_ptr<void> Take(const std::string& client, const std::string& query) {
    std::lock_guard lock(state_->mutex);
    auto& queries = state_->by_client[client];
    if (queries.size() >= kOfOneClient && !queries.contains(query)) {
      throw Error(ErrorCode::kTooManyRequests,
                  std::to_string(queries.size()) + " queries are followed from your address",
                  "Close those that nobody reads, or make a view of what many read.");
    }
    queries[query]++;
    return {nullptr, [state = state_, client, query](void*) {
              std::lock_guard lock(state->mutex);
              auto& queries = state->by_client[client];
              if (--queries[query] == 0) queries.erase(query);
              if (queries.empty()) state->by_client.erase(client);
            }};
  }

 private:
  struct State {
    std::mutex mutex;
    std::map<std::string, std::map<std::string, size_t>> by_client;
  };
  std::shared_ptr<State> state_;
};

}  // namespace weir
