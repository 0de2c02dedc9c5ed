// The engine's parts, one file each: engine.cc runs the steps, engine_filling.cc makes and fills
// views, engine_pumps.cc puts what pumps say into the log, engine_recompute.cc keeps views that no
// operator can, engine_subscriptions.cc makes views for those who follow a query, engine_readers.cc
// answers other threads, engine_parked.cc puts aside what failed, engine_checkpoint.cc
// has the state saved, engine_watch.cc looks after work that does not end.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <unordered_map>

#include "base/ranked_mutex.h"
#include "io/process/busy_file.h"
#include "io/process/deep_thread.h"
#include "views/checkpoint.h"
#include "views/checkpoint_writer.h"
#include "views/engine.h"
#include "views/filling.h"
#include "views/live_view.h"
#include "views/marks_file.h"
#include "views/parked.h"
#include "views/planning.h"
#include "views/relations.h"
#include "views/step_size.h"
#include "views/versions.h"
#include "views/waiters.h"
#include "views/what_is_thrown.h"

namespace weir {

inline constexpr const char* kParkedViewHint =
    "The view stands still since; drop it or replace it by one that does not fail on such a row, "
    "for example with TRY_CAST or TRY.";
inline constexpr const char* kParkedPumpHint =
    "The pump stands still since, and what it had emitted stays; drop it and make another that "
    "does not fail on such a row, for example with TRY_CAST, TRY or a WHERE.";

// A view no operator can keep: asked again from scratch when something changed, at most so often.
struct Recomputed {
  LiveViewPtr view;
  bool uses_clock = false;
  bool running = false;
  std::function<void()> cancel;  // while it runs
  Micros finished = 0;           // monotonic
  Micros took = 0;               // the computation alone
};

class EngineImpl : public Engine {
 public:
  EngineImpl(Parts parts, EngineOptions options)
      : parts_(parts),
        options_(std::move(options)),
        memory_(options_.memory, parts.clock),
        waiters_(parts.clock),
        step_size_(options_.step_target) {
    circuit_.UseMemory(&memory_);
  }
  ~EngineImpl() override { Stop(); }

  void Start() override;
  bool Stop() override;
  bool Behind() const override {
    return backlog_bytes_ + emitting_bytes_ > options_.backlog_bytes_max;
  }
  Offset SaveMarks() override;
  void StepNow() override;

  void OnCommit(const CommittedRecords& group) override;
  std::vector<Snapshot> Read(const std::vector<std::string>& names,
                             const ReadOptions& options) override;
  std::optional<std::vector<ViewChangePtr>> ChangesSince(const std::string& view,
                                                         uint64_t sequence) override;
  std::optional<uint64_t> SequenceAt(const std::string& view, Offset offset) override;
  void OnStep(StepCallback callback) override { callbacks_.push_back(std::move(callback)); }
  void WaitFor(Offset offset, Micros deadline, Executor& executor,
               std::function<void(bool)> done) override;
  void WaitForView(const std::string& name, Offset offset, Micros deadline, Executor& executor,
                   std::function<void(bool)> done) override;
  std::vector<Column> Bind(const CatalogState& state, const KernelSql& query) override;
  void CheckTimeZone(const std::string& zone) override;
  void Reconcile() override;
  void CheckPump(const CatalogState& state, const Pump& pump) override;
  bool GoesByZone(const CatalogState& state, const Pump& pump) override;
  std::vector<PumpInfo> PumpInfos() const override;
  EmittedMarks Emitted() override;
  InputMark Now() const override;
  Subscription Subscribe(const KernelSql& query) override;
  EngineInfo Info() const override;
  std::vector<ViewInfo> ViewInfos() const override;
  std::vector<OperatorInfo> OperatorInfos() const override;
  void CheckRoom(ErrorCode code, const std::string& what) const override;
  std::vector<StreamTime> StreamTimes() const override;
  std::string ExplainView(const std::string& name, bool analyze) override;
  std::string ExplainQuery(const KernelSql& query) override;
  std::string RungOf(const KernelSql& query) override;
  std::string ExplainPump(const Pump& pump, bool analyze) override;

