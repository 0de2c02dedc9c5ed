#include "lake/lake.h"

#include <malloc.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <thread>

#include "duck/errors.h"
#include "io/thread_priority.h"
#include "lake/compaction.h"
#include "lake/files.h"
#include "lake/landing.h"
#include "lake/parquet.h"
#include "lake/scan.h"

namespace weir {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// After a failure (a full disk, say) the next try waits this long.
constexpr std::chrono::seconds kRetryPause{10};
// The lake's own names for the two hidden columns; views count them from the end of size_t.
constexpr size_t kHiddenOffset = static_cast<size_t>(-1);
constexpr size_t kHiddenArrivalTime = static_cast<size_t>(-2);

LakeFile Describe(const PublishedFile& file) {
  return {file.native_path, file.stream, file.first, file.last, file.rows, file.bytes};
}

class ParquetLake : public Lake, public CommitListener {
 public:
  ParquetLake(Disk& disk, Clock& clock, Catalog& catalog, Log& log, LakeOptions options);
  ~ParquetLake() override { Stop(); }

  void Start() override;
  void Stop() override;
  Offset Landed() const override { return files_.Landed(); }
  Files FilesOf(StreamId stream, Offset after, Offset up_to) override;
  Pinned Pin(const std::vector<StreamId>& streams, Offset up_to) override;
  void LandNow() override;
  std::vector<LakeInfo> Info() const override;
  void Scan(const Stream& stream, const std::vector<size_t>& projection, Offset after, Offset up_to,
            const ScanSink& sink) override;
  Offset ArrivedBefore(StreamId stream, Micros time) const override;
  void BeforeTrim(std::function<Offset()> allowed) override { before_trim_ = std::move(allowed); }
  void SetRetain(Offset checkpointed) override;
  void OnCommit(const CommittedRecords& group) override;

 private:
  void Run();
  std::optional<SteadyTime> Due() const;
  void DoRound();
  void Round();
  void TrimLog();

  Disk& disk_;
  Clock& clock_;
  Catalog& catalog_;
  Log& log_;
  const LakeOptions options_;
  LakeFiles files_;
  std::mutex round_mutex_;        // one round at a time
  std::shared_mutex trim_mutex_;  // shared: nothing is trimmed from the log meanwhile
  std::function<Offset()> before_trim_;
  Offset retain_{UINT64_MAX};  // under trim_mutex_

