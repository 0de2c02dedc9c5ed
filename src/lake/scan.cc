#include "lake/scan.h"

#include <algorithm>
#include <utility>

#include "duckdb/common/types/vector.hpp"
#include "lake/parquet.h"
#include "lake/read_ahead.h"
#include "lake/storage.h"
#include "lake/tail.h"

namespace weir {
namespace {

// Rows handed to the sink at a time: enough to make a step of the engine worth it, and little
// memory.
constexpr duckdb::idx_t kPieceRows = 32 * STANDARD_VECTOR_SIZE;
constexpr duckdb::idx_t kPieceBytes = 16 << 20;
// Files read by one query; opening one costs, and so does keeping thousands open.
constexpr size_t kFilesAtOnce = 64;

// Collects vectors into pieces for the sink.
class Pieces {
 public:
  explicit Pieces(const PieceSink& sink) : sink_(sink) {}

  bool Add(std::unique_ptr<duckdb::DataChunk> chunk, Offset last) {
    CHECK(chunk->size() > 0);
    rows_.rows += chunk->size();
    bytes_ += chunk->GetAllocationSize();
    rows_.chunks.push_back(std::move(chunk));
    last_ = last;
    return (rows_.rows < kPieceRows && bytes_ < kPieceBytes) || Flush();
  }
  bool Flush() {
    if (rows_.rows == 0) return true;
    bytes_ = 0;
    return sink_(std::exchange(rows_, Columns()), last_);
  }

 private:
  const PieceSink& sink_;
  Columns rows_;
  duckdb::idx_t bytes_ = 0;
  Offset last_;
};

// True when the file holds every offset from first to last, so that a row's place says its offset.
bool Dense(const PublishedFile& file) {
  return file.last.value - file.first.value + 1 == file.rows;
}

bool Inside(const PublishedFile& file, Offset after, Offset up_to) {
  return file.first > after && file.last <= up_to;
}

// Dense files that are wanted whole need no _offset column: rows are counted instead.
bool ScanDense(Parquet& parquet, const LakeFiles& lake, const Stream& stream,
               std::vector<size_t> columns, const std::vector<PublishedFilePtr>& files,
               Pieces& pieces) {
  bool only_counted = columns.empty();
  if (only_counted) columns.push_back(stream.columns.size());
  std::vector<ParquetFile> readable;
  for (auto& file : files) {
    readable.push_back(Readable(*file, lake.FullPath(file->path), stream.name));
  }
  size_t current = 0;
  uint64_t row = 0;  // inside the current file
  bool more = true;
  parquet.Read(readable, stream, columns, [&](std::unique_ptr<duckdb::DataChunk> chunk) {
    row += chunk->size();
    if (only_counted) chunk->data.clear();
    while (row > files[current]->rows) row -= files[current++]->rows;
    Offset last{files[current]->first.value + row - 1};
    return more = pieces.Add(std::move(chunk), last);
  });
  return more;
}

// The general case: reads _offset too, and leaves out the rows that are not wanted.
bool ScanSparse(Parquet& parquet, const LakeFiles& lake, const Stream& stream,
                std::vector<size_t> columns, const PublishedFile& file, Offset after, Offset up_to,
                Pieces& pieces) {
  size_t wanted = columns.size();
  columns.push_back(stream.columns.size());
  bool more = true;
  parquet.Read({Readable(file, lake.FullPath(file.path), stream.name)}, stream, columns,
               [&](std::unique_ptr<duckdb::DataChunk> chunk) {
                 auto* offsets = duckdb::FlatVector::GetDataUnsafe<uint64_t>(chunk->data[wanted]);
                 auto* begin = std::upper_bound(offsets, offsets + chunk->size(), after.value);
                 auto* end = std::upper_bound(begin, offsets + chunk->size(), up_to.value);
                 if (begin == end) return more;
                 Offset last{end[-1]};
                 auto count = static_cast<duckdb::idx_t>(end - begin);
                 if (count < chunk->size()) {
                   auto skip = static_cast<duckdb::idx_t>(begin - offsets);
                   duckdb::DataChunk part;
                   part.InitializeEmpty(chunk->GetTypes());
                   part.Reference(*chunk);
                   part.Slice(skip, count);
                   part.Flatten();
                   chunk = std::make_unique<duckdb::DataChunk>();
                   chunk->Move(part);
                 }
                 chunk->data.pop_back();
                 return more = pieces.Add(std::move(chunk), last);
               });
  return more;
}

bool ScanFilesInPieces(Disk& disk, const LakeFiles& lake, const Stream& stream,
                       const std::vector<size_t>& columns,
                       const std::vector<PublishedFilePtr>& files, Offset after, Offset up_to,
                       const PieceSink& sink) {
  Parquet parquet(disk);
  Pieces pieces(sink);
  for (size_t begin = 0; begin < files.size();) {
    size_t end = begin;
    bool sealed = files[begin]->seal.has_value();  // their types may differ otherwise
    while (end < files.size() && end - begin < kFilesAtOnce && Dense(*files[end]) &&
           Inside(*files[end], after, up_to) && files[end]->seal.has_value() == sealed) {
      end++;
    }
    bool more;
    if (end > begin) {
      more = ScanDense(parquet, lake, stream, columns, {files.begin() + begin, files.begin() + end},
                       pieces);
      begin = end;
    } else {
      more = ScanSparse(parquet, lake, stream, columns, *files[begin], after, up_to, pieces);
      begin++;
    }
    if (!more) return false;
  }
  return pieces.Flush();
}

}  // namespace

bool ScanFiles(Disk& disk, const LakeFiles& lake, const Stream& stream,
               const std::vector<size_t>& columns, const std::vector<PublishedFilePtr>& files,
               Offset after, Offset up_to, const ScanSink& sink) {
  if (files.empty()) return true;
  return ReadAhead(
      [&](const PieceSink& ahead) {
        return ScanFilesInPieces(disk, lake, stream, columns, files, after, up_to, ahead);
      },
      [&](Columns&& rows, Offset last) { return sink(rows, last); });
}

void ScanTail(std::shared_ptr<const Stream> stream, const std::vector<size_t>& columns, Log& log,
              Offset after, Offset up_to, const ScanSink& sink) {
  PieceSink pass = [&](Columns&& rows, Offset last) { return sink(rows, last); };
  Pieces pieces(pass);
  if (after < up_to) {
    std::shared_ptr<LogReader> reader = log.Read(after, up_to, stream->id);
    TailCursor cursor(stream, columns, after, up_to, [reader] { return reader->Next(); });
    auto stored = StoredTypes(*stream);
    duckdb::vector<duckdb::LogicalType> types;
    for (size_t column : columns) types.push_back(stored[column]);
    for (;;) {
      auto chunk = std::make_unique<duckdb::DataChunk>();
      chunk->InitializeEmpty(types);
      cursor.Next(*chunk);
      if (chunk->size() == 0) break;
      chunk->Flatten();
      CHECK(cursor.last() > after && cursor.last() <= up_to);
      if (!pieces.Add(std::move(chunk), cursor.last())) return;
    }
    if (!pieces.Flush()) return;
  }
  sink(Columns(), up_to);
}

}  // namespace weir