 private:
  friend struct EngineForTests;
  // A view that is followed while somebody holds it.
  struct Subscribed {
    std::string name;  // among views_
    KernelSql query;
    std::string reads;  // what its query reads
    std::weak_ptr<void> hold;
  };
  using Task = std::function<void()>;
  // Where there is no such thread, before a start and after a stop, whoever calls is it.
  bool IsEngineThread() const;
  bool IsFillerThread() const { return RunsOn(BusyFile::kFiller); }
  bool RunsOn(BusyFile::Slot slot) const {
    return runs_on_[slot].load() == std::this_thread::get_id();
  }
  // What has to hold of all that is the engine thread's own, between two steps.
  void CheckInvariants() const;

  // Engine thread.
  void Run();
  void EndTasks();
  bool Turn();
  void RunTasks(const std::vector<Task>& tasks);
  void Step(uint64_t rows_max);
  uint64_t FeedPending(uint64_t rows_max, Micros until);
  uint64_t FeedRecord(const CommittedRecord& record, uint64_t rows_max, Micros until);
  void FeedChunk(const std::vector<SourceOperator*>& sources, duckdb::DataChunk& chunk,
                 uint64_t offset, Micros arrived);
  ColumnsPtr RowsOf(const CommittedRecord& record) const;
  bool IsDivisible(const CommittedRecord& record) const;
  void Publish(bool moved);
  void Tell(const EngineInfo& info, const std::vector<std::string>& changed);
  void PublishErrors(const Version& version);
  bool Attach(Filling& filling);
  void TakeOver(Filling& filling);
  void TakeOver(LiveView& view, const Version& version);
  void ShowInPlace(const std::vector<LiveViewPtr>& attached);
  void Detach(const LiveViewPtr& view);
  void Detach(const LivePumpPtr& pump);
  bool IsWanted(const LiveViewPtr& view) const;
  void DropUnused();
  enum class Parked { kUntilRestart, kForGood };
  void ParkFailed(Kept& kept) noexcept;  // in a catch block: for what is thrown
  void Park(Kept& kept, Error error, Parked how_long = Parked::kUntilRestart);
  // engine_parked.cc
  void RetireParked();
  void RetireAllParked();
  void Retire(const LiveViewPtr& view);
  bool ParkIfFailed(Kept& kept, const char* hint);
  bool ParkIfRejected(LivePump& pump);
  bool Shows(const std::string& name, Offset offset) const;
  void EmitStep();
  void SendAll();
  bool IsEmitting() const;
  // engine_recompute.cc
  using Difference = std::unordered_map<std::string, int64_t>;
  struct Answer {
    Version asked;
    Micros took = 0;
    Difference difference;
    std::optional<Error> error;
  };
  void MaybeRecompute();
  Difference Compare(const LiveView& view, const BatchResult& result);
  void Ask(Recomputed& recomputed);
  void FinishRecompute(Recomputed& recomputed, const Answer& answer);
  void Measure();
  void KeepWithinMemory();
  void IndexSources();
  Micros Advance();
  // engine_checkpoint.cc
  void MaybeCheckpoint();
  void NotePause(Micros took);
  void BeginCheckpoint();
  void WritePieces(Micros budget, bool yields);
  void EndCheckpoint();
  void GiveUpCheckpoint(const std::string& why);
  void LastCheckpoint();
  bool WritesCheckpoint() const { return checkpoint_ && !checkpoint_pieces_done_; }
  // engine_event_time.cc
  void NoteEventTime();
  void MaybeTick();

  // Filler thread.
  void RunFiller();
  void Fill(const std::vector<LiveViewPtr>& views, const std::vector<LivePumpPtr>& pumps);
  void SaveParked();
  void PrepareView(Filling& filling, const CatalogState& catalog, const LiveViewPtr& view,
                   BuiltView* built = nullptr);
  void PreparePump(Filling& filling, const CatalogState& catalog, const LivePumpPtr& pump);
  void Recompute(const LiveViewPtr& view, const BuiltView& built);
  void RestoreOrFill(Filling& restored, Filling& fresh, const CatalogState& catalog);
  void FillOrPark(Filling& filling);
  void FillCircuit(Filling& filling);
  void CatchUp(Filling& filling);
  void LeaveUnwanted(Filling& filling);
  OnFillTrouble TryAgain(Filling& filling);
  void GiveUpReaders(Filling& filling, SourceOperator& source, const Error& error);
  void KeepWithinMemory(Filling& filling, double progress);
  void GiveUpBiggest(Filling& filling, double progress);
  void FillPumpsUpTo(Filling& filling, const InputMark& target,
                     const std::function<bool(Offset)>& progress, const OnFillTrouble& trouble);
  uint64_t EmitFilled(Filling& filling, InputMark mark);
  void WaitForRoom(const Filling& filling);
  void RecoverMarks();
  InputMark EmittedBefore(const Pump& pump) const;
  void Post(Task task);
  // Waits; false when the engine ends before it comes to the task.
  // REQUIRES, as the next: not on the engine's thread, which would wait for itself.
  bool RunOnEngine(Task task);
  // For those who ask: as RunOnEngine, but throws when the engine does not come to it in time.
  void AskEngine(Task task);

