#include "flow/operator.h"

#include <chrono>

#include "duck/errors.h"
#include "flow/router.h"

namespace weir {
namespace {

uint64_t NowNanos() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

}  // namespace

Operator::Operator(std::string name, RowTypes types, bool append_only)
    : name_(std::move(name)), types_(std::move(types)), append_only_(append_only) {}

Operator::~Operator() = default;

// Only between steps: a router has nothing to hand on then.
void Operator::OutputsChanged() {
  router_.reset();
  router_is_current_ = false;
}

template <class Work>
void Operator::Measured(Work work) {
  if (!failure_.empty()) return;
  uint64_t start = NowNanos();
  try {
    work();
  } catch (...) {
    Error error = CurrentError();
    failure_ = error.message;
  }
  statistics_.nanos += NowNanos() - start;
}

void Operator::Receive(size_t port, duckdb::DataChunk& rows, const int64_t* weights) {
  statistics_.rows_in += rows.size();
  has_news_ = true;
  Measured([&] { Push(port, rows, weights); });
}

void Operator::ReceiveClock(Micros now) {
  if (!WantsClock()) return;
  has_news_ = true;
  Measured([&] { SetClock(now); });
}

void Operator::ReceiveFlush() {
  if (!has_news_) return;
  has_news_ = false;
  Measured([&] {
    Flush();
    if (!router_) return;
    uint64_t start = NowNanos();
    router_->Flush();
    statistics_.nanos -= NowNanos() - start;
  });
}

void Operator::Emit(duckdb::DataChunk& rows, const int64_t* weights) {
  if (rows.size() == 0) return;
  statistics_.rows_out += rows.size();
  uint64_t start = NowNanos();
  if (!router_is_current_) {
    router_ = Router::Make(*this);
    router_is_current_ = true;
  }
  if (router_) {
    router_->Push(rows, weights);
  } else {
    for (auto& edge : outputs) edge.to->Receive(edge.port, rows, weights);
  }
  statistics_.nanos -= NowNanos() - start;
}

}  // namespace weir
