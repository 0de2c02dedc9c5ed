#include "lake/scrub.h"

#include <chrono>
#include <random>
#include <utility>

#include "base/error.h"
#include "io/process/loop_thread.h"
#include "io/process/thread_priority.h"

namespace weir {
namespace {

constexpr uint64_t kScrubPiece = 1 << 20;

}  // namespace

void ReadAgain(Disk& disk, const ParquetFile& file, const std::function<bool(uint64_t)>& go_on) {
  auto opened = OpenSealed(disk, file);
  opened->DropCached();  // what is on the disk, not what was read from it once
  std::string piece(kScrubPiece, '\0');
  for (uint64_t position = 0;;) {
    size_t got = opened->Read(position, piece);
    if (got == 0 || !go_on(got)) return;
    position += got;
  }
}

Scrub::Scrub(Disk& disk, LakeFiles& files, ScrubOptions options,
             std::function<ParquetFile(const PublishedFile&)> describe,
             std::function<void(const PublishedFile&, const std::string&)> found)
    : disk_(disk),
      files_(files),
      options_(options),
      describe_(std::move(describe)),
      found_(std::move(found)) {}

Scrub::~Scrub() { Stop(); }

void Scrub::Start() {
  if (options_.bytes_per_second == 0) return;
  std::lock_guard lock(mutex_);
  if (!thread_.joinable()) thread_ = StartLoop("scrub", [this] { Run(); });
}

void Scrub::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Scrub::Suspect(StreamId stream) {
  std::lock_guard lock(mutex_);
  suspects_.insert(stream);
  wake_.notify_all();
}

uint64_t Scrub::CheckedBytes() const {
  std::lock_guard lock(mutex_);
  return checked_bytes_;
}

bool Scrub::Pause(Micros time) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, std::chrono::microseconds(time), [&] { return stopping_; });
  return !stopping_;
}

void Scrub::Run() {
  LowerThreadPriority();
  auto every = std::chrono::microseconds(options_.every);
  for (;;) {
    auto next = std::chrono::steady_clock::now() + every;
    Pass();
    for (;;) {
      CheckSuspects();
      std::unique_lock lock(mutex_);
      wake_.wait_until(lock, next, [&] { return stopping_ || !suspects_.empty(); });
      if (stopping_) return;
      if (suspects_.empty()) break;
    }
  }
}

// Begins anywhere: a program that is often started would else read the first files each time, and
// the last ones never.  Files are not held: what is replaced meanwhile may go.
void Scrub::Pass() {
  std::vector<std::weak_ptr<const PublishedFile>> files;
  for (auto& file : files_.All()) files.push_back(file);
  size_t first = files.empty() ? 0 : std::random_device()() % files.size();
  for (size_t i = 0; i < files.size(); i++) {
    CheckSuspects();
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    if (auto file = files[(first + i) % files.size()].lock()) Check(file);
  }
}

void Scrub::CheckSuspects() {
  for (;;) {
    std::set<StreamId> suspects;
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
      suspects = std::exchange(suspects_, {});
    }
    if (suspects.empty()) return;
    std::vector<StreamId> streams(suspects.begin(), suspects.end());
    auto part = files_.Of(streams, Offset{0}, Offset{UINT64_MAX});
    for (auto& files : part.files) {
      for (auto& file : files) Check(file);
    }
  }
}

void Scrub::Check(const PublishedFilePtr& file) {
  bool whole = true;
  try {
    ReadAgain(disk_, describe_(*file), [&](uint64_t bytes) {
      {
        std::lock_guard lock(mutex_);
        checked_bytes_ += bytes;
      }
      return whole = Pause(static_cast<Micros>(bytes * 1'000'000 / options_.bytes_per_second));
    });
  } catch (const LakeFileDamaged& damaged) {
    if (files_.NoteDamage(file, damaged.reason)) found_(*file, damaged.reason);
    return;
  } catch (const std::exception&) {
    return;  // it could not be read now: the next time
  }
  if (whole && file->seal) files_.NoteSound(file);
}

}  // namespace weir
