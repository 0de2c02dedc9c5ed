#include "lake/lake.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <thread>
#include <utility>

#include "base/memory_budget.h"
#include "duck/errors.h"
#include "io/process/loop_thread.h"
#include "io/process/thread_priority.h"
#include "lake/compaction.h"
#include "lake/files.h"
#include "lake/landing.h"
#include "lake/parquet.h"
#include "lake/scan.h"
#include "lake/scrub.h"

namespace weir {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// After a failure (a full disk, say) the next try waits this long.
constexpr std::chrono::seconds kRetryPause{10};
// The lake's own names for the two hidden columns; views count them from the end of size_t.
constexpr size_t kHiddenOffset = static_cast<size_t>(-1);
constexpr size_t kHiddenArrivalTime = static_cast<size_t>(-2);

// A stream that could not land is tried again after this long, then after twice that, and so on.
constexpr std::chrono::seconds kHeldPauseMax{600};
// A dropped stream's definition is forgotten when it was dropped so long ago that no producer can
// still have an append of it under way, and all since has landed.
constexpr std::chrono::minutes kDroppedPause{10};

class ParquetLake : public Lake, public CommitListener {
 public:
  ParquetLake(Disk& disk, Clock& clock, Catalog& catalog, Log& log, LakeOptions options);
  ~ParquetLake() override { Stop(); }

  void Start() override;
  void Stop() override;
  Offset Landed() const override { return files_.Landed(); }
  Offset LandedOf(StreamId stream) const override { return files_.LandedOf(stream); }
  LakeHealth Health() const override;
  bool Behind() const override;
  void Suspect(StreamId stream) override { scrub_.Suspect(stream); }
  Pinned Pin(const std::vector<StreamId>& streams, Offset up_to) override;
  void LandNow() override;
  std::vector<LakeInfo> Info() const override;
  void Scan(const Stream& stream, const std::vector<size_t>& projection, Offset after, Offset up_to,
            const ScanSink& sink) override;
  Offset ArrivedBefore(StreamId stream, Micros time) const override {
    return files_.ArrivedBefore(stream, time);
  }
  Offset BeforeLast(StreamId stream, uint64_t rows) const override {
    return files_.BeforeLast(stream, rows);
  }
  void BeforeTrim(std::function<Offset()> allowed) override;
  void SetRetain(Offset checkpointed) override;
  void OnCommit(const CommittedRecords& group) override;

 private:
  // How it goes with streams that are held back, and since when.
  struct Trouble {
    std::string why;
    std::chrono::seconds pause;
    SteadyTime next_try;
  };
  struct Dropped {
    SteadyTime since;
    Offset end;
  };

  void Run();
  std::optional<SteadyTime> Due() const;
  SteadyTime LandingDue() const;
  bool IsUrgent();
  void GiveWayOrNot();
  void DoRound();
  void Round(bool try_held);
  bool LandAll(const LandingParts& parts, Offset target, uint64_t& bytes);
  bool LandHeldStreams(const LandingParts& parts, bool try_all);
  void NoteTroubles(const Troubles& troubles);
  void MendDamaged(const LandingParts& parts);
  bool MergeSmallFiles(const LandingParts& parts);
  std::vector<MergeRun> PlanOf(StreamDay day, int64_t hour_now) const;
  void Merge(const LandingParts& parts, MergeRun run);
  void SleepUntilMore();
  void ForgetDropped();
  void TrimLog();
  void TrimLogNowAndThen();
  bool Stopping();
  std::string NameOf(StreamId stream) const;
  LakeFile Describe(const PublishedFile& file) const;
  ParquetFile ReadableOf(const PublishedFile& file) const;
  void FoundDamage(const PublishedFile& file, const std::string& reason);
  void NoteFailedRead(const std::vector<PublishedFilePtr>& files, const LakeFileDamaged& damaged);

