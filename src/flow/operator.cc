#include "flow/operator.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/memory_budget.h"
#include "duck/errors.h"
#include "flow/filter_router.h"
#include "flow/state/halves.h"
#include "flow/state/row_store.h"
#include "io/process/busy_file.h"

namespace weir {
namespace {

uint64_t NowNanos() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

// How long measured calls took in this thread, with all they called: who hands rows on sees by it
// what was not its own time, without a look at the clock.
thread_local uint64_t measured_nanos = 0;
thread_local uint64_t snapshot_nanos = 0;

// What a row takes in memory is as its types say.
bool HasTypes(const duckdb::DataChunk& rows, const RowTypes& types) {
  if (rows.ColumnCount() != types.size()) return false;
  for (size_t i = 0; i < types.size(); i++) {
    if (rows.data[i].GetType().InternalType() != types[i].InternalType()) return false;
  }
  return true;
}

bool AnyGoes(const int64_t* weights, duckdb::idx_t count) {
  return weights && std::any_of(weights, weights + count, [](int64_t w) { return w < 0; });
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
  uint64_t measured_before = measured_nanos;
  try {
    WatchedMemory watched;
    BusyWork busy(busy_as);
    work();
  } catch (...) {
    FailForWhatIsThrown();
  }
  uint64_t nanos = NowNanos() - start;
  statistics_.nanos += nanos;
  measured_nanos = measured_before + nanos;
}

void Operator::FailForWhatIsThrown() noexcept {
  try {
    failure_ = CurrentError().message;
  } catch (...) {
    failure_ = "out of memory";  // short enough to need none
  }
  if (failure_.empty()) failure_ = "failed";
}

// What the operators that `work` calls take is theirs.
template <class Work>
void Operator::NotOurs(Work work) {
  uint64_t before = measured_nanos;
  work();
  statistics_.nanos -= measured_nanos - before;
}

void Operator::Receive(size_t port, duckdb::DataChunk& rows, const int64_t* weights) {
  statistics_.rows_in += rows.size();
  has_news_ = true;
  if (snapshot_) [[unlikely]]
    WriteBeforeNews();
  Measured([&] {
    CHECK(rows.size() <= STANDARD_VECTOR_SIZE);
    if (port < inputs.size()) {
      CHECK(rows.ColumnCount() == inputs[port]->types().size());
    } else {
      CHECK(inputs.empty() && port == 0);  // a source's, from outside of the circuit
    }
    try {
      Push(port, rows, weights);
    } catch (const ExpressionFailed& why) {
      PushParts(port, rows, weights, why);
    }
  });
}

// Halves what failed until the rows that do stand alone.
void Operator::PushParts(size_t port, duckdb::DataChunk& rows, const int64_t* weights,
                         const ExpressionFailed& why) {
  if (rows.size() == 1) {
    std::string text = port < inputs.size() ? inputs[port]->TextOf(rows, 0) : ValuesOf(rows, 0);
    return Reject(std::move(text), weights ? weights[0] : 1, why);
  }
  EachHalf(rows, [&](duckdb::DataChunk& half, duckdb::idx_t first) {
    const int64_t* half_weights = weights ? weights + first : nullptr;
    try {
      Push(port, half, half_weights);
    } catch (const ExpressionFailed& reason) {
      PushParts(port, half, half_weights, reason);
    }
  });
}

FailedRow Operator::Failure(std::string row, const ExpressionFailed& why) const {
  return {std::move(row), why.message, name_ + " " + why.expression};
}

void Operator::Reject(const FailedRow& row, int64_t weight) {
  if (!failed_rows_) failed_rows_ = std::make_unique<FailedRows>();
  failed_rows_->Add(row, weight);
}

void Operator::Reject(std::string row, int64_t weight, const ExpressionFailed& why) {
  Reject(Failure(std::move(row), why), weight);
}

void Operator::LoadFailedRows(StateReader& reader) {
  failed_rows_ = std::make_unique<FailedRows>();
  failed_rows_->Load(reader);
}

void Operator::TakeFailedRows(Operator& twin) {
  if (!twin.failed_rows_) return;
  if (failed_rows_ && failed_rows_->count() >= twin.failed_rows_->count()) return;
  failed_rows_ = std::move(twin.failed_rows_);
}

std::string Operator::ValuesOf(duckdb::DataChunk& rows, duckdb::idx_t row) {
  std::string text = "(";
  for (duckdb::idx_t column = 0; column < rows.ColumnCount(); column++) {
    if (column > 0) text += ", ";
    text += rows.GetValue(column, row).ToSQLString();
  }
  return text + ")";
}

void Operator::CheckInvariants() const {
  if (failed_rows_) failed_rows_->CheckInvariants();
}

std::string Operator::TextOf(duckdb::DataChunk& rows, duckdb::idx_t row) const {
  return ValuesOf(rows, row);
}

void Operator::ReceiveClock(Micros now) {
  has_news_ = true;
  if (snapshot_) [[unlikely]]
    WriteBeforeNews();
  Measured([&] { SetClock(now); });
}

void Operator::ReceiveFlush() {
  if (!has_news_ && !IsDue()) return;
  has_news_ = false;
  if (snapshot_) [[unlikely]]
    WriteBeforeNews();
  Measured([&] {
    Flush();
    if (router_) NotOurs([&] { router_->Flush(); });
  });
}

void Operator::BeginSnapshot(std::unique_ptr<SnapshotSection> section) {
  CHECK(!snapshot_ && failure_.empty());
  snapshot_ = std::move(section);
  InSnapshot([&] { writes_pieces_ = BeginPieces(snapshot_->writer()); });
}

bool Operator::ContinueSnapshot(const Stop& stop) {
  if (!snapshot_) return true;
  bool all = true;
  InSnapshot([&] {
    if (!writes_pieces_) {
      Save(snapshot_->writer());
    } else {
      all = SavePieces(snapshot_->writer(), stop);
    }
    for (RowStore* store : RowStores()) store->ThrowIfRowsAreLost();
    if (all) snapshot_->Finish();
  });
  if (all) GiveUpSnapshot();
  return all;
}

void Operator::GiveUpSnapshot() {
  snapshot_.reset();
  EndPieces();
}

// Of an operator that does not write pieces.
void Operator::WriteBeforeNews() {
  if (writes_pieces_) return;
  uint64_t begun = WriteBegins();
  ContinueSnapshot([] { return false; });
  WriteEnds(begun);
}

uint64_t Operator::WriteBegins() { return NowNanos(); }

void Operator::WriteEnds(uint64_t begun) { snapshot_nanos += NowNanos() - begun; }

Micros Operator::TakeTimeForSnapshots() {
  return static_cast<Micros>(std::exchange(snapshot_nanos, 0) / 1000);
}

void Operator::HandTo(const Edge& edge, duckdb::DataChunk& rows, const int64_t* weights) {
  NotOurs([&] { edge.to->Receive(edge.port, rows, weights); });
}

void Operator::Emit(duckdb::DataChunk& rows, const int64_t* weights) {
  if (rows.size() == 0) return;
  CHECK(rows.size() <= STANDARD_VECTOR_SIZE && rows.ColumnCount() == types_.size());
  DEBUG_ASSERT(HasTypes(rows, types_));
  DEBUG_ASSERT(!append_only_ || !AnyGoes(weights, rows.size()));
  StopIfInterrupted();
  statistics_.rows_out += rows.size();
  if (!router_is_current_) {
    router_ = FilterRouter::Make(*this);
    router_is_current_ = true;
  }
  NotOurs([&] {
    if (router_) return router_->Push(rows, weights);
    for (auto& edge : outputs) edge.to->Receive(edge.port, rows, weights);
  });
}

}  // namespace weir
