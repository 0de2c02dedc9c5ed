#include "views/checkpoint_writer.h"

#include <filesystem>

#include "base/crc32c.h"
#include "base/error.h"
#include "duck/errors.h"

namespace weir {

CheckpointWriter::CheckpointWriter(Disk& disk, std::string path, Contents contents,
                                   std::function<void()> done)
    : disk_(disk),
      path_(std::move(path)),
      contents_(std::move(contents)),
      done_(std::move(done)),
      whole_(contents_.operators.size(), false),
      open_sections_(contents_.operators.size()) {
  thread_ = std::thread([this] { Run(); });
}

CheckpointWriter::~CheckpointWriter() {
  GiveUp("the server stops");
  if (thread_.joinable()) thread_.join();
}

void CheckpointWriter::Add(uint32_t section, std::string& part) {
  constexpr auto kWaitMax = std::chrono::seconds(1);
  CHECK(!part.empty());
  {
    std::unique_lock lock(mutex_);
    CHECK(section < whole_.size() && open_sections_ > 0);
    bool has_room = drained_.wait_for(
        lock, kWaitMax, [&] { return waiting_bytes_ < kMostBytes || !given_up_.empty(); });
    if (!has_room) given_up_ = "the disk is slower than the state changes";
    if (!given_up_.empty()) {
      part.clear();
      wake_.notify_one();
      return;
    }
    waiting_.push_back({section, {}});
    waiting_bytes_ += part.size();
    part.swap(waiting_.back().part);
    if (!free_.empty()) {
      part.swap(free_.back());
      free_.pop_back();
    }
  }
  wake_.notify_one();
}

void CheckpointWriter::End(uint32_t section, bool whole) {
  {
    std::lock_guard lock(mutex_);
    // Sections end in destructors, where nothing may be thrown.
    ASSERT(section < whole_.size() && !whole_[section]);
    ASSERT(open_sections_ > 0);
    whole_[section] = whole;
    open_sections_--;
  }
  wake_.notify_one();
}

void CheckpointWriter::GiveUp(const std::string& why) {
  {
    std::lock_guard lock(mutex_);
    if (given_up_.empty()) given_up_ = why;
  }
  wake_.notify_one();
  drained_.notify_one();
}

std::optional<CheckpointWriter::Outcome> CheckpointWriter::outcome() const {
  std::lock_guard lock(mutex_);
  return outcome_;
}

void CheckpointWriter::Wait() {
  if (thread_.joinable()) thread_.join();
}

void CheckpointWriter::CheckWanted() const {
  std::lock_guard lock(mutex_);
  if (!given_up_.empty()) throw Error(ErrorCode::kUnavailable, given_up_);
}

void CheckpointWriter::Run() {
  Outcome outcome;
  try {
    Write();
    outcome.is_written = true;
    outcome.bytes = size_;
  } catch (...) {
    outcome.failure = CurrentError().message;
  }
  if (outcome.failure.empty() && !outcome.is_written) outcome.failure = "unknown";
  contents_.step.reset();
  contents_.views.clear();
  {
    std::lock_guard lock(mutex_);
    if (!outcome.is_written && given_up_.empty()) given_up_ = outcome.failure;
    waiting_.clear();
    free_.clear();
    waiting_bytes_ = 0;
    drained_.notify_one();
    outcome_ = std::move(outcome);
  }
  done_();
}

// As WriteFileAtomically, in parts.
void CheckpointWriter::Write() {
  std::string temporary = path_ + ".tmp";
  if (disk_.Exists(temporary)) disk_.Remove(temporary);
  try {
    auto file = disk_.Open(temporary, OpenMode::kCreate);
    Append(*file, kCheckpointMagic);
    index_.at = contents_.at;
    index_.failed_rows = std::move(contents_.failed_rows);
    index_.pumps = contents_.pumps;
    for (auto& fingerprint : contents_.operators)
      index_.sections.emplace_back().fingerprint = fingerprint;
    WriteViews(*file);
    WriteOperators(*file);
    CheckSections();
    WriteIndex(*file);
    file->Sync();
    if (!WaitForLog())
      throw Error(ErrorCode::kUnavailable, "what pumps had said did not get into the log");
    CheckWanted();
    disk_.Rename(temporary, path_);
  } catch (...) {
    try {  // the space it took
      if (disk_.Exists(temporary)) disk_.Remove(temporary);
    } catch (const Error&) {  // the next one does
    }
    throw;
  }
  std::string folder = std::filesystem::path(path_).parent_path().string();
  disk_.SyncDirectory(folder.empty() ? "." : folder);
}

void CheckpointWriter::WriteViews(File& file) {
  for (auto& view : contents_.views) {
    auto section = static_cast<uint32_t>(index_.sections.size());
    auto& saved = index_.views[view->definition->id];
    CHECK(saved.query.empty() && saved.rows == 0);  // each view is here once
    saved.query = view->definition->Definition();
    saved.section = section;
    index_.sections.emplace_back().is_whole = true;
    StateWriter writer([&](std::string& part) {
      CheckWanted();
      Put(file, section, part);
      part.clear();
    });
    view->content.Scan(contents_.step->step, [&](std::string_view row, int64_t copies) {
      CHECK(copies > 0);
      writer.PutString(row);
      writer.Put(copies);
      saved.rows++;
      return true;
    });
    writer.HandOver();
  }
  contents_.step.reset();  // rows that went since need not be kept any longer
}

void CheckpointWriter::WriteOperators(File& file) {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock,
               [&] { return !waiting_.empty() || open_sections_ == 0 || !given_up_.empty(); });
    if (!given_up_.empty()) throw Error(ErrorCode::kUnavailable, given_up_);
    if (waiting_.empty()) break;
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    Put(file, next.section, next.part);
    waiting_bytes_ -= next.part.size();
    next.part.clear();
    lock.lock();
    free_.push_back(std::move(next.part));
    drained_.notify_one();
  }
  CHECK(open_sections_ == 0 && waiting_bytes_ == 0);
  for (uint32_t i = 0; i < whole_.size(); i++) index_.sections[i].is_whole = whole_[i];
}

