// Pumps: what their queries say goes into the log as events of a stream, each row once.
//
// A query whose rows never go says more and more: what it says at one mark (a position of the log
// and a reading of the clock) and did not say at an earlier one are the rows to emit between the
// two, whatever steps lay between.  Each record carries the mark up to which it is complete, so a
// start finds the mark of each pump in the log, fills its circuit up to there with the rows thrown
// away, and goes on.
#include "base/error.h"
#include "duck/errors.h"
#include "views/engine_impl.h"
#include "views/explain.h"
#include "views/relations.h"

namespace weir {

namespace {

constexpr uint64_t kFillingBytesMax = 32 << 20;  // of one pump that is being filled
constexpr uint64_t kStepBytes = 16 << 20;        // what a step should emit at most

}  // namespace

// ---- marks --------------------------------------------------------------------------------------

void EngineImpl::RecoverMarks() {
  EmittedMarks marks;
  auto see = [&](const PumpMark& mark) {
    auto& input = marks.by_pump[mark.pump];
    input = std::max(input, mark.input);
    now_ = std::max(now_, mark.input.clock);
  };
  if (!options_.marks_path.empty()) {
    marks_file_ =
        std::make_unique<MarksFile>(parts_.disk, options_.marks_path, options_.on_unknown);
    for (auto& [pump, input] : marks_file_->Load().by_pump) see({pump, input});
  }
  auto catalog = parts_.catalog.Current();
  for (auto& [name, pump] : catalog->pumps) {
    if (pump->start) now_ = std::max(now_, pump->start->clock);
  }
  if (!catalog->pumps.empty()) {
    auto reader = parts_.log.ReadNotes(Offset{});
    while (auto record = reader->Next()) {
      if (auto mark = DecodePumpMark(record->record.meta)) see(*mark);
    }
  }
  marks.at = parts_.log.End();
  std::lock_guard lock(marks_mutex_);
  marks_ = std::move(marks);
}

Offset EngineImpl::SaveMarks() {
  EmittedMarks marks;
  {
    std::lock_guard lock(marks_mutex_);
    marks = marks_;
  }
  if (!marks_file_) return marks.at;
  SavedMarks saved;
  saved.at = marks.at;
  auto catalog = parts_.catalog.Current();
  for (auto& [name, pump] : catalog->pumps) {
    auto found = marks.by_pump.find(pump->id);
    if (found != marks.by_pump.end()) saved.by_pump[pump->id] = found->second;
  }
  marks_file_->Save(saved);
  return marks.at;
}

InputMark EngineImpl::EmittedBefore(const Pump& pump) const {
  InputMark mark;
  if (auto& start = pump.start) mark = {start->offset, start->clock, start->log_time};
  std::lock_guard lock(marks_mutex_);
  auto found = marks_.by_pump.find(pump.id);
  return found == marks_.by_pump.end() ? mark : std::max(mark, found->second);
}

// ---- emitting -----------------------------------------------------------------------------------

void EngineImpl::EmitStep() {
  if (live_pumps_.empty()) return;
  InputMark mark{position_, now_, log_time_};
  uint64_t before = 0, after = 0;
  for (auto& pump : live_pumps_) {
    try {
      Columns rows = pump->emit->Take();
      if (ParkIfFailed(*pump, kParkedPumpHint) || ParkIfRejected(*pump) || rows.rows == 0) continue;
      if (mark <= pump->emitted) {
        throw Error(ErrorCode::kInternal, "rows came from a step that had been emitted");
      }
      before += pump->outbox->Bytes();
      pump->outbox->Add(std::move(rows), mark);
      pump->emitted = mark;
      after += pump->outbox->Bytes();
    } catch (...) {
      ParkFailed(*pump);
    }
  }
  // A pump that makes many rows of one gets fewer of them at a time.
  uint64_t emitted = after > before ? after - before : 0;
  if (emitted > kStepBytes) {
    step_rows_max_ = std::max<uint64_t>(1, step_rows_max_ * kStepBytes / emitted);
  } else if (emitted < kStepBytes / 4) {
    step_rows_max_ = std::min(options_.step_rows_max, step_rows_max_ * 2);
  }
}

// A view can leave a row out and show it among its error rows; a stream would lack it for good.
bool EngineImpl::ParkIfRejected(LivePump& pump) {
  for (Operator* op : pump.operators) {
    auto* row = op->failed_rows() ? op->failed_rows()->New() : nullptr;
    if (!row) continue;
    Park(pump, Error(ErrorCode::kQueryFailed, row->reason, kParkedPumpHint), Parked::kForGood);
    return true;
  }
  return false;
}

void EngineImpl::SendAll() {
  CHECK(IsEngineThread());
  uint64_t bytes = 0;
  Micros now = parts_.clock.Monotonic();
  for (auto& pump : live_pumps_) {
    try {
      pump->outbox->Send(now);
    } catch (...) {
      Park(*pump, CurrentError());
      pump->outbox->Close();
    }
    bytes += pump->outbox->Bytes();
  }
  emitting_bytes_ = bytes;
}

bool EngineImpl::IsEmitting() const {
  return std::any_of(live_pumps_.begin(), live_pumps_.end(),
                     [](auto& pump) { return pump->outbox->Done() < pump->outbox->Added(); });
}

// ---- filling (the filler's thread; the last stretch on the engine's) ----------------------------

// As FillUpTo, stopping at each pump's mark; beyond it in slices, so that what is on its way into
// the log stays small.  Without `progress`: on the engine thread, which waits for nothing.
void EngineImpl::FillPumpsUpTo(Filling& filling, const InputMark& target,
                               const std::function<bool(Offset)>& progress,
                               const OnFillTrouble& trouble) {
  CHECK(progress ? IsFillerThread() : IsEngineThread());
  constexpr uint64_t kSliceMin = 1'000, kSliceMax = 1'000'000;
  uint64_t slice = 100'000;
  while (true) {
    std::optional<InputMark> stop;
    bool emits = false;
    for (auto& pump : filling.pumps) {
      if (pump->emitted <= filling.reached) {
        emits = true;
      } else if (!stop || pump->emitted < *stop) {
        stop = pump->emitted;
      }
    }
    InputMark next{target.offset, std::max(target.clock, filling.reached.clock),
                   std::max(target.log_time, filling.reached.log_time)};
    if (stop && stop->offset <= target.offset) next = *stop;
    if (emits && next.offset.value > filling.position.value + slice) {
      next.offset.value = filling.position.value + slice;
      next.log_time = filling.reached.log_time;  // what it was there is not known
    }
    if (next <= filling.reached) return;
    filling.circuit.SetClock(next.clock);
    if (next.offset > filling.position) {
      FillUpTo(
          filling, parts_.history, next.offset,
          [&](Offset reached) { return !progress || progress(reached); }, trouble, next.log_time);
      if (filling.position < next.offset) return;  // stopped
    } else {
      filling.circuit.SetLogTime(next.log_time);
      filling.circuit.Flush();
    }
    // Rows of the pumps that emit lie between the two marks, and of none but these.
    CHECK(filling.reached < next && filling.position == next.offset);
    uint64_t bytes = EmitFilled(filling, next);
    filling.reached = next;
    slice = std::clamp(bytes > kStepBytes       ? slice / 4
                       : bytes < kStepBytes / 4 ? slice * 2
                                                : slice,
                       kSliceMin, kSliceMax);
    if (progress) WaitForRoom(filling);
    if (progress && stopping_) return;
  }
}

// Returns how many bytes of rows came.
uint64_t EngineImpl::EmitFilled(Filling& filling, InputMark mark) {
  uint64_t emitted = 0;
  filling.SettleErrors(mark.offset);
  auto rejected = std::move(filling.rejected);
  filling.rejected.clear();
  for (auto& pump : filling.pumps) {
    Columns rows = pump->emit->Take();
    if (ParkIfFailed(*pump, kParkedPumpHint) || mark <= pump->emitted) continue;
    auto failed = std::find_if(pump->operators.begin(), pump->operators.end(),
                               [&](Operator* op) { return rejected.contains(op); });
    if (failed != pump->operators.end()) {
      Park(*pump, Error(ErrorCode::kQueryFailed, rejected.at(*failed), kParkedPumpHint),
           Parked::kForGood);
      continue;
    }
    pump->emitted = mark;
    if (rows.rows == 0) continue;
    try {
      uint64_t before = pump->outbox->Bytes();
      pump->outbox->Add(std::move(rows), mark);
      uint64_t after = pump->outbox->Bytes();
      emitted += after > before ? after - before : 0;
      pump->outbox->Send(parts_.clock.Monotonic());
    } catch (...) {
      Park(*pump, CurrentError());
    }
  }
  return emitted;
}

// The filler does not run ahead of the disk, nor of the engine, which gets the rows to eat.
void EngineImpl::WaitForRoom(const Filling& filling) {
  CHECK(IsFillerThread());
  for (auto& pump : filling.pumps) {
    while (!stopping_ && (pump->outbox->Bytes() > kFillingBytesMax || Behind())) {
      try {
        pump->outbox->Send(parts_.clock.Monotonic());
      } catch (...) {
        Park(*pump, CurrentError());
        pump->outbox->Close();
      }
      pump->outbox->Wait();
    }
  }
}

// ---- for other threads --------------------------------------------------------------------------

void EngineImpl::CheckPump(const CatalogState& state, const Pump& pump) {
  auto stream = state.FindStream(pump.stream);
  if (!stream) throw Error(ErrorCode::kUnknownStream, "the stream of the pump is not there");
  if (parts_.trial && !WasTried(pump.kernel_sql)) parts_.trial->Try(state, pump);
  size_t given = ColumnsOfQuery(state, pump.kernel_sql).size();
  size_t wanted = pump.columns.empty() ? stream->columns.size() : pump.columns.size();
  if (given != wanted) {
    throw Error(ErrorCode::kInvalidSql,
                "the query has " + std::to_string(given) + " columns, and " +
                    (pump.columns.empty() ? "stream \"" + stream->name + "\"" : "the list") +
                    " has " + std::to_string(wanted));
  }
  std::string unsupported;
  OnPlanningThread([&] {
    auto session = std::make_shared<Session>(parts_.kernel, state.time_zone);
    session->SetClock(PublishedClock());
    Circuit scratch;
    auto built = BuildPump(scratch, state, session, pump, *stream);
    if (!built.emit) unsupported = built.unsupported.empty() ? "?" : built.unsupported;
  });
  if (unsupported.empty()) return;
  throw Error(ErrorCode::kInvalidSql, "this query cannot feed a stream: " + unsupported,
              "A stream only grows. Keep the answer as a MATERIALIZED VIEW; one by windows of time "
              "with EMIT ON WINDOW CLOSE can feed a stream.");
}

bool EngineImpl::GoesByZone(const CatalogState& state, const Pump& pump) {
  auto stream = state.FindStream(pump.stream);
  if (!stream) return true;
  try {
    Session session(parts_.kernel, state.time_zone);
    return weir::GoesByZone(state, session, pump, *stream);
  } catch (...) {
    return true;
  }
}

InputMark EngineImpl::Now() const {
  Micros log_time = parts_.log.LastTime();  // first: no later than that of the end
  return {parts_.log.End(), PublishedClock(), log_time};
}

EmittedMarks EngineImpl::Emitted() {
  auto at = std::make_shared<EmittedMarks>();
  AskEngine([this, at] {
    CHECK(IsEngineThread());
    EmittedMarks& marks = *at;
    std::vector<uint32_t> idle;
    for (auto& pump : live_pumps_) {
      bool stands = pump->status != ViewStatus::kParked;
      if (stands && pump->outbox->Done() == pump->outbox->Added()) {
        idle.push_back(pump->definition->id);
      }
    }
    // In this order: what an idle pump has emitted is in the log by now.
    {
      std::lock_guard lock(marks_mutex_);
      marks = marks_;
    }
    for (uint32_t pump : idle) marks.by_pump[pump] = {position_, now_, log_time_};
  });
  EmittedMarks marks = *at;
  for (auto& [name, pump] : parts_.catalog.Current()->pumps) {
    marks.by_pump.emplace(pump->id, EmittedBefore(*pump));
  }
  return marks;
}

std::vector<PumpInfo> EngineImpl::PumpInfos() const {
  auto version = versions_.Current();
  std::vector<PumpInfo> infos;
  std::shared_lock lock(views_mutex_);
  for (auto& [id, pump] : pumps_) {
    PumpInfo info;
    info.id = id;
    info.emitted = EmittedBefore(*pump->definition.Get());
    info.rows = pump->outbox->Rows();
    info.waiting_bytes = pump->outbox->Bytes();
    std::lock_guard inner(pump->mutex);
    info.status = pump->status;
    info.progress = pump->progress;
    info.state_bytes = pump->state_bytes;
    info.error = pump->error ? pump->error : pump->outbox->Trouble();
    bool idle = pump->outbox->Done() == pump->outbox->Added();
    if (info.status == ViewStatus::kLive && idle)
      info.emitted = {version.offset, version.as_of, version.log_time};
    infos.push_back(std::move(info));
  }
  return infos;
}

std::string EngineImpl::ExplainPump(const Pump& definition, bool analyze) {
  LivePumpPtr pump;
  {
    std::shared_lock lock(views_mutex_);
    auto found = pumps_.find(definition.id);
    if (found != pumps_.end()) pump = found->second;
  }
  auto catalog = parts_.catalog.Current();
  auto text = std::make_shared<std::string>();
  AskEngine([this, text, pump, catalog, analyze] {
    if (std::find(live_pumps_.begin(), live_pumps_.end(), pump) != live_pumps_.end()) {
      *text = ExplainCircuit(*pump->emit, *catalog, analyze);
    }
  });
  if (!text->empty()) return *text;
  OnPlanningThread([&] {
    auto session = std::make_shared<Session>(parts_.kernel, catalog->time_zone);
    session->SetClock(PublishedClock());
    Circuit scratch;
    auto stream = catalog->FindStream(definition.stream);
    auto built = BuildPump(scratch, *catalog, session, definition, *stream);
    *text = built.emit ? ExplainCircuit(*built.emit, *catalog, false) : built.unsupported + "\n";
  });
  return *text;
}

}  // namespace weir
