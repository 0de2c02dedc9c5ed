#include "views/live_view.h"

#include <algorithm>

#include "duck/errors.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"

namespace weir {

RowTypes LiveView::types() const {
  RowTypes types;
  for (auto& column : columns) types.push_back(column.type);
  return types;
}

Version LiveView::StoodAt(uint64_t step) const {
  std::lock_guard lock(mutex);
  Version at;
  for (auto& [since, version] : stood) {
    if (since <= step) at = version;
  }
  return at;
}

bool LiveView::WantsClock() const {
  return std::any_of(operators.begin(), operators.end(),
                     [](Operator* op) { return op->WantsClock(); });
}

RowWriter::RowWriter(const RowTypes& types, std::vector<size_t> kept)
    : codec_(types), decoded_types_(types), kept_(std::move(kept)) {
  if (kept_.empty()) {
    for (size_t i = 0; i < types.size(); i++) kept_.push_back(i);
  }
  for (size_t column : kept_) {
    CHECK(column < types.size());
    types_.push_back(types[column]);
  }
}

void RowWriter::SizeUp(std::string_view row) {
  last_bytes_ = 0;
  for (size_t column : kept_) {
    auto type = decoded_types_[column].InternalType();
    if (type == duckdb::PhysicalType::VARCHAR) {
      auto& values = one_->data[column];
      if (duckdb::FlatVector::IsNull(values, 0)) continue;
      last_bytes_ += duckdb::FlatVector::GetData<duckdb::string_t>(values)[0].GetSize();
    } else if (!duckdb::TypeIsConstantSize(type)) {
      last_bytes_ += row.size();
    }
  }
}

void RowWriter::Add(std::string_view row, int64_t copies) {
  CHECK(copies > 0);
  if (!one_) {
    one_ = std::make_unique<duckdb::DataChunk>();
    one_->Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(decoded_types_), 1);
  }
  one_->Reset();
  codec_.Decode(row, *one_, 0);
  one_->SetCardinality(1);
  SizeUp(row);
  for (; copies > 0; copies--) {
    if (columns_.rows % STANDARD_VECTOR_SIZE == 0) {
      columns_.chunks.push_back(std::make_unique<duckdb::DataChunk>());
      columns_.chunks.back()->Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types_));
    }
    auto& chunk = *columns_.chunks.back();
    for (duckdb::idx_t column = 0; column < chunk.ColumnCount(); column++) {
      duckdb::VectorOperations::Copy(one_->data[kept_[column]], chunk.data[column], 1, 0,
                                     chunk.size());
    }
    chunk.SetCardinality(chunk.size() + 1);
    columns_.rows++;
  }
}

// A change is often one row and is kept for a while: its chunk has no room that is not used.
Columns RowWriter::Take() {
  CHECK(columns_.chunks.size() ==
        (columns_.rows + STANDARD_VECTOR_SIZE - 1) / STANDARD_VECTOR_SIZE);
  if (!columns_.chunks.empty() && columns_.chunks.back()->size() < STANDARD_VECTOR_SIZE) {
    auto& last = columns_.chunks.back();
    auto fitting = std::make_unique<duckdb::DataChunk>();
    fitting->Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types_), last->size());
    last->Copy(*fitting);
    last = std::move(fitting);
  }
  return std::move(columns_);
}

