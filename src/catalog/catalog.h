// What exists: streams, tables and views, with the statement that made each.
//
// A catalog state is an immutable value; readers take the current one and keep it as long as they
// like.  Changes go through Catalog::Change, one at a time, and are durable when it returns (one
// file, replaced atomically).  Thread-safe.  Owned by main.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/kernel_sql.h"
#include "catalog/retired_ids.h"
#include "duckdb/common/types.hpp"

namespace weir {

// How a TIMESTAMP column arrives when it is a number.
enum class EpochUnit { kNone, kSeconds, kMillis, kMicros };

struct Column {
  std::string name;
  duckdb::LogicalType type;
  bool not_null = false;
  EpochUnit epoch = EpochUnit::kNone;
};

enum class UnknownFields { kIgnore, kReject };

// How far event time has got: the highest `column` - `delay` so far.  Once no row came for
// `idle_timeout`, it goes on with the clock; without one it waits for the next row.
struct Watermark {
  static constexpr Micros kIdleTimeout = 60'000'000;
  std::string column;
  Micros delay = 0;
  std::optional<Micros> idle_timeout = kIdleTimeout;
  bool operator==(const Watermark&) const = default;
};

// The file a table's rows come from; read again now and then.
struct ReferenceFile {
  std::string path;    // below the project's folder for such files
  Micros refresh = 0;  // how often; 0: when the file changes
};

// The column behind a table's own that says a row is gone; no query sees it.
inline constexpr const char* kDeletedColumn = "_deleted";

// Events in the order they came, or the changes of a table.
//
// A table is a stream with a primary key: each of its events says what the row of a key is from now
// on, or (kDeletedColumn is true, and all but the key NULL) that there is none.  The last one of a
// key counts, in the log's order.
struct Stream {
  StreamId id;
  std::string name;
  std::vector<Column> columns;
  std::optional<Watermark> watermark;
  UnknownFields unknown_fields = UnknownFields::kIgnore;
  std::string dedup_key;  // column name, or empty
  Micros dedup_window = 0;
  std::vector<size_t> primary_key;  // columns, in the order they were named; a table's only
  std::optional<ReferenceFile> reference;
  std::string comment;
  std::string sql;            // the CREATE statement, as written
  bool from_project = false;  // declared by the project folder, which is the truth for it
  bool derived = false;       // fed by pumps alone, since it was made: no door for producers

  // Index of a column by name (case-insensitive, as SQL names are), or nothing.
  std::optional<size_t> Find(std::string_view column) const;
  std::vector<duckdb::LogicalType> Types() const;
  bool IsTable() const { return !primary_key.empty(); }
  // How many of the columns, from the first, a query sees.
  size_t VisibleColumns() const { return columns.size() - (IsTable() ? 1 : 0); }
  bool IsKey(size_t column) const;
};

struct View {
  uint32_t id = 0;  // for life, never reused; 0 in no catalog
  std::string name;
  std::string query;     // the SELECT, as written
  KernelSql kernel_sql;  // of the same
  // Of the same with its event time spelled out (sql/event_time.h), when it says something about
  // it.
  KernelSql spelled_out;
  bool on_window_close = false;            // EMIT ON WINDOW CLOSE
  std::optional<Micros> allowed_lateness;  // WITH (allowed_lateness = ...)
  std::string late_of;                     // the view whose late rows these are, or empty
  bool materialized = true;
  std::string comment;
  std::string sql;  // the CREATE statement, as written
  bool from_project = false;

