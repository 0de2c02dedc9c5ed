// What Weir and its query workers say to each other.
//
//   Weir -> worker   kHello (once), kQuery, kData, kRows...
//   worker -> Weir   kNeed, kBody..., kDone   (an error may be Done before Need)
//
// or, to a worker that only plans (HelloMessage::trials):
//
//   Weir -> worker   kHello (once), kTry
//   worker -> Weir   kDone
//
// Every message is one of these structs as bytes; a worker's bytes are not trusted: Read throws
// Error(kInvalidData) on anything that does not fit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "log/log.h"
#include "query/query.h"
#include "views/views.h"

namespace weir {

enum class MessageKind : uint8_t { kHello = 1, kQuery, kData, kNeed, kBody, kDone, kRows, kTry };

// How a worker answers: one of the public formats, or blocks for the engine itself.
enum class AnswerFormat : uint8_t { kJson, kNdjson, kCsv, kArrow, kParquet, kBlocks };

struct HelloMessage {
  std::vector<std::string> readable;  // folders of the lake and the log
  std::string time_zone;
  uint64_t memory_bytes = 0;
  uint32_t threads = 1;
  bool trials = false;  // nothing but kTry comes
};

// A query to plan: of a view, or of a pump into a stream.
struct TryMessage {
  std::string catalog;  // as catalog/ saves it; "": the one before
  std::string sql;
  uint32_t stream = 0;  // what the pump feeds; 0: none
  std::vector<std::string> columns;
};

struct QueryMessage {
  std::string catalog;  // as catalog/ saves it
  std::string sql;
  std::string params_json;
  AnswerFormat format = AnswerFormat::kJson;
  bool exact = false;
  bool expand_views = false;            // kept answers are computed from the streams instead
  std::vector<std::string> recomputed;  // so are these, which may be behind; lower case
  uint64_t rows_max = 0;
  uint64_t limit = 0;  // rows; 0: none
  uint64_t bytes_max = 0;
  Micros timeout = 0;
  std::vector<FileRelation> files;
};

struct EqualColumn {
  std::string column, value;
  bool is_text = false;  // the value is one; else a whole number
};

struct NeedMessage {
  std::vector<std::string> streams, views;
  // What of the views is needed, at most: lower-case names of columns, unless it is `whole`; and of
  // one view that is read once, rows in which these columns have these values, given as text.
  bool whole = true;
  std::vector<std::string> columns = {};
  std::vector<EqualColumn> equals = {};
};

// A file of the lake.
struct FileData {
  std::string path, name;
  bool whole = true;  // every row is wanted; otherwise those up to the position
  uint64_t bytes = 0;
  bool sealed = false;
  uint32_t seal = 0;  // by which its bytes are checked, when it is sealed
  uint64_t rows = 0;
  Offset first, last;                          // of its first row and its last ...
  Micros arrived_first = 0, arrived_last = 0;  // ... and when they came
};

struct StreamData {
  std::string name;
  Offset landed;  // up to here it is in the files
  std::vector<FileData> files;
};

struct ViewData {
  std::string name;
  std::vector<std::string> names, types;
  uint64_t rows = 0;    // each once
  uint32_t pieces = 0;  // of its rows, each a kRows message of its own, in the order of the views
  std::vector<std::string> blocks = {};  // those, once they are there
  std::vector<int64_t> copies = {};      // of each row, unless each stands once
};

struct DataMessage {
  Offset at;
  Micros as_of = 0;
  Micros log_time = 0;
  std::vector<StreamData> streams;
  std::vector<SegmentInfo> segments;
  std::vector<ViewData> views;
};

// A piece of a kBlocks answer travels as a kBody of its own; without names and types, a piece of a
// view's rows as a kRows.
struct BlockMessage {
  std::vector<std::string> names, types;
  uint64_t rows = 0;
  std::string block;
  std::vector<int64_t> copies = {};  // of each row of a view, unless each stands once
};

struct DoneMessage {
  std::optional<Error> error;
  bool more = false;  // there were more rows than the limit
};

std::string Write(const HelloMessage& message);
std::string Write(const QueryMessage& message);
std::string Write(const TryMessage& message);
std::string Write(const NeedMessage& message);
std::string Write(const DataMessage& message);
std::string Write(const BlockMessage& message);
std::string Write(const DoneMessage& message);

void Read(std::string_view bytes, HelloMessage& message);
void Read(std::string_view bytes, QueryMessage& message);
void Read(std::string_view bytes, TryMessage& message);
void Read(std::string_view bytes, NeedMessage& message);
void Read(std::string_view bytes, DataMessage& message);
void Read(std::string_view bytes, BlockMessage& message);
void Read(std::string_view bytes, DoneMessage& message);

}  // namespace weir