  Disk& disk_;
  Clock& clock_;
  Catalog& catalog_;
  Log& log_;
  const LakeOptions options_;
  LakeFiles files_;
  std::mutex round_mutex_;        // one round at a time
  std::shared_mutex trim_mutex_;  // shared: nothing is trimmed from the log meanwhile
  std::function<Offset()> before_trim_;
  Offset retain_{UINT64_MAX};               // under trim_mutex_
  SteadyTime next_trim_;                    // the writer's: before it, trimming costs too much
  std::map<uint32_t, Dropped> dropped_;     // the writer's: definitions that are still kept
  std::set<std::string> not_to_be_merged_;  // the writer's: paths whose merge failed
  std::set<StreamDay> to_merge_;            // the writer's: days that may have something to merge

  mutable std::mutex mutex_;  // for everything below
  std::condition_variable wake_;
  std::thread thread_;
  bool stopping_ = false;
  uint64_t waiting_rows_ = 0, waiting_bytes_ = 0;  // committed and not landed
  SteadyTime waiting_since_;
  bool urgent_ = false;                   // what waits has become too much; until little waits
  bool gives_way_ = false;                // the round under way runs with what others leave
  std::optional<SteadyTime> not_before_;  // after a failure
  std::optional<SteadyTime> merge_at_;    // an hour or a day ends and leaves small files behind
  std::map<uint32_t, Trouble> troubles_;  // of streams that are held back
  bool mend_ = false;                     // there is damage that was not tried to be mended
  std::string failure_;
  uint64_t failures_ = 0, mended_ = 0;

