// The log as Parquet, for ever: DATA/lake/STREAM/dt=YYYY-MM-DD/hour=HH/FIRST-LAST.parquet by
// arrival time in UTC (small hours become one file once the day is over), rows in arrival order,
// zstd, with the hidden columns _offset and _arrival_time. A file is written once, whole, and
// published atomically; a manifest says which files are in and up to which offset the lake is
// complete (a position is in the lake or in the log's tail, never in both, never in neither). Owned
// by main; one writer thread; reads from any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "catalog/catalog.h"
#include "formats/columns.h"
#include "io/clock.h"
#include "io/disk/disk.h"
#include "log/log.h"

namespace weir {

struct LakeFile {
  std::string path;  // native path
  std::string name;  // for people
  StreamId stream;
  Offset first, last;
  uint64_t rows = 0, bytes = 0;
  std::optional<uint32_t> seal;                // by which its bytes are checked; see ManifestFile
  Micros arrived_first = 0, arrived_last = 0;  // when its first row came and its last
};

struct LakeOptions {
  std::string directory;
  uint64_t file_rows_max = 4 << 20;
  uint64_t file_bytes = 128 << 20;        // of the log's bytes that go into one file
  uint64_t merged_bytes_max = 256 << 20;  // of Parquet that small files are merged into
  Micros interval = 60'000'000;           // at the latest after this long
  // With more than this waiting, or when it has waited for so many intervals, landing is no longer
  // done with what processor time is left over: until nothing waits that came before.
  uint64_t urgent_bytes = 512 << 20;
  int urgent_intervals = 5;
  uint64_t behind_bytes = uint64_t{4} << 30;  // with more, producers are told "later"
  // The files are read again at this pace, to find bytes that rot; 0: they are not.
  uint64_t scrub_bytes_per_second = 8 << 20;
  Micros scrub_every = Micros{24} * 3600 * 1'000'000;  // how often each is, if the pace allows
};

struct LakeInfo {
  StreamId stream;
  uint64_t files = 0, rows = 0, bytes = 0;
  Offset last;
};

// What is not as it should be.
struct LakeHealth {
  // A stream whose rows could not become Parquet.  They are in the log, which keeps them, and all
  // that comes after; it is tried again and again.
  struct Held {
    StreamId stream;
    Offset landed;  // so far
    std::string why;
  };
  // A file whose bytes are not those that were written; reading it is an error.
  struct Damage {
    StreamId stream;
    std::string path;  // below the lake's folder
    Offset first, last;
    std::string reason;
  };
  std::vector<Held> held;
  std::vector<Damage> damaged;
  // What the log has and the files have not yet.
  struct Backlog {
    uint64_t rows = 0, bytes = 0;
    Micros waited = 0;    // the oldest of it, at least
    bool urgent = false;  // landing goes on at the priority of all others
  };
  Backlog backlog;
  std::string failure;         // why the last round failed as a whole; "" when it did not
  uint64_t failures = 0;       // such rounds since the start
  uint64_t checked_bytes = 0;  // read again since the start
  uint64_t mended = 0;         // files made anew from the log since the start
};

class Lake {
 public:
  static std::unique_ptr<Lake> Open(Disk& disk, Clock& clock, Catalog& catalog, Log& log,
                                    LakeOptions options);
  virtual ~Lake() = default;
  virtual void Start() = 0;
  virtual void Stop() = 0;

  // Everything up to here is in the lake and durable, but for streams that are held back.
  virtual Offset Landed() const = 0;
  virtual Offset LandedOf(StreamId stream) const = 0;
  virtual LakeHealth Health() const = 0;
  // Landing does not keep up with what comes, though nothing fails: the door should say "later".
  virtual bool Behind() const = 0;
  // Somebody read wrong bytes of a stream: its files are looked at before all others.
  virtual void Suspect(StreamId stream) = 0;

  // One position over several streams: files, and log segments for what has not landed.  Every row
  // of (0, up_to] is in exactly one of the two; all of it stays while the handle lives.
  struct Pinned {
    // Of each stream asked for: its files, and up to where they are all of it.
    std::vector<std::vector<LakeFile>> files;
    std::vector<Offset> landed;
    std::vector<SegmentInfo> segments;  // of (the least landed, up_to]
    std::shared_ptr<void> pin;
  };
  virtual Pinned Pin(const std::vector<StreamId>& streams, Offset up_to) = 0;

  // Lands everything committed by now and merges small files, on the calling thread.  For tests
  // and tools; the writer thread does it by itself.  Streams that are held back are tried again.
  virtual void LandNow() = 0;

  virtual std::vector<LakeInfo> Info() const = 0;

  // Rows of (after, up_to] in order, lake first, then log; see views/views.h, History::Scan.
  virtual void Scan(const Stream& stream, const std::vector<size_t>& projection, Offset after,
                    Offset up_to,
                    const std::function<bool(const Columns& rows, Offset last)>& sink) = 0;

  // Rows of a stream up to here arrived before a time; found by whole files, so it may lie some
  // hours before the first that came later.
  virtual Offset ArrivedBefore(StreamId stream, Micros time) const = 0;

  // Behind it the files hold so many rows of the stream, or few more; zero when there are not as
  // many.
  virtual Offset BeforeLast(StreamId stream, uint64_t rows) const = 0;

  // Asked each time before the log forgets: it may do so up to what this returns, at most.
  // REQUIRES: Start was not called.
  virtual void BeforeTrim(std::function<Offset()> allowed) = 0;

  // The log may forget up to min(Landed, this).  For tests, which want to see the log stay.
  virtual void SetRetain(Offset checkpointed) = 0;
};

}  // namespace weir
