#include "flow/circuit.h"

#include <algorithm>

#include "flow/state/row_store.h"

namespace weir {

Operator* Circuit::Add(std::unique_ptr<Operator> op, std::vector<Operator*> inputs,
                       std::string fingerprint) {
  auto [entry, added] = by_fingerprint_.try_emplace(fingerprint, op.get());
  if (!added) return entry->second;
  op->fingerprint = std::move(fingerprint);
  op->busy_as = std::hash<std::string>()(op->fingerprint) | 1;
  op->position = next_position_++;
  for (RowStore* store : op->RowStores()) store->UseMemory(memory_);
  for (size_t port = 0; port < inputs.size(); port++) {
    inputs[port]->outputs.push_back({op.get(), port});
    inputs[port]->OutputsChanged();
  }
  op->inputs = std::move(inputs);
  if (auto* source = dynamic_cast<SourceOperator*>(op.get())) {
    sources_.push_back(source);
    op->busy_as = 0;  // whatever takes long or fails is above it
  }
  if (op->WantsClock()) clocked_.push_back(op.get());
  operators_.push_back(std::move(op));
  return operators_.back().get();
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

std::map<Operator*, Operator*> Circuit::Absorb(Circuit other) {
  std::map<Operator*, Operator*> went;
  for (auto& op : other.operators_) {
    auto twin = by_fingerprint_.find(op->fingerprint);
    if (twin != by_fingerprint_.end()) {
      went[op.get()] = twin->second;
      twin->second->TakeFailedRows(*op);  // one that feeds a stream may have begun late
      if (auto* source = dynamic_cast<SourceOperator*>(op.get())) {
        auto& reads = static_cast<SourceOperator*>(twin->second)->reads();
        for (size_t i = 0; i < reads.size(); i++) reads[i] = reads[i] || source->reads()[i];
        static_cast<SourceOperator*>(twin->second)->LearnTime(*source);
        twin->second->OutputsChanged();  // who is above reads more of it
      }
      continue;
    }
    went[op.get()] = op.get();
    by_fingerprint_[op->fingerprint] = op.get();
    op->OutputsChanged();
    op->outputs.clear();  // connected again below, by those that stay
    op->position = next_position_++;
    bool replaced = false;
    for (size_t port = 0; port < op->inputs.size(); port++) {
      Operator* stays = went.at(op->inputs[port]);
      replaced |= stays != op->inputs[port];
      op->inputs[port] = stays;
      stays->outputs.push_back({op.get(), port});
      stays->OutputsChanged();
    }
    if (replaced) op->InputsReplaced();
    if (auto* source = dynamic_cast<SourceOperator*>(op.get())) sources_.push_back(source);
    if (op->WantsClock()) clocked_.push_back(op.get());
    operators_.push_back(std::move(op));
  }
  return went;
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
}

std::vector<SourceOperator*> Circuit::Sources(const std::string& stream) const {
  auto sources = sources_;
  std::erase_if(sources, [&](auto* source) { return source->stream() != stream; });
  return sources;
}

}  // namespace weir