  // engine_watch.cc
  void ReadWhatEndedTheLast();
  // For the start after this one: how far the input of a slot's work has come.
  void NotePosition(BusyFile::Slot slot, Offset reached) {
    if (busy_) (*busy_)[slot].position.store(reached.value, std::memory_order_relaxed);
  }
  std::optional<Error> DiedOf(const std::vector<Operator*>& operators) const;
  bool ParkIfPlanningEnded(Kept& kept, uint32_t id, const std::string& query);
  void Watch();
  void WatchSlot(BusyFile::Slot number, Micros most, Micros now);
  std::string WorkInWords(BusyFile::Slot slot, uint64_t work) const;

  // Any thread.
  bool WasTried(const KernelSql& query) const;
  std::vector<Column> ColumnsOfQuery(const CatalogState& state, const KernelSql& query);
  void PlanLiveView(const CatalogState& catalog, LiveView& view);
  LiveViewPtr MakeLiveView(const CatalogState& catalog,
                           const std::shared_ptr<const View>& definition);
  void Unsubscribe(const std::string& key, const std::string& name);
  bool ParkAsBefore(Kept& kept, uint32_t id, const std::string& query);
  // engine_registry.cc
  using Planned = std::map<uint32_t, LiveViewPtr>;  // new views, by id
  struct Turnover {
    std::vector<LiveViewPtr> gone, fresh;
    std::vector<LivePumpPtr> pumps_gone, pumps_fresh;
  };
  Planned PlanNew(const CatalogState& catalog);
  void Abandon(const Turnover& turnover);
  void NoteWorks(Kept& kept);
  bool IsAbandoned(uint64_t work) const;
  bool Install(const CatalogPtr& catalog, const Planned& planned,
               const std::map<std::string, bool>& ended, Turnover& turnover);
  void InstallPumps(const CatalogState& catalog, Turnover& turnover);
  void RemoveGone(const CatalogState& catalog, Turnover& turnover);
  void FollowNames(const CatalogState& catalog);
  // engine_subscriptions.cc: what a query reads, told apart from what may have the same names later
  static std::string ReadsOf(const CatalogState& state, const KernelSql& query);
  std::map<std::string, std::pair<KernelSql, std::string>> SubscribedNow() const;
  std::optional<Subscription> FindSubscription(const std::string& key) const;
  LiveViewPtr Find(const std::string& name) const;
  LiveViewPtr FindReadable(const std::string& name) const;
  std::optional<Replacement> ReplacementOf(const LiveView& view) const;
  bool OfErrors(const std::string& name) const;
  Micros PublishedClock() const;

  Parts parts_;
  EngineOptions options_;
  StateMemory memory_;  // before all that keeps rows
  std::vector<StepCallback> callbacks_;
  Versions versions_;
  Waiters waiters_;

  mutable Ranked<std::mutex> mutex_{LockRank::kEngine};  // guards what follows
  std::condition_variable_any wake_, filler_wake_;
  std::deque<std::shared_ptr<const CommittedRecord>> queue_;
  std::vector<Task> tasks_;
  std::vector<LiveViewPtr> to_fill_;
  std::vector<LivePumpPtr> pumps_to_fill_;
  bool parked_to_save_ = false;
  Micros unpublished_since_ = 0;  // when the oldest record of pending_ was committed; 0: none
  bool started_ = false, filling_ = false, engine_ended_ = false;
  std::atomic<bool> stopping_{false};  // written under mutex_
  std::atomic<uint64_t> backlog_bytes_{0}, emitting_bytes_{0};

  mutable Ranked<std::mutex> marks_mutex_{LockRank::kMarks};  // guards what follows
  EmittedMarks marks_;                                        // as OnCommit saw them go by
  std::unique_ptr<MarksFile> marks_file_;                     // from Start on; SaveMarks' alone

