// The one door in: finds the stream, turns bytes into columns, refuses bad rows, drops duplicates,
// appends to the log and answers once the rows are durable.  Every protocol goes through here.
// Thread-safe.  Owned by main.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "catalog/catalog.h"
#include "formats/rows.h"
#include "log/log.h"

namespace weir {

struct IngestRequest {
  std::string stream;
  RowFormat format = RowFormat::kNdjson;
  bool atomic = false;             // all rows or none
  std::string idempotency_key;     // "" when there is none
  std::string_view body;           // decompressed; must live until Post returns, not until done
};

struct IngestAnswer {
  uint64_t accepted = 0;
  uint64_t duplicates = 0;
  Offset offset;                   // views that stand here or later hold these rows
  std::vector<RowError> rejected;
  uint64_t rejected_total = 0;     // `rejected` holds the first 1,000
  std::optional<Error> error;      // set: nothing was kept
};

// Says when the engine is behind; implemented by main over Views.
class Backpressure {
 public:
  virtual ~Backpressure() = default;
  virtual bool Behind() const = 0;
};

class Ingest {
 public:
  static std::unique_ptr<Ingest> Open(Catalog& catalog, Log& log, Clock& clock,
                                      const Backpressure& backpressure);
  virtual ~Ingest() = default;

  // Parses on the caller's thread; `done` runs on the log's thread once durable (or at once, for a
  // body that is refused whole).  An idempotency key seen before answers what it answered then; the
  // same key with another body is kConflict.
  virtual void Post(const IngestRequest& request, std::function<void(IngestAnswer)> done) = 0;
};

}  // namespace weir