  Scrub scrub_;  // the last: it ends first
};

ParquetLake::ParquetLake(Disk& disk, Clock& clock, Catalog& catalog, Log& log, LakeOptions options)
    : disk_(disk),
      clock_(clock),
      catalog_(catalog),
      log_(log),
      options_(std::move(options)),
      files_(disk, options_.directory),
      scrub_(
          disk, files_, {options_.scrub_bytes_per_second, options_.scrub_every},
          [this](const PublishedFile& file) { return ReadableOf(file); },
          [this](const PublishedFile& file, const std::string& reason) {
            FoundDamage(file, reason);
          }) {
  if (log_.Begin().value > files_.LeastLanded().value + 1 || log_.End() < files_.Landed()) {
    throw Error(ErrorCode::kCorruption,
                "the lake is complete up to offset " + std::to_string(files_.LeastLanded().value) +
                    " but the log holds " + std::to_string(log_.Begin().value) + " to " +
                    std::to_string(log_.End().value),
                "The lake's folder and the log's folder are not of the same age.");
  }
  waiting_rows_ = log_.End().value - files_.Landed().value;
  waiting_since_ = std::chrono::steady_clock::now();
  if (waiting_rows_ > 0) {
    auto tail = log_.Segments(files_.Landed(), log_.End());
    for (auto& segment : tail.segments) waiting_bytes_ += segment.bytes;
  }
  // What waits has waited since it came: a server that is killed again and again lands
  // nevertheless, at the priority of everything else if need be, and the next start has less to
  // read.
  if (waiting_rows_ > 0) {
    if (auto oldest = log_.ReadNotes(files_.Landed())->Next()) {
      Micros longest = options_.interval * (options_.urgent_intervals + 1);
      Micros waited = std::clamp<Micros>(clock_.Now() - oldest->append_time, 0, longest);
      waiting_since_ -= std::chrono::microseconds(waited);
    }
  }
  // No producer of a life before has an append under way.
  for (auto& [id, stream] : catalog_.Current()->dropped) {
    dropped_[id] = {waiting_since_ - kDroppedPause, log_.End()};
  }
  files_.RemoveLeftovers();
  for (auto& damage : files_.Damaged()) FoundDamage(*damage.file, damage.reason);
  log_.AddListener(*this);
}

void ParquetLake::Start() {
  {
    std::lock_guard lock(mutex_);
    if (!thread_.joinable()) thread_ = StartLoop("lake", [this] { Run(); });
  }
  scrub_.Start();
}

void ParquetLake::Stop() {
  scrub_.Stop();
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

// On the log's thread: counts, and wakes the writer only when there is a reason.
void ParquetLake::OnCommit(const CommittedRecords& group) {
  uint64_t rows = 0, bytes = 0;
  for (auto& record : group) {
    rows += record->record.count;
    bytes += record->record.payload.size();
  }
  if (rows == 0) return;
  std::lock_guard lock(mutex_);
  bool first = waiting_rows_ == 0;
  bool full = waiting_rows_ >= options_.file_rows_max || waiting_bytes_ >= options_.file_bytes;
  if (first) waiting_since_ = std::chrono::steady_clock::now();
  waiting_rows_ += rows;
  waiting_bytes_ += bytes;
  bool full_now = waiting_rows_ >= options_.file_rows_max || waiting_bytes_ >= options_.file_bytes;
  if (first || (full_now && !full)) wake_.notify_one();
}

// When what waits is to land; under mutex_.
SteadyTime ParquetLake::LandingDue() const {
  if (waiting_rows_ >= options_.file_rows_max || waiting_bytes_ >= options_.file_bytes) return {};
  if (waiting_rows_ == 0) return SteadyTime::max();
  return waiting_since_ + std::chrono::microseconds(options_.interval);
}

// When the next round is due, if ever; under mutex_.
std::optional<SteadyTime> ParquetLake::Due() const {
  std::optional<SteadyTime> due = merge_at_;
  auto sooner = [&](SteadyTime time) { due = due ? std::min(*due, time) : time; };
  if (waiting_rows_ > 0) sooner(LandingDue());
  for (auto& [stream, trouble] : troubles_) sooner(trouble.next_try);
  if (mend_) sooner(SteadyTime());
  if (due && not_before_) due = std::max(*due, *not_before_);
  return due;
}

void ParquetLake::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    auto due = Due();
    if (!due) {
      wake_.wait(lock);
      continue;
    }
    if (*due > std::chrono::steady_clock::now()) {
      wake_.wait_until(lock, *due);
      continue;
    }
    gives_way_ = !IsUrgent();
    lock.unlock();
    // A thread of its own for each round: a thread may make itself less important, but not more
    // important again.
    try {
      std::thread round([&] {
        if (gives_way_) LowerThreadPriority();
        DoRound();
      });
      round.join();
    } catch (const std::system_error&) {
      DoRound();  // there are no more threads: at the priority of this one
    }
    lock.lock();
    gives_way_ = false;
  }
}

// Whether landing has to go on like everything else; under mutex_.  Once it has, until what waits
// is no more than one piece of work.
bool ParquetLake::IsUrgent() {
  auto waited = std::chrono::steady_clock::now() - waiting_since_;
  auto interval = std::chrono::microseconds(options_.interval);
  bool too_old = waiting_rows_ > 0 && waited > interval * options_.urgent_intervals;
  if (waiting_bytes_ > options_.urgent_bytes || too_old) {
    urgent_ = true;
  } else if (waiting_bytes_ <= options_.file_bytes) {
    urgent_ = false;
  }
  return urgent_;
}

// A round that runs with what others leave gets next to nothing when they leave nothing: what it
// is at is given up when it becomes urgent, for another thread to begin again.
void ParquetLake::GiveWayOrNot() {
  std::lock_guard lock(mutex_);
  if (gives_way_ && IsUrgent()) throw BeginAgain();
}

bool ParquetLake::Behind() const {
  std::lock_guard lock(mutex_);
  return waiting_bytes_ > options_.behind_bytes && failure_.empty();
}