  mutable Ranked<std::shared_mutex> views_mutex_{LockRank::kViews};  // guards what follows
  std::map<std::string, LiveViewPtr> views_;      // what readers see, by lower-case name
  std::map<std::string, LiveViewPtr> next_;       // filling beside a view of the same name
  std::map<uint32_t, LivePumpPtr> pumps_;         // by id
  std::map<std::string, Subscribed> subscribed_;  // by query
  std::atomic<uint64_t> subscription_number_{0};
  CatalogPtr installed_;  // what the above was last made to match
  Ranked<std::mutex> reconcile_mutex_{LockRank::kReconcile};  // one Reconcile at a time
  ParkedReasons parked_before_;           // when the process started; since then not changed
  std::string parked_saved_;              // the filler's: what stands in the file
  std::atomic<bool> parked_some_{false};  // some view or pump was parked and is not retired yet

  // The engine thread's own.
  Circuit circuit_;
  std::vector<LiveViewPtr> live_;
  std::vector<LivePumpPtr> live_pumps_;
  std::vector<std::unique_ptr<Recomputed>> recomputed_;
  std::map<uint32_t, std::vector<SourceOperator*>> sources_;  // by stream
  bool sources_are_current_ = true;  // false: the circuit has changed since they were indexed
  Offset position_;
  uint64_t step_ = 0;
  // Taken and not yet fed.  Of the first one, rows before `pending_row_` are; while they are not
  // all of it, `pending_rows_` has them decoded.
  std::deque<std::shared_ptr<const CommittedRecord>> pending_;
  uint64_t pending_row_ = 0;
  ColumnsPtr pending_rows_;
  StepSize step_size_;
  uint64_t step_rows_max_ = 0;  // less where pumps multiply rows
  Micros give_up_at_ = 0;       // monotonic: when a stop waits no longer for the log
  Micros measured_ = 0;

  // The checkpoint that is being written, if one is; times are monotonic.
  std::shared_ptr<CheckpointWriter> checkpoint_;
  InputMark checkpoint_at_;
  bool checkpoint_pieces_done_ = false;
  size_t checkpoint_next_ = 0;  // operator, in the circuit
  Micros checkpoint_begun_ = 0, checkpoint_cost_ = 0, checkpoint_pause_ = 0, next_pieces_ = 0;
  Micros checkpoint_due_ = 0;          // when the next may begin
  Offset checkpoint_position_;         // of the last one
  std::atomic<bool> restored_{false};  // the filler has read what the last process left
  bool checkpoint_lacks_ = false;      // views that came since
  std::optional<Checkpoint> saved_;    // until the first filling has taken it

  Micros now_ = 0;       // the clock of the current step
  Micros log_time_ = 0;  // when the last record taken was committed; later ones are not earlier
  std::optional<Micros> next_close_;  // the time of the log that closes the next window by itself
  bool keeps_time_ = false;           // some source does
  std::atomic<bool> ticking_{false}, tick_failed_{false};
  Micros ticked_ = 0;  // monotonic

  mutable Ranked<std::mutex> info_mutex_{LockRank::kEngineInfo};  // guards what follows
  EngineInfo info_;
  std::vector<OperatorInfo> operator_infos_;
  std::vector<StreamTime> stream_times_;

  std::condition_variable_any ended_;  // with mutex_: engine_ended_
  std::unique_ptr<BusyFile> busy_;
  std::map<uint64_t, Error> died_of_[2];  // of operators, and of planning views; since the start
  // The watchdog's own.
  struct Seen {
    uint64_t call = 0, work = 0;
    Micros since = 0;
  };
  Seen seen_[BusyFile::kSlots][BusySlot::kDepth];
  uint64_t said_[BusyFile::kSlots] = {};       // the call that was told of
  Micros interrupted_[BusyFile::kSlots] = {};  // when the call at hand was told to give up
  std::atomic<std::thread::id> runs_on_[BusyFile::kSlots];  // the threads of the slots
  // What nobody needs any more, as BusyFile has it.
  mutable Ranked<std::mutex> abandoned_mutex_{LockRank::kAbandoned};
  std::set<uint64_t> abandoned_;
  std::mutex watch_mutex_;  // guards what follows
  std::condition_variable watch_wake_;
  bool watch_ends_ = false;

  DeepThread engine_, filler_;
  std::thread watch_;
};

}  // namespace weir
