#include "flow/operator.h"

#include <chrono>

#include "duck/errors.h"

namespace weir {
namespace {

uint64_t NowNanos() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

}  // namespace

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
  Measured([&] { Push(port, rows, weights); });
}

void Operator::ReceiveClock(Micros now) {
  Measured([&] { SetClock(now); });
}

void Operator::ReceiveFlush() {
  Measured([&] { Flush(); });
}

void Operator::Emit(duckdb::DataChunk& rows, const int64_t* weights) {
  if (rows.size() == 0) return;
  statistics_.rows_out += rows.size();
  uint64_t start = NowNanos();
  for (auto& edge : outputs) edge.to->Receive(edge.port, rows, weights);
  statistics_.nanos -= NowNanos() - start;
}

}  // namespace weir
