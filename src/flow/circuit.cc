#include "flow/circuit.h"

#include <algorithm>
#include <typeinfo>

#include "base/error.h"
#include "base/make_room.h"
#include "flow/state/row_store.h"

namespace weir {
namespace {

// What equal fingerprints must mean at the least, before one is taken for the other.
bool IsTwin(const Operator& one, const Operator& other) {
  return typeid(one) == typeid(other) &&
         std::equal(one.types().begin(), one.types().end(), other.types().begin(),
                    other.types().end(),
                    [](auto& a, auto& b) { return a.InternalType() == b.InternalType(); });
}

}  // namespace

Operator* Circuit::Add(std::unique_ptr<Operator> op, std::vector<Operator*> inputs,
                       std::string fingerprint) {
  CHECK(op->inputs.empty() && op->outputs.empty());
  for (Operator* input : inputs) CHECK(input && input->position < next_position_);
  auto there = by_fingerprint_.find(fingerprint);
  if (there != by_fingerprint_.end()) {
    CHECK(IsTwin(*there->second, *op));
    return there->second;
  }
  // What may fail comes first: until it is entered, nobody knows of it.
  for (RowStore* store : op->RowStores()) store->UseMemory(memory_);
  for (Operator* input : inputs) MakeRoom(input->outputs, inputs.size());
  MakeRoom(operators_, 1);
  MakeRoom(sources_, 1);
  MakeRoom(clocked_, 1);
  op->fingerprint = std::move(fingerprint);
  op->busy_as = std::hash<std::string>()(op->fingerprint) | 1;
  by_fingerprint_.emplace(op->fingerprint, op.get());
  op->inputs = std::move(inputs);
  Enter(std::move(op));
  return operators_.back().get();
}

// At the end of the order; inputs learn of it.  REQUIRES: there is room everywhere.
void Circuit::Enter(std::unique_ptr<Operator> op) noexcept {
  op->position = next_position_++;
  for (size_t port = 0; port < op->inputs.size(); port++) {
    op->inputs[port]->outputs.push_back({op.get(), port});
    op->inputs[port]->OutputsChanged();
  }
  if (auto* source = dynamic_cast<SourceOperator*>(op.get())) {
    sources_.push_back(source);
    op->busy_as = 0;  // whatever takes long or fails is above it
  }
  if (op->WantsClock()) clocked_.push_back(op.get());
  operators_.push_back(std::move(op));
}

void Circuit::SetClock(Micros now) {
  for (auto* op : clocked_) op->ReceiveClock(now);
}

void Circuit::SetLogTime(Micros log_time) {
  for (auto* source : Sources()) source->SetLogTime(log_time);
}

std::optional<Micros> Circuit::NextLogTime() const {
  std::optional<Micros> next;
  for (auto& op : operators_) {
    auto waits = op->WaitsForWatermark();
    if (!waits || !op->failure().empty()) continue;
    DEBUG_ASSERT(dynamic_cast<WatermarkOperator*>(op->inputs.back()));
    auto& watermark = static_cast<WatermarkOperator&>(*op->inputs.back());
    auto at = watermark.LogTimeFor(*waits);
    if (at && (!next || *at < *next)) next = at;
  }
  return next;
}

void Circuit::Flush() {
  for (auto& op : operators_) op->ReceiveFlush();
}

void Circuit::FailWhereRowsAreLost() {
  uint64_t lost = PagesLost();
  if (lost == pages_lost_) return;
  pages_lost_ = lost;
  for (auto& op : operators_) {
    try {
      for (RowStore* store : op->RowStores()) store->ThrowIfRowsAreLost();
    } catch (...) {
      op->FailForWhatIsThrown();
      op->GiveUpSnapshot();
    }
  }
}

std::vector<RowStore*> Circuit::RowStores() {
  std::vector<RowStore*> stores;
  for (auto& op : operators_) {
    for (RowStore* store : op->RowStores()) stores.push_back(store);
  }
  return stores;
}

std::map<Operator*, Operator*> Circuit::Absorb(Circuit& other) {
  if (kDebugChecks) other.CheckInvariants();
  // What may fail comes first.
  std::map<Operator*, Operator*> went;
  std::map<Operator*, size_t> more_outputs;  // of who is here
  for (auto& op : other.operators_) {
    auto twin = by_fingerprint_.find(op->fingerprint);
    bool is_new = twin == by_fingerprint_.end();
    if (!is_new) CHECK(IsTwin(*twin->second, *op));
    went[op.get()] = is_new ? op.get() : twin->second;
    for (Operator* input : op->inputs) {
      if (is_new && went.at(input) != input) more_outputs[went.at(input)]++;
    }
  }
  for (auto& [op, count] : more_outputs) MakeRoom(op->outputs, count);
  MakeRoom(operators_, other.operators_.size());
  MakeRoom(sources_, other.sources_.size());
  MakeRoom(clocked_, other.clocked_.size());
  Join(other, went);
  return went;
}

void Circuit::Join(Circuit& other, const std::map<Operator*, Operator*>& went) noexcept {
  by_fingerprint_.merge(other.by_fingerprint_);
  for (auto& op : other.operators_) {
    if (Operator* twin = went.at(op.get()); twin != op.get()) {
      twin->TakeFailedRows(*op);  // one that feeds a stream may have begun late
      if (auto* source = dynamic_cast<SourceOperator*>(op.get())) {
        static_cast<SourceOperator*>(twin)->LearnFrom(*source);
      }
      continue;
    }
    op->OutputsChanged();
    op->outputs.clear();  // connected again by those that stay
    bool replaced = false;
    for (auto& input : op->inputs) {
      replaced |= went.at(input) != input;
      input = went.at(input);
    }
    Operator& entered = *op;
    Enter(std::move(op));
    if (!replaced) continue;
    try {
      entered.InputsReplaced();
    } catch (...) {
      entered.FailForWhatIsThrown();
    }
  }
  other = Circuit();
}

void Circuit::CheckInvariants() const {
  std::set<const Operator*> before;
  const Operator* last = nullptr;
  size_t edges = 0, edges_back = 0, sources = 0, clocked = 0;
  for (auto& op : operators_) {
    CHECK(by_fingerprint_.at(op->fingerprint) == op.get());
    CHECK(op->position < next_position_ && (!last || last->position < op->position));
    for (size_t port = 0; port < op->inputs.size(); port++) {
      CHECK(before.contains(op->inputs[port]));
      auto& back = op->inputs[port]->outputs;
      CHECK(std::count_if(back.begin(), back.end(), [&](auto& edge) {
              return edge.to == op.get() && edge.port == port;
            }) == 1);
    }
    edges += op->inputs.size();
    edges_back += op->outputs.size();
    sources += dynamic_cast<const SourceOperator*>(op.get()) != nullptr;
    clocked += op->WantsClock();
    before.insert(op.get());
    last = op.get();
  }
  CHECK(edges == edges_back);  // so every output is an input of one that is here
  CHECK(by_fingerprint_.size() == operators_.size());
  CHECK(sources_.size() == sources && clocked_.size() == clocked);
  for (auto* source : sources_) CHECK(before.contains(source));
  for (auto* op : clocked_) CHECK(before.contains(op));
}

std::vector<Operator*> Circuit::Needs(Operator* op) {
  std::vector<Operator*> needs;
  std::set<Operator*> seen;
  auto visit = [&](auto& self, Operator* current) -> void {
    if (!seen.insert(current).second) return;
    for (Operator* input : current->inputs) self(self, input);
    needs.push_back(current);
  };
  visit(visit, op);
  return needs;
}

void Circuit::KeepOnly(const std::set<Operator*>& outputs) {
  std::set<Operator*> needed;
  for (Operator* output : outputs) {
    CHECK(output && output->position < next_position_);
    for (Operator* op : Needs(output)) needed.insert(op);
  }
  for (auto& op : operators_) {
    op->OutputsChanged();
    std::erase_if(op->outputs, [&](auto& edge) { return !needed.contains(edge.to); });
    if (!needed.contains(op.get())) by_fingerprint_.erase(op->fingerprint);
  }
  std::erase_if(sources_, [&](auto* source) { return !needed.contains(source); });
  std::erase_if(clocked_, [&](auto* op) { return !needed.contains(op); });
  std::erase_if(operators_, [&](auto& op) { return !needed.contains(op.get()); });
  CHECK(operators_.size() == needed.size());  // all that is needed was here
}

std::vector<SourceOperator*> Circuit::Sources(const std::string& stream) const {
  auto sources = sources_;
  std::erase_if(sources, [&](auto* source) { return source->stream() != stream; });
  return sources;
}

}  // namespace weir
