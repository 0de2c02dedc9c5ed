// Which small files of a lake to merge, decided from their sizes alone.
//
// Inside an hour, eight neighbours of a size class become one of the next, so that a row is
// rewritten a handful of times at most; once the hour is over, what is still small becomes one, and
// once the day is over the same is done with the hours.  Days stay apart: they are what readers of
// the folders go by.
#pragma once

#include <functional>
#include <vector>

#include "lake/files.h"

namespace weir {

// Files of one stream that lie beside each other in offset order; at least two.
using MergeRun = FileList;

// What a merged file holds at most; a file with half of either is not small.
struct MergeLimits {
  uint64_t rows;
  uint64_t bytes;
};

// `hour_now`: the current hour (ManifestFile::FirstHour).  Runs do not share files, and have none
// that is not `mergeable`.  REQUIRES: files of one stream and one day.
std::vector<MergeRun> PlanMerges(const FileList& files, int64_t hour_now, MergeLimits limits,
                                 const std::function<bool(const PublishedFile&)>& mergeable);

}  // namespace weir
