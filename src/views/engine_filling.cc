#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/error.h"
#include "base/memory_budget.h"
#include "duck/errors.h"
#include "views/engine_impl.h"
#include "views/relations.h"

namespace weir {

namespace {

// Two definitions of one name, while one fills beside the other, have an output each.
std::string OutputName(const View& view) { return view.name + " " + std::to_string(view.id); }

// What only grows goes to the content as it comes, so that it is not there twice at the end.  No
// reader looks at a content that is being filled.
void TakeGrowth(LiveView& view) {
  if (!view.output->inputs[0]->append_only()) return;
  view.output->Take(
      [&](std::string_view row, int64_t weight) { view.content.Change(row, weight, 0); });
  view.content.Reclaim(0);
}

}  // namespace

void EngineImpl::RunFiller() {
  while (true) {
    std::vector<LiveViewPtr> views;
    std::vector<LivePumpPtr> pumps;
    {
      std::unique_lock lock(mutex_);
      filling_ = false;
      filler_wake_.wait(lock, [&] {
        return stopping_ || !to_fill_.empty() || !pumps_to_fill_.empty() || parked_to_save_;
      });
      if (stopping_) return;
      views.swap(to_fill_);
      pumps.swap(pumps_to_fill_);
      filling_ = !views.empty() || !pumps.empty();
    }
    try {
      SaveParked();
    } catch (...) {
      spdlog::error("why views are parked cannot be kept: {}", WhatIsThrown());
    }
    try {
      if (!views.empty() || !pumps.empty()) Fill(views, pumps);
    } catch (...) {
      // Not in any of the fillings; what is filled already is not touched.
      Error error = CurrentError();
      auto park = [&](Kept& kept) {
        if (kept.status == ViewStatus::kFilling) Park(kept, error);
      };
      for (auto& view : views) park(*view);
      for (auto& pump : pumps) park(*pump);
    }
  }
}

void EngineImpl::PrepareView(Filling& filling, const CatalogState& catalog, const LiveViewPtr& view,
                             BuiltView* result) {
  CHECK(view->status != ViewStatus::kLive);
  MemoryBudget budget(PlanBudget());
  auto session = std::make_shared<Session>(parts_.kernel, catalog.time_zone);
  session->SetClock(PublishedClock());
  auto built = BuildView(filling.circuit, catalog, session, OutputName(*view->definition.Get()),
                         view->definition->Planned());
  if (built.output) {
    view->output = built.output;
    view->operators = Circuit::Needs(built.output);
    NoteWorks(*view);
    filling.views.push_back(view);
  }
  if (result) *result = std::move(built);
}

void EngineImpl::PreparePump(Filling& filling, const CatalogState& catalog,
                             const LivePumpPtr& pump) {
  CHECK(pump->status != ViewStatus::kLive && pump->stream);
  MemoryBudget budget(PlanBudget());
  auto session = std::make_shared<Session>(parts_.kernel, catalog.time_zone);
  session->SetClock(PublishedClock());
  auto built = BuildPump(filling.circuit, catalog, session, *pump->definition.Get(), *pump->stream);
  if (!built.emit) {
    throw Error(ErrorCode::kQueryFailed, "the query cannot feed a stream: " + built.unsupported);
  }
  pump->emit = built.emit;
  pump->operators = Circuit::Needs(built.emit);
  NoteWorks(*pump);
  filling.pumps.push_back(pump);
}

// A view that no operator can keep needs no filling: from now on the engine has it asked.
void EngineImpl::Recompute(const LiveViewPtr& view, const BuiltView& built) {
  if (!parts_.batch) {
    throw Error(ErrorCode::kQueryFailed, "cannot be maintained: " + built.unsupported);
  }
  RunOnEngine([this, view, uses_clock = built.plan.uses_clock] {
    view->changes.StartAt((step_ + 1) << 20, position_, !uses_clock);
    auto recomputed = std::make_unique<Recomputed>();
    recomputed->view = view;
    recomputed->uses_clock = uses_clock;
    recomputed_.push_back(std::move(recomputed));
    ShowInPlace({view});
  });
}

void EngineImpl::Fill(const std::vector<LiveViewPtr>& views,
                      const std::vector<LivePumpPtr>& pumps) {
  CHECK(IsFillerThread());
  auto catalog = parts_.catalog.Current();
  // From the beginning; from the checkpoint; pumps without state, from where they had come.
  Filling fresh, restored, resumed;
  for (auto* filling : {&fresh, &restored, &resumed}) filling->circuit.UseMemory(&memory_);
  for (auto& view : views) {
    try {
      // Built once to see whether the checkpoint covers it, then where it belongs.
      Filling probe;
      BuiltView built;
      PrepareView(probe, *catalog, view, &built);
      if (!built.output) {
        Recompute(view, built);
        continue;
      }
      PrepareView(saved_ && saved_->Covers(*view) ? restored : fresh, *catalog, view);
    } catch (...) {
      Park(*view, CurrentError());
    }
  }
  for (auto& pump : pumps) {
    try {
      Filling probe;
      PreparePump(probe, *catalog, pump);
      if (auto died = DiedOf(pump->operators)) {
        Park(*pump, *died, Parked::kForGood);
        continue;
      }
      pump->emitted = EmittedBefore(*pump->definition.Get());
      bool has_state = std::any_of(pump->operators.begin(), pump->operators.end(),
                                   [](Operator* op) { return op->HasState(); });
      bool covered = saved_ && saved_->Covers(*pump);
      PreparePump(covered                                     ? restored
                  : has_state || pump->emitted == InputMark() ? fresh
                                                              : resumed,
                  *catalog, pump);
    } catch (...) {
      Park(*pump, CurrentError());
    }
  }
  if (!restored.empty()) RestoreOrFill(restored, fresh, *catalog);
  for (auto& pump : resumed.pumps) {
    bool first = pump == resumed.pumps.front();
    resumed.position =
        first ? pump->emitted.offset : std::min(resumed.position, pump->emitted.offset);
    resumed.reached = {resumed.position, 0};
  }
  saved_.reset();
  for (Filling* filling : {&restored, &resumed, &fresh}) {
    for (auto& [name, stream] : catalog->streams) {
      filling->streams[SourceName(stream->id)] = stream;
    }
    if (!filling->empty()) FillOrPark(*filling);
    restored_ = true;
  }
}

void EngineImpl::RestoreOrFill(Filling& restored, Filling& fresh, const CatalogState& catalog) {
  restored.KeepNeeded();
  try {
    saved_->Restore(restored.circuit, restored.views);
    restored.position = saved_->at().offset;
    for (auto& pump : restored.pumps) pump->emitted = std::max(pump->emitted, saved_->at());
    restored.reached = saved_->at();
  } catch (...) {
    // A damaged checkpoint costs time only: fill from the beginning.
    spdlog::warn("the checkpoint cannot be read, views are filled from the beginning: {}",
                 WhatIsThrown());
    auto again = std::move(restored.views);
    auto pumps_again = std::move(restored.pumps);
    saved_.reset();
    restored = Filling();
    restored.circuit.UseMemory(&memory_);
    for (auto& view : again) {
      view->content.Clear();
      PrepareView(fresh, catalog, view);
    }
    for (auto& pump : pumps_again) PreparePump(fresh, catalog, pump);
  }
}

// The edge of a filling: what is thrown parks what is filled by it, and nothing else.
void EngineImpl::FillOrPark(Filling& filling) {
  try {
    filling.KeepNeeded();
    FillCircuit(filling);
  } catch (...) {
    if (filling.attached) throw;
    Error error = CurrentError();
    for (auto& view : filling.views) Park(*view, error);
    for (auto& pump : filling.pumps) Park(*pump, error);
  }
}

void EngineImpl::FillCircuit(Filling& filling) {
  CHECK(IsFillerThread() && !filling.attached);
  if (filling.pumps.empty()) filling.circuit.SetClock(PublishedClock());
  constexpr int kTriesMax = 20;
  constexpr auto kPause = std::chrono::milliseconds(20);
  for (int tries = 0; !stopping_ && !filling.empty(); tries++) {
    if (tries == kTriesMax) {
      throw Error(ErrorCode::kUnavailable, "the last rows cannot be read",
                  "Start again, or make the view anew with CREATE OR REPLACE.");
    }
    if (tries > 0) std::this_thread::sleep_for(kPause * tries);
    CatchUp(filling);
    // A pump that begins at a position the engine has yet to reach is not stepped across it.
    for (auto& pump : filling.pumps) {
      while (!stopping_ && versions_.Current().offset < pump->emitted.offset) pump->outbox->Wait();
    }
    if (stopping_ || filling.empty()) return;
    bool attached = false;
    if (!RunOnEngine([&] { attached = Attach(filling); }) || attached) return;
  }
}

// Comes as near to the engine as it gets: what is left is fed between two steps.
void EngineImpl::CatchUp(Filling& filling) {
  constexpr uint64_t kCloseEnough = 20'000;
  auto trouble = TryAgain(filling);
  for (int round = 0; round < 10; round++) {
    Version version = versions_.Current();
    Offset target = version.offset;
    // What reading has failed on is read here, and not by the engine, which waits for nothing.
    if (filling.ahead.empty() && target.value < filling.position.value + kCloseEnough) break;
    NotePosition(BusyFile::kFiller, filling.position);
    auto progress = [&](Offset reached) {
      NotePosition(BusyFile::kFiller, reached);
      double part = static_cast<double>(reached.value) / static_cast<double>(target.value);
      auto show = [&](Kept& kept) {
        std::lock_guard lock(kept.mutex);
        kept.progress = std::max(kept.progress, part);  // the log goes on, and with it the end
      };
      LeaveUnwanted(filling);
      for (auto& view : filling.views) show(*view);
      for (auto& pump : filling.pumps) show(*pump);
      KeepWithinMemory(filling, part);
      return !stopping_;
    };
    if (filling.pumps.empty()) {
      FillUpTo(filling, parts_.history, target, progress, trouble);
    } else {
      FillPumpsUpTo(filling, {target, version.as_of, version.log_time}, progress, trouble);
    }
    if (stopping_ || filling.empty()) return;
  }
}

// What was dropped meanwhile is filled no further.
void EngineImpl::LeaveUnwanted(Filling& filling) {
  auto is_unwanted = [](auto& kept) { return !kept->is_wanted; };
  size_t gone =
      std::erase_if(filling.views, is_unwanted) + std::erase_if(filling.pumps, is_unwanted);
  if (gone > 0) filling.KeepNeeded();
}

// What fails once (a read of the disk, memory) is tried again, later each time.  What goes on
// failing parks what reads that stream; the others of the filling go on.
OnFillTrouble EngineImpl::TryAgain(Filling& filling) {
  static constexpr int kTriesMax = 6;
  static constexpr Micros kFirstPause = 50'000, kSlice = 10'000;
  return [this, &filling](const FillTrouble& trouble) {
    bool may_pass = trouble.may_pass && trouble.error.code != ErrorCode::kCorruption;
    if (!may_pass || trouble.tries >= kTriesMax) {
      GiveUpReaders(filling, trouble.source, trouble.error);
      return false;
    }
    Micros pause = kFirstPause << trouble.tries;
    spdlog::warn("history of stream {}: {}; trying again in {} ms", trouble.stream.name,
                 trouble.error.message, pause / 1000);
    for (; pause > 0 && !stopping_; pause -= kSlice) {
      std::this_thread::sleep_for(std::chrono::microseconds(kSlice));
    }
    return !stopping_;
  };
}

void EngineImpl::GiveUpReaders(Filling& filling, SourceOperator& source, const Error& error) {
  CHECK(IsFillerThread());
  std::string name = filling.streams.at(source.stream())->name;
  Error why(error.code, "history of stream \"" + name + "\" cannot be read: " + error.message,
            "Once it can be, start again, or make the view anew with CREATE OR REPLACE.");
  auto give_up = [&](auto& kept) {
    auto& needs = kept->operators;
    if (std::find(needs.begin(), needs.end(), &source) == needs.end()) return false;
    Park(*kept, why);
    kept->operators.clear();
    return true;
  };
  std::erase_if(filling.views, [&](auto& view) {
    if (!give_up(view)) return false;
    view->output = nullptr;
    view->content.Clear();
    return true;
  });
  std::erase_if(filling.pumps, [&](auto& pump) {
    if (!give_up(pump)) return false;
    pump->emit = nullptr;
    return true;
  });
  filling.KeepNeeded();
}

void EngineImpl::KeepWithinMemory(Filling& filling, double progress) {
  for (auto& view : filling.views) TakeGrowth(*view);
  memory_.Look();
  if (auto excess = memory_.Excess()) {
    auto stores = filling.circuit.RowStores();
    for (auto& view : filling.views) stores.push_back(&view->content.rows_kept());
    MoveToFile(std::move(stores), excess);
  }
  while (memory_.IsFull() && !filling.empty()) {
    GiveUpBiggest(filling, progress);
    memory_.LookAgain();
  }
}

// Parks what takes the most memory of a filling, and frees it; the others go on.
void EngineImpl::GiveUpBiggest(Filling& filling, double progress) {
  CHECK(IsFillerThread() && !filling.empty());
  auto state_of = [](const Kept& kept) {
    size_t bytes = 0;
    for (Operator* op : kept.operators) bytes += op->StateBytes();
    return bytes;
  };
  LiveViewPtr biggest;
  LivePumpPtr biggest_pump;
  size_t bytes = 0;
  for (auto& view : filling.views) {
    size_t its = state_of(*view) + view->content.Bytes();
    if (biggest && its <= bytes) continue;
    biggest = view;
    bytes = its;
  }
  for (auto& pump : filling.pumps) {
    size_t its = state_of(*pump);
    if ((biggest || biggest_pump) && its <= bytes) continue;
    biggest_pump = pump;
    bytes = its;
  }
  Error error = memory_.Refusal(ErrorCode::kLimitExceeded, "not filled for want of memory");
  error.message += fmt::format(
      "; it had {} MB at {:.0f} % of its history and would take some {} MB", bytes / 1'000'000,
      progress * 100,
      static_cast<uint64_t>(static_cast<double>(bytes) / std::max(progress, 0.01) / 1e6));
  if (biggest_pump) {
    // What it emitted is in the log: it goes on from there.
    error.hint += " Then start again: the pump goes on where it stands.";
    Park(*biggest_pump, std::move(error));
    std::erase(filling.pumps, biggest_pump);
    biggest_pump->emit = nullptr;
    biggest_pump->operators.clear();
  } else {
    error.hint += " Then make the view anew with CREATE OR REPLACE, or start again.";
    Park(*biggest, std::move(error));
    std::erase(filling.views, biggest);
    biggest->output = nullptr;
    biggest->operators.clear();
    biggest->content.Clear();
    biggest->errors.Clear();
  }
  filling.KeepNeeded();
}

}  // namespace weir