namespace {

// Decides for one row whether all `column = value` hold.
class EqualityTest {
 public:
  EqualityTest(const LiveView& view, const ReadOptions& options) {
    auto types = view.types();
    one_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types), 1);
    for (auto& [name, text] : options.equals) {
      size_t column = Find(view, name);
      try {
        tests_.emplace_back(column, duckdb::Value(text).DefaultCastAs(types[column]));
      } catch (...) {
        throw Error(
            ErrorCode::kInvalidRequest,
            "\"" + text + "\" is no " + types[column].ToString() + " for column \"" + name + "\"");
      }
    }
  }
  bool any() const { return !tests_.empty(); }

  bool Holds(const RowCodec& codec, std::string_view row) {
    one_.Reset();
    codec.Decode(row, one_, 0);
    one_.SetCardinality(1);
    return std::all_of(tests_.begin(), tests_.end(), [&](auto& test) {
      auto value = one_.GetValue(test.first, 0);  // Value's == throws for NULLs
      return !value.IsNull() && duckdb::Value::NotDistinctFrom(value, test.second);
    });
  }

 private:
  static size_t Find(const LiveView& view, const std::string& name) {
    std::vector<std::string_view> names;
    for (size_t i = 0; i < view.columns.size(); i++) {
      if (duckdb::StringUtil::CIEquals(view.columns[i].name, name)) return i;
      names.push_back(view.columns[i].name);
    }
    auto nearest = NearestName(name, names.data(), names.data() + names.size());
    throw Error(ErrorCode::kInvalidRequest,
                "view \"" + view.definition->name + "\" has no column \"" + name + "\"",
                nearest.empty() ? "" : "Did you mean \"" + nearest + "\"?");
  }
  std::vector<std::pair<size_t, duckdb::Value>> tests_;
  duckdb::DataChunk one_;
};

struct Row {
  std::string sort_key;
  std::string_view row;  // in the content, where it stays while the step is pinned
  int64_t copies;
};

// Counts what an answer takes, and refuses what would be too much of it.
class AnswerRoom {
 public:
  AnswerRoom(const LiveView& view, uint64_t bytes_max) : AnswerRoom(view, bytes_max, 0) {}
  // Of so many of the columns; 0: of all.
  AnswerRoom(const LiveView& view, uint64_t bytes_max, size_t columns)
      : name_(view.definition->name),
        row_bytes_(kColumnBytes * (columns ? columns : view.columns.size())),
        max_(bytes_max) {}

  void Take(size_t bytes, uint64_t copies) {
    CHECK(row_bytes_ > 0 && taken_ <= max_);
    uint64_t each = bytes + row_bytes_;
    if (copies <= (max_ - taken_) / each) {
      taken_ += each * copies;
      return;
    }
    throw Error(
        ErrorCode::kLimitExceeded,
        "view \"" + name_ + "\" has more rows than one answer may hold (" +
            std::to_string(max_ >> 20) + " MiB)",
        "Ask for a part of it, with limit or COLUMN=VALUE, or keep a view of what is wanted.");
  }

 private:
  static constexpr uint64_t kColumnBytes = 16;  // of a value in a vector, at most, without its text
  const std::string name_;
  const uint64_t row_bytes_, max_;
  uint64_t taken_ = 0;
};

// Sort keys of encoded rows, by the view's order; rows that tie are ordered by all columns.
void AddSortKeys(const LiveView& view, const RowCodec& codec, std::vector<Row>& rows) {
  RowTypes types;
  std::vector<RowCodec::Direction> directions;
  for (auto& by : view.order) {
    CHECK(by.column < view.columns.size());
    types.push_back(view.columns[by.column].type);
    directions.push_back({by.descending, by.nulls_first, true});
  }
  RowCodec sorter(types, directions);
  duckdb::DataChunk decoded, keys;
  decoded.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(view.types()));
  keys.InitializeEmpty(DuckTypes(types));
  for (size_t start = 0; start < rows.size(); start += STANDARD_VECTOR_SIZE) {
    size_t count = std::min<size_t>(STANDARD_VECTOR_SIZE, rows.size() - start);
    decoded.Reset();
    for (size_t i = 0; i < count; i++) codec.Decode(rows[start + i].row, decoded, i);
    decoded.SetCardinality(count);
    for (size_t i = 0; i < view.order.size(); i++) {
      keys.data[i].Reference(decoded.data[view.order[i].column]);
    }
    keys.SetCardinality(count);
    auto& encoded = sorter.Encode(keys);
    for (size_t i = 0; i < count; i++) rows[start + i].sort_key = encoded[i];
  }
}

}  // namespace