// The edge of the writer: a failure is said, and tried again later.
void ParquetLake::DoRound() {
  try {
    Round(false);
    std::lock_guard lock(mutex_);
    not_before_.reset();
    failure_.clear();
  } catch (const BeginAgain&) {
    // It is due as it was.
  } catch (...) {
    Error error = CurrentError();
    spdlog::error("lake: {}; trying again in {} s", error.message, kRetryPause.count());
    std::lock_guard lock(mutex_);
    not_before_ = std::chrono::steady_clock::now() + kRetryPause;
    failure_ = error.message;
    failures_++;
  }
}

bool ParquetLake::Stopping() {
  std::lock_guard lock(mutex_);
  return stopping_;
}

void ParquetLake::Round(bool try_held) {
  std::lock_guard round(round_mutex_);
  files_.Settle();
  auto parquet = std::make_unique<Parquet>(disk_);
  Offset target = log_.End();
  uint64_t bytes_before;
  {
    std::lock_guard lock(mutex_);
    bytes_before = waiting_bytes_;
    merge_at_.reset();
  }
  auto catalog = catalog_.Current();  // after the target: it knows every stream up to there
  auto check = [this] { GiveWayOrNot(); };
  parquet->CheckAtFiles(check);
  LandingParts parts{disk_, *catalog, log_, files_, *parquet, options_, check};
  uint64_t landed_bytes = 0;
  if (!LandAll(parts, target, landed_bytes)) return;
  {
    std::lock_guard lock(mutex_);
    // The log tells of a commit after it is visible: counting again heals what that got wrong.
    Offset landed = files_.Landed(), end = log_.End();
    ASSERT(target <= landed && landed <= end);
    waiting_rows_ = end.value - landed.value;
    // All that was counted before the target has landed.
    waiting_bytes_ -= std::min(waiting_bytes_, bytes_before - std::min(bytes_before, landed_bytes));
    if (waiting_rows_ == 0) waiting_bytes_ = 0;
    waiting_since_ = std::chrono::steady_clock::now();
    IsUrgent();  // it may be over
  }
  if (!LandHeldStreams(parts, try_held)) return;
  MendDamaged(parts);
  if (try_held) TrimLog();
  if (!MergeSmallFiles(parts)) return;
  ForgetDropped();
  parquet.reset();
  ReturnFreePages();  // a round takes much memory for a short time
}

// False: it is time to stop.
bool ParquetLake::LandAll(const LandingParts& parts, Offset target, uint64_t& bytes) {
  while (files_.Landed() < target) {
    Troubles troubles;
    uint64_t piece = LandOnce(parts, target, troubles);
    NoteTroubles(troubles);
    TrimLogNowAndThen();
    bytes += piece;
    {
      std::lock_guard lock(mutex_);
      waiting_bytes_ -= std::min(waiting_bytes_, piece);
    }
    if (Stopping()) return false;
  }
  return true;
}

bool ParquetLake::LandHeldStreams(const LandingParts& parts, bool try_all) {
  auto now = std::chrono::steady_clock::now();
  for (auto& [stream, landed] : files_.Held()) {
    {
      std::lock_guard lock(mutex_);
      auto known = troubles_.find(stream);
      if (!try_all && known != troubles_.end() && known->second.next_try > now) continue;
    }
    Troubles troubles;
    while (LandHeld(parts, {stream}, troubles)) {
      if (Stopping()) return false;
    }
    NoteTroubles(troubles);
    if (files_.Held().contains(stream)) continue;
    spdlog::info("lake: stream \"{}\" lands again", NameOf({stream}));
    {
      std::lock_guard lock(mutex_);
      troubles_.erase(stream);
    }
    TrimLogNowAndThen();
  }
  return true;
}

