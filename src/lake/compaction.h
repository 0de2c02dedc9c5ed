// Which small files of a lake to merge, decided from their sizes alone.
//
// Inside an hour, eight neighbours of a size class become one of the next, so that a row is
// rewritten a handful of times at most; once the hour is over, what is still small is merged for
// good.
#pragma once

#include <functional>
#include <vector>

#include "lake/files.h"

namespace weir {

// Files of one stream and one hour that lie beside each other in offset order; at least two.
using MergeRun = std::vector<PublishedFilePtr>;

// `files`: the whole lake, each stream in order.  `hour_now`: the current hour
// (ManifestFile::hour).  Runs do not share files, and have none that is not `mergeable`.
std::vector<MergeRun> PlanMerges(const std::vector<PublishedFilePtr>& files, int64_t hour_now,
                                 uint64_t file_rows_max,
                                 const std::function<bool(const PublishedFile&)>& mergeable);

}  // namespace weir
