// Statements that write rows: INSERT, UPDATE, DELETE, COPY, and a table's file read again.
//
// Each asks a query worker at the log's end which rows it means, and appends them as one record
// while it holds its table (ingest/): all or none, and nobody came between.  The question is asked
// before the table is held, so that a long one keeps nobody waiting; when the table changed
// meanwhile it is asked again while it is held, for a bounded time.  A statement blocks its thread.
// Thread-safe.  Owned by main.
#pragma once

#include <memory>
#include <string>

#include "catalog/catalog.h"
#include "ingest/ingest.h"
#include "io/clock.h"
#include "io/disk/reference_folder.h"
#include "log/log.h"
#include "sql/write_statement.h"
#include "views/views.h"

namespace weir {

struct WriteResult {
  uint64_t rows = 0;  // inserted, updated or deleted
  Offset offset;      // views that stand here or later have them
};

class TableWrites {
 public:
  struct Parts {
    Catalog& catalog;
    Ingest& ingest;
    BatchEngine& batch;
    Log& log;
    Clock& clock;
  };
  TableWrites(Parts parts, ReferenceFolder files) : parts_(parts), files_(std::move(files)) {}

  // `params_json`: values of $1, $2, ...  Throws what is wrong, kConflict for a key that is there.
  WriteResult Run(const Insert& insert, const std::string& params_json = "");
  WriteResult Run(const Update& update, const std::string& params_json = "");
  WriteResult Run(const Delete& erase, const std::string& params_json = "");
  WriteResult Run(const CopyFrom& copy);

  // Makes a table's rows those of its file; only what differs is written.
  WriteResult Refresh(const Stream& table);

  const ReferenceFolder& files() const { return files_; }

 private:
  struct Question {
    std::string sql, params_json;
    std::vector<FileRelation> files = {};
    bool small = false;  // only what is given: no query, no search
  };
  // What a statement means to write, which is true as long as `hold` lives.
  struct Meant {
    BatchResult rows;
    Offset at;
    std::unique_ptr<TableHold> hold;
  };
  Meant Find(const Stream& stream, const Question& question);
  BatchResult Ask(const Question& question, Offset at, Micros timeout);
  // The table (or stream) of a statement.  Throws kForbidden for one that a file says.
  std::shared_ptr<const Stream> Writable(const std::string& name, bool table) const;
  WriteResult Append(const Stream& stream, std::shared_ptr<Columns> rows, Offset at);
  WriteResult InsertRows(const Insert& insert, const std::string& params_json,
                         std::vector<FileRelation> files, bool ignore_surplus);

  Parts parts_;
  const ReferenceFolder files_;
};

}  // namespace weir
