// The log as Parquet, for ever: DATA/lake/STREAM/dt=YYYY-MM-DD/hour=HH/FIRST-LAST.parquet by
// arrival time in UTC, rows in arrival order, zstd, with the hidden columns _offset and
// _arrival_time. A file is written once, whole, and published atomically; a manifest says which
// files are in and up to which offset the lake is complete (a position is in the lake or in the
// log's tail, never in both, never in neither).  Owned by main; one writer thread; reads from any
// thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "catalog/catalog.h"
#include "formats/columns.h"
#include "io/clock.h"
#include "io/disk.h"
#include "log/log.h"

namespace weir {

struct LakeFile {
  std::string path;  // native path
  StreamId stream;
  Offset first, last;
  uint64_t rows = 0, bytes = 0;
};

struct LakeOptions {
  std::string directory;
  uint64_t file_rows_max = 4 << 20;
  uint64_t file_bytes = 128 << 20;            // of the log's bytes that go into one file
  Micros interval = 60'000'000;               // at the latest after this long
  uint64_t urgent_bytes = uint64_t{4} << 30;  // with more than this waiting, landing is no longer
                                              // done with what processor time is left over
};

struct LakeInfo {
  StreamId stream;
  uint64_t files = 0, rows = 0, bytes = 0;
  Offset last;
};

class Lake {
 public:
  static std::unique_ptr<Lake> Open(Disk& disk, Clock& clock, Catalog& catalog, Log& log,
                                    LakeOptions options);
  virtual ~Lake() = default;
  virtual void Start() = 0;
  virtual void Stop() = 0;

  // Everything up to here is in the lake and durable.
  virtual Offset Landed() const = 0;

  // The files of a stream that hold rows of (after, up_to], pinned (not compacted away) while the
  // handle lives; rows beyond `landed` are in the log.
  struct Files {
    std::vector<LakeFile> files;
    Offset landed;
    std::shared_ptr<void> pin;
  };
  virtual Files FilesOf(StreamId stream, Offset after, Offset up_to) = 0;

  // One position over several streams: files, and log segments for what has not landed.  Every row
  // of (0, up_to] is in exactly one of the two; all of it stays while the handle lives.
  struct Pinned {
    std::vector<std::vector<LakeFile>> files;  // of each stream asked for
    Offset landed;
    std::vector<SegmentInfo> segments;  // of (landed, up_to]
    std::shared_ptr<void> pin;
  };
  virtual Pinned Pin(const std::vector<StreamId>& streams, Offset up_to) = 0;

  // Lands everything committed by now and merges small files, on the calling thread.  For tests
  // and tools; the writer thread does it by itself.
  virtual void LandNow() = 0;

  virtual std::vector<LakeInfo> Info() const = 0;

  // Rows of (after, up_to] in order, lake first, then log; see views/views.h, History::Scan.
  virtual void Scan(const Stream& stream, const std::vector<size_t>& projection, Offset after,
                    Offset up_to,
                    const std::function<bool(const Columns& rows, Offset last)>& sink) = 0;

  // Rows of a stream up to here arrived before a time; found by the files' hours, so it may lie
  // somewhat before the first that came later.
  virtual Offset ArrivedBefore(StreamId stream, Micros time) const = 0;

  // Asked each time before the log forgets: it may do so up to what this returns, at most.  Set
  // before Start.
  virtual void BeforeTrim(std::function<Offset()> allowed) = 0;

  // The log may forget up to min(Landed, this).  Views set it to their last checkpoint.
  virtual void SetRetain(Offset checkpointed) = 0;
};

}  // namespace weir
