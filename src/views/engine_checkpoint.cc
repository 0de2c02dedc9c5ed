// Has the engine's state saved, beside the steps.
//
// A checkpoint begins between two steps, with nothing copied: every operator gets a section, which
// it fills with what it keeps as of that step.  Between later steps it is asked for more, for some
// milliseconds, and at most for a tenth of the time while events wait; what a row is about to
// change it writes first.  So no step waits long, however much state there is, and little memory is
// needed.
#include <spdlog/spdlog.h>

#include "base/error.h"
#include "duck/errors.h"
#include "views/engine_impl.h"

namespace weir {
namespace {

constexpr Micros kIdleSlice = 10'000;      // while no event waits
constexpr Micros kShareOfTime = 10;        // pieces get one part of so many, while events wait
constexpr Micros kShareInAll = 50;         // all of it is at most one part of so many
constexpr Micros kLastOneMax = 5'000'000;  // what a stop takes for it
constexpr Micros kTryAgain = 60'000'000;   // after one that failed
// Of all sections together, what is not a whole part yet.
constexpr size_t kAllPartsBytes = 8 << 20, kLeastPartBytes = 4 << 10;

}  // namespace

void EngineImpl::MaybeCheckpoint() {
  if (options_.checkpoint_directory.empty()) return;
  Micros now = parts_.clock.Monotonic();
  if (checkpoint_) {
    if (checkpoint_->outcome()) return EndCheckpoint();
    bool idle = backlog_bytes_ == 0;
    if (checkpoint_pieces_done_ || (!idle && now < next_pieces_)) return;
    return WritePieces(
        idle ? std::max(options_.checkpoint_slice, kIdleSlice) : options_.checkpoint_slice, idle);
  }
  if (position_ == checkpoint_position_ && !checkpoint_lacks_) return;
  // What the last process left is not replaced before it has been read.
  bool has_something = restored_ && !(live_.empty() && live_pumps_.empty());
  if (!has_something || stopping_ || now < checkpoint_due_) return;
  BeginCheckpoint();
}

namespace {

// What of a circuit has a section of its own, in the order of the sections.
std::vector<Operator*> AddOperators(const Circuit& circuit, const std::set<Operator*>& needed,
                                    CheckpointWriter::Contents& contents) {
  std::vector<Operator*> with_section;
  for (auto& op : circuit.operators()) {
    if (!needed.contains(op.get())) continue;
    if (op->failed_rows() && op->failed_rows()->count() > 0) {
      StateWriter rows;
      op->failed_rows()->Save(rows);
      contents.failed_rows[op->fingerprint] = std::move(rows.bytes());
    }
    if (!op->HasState() || !op->CanSave() || !op->failure().empty()) continue;
    with_section.push_back(op.get());
    contents.operators.push_back(op->fingerprint);
    for (Operator* inner : op->Inner()) {
      if (!inner->HasState()) continue;
      with_section.push_back(inner);
      contents.operators.push_back(InnerSection(*op, *inner));
    }
  }
  return with_section;
}

}  // namespace

// Nothing may be thrown away that a step needs: whatever fails here costs the checkpoint only.
void EngineImpl::BeginCheckpoint() {
  CHECK(IsEngineThread() && !checkpoint_);
  Micros begun = parts_.clock.Monotonic();
  checkpoint_begun_ = begun;
  checkpoint_cost_ = 0;
  checkpoint_next_ = 0;
  checkpoint_pieces_done_ = false;
  checkpoint_at_ = {position_, now_, log_time_};
  try {
    CheckpointWriter::Contents contents;
    contents.at = checkpoint_at_;
    contents.step = versions_.Pin();
    // Contents are read at the published step and operators as they are: a step that did not come
    // to its end, for want of memory perhaps, left them apart.
    CHECK(contents.step->step == step_ && contents.step->offset == position_);
    CHECK(contents.step->as_of == now_ && contents.step->log_time == log_time_);
    std::set<Operator*> needed;
    for (auto& view : live_) {
      // Those of subscriptions are made anew by who follows; a parked one stands at an earlier
      // step.
      if (view->definition->id == 0 || view->status == ViewStatus::kParked) continue;
      CHECK(!view->output->HasChanges());
      contents.views.push_back(view);
      needed.insert(view->operators.begin(), view->operators.end());
    }
    for (auto& pump : live_pumps_) {
      if (pump->status == ViewStatus::kParked) continue;
      contents.pumps.insert(pump->definition->id);
      contents.emitted.emplace_back(pump->outbox, pump->outbox->Added());
      needed.insert(pump->operators.begin(), pump->operators.end());
    }
    auto with_section = AddOperators(circuit_, needed, contents);
    std::set<std::string> names(contents.operators.begin(), contents.operators.end());
    CHECK(names.size() == with_section.size());  // a start finds each by its own
    checkpoint_ =
        std::make_shared<CheckpointWriter>(parts_.disk, options_.checkpoint_directory + "/views",
                                           std::move(contents), [this] { wake_.notify_one(); });
    size_t part_bytes =
        std::clamp(kAllPartsBytes / (with_section.size() + 1), kLeastPartBytes, kStatePartBytes);
    for (uint32_t i = 0; i < with_section.size(); i++) {
      with_section[i]->BeginSnapshot(std::make_unique<SnapshotSection>(checkpoint_, i, part_bytes));
    }
    // What they keep is little, and it changes without a row.
    for (auto* source : circuit_.Sources()) source->ContinueSnapshot([] { return false; });
  } catch (...) {
    return GiveUpCheckpoint(WhatIsThrown());
  }
  checkpoint_lacks_ = false;
  Micros took = parts_.clock.Monotonic() - begun;
  checkpoint_cost_ += took;
  next_pieces_ = begun + took * kShareOfTime;
  NotePause(took);
  Operator::TakeTimeForSnapshots();  // what a checkpoint before left
  std::lock_guard lock(info_mutex_);
  info_.checkpoint.is_under_way = true;
}

// What a step waits for a checkpoint: between two steps, or in one for what it is about to change.
void EngineImpl::NotePause(Micros took) {
  if (took <= checkpoint_pause_) return;
  checkpoint_pause_ = took;
  std::lock_guard lock(info_mutex_);
  info_.checkpoint.longest_pause = took;
}

// `yields`: to events that come meanwhile.
void EngineImpl::WritePieces(Micros budget, bool yields) {
  CHECK(IsEngineThread() && WritesCheckpoint());
  Micros begun = parts_.clock.Monotonic();
  bool smallest = options_.checkpoint_slice == 0;
  auto stop = [&] {
    return smallest || (yields && backlog_bytes_ > 0) || !checkpoint_->HasRoom() ||
           parts_.clock.Monotonic() - begun >= budget;
  };
  auto& operators = circuit_.operators();
  // Operators may have gone since: whoever stands behind is found from the beginning again.
  for (size_t looked = 0; looked < operators.size(); looked++) {
    if (checkpoint_next_ >= operators.size()) checkpoint_next_ = 0;
    auto& op = operators[checkpoint_next_];
    if (op->IsInSnapshot()) {
      if (!checkpoint_->HasRoom()) break;
      bool all = op->ContinueSnapshot(stop);
      if (!all || stop()) break;
    }
    checkpoint_next_++;
  }
  checkpoint_pieces_done_ =
      std::none_of(operators.begin(), operators.end(), [](auto& op) { return op->IsInSnapshot(); });
  Micros took = parts_.clock.Monotonic() - begun;
  checkpoint_cost_ += took;
  next_pieces_ = begun + took * kShareOfTime;
  NotePause(took);
}

void EngineImpl::EndCheckpoint() {
  CHECK(checkpoint_ && checkpoint_->outcome());
  CHECK(checkpoint_at_.offset >= checkpoint_position_);
  auto outcome = *checkpoint_->outcome();
  for (auto& op : circuit_.operators()) op->GiveUpSnapshot();
  checkpoint_.reset();
  Micros now = parts_.clock.Monotonic();
  Micros pause = options_.checkpoint_interval;
  bool smallest = options_.checkpoint_slice == 0;
  if (!smallest) pause = std::max(pause, checkpoint_cost_ * kShareInAll);
  std::lock_guard lock(info_mutex_);
  auto& info = info_.checkpoint;
  info.is_under_way = false;
  if (outcome.is_written) {
    checkpoint_position_ = checkpoint_at_.offset;
    info.offset = checkpoint_at_.offset;
    info.written_at = parts_.clock.Now();
    info.took = now - checkpoint_begun_;
    info.bytes = outcome.bytes;
    info.written++;
    info.failure.clear();
  } else {
    pause = std::min(pause * 2, std::max(pause, kTryAgain));
    checkpoint_lacks_ = true;
    info.failed++;
    if (info.failure != outcome.failure && !stopping_) {
      spdlog::warn("views: no checkpoint was written: {}; a start reads more history until one is",
                   outcome.failure);
    }
    info.failure = outcome.failure;
  }
  checkpoint_due_ = now + pause;
}

void EngineImpl::GiveUpCheckpoint(const std::string& why) {
  for (auto& op : circuit_.operators()) op->GiveUpSnapshot();
  if (checkpoint_) {
    checkpoint_->GiveUp(why);
    checkpoint_->Wait();
    return EndCheckpoint();
  }
  checkpoint_due_ = parts_.clock.Monotonic() + kTryAgain;
  spdlog::warn("views: no checkpoint was begun: {}", why);
  std::lock_guard lock(info_mutex_);
  info_.checkpoint.failed++;
  info_.checkpoint.failure = why;
}

// After the engine's thread has ended.  One that takes long is given up: the next start reads on
// from the last one.
void EngineImpl::LastCheckpoint() {
  if (options_.checkpoint_directory.empty()) return;
  if (checkpoint_) GiveUpCheckpoint("the server stops");
  if ((position_ == checkpoint_position_ && !checkpoint_lacks_) || filling_ || IsEmitting()) return;
  BeginCheckpoint();
  Micros give_up = parts_.clock.Monotonic() + kLastOneMax;
  while (checkpoint_ && !checkpoint_->outcome() && !checkpoint_pieces_done_ &&
         parts_.clock.Monotonic() < give_up) {
    WritePieces(kIdleSlice, false);
    if (!checkpoint_->HasRoom()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (!checkpoint_) return;
  if (!checkpoint_pieces_done_) return GiveUpCheckpoint("the server stops");
  checkpoint_->Wait();
  EndCheckpoint();
}

}  // namespace weir