namespace {

RowTypes ErrorTypes() {
  using duckdb::LogicalType;
  return {LogicalType::UBIGINT, LogicalType::VARCHAR, LogicalType::VARCHAR, LogicalType::VARCHAR};
}

// Has the row fetched from the file, if it stands there: what cannot be is found before rows are
// put in order, which nothing may change under.
void Touch(std::string_view row) {
  static_cast<void>(*static_cast<const volatile char*>(row.data()));
  static_cast<void>(*static_cast<const volatile char*>(&row.back()));
}

uint64_t CountErrors(const LiveView& view, const Version& version) {
  uint64_t count = 0;
  view.errors.Scan(version.step, [&](std::string_view, int64_t copies) {
    CHECK(copies > 0);
    count += static_cast<uint64_t>(copies);
    return true;
  });
  return count;
}

}  // namespace

void LiveView::AddErrors(const FailedRow& row, Offset first, int64_t count, uint64_t step) {
  duckdb::DataChunk one;
  one.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(ErrorTypes()), 1);
  one.SetValue(0, 0, duckdb::Value::UBIGINT(first.value));
  one.SetValue(1, 0, duckdb::Value(row.row));
  one.SetValue(2, 0, duckdb::Value(row.reason));
  one.SetValue(3, 0, duckdb::Value(row.where));
  one.SetCardinality(1);
  RowCodec codec(ErrorTypes());
  errors.Change(codec.Encode(one)[0], count, step);
}

Snapshot ReadErrors(const LiveView& view, const Version& version, const ReadOptions& options) {
  using duckdb::LogicalType;
  Snapshot snapshot;
  snapshot.view = view.definition->name + std::string(kErrorsSuffix);
  snapshot.offset = version.offset;
  snapshot.as_of = version.as_of;
  snapshot.columns = {{"offset", LogicalType::UBIGINT},
                      {"row", LogicalType::VARCHAR},
                      {"reason", LogicalType::VARCHAR},
                      {"operator", LogicalType::VARCHAR},
                      {"count", LogicalType::BIGINT}};
  std::vector<std::pair<std::string, int64_t>> rows;
  view.errors.Scan(version.step, [&](std::string_view row, int64_t copies) {
    rows.emplace_back(row, copies);
    return true;
  });
  std::sort(rows.begin(), rows.end());  // by offset
  snapshot.total_rows = rows.size();
  AnswerRoom room(view, options.bytes_max ? options.bytes_max : UINT64_MAX);
  if (options.limit && rows.size() > *options.limit) rows.resize(*options.limit);
  RowTypes types = ErrorTypes();
  RowCodec codec(types);
  duckdb::DataChunk one;
  one.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types), 1);
  types.push_back(LogicalType::BIGINT);
  for (auto& [row, copies] : rows) {
    if (snapshot.rows.rows % STANDARD_VECTOR_SIZE == 0) {
      snapshot.rows.chunks.push_back(std::make_unique<duckdb::DataChunk>());
      snapshot.rows.chunks.back()->Initialize(duckdb::Allocator::DefaultAllocator(),
                                              DuckTypes(types));
    }
    auto& chunk = *snapshot.rows.chunks.back();
    room.Take(row.size(), 1);
    one.Reset();
    codec.Decode(row, one, 0);
    for (duckdb::idx_t column = 0; column < one.ColumnCount(); column++) {
      chunk.SetValue(column, chunk.size(), one.GetValue(column, 0));
    }
    chunk.SetValue(4, chunk.size(), duckdb::Value::BIGINT(copies));
    chunk.SetCardinality(chunk.size() + 1);
    snapshot.rows.rows++;
  }
  return snapshot;
}