void ParquetLake::NoteTroubles(const Troubles& troubles) {
  for (auto& [stream, error] : troubles) {
    std::lock_guard lock(mutex_);
    auto [known, is_new] = troubles_.try_emplace(stream);
    Trouble& trouble = known->second;
    trouble.pause = is_new ? kRetryPause : std::min(trouble.pause * 2, kHeldPauseMax);
    trouble.next_try = std::chrono::steady_clock::now() + trouble.pause;
    if (trouble.why == error.message) continue;
    trouble.why = error.message;
    spdlog::error(
        "lake: events of stream \"{}\" beyond offset {} cannot become Parquet: {}; the log keeps "
        "them, and all after them, and it is tried again",
        NameOf({stream}), files_.LandedOf({stream}).value, error.message);
  }
}

void ParquetLake::MendDamaged(const LandingParts& parts) {
  {
    std::lock_guard lock(mutex_);
    if (!std::exchange(mend_, false)) return;
  }
  for (auto& damage : files_.Damaged()) {
    try {
      if (!MendFromLog(parts, damage.file)) continue;
    } catch (const BeginAgain&) {
      std::lock_guard lock(mutex_);
      mend_ = true;
      throw;
    } catch (...) {
      Error error = CurrentError();
      if (error.code == ErrorCode::kUnavailable) throw;
      spdlog::error("lake: file \"{}\" cannot be made again from the log: {}", damage.file->path,
                    error.message);
      files_.Settle();  // what was begun is there before the next begins
      continue;
    }
    spdlog::warn("lake: file \"{}\" was made again from the log", damage.file->path);
    std::lock_guard lock(mutex_);
    mended_++;
    damage.file.reset();
  }
  files_.Settle();  // what was replaced goes
}

bool ParquetLake::MergeSmallFiles(const LandingParts& parts) {
  to_merge_.merge(files_.TakeTouched());
  for (auto day = to_merge_.begin(); day != to_merge_.end();) {
    int64_t hour_now = clock_.Now() / kHour;
    for (auto& run : PlanOf(*day, hour_now)) {
      Merge(parts, std::move(run));
      if (Stopping()) return false;
      // Merging is never pressing; what is left is gone on with after the landing.
      std::lock_guard lock(mutex_);
      if (LandingDue() <= std::chrono::steady_clock::now()) {
        merge_at_ = std::chrono::steady_clock::now();
        return true;
      }
    }
    bool over = day->day < hour_now / kHoursInDay;
    day = over ? to_merge_.erase(day) : std::next(day);
  }
  SleepUntilMore();
  return true;
}

// Damaged files, and those whose merge failed, stay as they are; so do those without checksums,
// which hold some types in another form.
std::vector<MergeRun> ParquetLake::PlanOf(StreamDay day, int64_t hour_now) const {
  auto files = files_.OfDay(day);
  if (!files || files->size() < 2) return {};
  auto apart = not_to_be_merged_;
  for (auto& damage : files_.Damaged()) apart.insert(damage.file->path);
  return PlanMerges(*files, hour_now, {options_.file_rows_max, options_.merged_bytes_max},
                    [&](const PublishedFile& file) {
                      return file.seal.has_value() && !apart.contains(file.path);
                    });
}

void ParquetLake::Merge(const LandingParts& parts, MergeRun run) {
  StreamId stream = run.front()->stream;
  std::vector<std::string> paths;
  for (auto& file : run) paths.push_back(file->path);
  try {
    MergeFiles(parts, std::move(run));
  } catch (const BeginAgain&) {
    throw;
  } catch (...) {
    Error error = CurrentError();
    if (error.code == ErrorCode::kUnavailable) throw;
    spdlog::error("lake: {} files from \"{}\" on cannot be merged: {}", paths.size(), paths.front(),
                  error.message);
    not_to_be_merged_.insert(paths.begin(), paths.end());
    scrub_.Suspect(stream);
    files_.Settle();  // what was begun is there before the next begins
  }
}

