#include "lake/compaction.h"

#include <bit>
#include <span>

#include "base/error.h"

namespace weir {
namespace {

constexpr size_t kFanIn = 8;

// Sizes 8 times apart are a class apart.
int SizeClass(uint64_t rows) { return (std::bit_width(rows) - 1) / 3; }

// Appends the runs of neighbours for which `fits` holds and which are long enough.
template <typename Fits>
void CollectRuns(std::span<const PublishedFilePtr> files, size_t shortest, MergeLimits limits,
                 Fits fits, std::vector<MergeRun>& runs) {
  MergeRun run;
  uint64_t rows = 0, bytes = 0;
  auto finish = [&] {
    if (run.size() >= shortest) {
      CHECK(run.size() >= 2 && rows <= limits.rows && bytes <= limits.bytes);
      runs.push_back(run);
    }
    run.clear();
    rows = bytes = 0;
  };
  for (auto& file : files) {
    if (!fits(*file)) {
      finish();
      continue;
    }
    if (rows + file->rows > limits.rows || bytes + file->bytes > limits.bytes) finish();
    run.push_back(file);
    rows += file->rows;
    bytes += file->bytes;
  }
  finish();
}

using Mergeable = std::function<bool(const PublishedFile&)>;

// Hours or days that are over: nothing is to come but what was held back.
void PlanPast(std::span<const PublishedFilePtr> files, MergeLimits limits,
              const Mergeable& mergeable, std::vector<MergeRun>& runs) {
  auto small = [&](const PublishedFile& file) {
    return file.rows < limits.rows / 2 && file.bytes < limits.bytes / 2 && mergeable(file);
  };
  CollectRuns(files, 2, limits, small, runs);
}

void PlanThisHour(std::span<const PublishedFilePtr> files, MergeLimits limits,
                  const Mergeable& mergeable, std::vector<MergeRun>& runs) {
  for (int size = 0; size <= SizeClass(limits.rows); size++) {
    size_t before = runs.size();
    auto small = [&](const PublishedFile& file) {
      return SizeClass(file.rows) <= size && file.bytes < limits.bytes / 2 && mergeable(file);
    };
    CollectRuns(files, kFanIn, limits, small, runs);
    if (runs.size() > before) return;  // larger classes get their turn once these are merged
  }
}

}  // namespace

std::vector<MergeRun> PlanMerges(const FileList& files, int64_t hour_now, MergeLimits limits,
                                 const Mergeable& mergeable) {
  std::vector<MergeRun> runs;
  if (files.empty()) return runs;
  CHECK(files.front()->stream == files.back()->stream);
  CHECK(files.front()->Day() == files.back()->Day());
  if (files.front()->Day() < hour_now / kHoursInDay) {
    PlanPast(files, limits, mergeable, runs);
    return runs;
  }
  for (size_t begin = 0; begin < files.size();) {
    size_t end = begin;
    int64_t hour = files[begin]->FirstHour();
    while (end < files.size() && files[end]->FirstHour() == hour) end++;
    std::span<const PublishedFilePtr> of_hour(&files[begin], end - begin);
    if (hour < hour_now) {
      PlanPast(of_hour, limits, mergeable, runs);
    } else {
      PlanThisHour(of_hour, limits, mergeable, runs);
    }
    begin = end;
  }
  return runs;
}

}  // namespace weir
