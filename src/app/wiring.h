// Small interfaces by which a lower part calls a higher one, connected.
#pragma once

#include "ingest/ingest.h"
#include "lake/lake.h"
#include "views/engine.h"

namespace weir {

// Views read a stream's past from the lake, which goes on into the log.
class LakeHistory : public History {
 public:
  explicit LakeHistory(Lake& lake) : lake_(lake) {}
  void Scan(const Stream& stream, const std::vector<size_t>& projection, Offset after, Offset up_to,
            const std::function<bool(const Columns&, Offset)>& sink) override {
    lake_.Scan(stream, projection, after, up_to, sink);
  }

 private:
  Lake& lake_;
};

// The door reads back the keys of its dedup windows.
class LakeKeys : public KeyHistory {
 public:
  LakeKeys(Lake& lake, Log& log) : lake_(lake), log_(log) {}
  void Scan(
      const Stream& stream, size_t column, Micros since, uint64_t rows,
      const std::function<void(duckdb::Vector&, duckdb::Vector&, duckdb::idx_t)>& sink) override {
    Offset after =
        std::max(lake_.ArrivedBefore(stream.id, since), lake_.BeforeLast(stream.id, rows));
    lake_.Scan(stream, {column, kArrivalTimeColumn}, after, log_.End(),
               [&](const Columns& read, Offset) {
                 for (auto& chunk : read.chunks) {
                   auto last = chunk->GetValue(1, chunk->size() - 1).GetValue<int64_t>();
                   if (last >= since) sink(chunk->data[0], chunk->data[1], chunk->size());
                 }
                 return true;
               });
  }

 private:
  Lake& lake_;
  Log& log_;
};

// Producers are told "later" while the views are behind or have no memory for more, and while the
// log grows faster than it becomes Parquet.
class EngineBackpressure : public Backpressure {
 public:
  void Connect(const Engine& engine, const Lake& lake) {
    engine_ = &engine;
    lake_ = &lake;
  }
  std::string Behind() const override {
    if (engine_ && engine_->Behind()) return "the views are behind the events that came in";
    if (lake_ && lake_->Behind()) return "the log is far ahead of the lake";
    return "";
  }
  void CheckRoom() const override {
    if (engine_) engine_->CheckRoom(ErrorCode::kUnavailable, "events are not taken now");
  }

 private:
  const Engine* engine_ = nullptr;
  const Lake* lake_ = nullptr;
};

}  // namespace weir