namespace {

// What is asked for of the columns, in their order; none: all of them.
std::vector<size_t> KeptColumns(const LiveView& view, const ReadOptions& options) {
  std::vector<size_t> kept;
  if (!options.columns || view.columns.empty()) return kept;
  for (size_t i = 0; i < view.columns.size(); i++) {
    if (options.columns->contains(duckdb::StringUtil::Lower(view.columns[i].name))) {
      kept.push_back(i);
    }
  }
  if (kept.empty()) kept.push_back(0);
  if (kept.size() == view.columns.size()) kept.clear();
  return kept;
}

Snapshot WithoutRows(const LiveView& view, const Version& version) {
  Snapshot snapshot;
  snapshot.view = view.definition->name;
  snapshot.offset = version.offset;
  snapshot.as_of = version.as_of;
  snapshot.log_time = version.log_time;
  snapshot.sequence = view.changes.SequenceAtStep(version.step);
  snapshot.columns = view.columns;
  return snapshot;
}

[[noreturn]] void ThrowTooMany(const std::string& view, uint64_t rows_max) {
  throw Error(ErrorCode::kLimitExceeded,
              "view \"" + view + "\" has more than " + std::to_string(rows_max) +
                  " rows, too many to be read at once",
              "Ask for a part of it, with limit or COLUMN=VALUE, or query it.");
}

}  // namespace

Snapshot ReadContent(const LiveView& view, const Version& version, const ReadOptions& options) {
  Snapshot snapshot = WithoutRows(view, version);
  if (options.count_errors) snapshot.error_rows = CountErrors(view, version);
  auto types = view.types();
  RowCodec codec(types);
  EqualityTest test(view, options);
  uint64_t limit = options.limit.value_or(UINT64_MAX);
  auto kept = KeptColumns(view, options);
  AnswerRoom room(view, options.bytes_max ? options.bytes_max : UINT64_MAX, kept.size());
  bool at_once = !options.limit && kept.empty() && !options.collapse;

  std::vector<Row> rows;
  uint64_t wanted = 0;
  bool too_many = false;
  view.content.Scan(version.step, [&](std::string_view row, int64_t copies) {
    snapshot.total_rows += static_cast<uint64_t>(copies);
    if (test.any() && !test.Holds(codec, row)) return true;
    if (view.order.empty() && rows.size() >= limit) return true;
    wanted += static_cast<uint64_t>(copies);
    too_many = std::min(wanted, limit) > options.rows_max;
    if (too_many) return false;
    // Without a limit all of it is given, so there is no need to look at the rest first.
    if (at_once) room.Take(row.size(), static_cast<uint64_t>(copies));
    rows.push_back({"", row, copies});
    Touch(row);
    return true;
  });
  if (too_many) ThrowTooMany(snapshot.view, options.rows_max);
  if (!view.order.empty()) AddSortKeys(view, codec, rows);
  // Without an order of its own a view reads in the order of its columns, the same every time.
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return std::tie(a.sort_key, a.row) < std::tie(b.sort_key, b.row);
  });
  RowWriter writer(types, kept);
  uint64_t given = 0;  // with copies
  bool several = false;
  for (auto& row : rows) {
    if (given >= limit) break;
    auto left = static_cast<int64_t>(std::min<uint64_t>(limit - given, INT64_MAX));
    int64_t copies = std::min(row.copies, left);
    int64_t written = options.collapse ? 1 : copies;
    if (options.collapse) {
      snapshot.copies.push_back(copies);
      several |= copies > 1;
    }
    if (!at_once && kept.empty()) room.Take(row.row.size(), static_cast<uint64_t>(written));
    writer.Add(row.row, written);
    if (!kept.empty()) room.Take(writer.LastBytes(), static_cast<uint64_t>(written));
    given += static_cast<uint64_t>(copies);
  }
  if (!several) snapshot.copies.clear();
  if (!kept.empty()) {
    snapshot.columns.clear();
    for (size_t column : kept) snapshot.columns.push_back(view.columns[column]);
  }
  snapshot.rows = writer.Take();
  CHECK(snapshot.copies.empty() || snapshot.copies.size() == snapshot.rows.rows);
  CHECK(snapshot.rows.rows <= snapshot.total_rows && given >= snapshot.rows.rows);
  for (auto& row : rows) ViewContent::ThrowIfLost(row.row);
  return snapshot;
}

}  // namespace weir