// When this hour or this day ends, what it leaves behind can be merged.
void ParquetLake::SleepUntilMore() {
  Micros now = clock_.Now();
  Micros day = kHour * kHoursInDay;
  for (Micros length : {kHour, day}) {
    Micros end = (now / length + 1) * length;
    if (std::none_of(to_merge_.begin(), to_merge_.end(),
                     [&](StreamDay open) { return !PlanOf(open, end / kHour).empty(); })) {
      continue;
    }
    std::lock_guard lock(mutex_);
    merge_at_ =
        std::chrono::steady_clock::now() + std::chrono::microseconds(end - now + options_.interval);
    return;
  }
}

// Definitions of dropped streams are for their last events; each round knows better which have
// landed.
void ParquetLake::ForgetDropped() {
  auto now = std::chrono::steady_clock::now();
  std::vector<uint32_t> done;
  for (auto& [id, stream] : catalog_.Current()->dropped) {
    auto [known, is_new] = dropped_.try_emplace(id, Dropped{now, log_.End()});
    if (now - known->second.since < kDroppedPause || files_.LandedOf({id}) < known->second.end) {
      continue;
    }
    done.push_back(id);
  }
  if (done.empty()) return;
  catalog_.Change([&](CatalogState& state) {
    for (uint32_t id : done) state.dropped.erase(id);
  });
  for (uint32_t id : done) dropped_.erase(id);
}

void ParquetLake::LandNow() { Round(true); }

// The writer reads it without a lock.
void ParquetLake::BeforeTrim(std::function<Offset()> allowed) {
  std::lock_guard lock(mutex_);
  CHECK(!thread_.joinable());
  before_trim_ = std::move(allowed);
}

// What others save before it costs what they have, not what has landed since: they get a tenth of
// the time.
void ParquetLake::TrimLogNowAndThen() {
  auto begun = std::chrono::steady_clock::now();
  if (begun < next_trim_) return;
  TrimLog();
  auto ended = std::chrono::steady_clock::now();
  next_trim_ = ended + 9 * (ended - begun);
}

void ParquetLake::TrimLog() {
  Offset up_to = files_.LeastLanded();
  if (before_trim_) up_to = std::min(up_to, before_trim_());
  std::unique_lock lock(trim_mutex_);
  up_to = std::min(up_to, retain_);
  ASSERT(up_to <= files_.LeastLanded());
  log_.Trim(up_to);
}

void ParquetLake::SetRetain(Offset checkpointed) {
  {
    std::unique_lock lock(trim_mutex_);
    retain_ = checkpointed;
  }
  TrimLog();
}

std::string ParquetLake::NameOf(StreamId stream) const {
  auto catalog = catalog_.Current();
  if (auto found = catalog->FindStream(stream)) return found->name;
  auto dropped = catalog->dropped.find(stream.value);
  return dropped == catalog->dropped.end() ? std::to_string(stream.value) : dropped->second->name;
}

ParquetFile ParquetLake::ReadableOf(const PublishedFile& file) const {
  return Readable(file, files_.FullPath(file.path), NameOf(file.stream));
}

LakeFile ParquetLake::Describe(const PublishedFile& file) const {
  return {file.native_path,   ReadableOf(file).name,
          file.stream,        file.first,
          file.last,          file.rows,
          file.bytes,         file.seal,
          file.arrived_first, file.arrived_last};
}

void ParquetLake::FoundDamage(const PublishedFile& file, const std::string& reason) {
  spdlog::error("lake: file {} is damaged: {}", ReadableOf(file).name, reason);
  std::lock_guard lock(mutex_);
  mend_ = true;
  wake_.notify_one();
}

void ParquetLake::NoteFailedRead(const std::vector<PublishedFilePtr>& files,
                                 const LakeFileDamaged& damaged) {
  for (auto& file : files) {
    if (files_.FullPath(file->path) != damaged.path) continue;
    if (files_.NoteDamage(file, damaged.reason)) FoundDamage(*file, damaged.reason);
  }
}

