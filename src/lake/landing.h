// One piece of the log becomes Parquet files: read, split by stream and hour, written, checked,
// published.
//
// A failure of the disk fails the piece.  Any other is one of a stream's rows, and holds that
// stream alone back: what it has is published up to there, the others go on, and the log keeps its
// rows.
#pragma once

#include <functional>
#include <map>
#include <stdexcept>

#include "base/error.h"
#include "catalog/catalog.h"
#include "lake/files.h"
#include "lake/lake.h"
#include "lake/parquet.h"
#include "log/log.h"

namespace weir {

struct LandingParts {
  Disk& disk;
  const CatalogState& catalog;
  Log& log;
  LakeFiles& files;
  Parquet& parquet;
  const LakeOptions& options;
  // Called now and then; may throw what ends the work without a word about any stream.
  std::function<void()> check = [] {};
};

// Thrown by `check`: this piece of work is to be begun again, at another priority.
struct BeginAgain : std::runtime_error {
  BeginAgain() : std::runtime_error("begun again") {}
};

// Why streams could not land, by id.
using Troubles = std::map<uint32_t, Error>;

// Lands the log from where the lake ends, at most one file's worth of rows or bytes and nothing
// beyond `up_to`; everything up to where it comes is published, but for streams that are held back.
// Returns how many bytes of the log it went over.  REQUIRES: the lake ends before `up_to`.
uint64_t LandOnce(const LandingParts& parts, Offset up_to, Troubles& troubles);

// The same for a stream that is held back.  True: there may be more of it to land at once.
bool LandHeld(const LandingParts& parts, StreamId stream, Troubles& troubles);

// Replaces files by one with the same rows.
// REQUIRES: at least two of one stream and day, in order.
void MergeFiles(const LandingParts& parts, FileList run);

// Replaces a file whose bytes are not what was published by one made from the log again, when the
// log still has its rows.  False when it has not.
bool MendFromLog(const LandingParts& parts, const PublishedFilePtr& file);

}  // namespace weir
