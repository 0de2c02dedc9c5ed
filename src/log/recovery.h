// From the files on the disk to a log that can go on: the rule that tells a torn tail, which nobody
// was promised, from damage to what somebody was.  docs/internals/log-format.md has the reasons.
#pragma once

#include <string>
#include <vector>

#include "io/disk/disk.h"
#include "io/random.h"
#include "log/segment_writer.h"

namespace weir {

struct Recovered {
  std::vector<std::shared_ptr<Segment>> segments;  // oldest first; the last is start.segment
  SegmentWriter::Start start;
  RecoveryReport report;  // all but the time it took
};

// Throws Error(kCorruption), having changed nothing, when bytes that were durable are damaged or
// missing, and when there must be a log and the folder holds none.  May be interrupted anywhere and
// run again.
Recovered Recover(Disk& disk, const std::string& directory, bool must_exist, Random& random);

}  // namespace weir
