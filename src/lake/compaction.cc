#include "lake/compaction.h"

#include <bit>

namespace weir {
namespace {

constexpr size_t kFanIn = 8;

// Sizes 8 times apart are a class apart.
int SizeClass(uint64_t rows) { return (std::bit_width(rows) - 1) / 3; }

// Appends the runs of neighbours for which `fits` holds and which are long enough.
template <typename Fits>
void CollectRuns(const std::vector<PublishedFilePtr>& files, size_t shortest,
                 uint64_t file_rows_max, Fits fits, std::vector<MergeRun>& runs) {
  MergeRun run;
  uint64_t rows = 0;
  auto finish = [&] {
    if (run.size() >= shortest) runs.push_back(run);
    run.clear();
    rows = 0;
  };
  for (auto& file : files) {
    if (!fits(*file)) {
      finish();
      continue;
    }
    if (rows + file->rows > file_rows_max) finish();
    run.push_back(file);
    rows += file->rows;
  }
  finish();
}

void PlanHour(const std::vector<PublishedFilePtr>& files, bool over, uint64_t file_rows_max,
              const std::function<bool(const PublishedFile&)>& mergeable,
              std::vector<MergeRun>& runs) {
  if (over) {
    CollectRuns(
        files, 2, file_rows_max,
        [&](const PublishedFile& file) { return file.rows < file_rows_max / 2 && mergeable(file); },
        runs);
    return;
  }
  for (int size = 0; size <= SizeClass(file_rows_max); size++) {
    size_t before = runs.size();
    CollectRuns(
        files, kFanIn, file_rows_max,
        [&](const PublishedFile& file) { return SizeClass(file.rows) <= size && mergeable(file); },
        runs);
    if (runs.size() > before) return;  // larger classes get their turn once these are merged
  }
}

}  // namespace

std::vector<MergeRun> PlanMerges(const std::vector<PublishedFilePtr>& files, int64_t hour_now,
                                 uint64_t file_rows_max,
                                 const std::function<bool(const PublishedFile&)>& mergeable) {
  std::vector<MergeRun> runs;
  for (size_t begin = 0; begin < files.size();) {
    size_t end = begin;
    while (end < files.size() && files[end]->stream == files[begin]->stream &&
           files[end]->hour == files[begin]->hour) {
      end++;
    }
    if (end - begin > 1) {
      PlanHour({files.begin() + begin, files.begin() + end}, files[begin]->hour < hour_now,
               file_rows_max, mergeable, runs);
    }
    begin = end;
  }
  return runs;
}

}  // namespace weir