LakeHealth ParquetLake::Health() const {
  LakeHealth health;
  auto held = files_.Held();
  for (auto& damage : files_.Damaged()) {
    auto& file = *damage.file;
    health.damaged.push_back({file.stream, file.path, file.first, file.last, damage.reason});
  }
  health.checked_bytes = scrub_.CheckedBytes();
  std::lock_guard lock(mutex_);
  for (auto& [stream, landed] : held) {
    auto trouble = troubles_.find(stream);
    std::string why = trouble == troubles_.end() ? "not tried yet" : trouble->second.why;
    health.held.push_back({{stream}, landed, std::move(why)});
  }
  health.backlog.rows = waiting_rows_;
  health.backlog.bytes = waiting_bytes_;
  if (waiting_rows_ > 0) {
    auto waited = std::chrono::steady_clock::now() - waiting_since_;
    health.backlog.waited = std::chrono::duration_cast<std::chrono::microseconds>(waited).count();
  }
  health.backlog.urgent = urgent_;
  health.failure = failure_;
  health.failures = failures_;
  health.mended = mended_;
  return health;
}

Lake::Pinned ParquetLake::Pin(const std::vector<StreamId>& streams, Offset up_to) {
  struct Held {
    LakeFiles::Part part;
    std::shared_ptr<void> segments;
  };
  auto held = std::make_shared<Held>();
  std::shared_lock lock(trim_mutex_);
  held->part = files_.Of(streams, Offset{0}, up_to);
  Pinned pinned;
  pinned.landed = held->part.landed;
  for (auto& files : held->part.files) {
    auto& described = pinned.files.emplace_back();
    for (auto& file : files) described.push_back(Describe(*file));
  }
  Offset least = up_to;
  CHECK(pinned.landed.size() == streams.size() && pinned.files.size() == streams.size());
  for (Offset landed : pinned.landed) least = std::min(least, landed);
  if (least < up_to) {
    auto tail = log_.Segments(least, up_to);
    pinned.segments = std::move(tail.segments);
    // The log goes on where the files end.
    CHECK(pinned.segments.empty() || pinned.segments.front().first.value <= least.value + 1);
    held->segments = std::move(tail.pin);
  }
  pinned.pin = std::move(held);
  return pinned;
}

void ParquetLake::Scan(const Stream& stream, const std::vector<size_t>& projection, Offset after,
                       Offset up_to, const ScanSink& sink) {
  std::vector<size_t> columns;
  for (size_t column : projection) {
    if (column == kHiddenOffset) {
      column = stream.columns.size();
    } else if (column == kHiddenArrivalTime) {
      column = stream.columns.size() + 1;
    }
    CHECK(column <= stream.columns.size() + 1);
    columns.push_back(column);
  }
  LakeFiles::Part part;
  Log::PinnedSegments segments;
  {
    std::shared_lock lock(trim_mutex_);
    part = files_.Of({stream.id}, after, up_to);
    if (part.landed[0] < up_to) segments = log_.Segments(std::max(after, part.landed[0]), up_to);
  }
  Offset landed = part.landed[0];
  try {
    if (!ScanFiles(disk_, files_, stream, columns, part.files[0], after, up_to, sink)) return;
  } catch (const LakeFileDamaged& damaged) {
    NoteFailedRead(part.files[0], damaged);
    throw;
  }
  ScanTail(std::make_shared<const Stream>(stream), columns, log_, std::max(after, landed), up_to,
           sink);
}

std::vector<LakeInfo> ParquetLake::Info() const {
  std::vector<LakeInfo> infos;
  for (auto& [stream, total] : files_.Totals()) {
    infos.push_back({{stream}, total.files, total.rows, total.bytes, total.last});
  }
  return infos;
}

}  // namespace

std::unique_ptr<Lake> Lake::Open(Disk& disk, Clock& clock, Catalog& catalog, Log& log,
                                 LakeOptions options) {
  return std::make_unique<ParquetLake>(disk, clock, catalog, log, std::move(options));
}

}  // namespace weir
