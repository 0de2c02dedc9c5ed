#include "ingest/table_gate.h"

#include "base/error.h"
#include "duck/constant.h"

namespace weir {

class TableGate::Holder : public TableHold {
 public:
  ~Holder() override {
    if (gate) gate->Release();
  }
  TableGate* gate = nullptr;
};

bool TableGate::Enter(size_t bytes, std::function<void()> later) {
  std::lock_guard lock(mutex_);
  if (!held_) {
    ASSERT(waiting_.empty());
    inside_++;
    return true;
  }
  if (waiting_bytes_ + bytes > kWaitingBytesMax) {
    throw Error(ErrorCode::kTooManyRequests, "a statement that changes the table is running",
                "Try again after the time in Retry-After.");
  }
  waiting_.push_back(std::move(later));
  waiting_bytes_ += bytes;
  return false;
}

void TableGate::Leave() {
  std::lock_guard lock(mutex_);
  ASSERT(inside_ > 0);
  changes_++;
  inside_--;
  if (inside_ == 0) free_.notify_all();
}

uint64_t TableGate::Changes() const {
  std::lock_guard lock(mutex_);
  return changes_;
}

std::unique_ptr<TableHold> TableGate::Hold(std::chrono::milliseconds wait_max) {
  auto holder = std::make_unique<Holder>();  // what may fail comes before the gate is shut
  std::unique_lock lock(mutex_);
  if (!free_.wait_for(lock, wait_max, [&] { return !held_; })) {
    throw Error(ErrorCode::kTooManyRequests, "another statement is changing the table",
                "Try again after the time in Retry-After.");
  }
  held_ = true;  // nobody passes from here on
  free_.wait(lock, [&] { return inside_ == 0; });
  ASSERT(held_);
  holder->gate = this;
  return holder;
}

void TableGate::Release() {
  std::vector<std::function<void()>> waiting;
  {
    std::lock_guard lock(mutex_);
    ASSERT(held_ && inside_ == 0);  // what the holder has read is still so
    held_ = false;
    changes_++;
    inside_ += waiting_.size();
    waiting_bytes_ = 0;
    waiting.swap(waiting_);
  }
  free_.notify_all();
  for (auto& later : waiting) later();
}

void CheckWritable(const Stream& stream) {
  if (stream.derived) {
    throw Error(ErrorCode::kConflict,
                "stream \"" + stream.name + "\" is made of a query and takes no events",
                "Send them to a stream its query reads.");
  }
  if (!stream.reference) return;
  throw Error(ErrorCode::kForbidden,
              "the rows of table \"" + stream.name + "\" are those of file \"" +
                  stream.reference->path + "\"",
              "Change the file; the table follows.");
}

std::shared_ptr<Columns> DeletedRows(const Stream& table, const Columns& keys) {
  auto rows = std::make_shared<Columns>();
  auto types = table.Types();
  CHECK(table.IsTable() && types.back().id() == duckdb::LogicalTypeId::BOOLEAN);
  for (auto& chunk : keys.chunks) {
    CHECK(chunk->ColumnCount() == table.primary_key.size());
    auto row = std::make_unique<duckdb::DataChunk>();
    row->InitializeEmpty({types.begin(), types.end()});
    for (auto& column : row->data) SetNull(column);
    for (size_t i = 0; i < table.primary_key.size(); i++) {
      row->data[table.primary_key[i]].Reference(chunk->data[i]);
    }
    SetConstant(row->data.back(), duckdb::Value::BOOLEAN(true));
    row->SetCardinality(chunk->size());
    row->Flatten();
    rows->chunks.push_back(std::move(row));
  }
  rows->rows = keys.rows;
  return rows;
}

}  // namespace weir