// What is written lies in the file without a gap, and every byte is of one section.
void CheckpointWriter::CheckSections() const {
  uint64_t bytes = kCheckpointMagic.size();
  for (auto& section : index_.sections) bytes += section.Bytes();
  CHECK(bytes == size_);
  CHECK(index_.sections.size() == contents_.operators.size() + index_.views.size());
}

void CheckpointWriter::WriteIndex(File& file) {
  std::string index = index_.Encode();
  CHECK(CheckpointIndex::Decode(index).Encode() == index);  // it will be read as it was meant
  StateWriter tail;
  tail.Put(Crc32c(index));
  tail.Put<uint64_t>(index.size());
  Append(file, index);
  Append(file, tail.bytes());
  Append(file, kCheckpointMagic);
}

// It says that what pumps had to say is in the log; so it counts only once it is.
bool CheckpointWriter::WaitForLog() {
  constexpr int kTriesMax = 1'000;
  for (auto& [outbox, added] : contents_.emitted) {
    for (int i = 0; outbox->Done() < added; i++) {
      if (i == kTriesMax) return false;  // the next one will do
      CheckWanted();
      outbox->Wait();
    }
  }
  return true;
}

void CheckpointWriter::Put(File& file, uint32_t section, std::string_view part) {
  CHECK(!part.empty() && part.size() <= UINT32_MAX);
  index_.sections[section].parts.push_back(
      {size_, static_cast<uint32_t>(part.size()), Crc32c(part)});
  Append(file, part);
}

// Synced as it goes on, so that the log never waits behind gigabytes for the disk.
void CheckpointWriter::Append(File& file, std::string_view bytes) {
  constexpr uint64_t kSyncBytes = 16 << 20;
  file.Write(size_, bytes);
  size_ += bytes.size();
  if (size_ - synced_ < kSyncBytes) return;
  file.Sync();
  synced_ = size_;
}

}  // namespace weir