  std::mutex mutex_;  // for everything below
  std::condition_variable wake_;
  std::thread thread_;
  bool stopping_ = false;
  uint64_t waiting_rows_ = 0, waiting_bytes_ = 0;  // committed and not landed
  SteadyTime waiting_since_;
  std::optional<SteadyTime> not_before_;  // after a failure
  std::optional<SteadyTime> merge_at_;    // an hour ends and leaves small files behind
};

ParquetLake::ParquetLake(Disk& disk, Clock& clock, Catalog& catalog, Log& log, LakeOptions options)
    : disk_(disk),
      clock_(clock),
      catalog_(catalog),
      log_(log),
      options_(std::move(options)),
      files_(disk, options_.directory) {
  if (log_.Begin().value > files_.Landed().value + 1 || log_.End() < files_.Landed()) {
    throw Error(ErrorCode::kCorruption,
                "the lake is complete up to offset " + std::to_string(files_.Landed().value) +
                    " but the log holds " + std::to_string(log_.Begin().value) + " to " +
                    std::to_string(log_.End().value),
                "The lake's folder and the log's folder are not of the same age.");
  }
  waiting_rows_ = log_.End().value - files_.Landed().value;
  waiting_since_ = std::chrono::steady_clock::now();
  log_.AddListener(*this);
}

void ParquetLake::Start() {
  std::lock_guard lock(mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
}

void ParquetLake::Stop() {
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

// When the next round is due, if ever; under mutex_.
std::optional<SteadyTime> ParquetLake::Due() const {
  std::optional<SteadyTime> due = merge_at_;
  auto sooner = [&](SteadyTime time) { due = due ? std::min(*due, time) : time; };
  if (waiting_rows_ >= options_.file_rows_max || waiting_bytes_ >= options_.file_bytes) {
    sooner(SteadyTime());
  } else if (waiting_rows_ > 0) {
    sooner(waiting_since_ + std::chrono::microseconds(options_.interval));
  }
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
    bool urgent = waiting_bytes_ > options_.urgent_bytes;
    lock.unlock();
    // A thread of its own for each round: a thread may make itself less important, but not more
    // important again.
    std::thread round([&] {
      if (!urgent) LowerThreadPriority();
      DoRound();
    });
    round.join();
    lock.lock();
  }
}

// The edge of the writer: a failure is said, and tried again later.
void ParquetLake::DoRound() {
  try {
    Round();
    std::lock_guard lock(mutex_);
    not_before_.reset();
  } catch (...) {
    Error error = CurrentError();
    spdlog::error("lake: {}; trying again in {} s", error.message, kRetryPause.count());
    std::lock_guard lock(mutex_);
    not_before_ = std::chrono::steady_clock::now() + kRetryPause;
  }
}

void ParquetLake::Round() {
  std::lock_guard round(round_mutex_);
  auto parquet = std::make_unique<Parquet>(disk_);
  Offset target = log_.End();
  uint64_t bytes_before;
  {
    std::lock_guard lock(mutex_);
    bytes_before = waiting_bytes_;
    merge_at_.reset();
  }
  while (files_.Landed() < target) {
    LandOnce(disk_, *catalog_.Current(), log_, files_, *parquet, options_, target);
    TrimLog();
    std::lock_guard lock(mutex_);
    if (stopping_) return;
  }
  {
    std::lock_guard lock(mutex_);
    // The log tells of a commit after it is visible: counting again heals what that got wrong.
    waiting_rows_ = log_.End().value - files_.Landed().value;
    waiting_bytes_ =
        waiting_rows_ == 0 ? 0 : waiting_bytes_ - std::min(waiting_bytes_, bytes_before);
    waiting_since_ = std::chrono::steady_clock::now();
  }
  auto runs = PlanMerges(files_.All(), clock_.Now() / kHour, options_.file_rows_max);
  for (auto& run : runs) {
    MergeFiles(disk_, files_, *parquet, std::move(run));
    std::lock_guard lock(mutex_);
    if (stopping_) return;
  }
  // When this hour ends, its small files can be merged for good.
  Micros now = clock_.Now();
  if (!PlanMerges(files_.All(), now / kHour + 1, options_.file_rows_max).empty()) {
    std::lock_guard lock(mutex_);
    merge_at_ = std::chrono::steady_clock::now() +
                std::chrono::microseconds(kHour - now % kHour + options_.interval);
  }
  parquet.reset();
  malloc_trim(0);  // a round takes much memory for a short time
}

void ParquetLake::LandNow() { Round(); }

void ParquetLake::TrimLog() {
  Offset up_to = before_trim_ ? std::min(files_.Landed(), before_trim_()) : files_.Landed();
  std::unique_lock lock(trim_mutex_);
  log_.Trim(std::min(up_to, retain_));
}

Offset ParquetLake::ArrivedBefore(StreamId stream, Micros time) const {
  Offset before{0};
  for (auto& file : files_.All()) {
    if (file->stream == stream && (file->hour + 1) * kHour <= time)
      before = std::max(before, file->last);
  }
  return before;
}

void ParquetLake::SetRetain(Offset checkpointed) {
  {
    std::unique_lock lock(trim_mutex_);
    retain_ = checkpointed;
  }
  TrimLog();
}

Lake::Files ParquetLake::FilesOf(StreamId stream, Offset after, Offset up_to) {
  auto part = std::make_shared<LakeFiles::Part>(files_.Of({stream}, after, up_to));
  Files result;
  result.landed = part->landed;
  for (auto& file : part->files[0]) result.files.push_back(Describe(*file));
  result.pin = std::move(part);
  return result;
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
  if (pinned.landed < up_to) {
    auto tail = log_.Segments(pinned.landed, up_to);
    pinned.segments = std::move(tail.segments);
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
    columns.push_back(column);
  }
  LakeFiles::Part part;
  Log::PinnedSegments segments;
  {
    std::shared_lock lock(trim_mutex_);
    part = files_.Of({stream.id}, after, up_to);
    if (part.landed < up_to) segments = log_.Segments(std::max(after, part.landed), up_to);
  }
  Offset landed = part.landed;
  if (!ScanFiles(disk_, files_, stream, columns, part.files[0], after, up_to, sink)) return;
  ScanTail(std::make_shared<const Stream>(stream), columns, log_, std::max(after, landed), up_to,
           sink);
}

std::vector<LakeInfo> ParquetLake::Info() const {
  std::map<uint32_t, LakeInfo> infos;
  for (auto& file : files_.All()) {
    auto& info = infos[file->stream.value];
    info.stream = file->stream;
    info.files++;
    info.rows += file->rows;
    info.bytes += file->bytes;
    info.last = std::max(info.last, file->last);
  }
  std::vector<LakeInfo> result;
  for (auto& [stream, info] : infos) result.push_back(info);
  return result;
}

}  // namespace

std::unique_ptr<Lake> Lake::Open(Disk& disk, Clock& clock, Catalog& catalog, Log& log,
                                 LakeOptions options) {
  return std::make_unique<ParquetLake>(disk, clock, catalog, log, std::move(options));
}

}  // namespace weir