  // What is planned, kept and asked.
  const KernelSql& Planned() const { return spelled_out.empty() ? kernel_sql : spelled_out; }
  // What tells whether a view is still the one of which something was stored.
  const std::string& Definition() const { return spelled_out.empty() ? query : spelled_out.text; }
  bool HasEventTime() const { return on_window_close || allowed_lateness.has_value(); }
};

// A standing INSERT INTO stream SELECT: what its query says becomes events of the stream, each row
// once.
struct Pump {
  uint32_t id = 0;  // for life, never reused
  std::string name;
  StreamId stream;                   // what it feeds
  std::vector<std::string> columns;  // of the stream, in the query's order; none: all
  std::string query;                 // the SELECT, as written
  KernelSql kernel_sql;              // of the same
  // What the query said up to here is not emitted.
  struct Start {
    Offset offset;
    Micros clock = 0, log_time = 0;
  };
  std::optional<Start> start;
  std::string comment;
  std::string sql;  // the statement, as written
  bool from_project = false;
};

// The pump's query with the columns and types of its stream.
KernelSql PumpQuery(const Pump& pump, const Stream& stream);

struct CatalogState {
  uint64_t version = 0;
  // Ids of streams, tables, views and pumps come from one row and are never given out twice: each
  // below next_id belongs to something here, or is retired.
  uint32_t next_id = 1;
  RetiredIds retired;
  // The log whose events these are (Log::Identity); empty until there is one.
  std::string log;
  std::string time_zone = "UTC";
  std::map<std::string, std::shared_ptr<const Stream>> streams;  // by lower-case name
  std::map<std::string, std::shared_ptr<const View>> views;      // by lower-case name
  std::map<std::string, std::shared_ptr<const Pump>> pumps;      // by lower-case name
  // Streams and tables that were dropped, by id, as long as the log may hold events of theirs that
  // have not landed.  An id that is neither here nor in `streams` says nothing of the kind.
  std::map<uint32_t, std::shared_ptr<const Stream>> dropped;

  // By lower-case name.  REQUIRES: it is there.
  void DropStream(const std::string& name);

  std::shared_ptr<const Stream> FindStream(std::string_view name) const;
  std::shared_ptr<const Stream> FindStream(StreamId id) const;
  // There was a stream of this id, and it was dropped: known, unlike an id that is merely not
  // found.
  bool WasDropped(StreamId id) const { return retired.Contains(id.value); }
  std::shared_ptr<const View> FindView(std::string_view name) const;
  std::shared_ptr<const Pump> FindPump(std::string_view name) const;
  // The stream, table or view whose name is the nearest to one that is none; "" when none is near.
  std::string NearestRelation(std::string_view name) const;
  // As Find, but throws kUnknownStream / kUnknownView with the nearest name as hint.
  std::shared_ptr<const Stream> GetStream(std::string_view name) const;
  std::shared_ptr<const Stream> GetTable(std::string_view name) const;
  std::shared_ptr<const View> GetView(std::string_view name) const;
  std::shared_ptr<const Pump> GetPump(std::string_view name) const;
  // The pumps that feed a stream.
  std::vector<std::shared_ptr<const Pump>> PumpsInto(StreamId stream) const;
};
using CatalogPtr = std::shared_ptr<const CatalogState>;

// Where the catalog is kept; implemented over io/ by main, so that this folder needs no disk.
class CatalogStore {
 public:
  virtual ~CatalogStore() = default;
  virtual std::string Load() = 0;  // "" when there is none yet
  // Durable when it returns.  What it throws has changed nothing, but for OutcomeUnknown.
  virtual void Save(const std::string& text) = 0;
  virtual std::string Name() const { return "the catalog"; }  // for messages
};

class Catalog {
 public:
  // Throws Error(kCorruption), naming the store, when what it holds is no catalog.  `complete` adds
  // to what was loaded what is not stored.
  explicit Catalog(CatalogStore& store, void (*complete)(CatalogState&) = nullptr);

  CatalogPtr Current() const;

  // Applies `edit` to a copy of the current state, makes it durable, then current.  What edit
  // throws passes through and nothing changes.  Ids that are in use no longer are retired.
  // REQUIRES: what edit leaves is sound (CheckSound in catalog.cc), and its version as it was.
  CatalogPtr Change(const std::function<void(CatalogState&)>& edit);
  // The same for an edit that takes long, because something is planned in it: it runs beside other
  // changes, and again when one has come meanwhile; of a few times the last holds the others up.
  CatalogPtr ChangeBeside(const std::function<void(CatalogState&)>& edit);

 private:
  CatalogPtr Make(const CatalogState& current, std::shared_ptr<CatalogState> next);
  CatalogStore& store_;
  mutable std::mutex mutex_;
  std::mutex change_mutex_;
  CatalogPtr current_;
};

// A type as written in SQL ("DECIMAL(10,2)", "STRUCT(a INTEGER)[]"); throws Error(kInvalidSql) when
// there is no such type.
duckdb::LogicalType ParseColumnType(const std::string& text);

// The catalog file: JSON, one object.  Types are written as DuckDB prints them.  Throws
// Error(kInvalidRequest) for texts that are no UTF-8, for these no file could be read again.
std::string SaveCatalog(const CatalogState& state);
CatalogState LoadCatalog(const std::string& text);  // throws Error(kCorruption)

}  // namespace weir
