// Rows of windows that are closed.  A row waits under the end of its window and comes when the
// watermark has passed it.  Where no row that is late gets here, it never goes again; otherwise
// what comes or goes afterwards is handed on.
//
// Cost: a look-up a row, and its copy when it comes.  State: the rows of open windows.
#include <map>
#include <unordered_map>

#include "duck/evaluator.h"
#include "duck/row_codec.h"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "flow/allocated.h"
#include "flow/operators/operators.h"
#include "flow/row_buffer.h"
#include "flow/weights.h"

namespace weir {
namespace {

class WindowClose : public Operator {
 public:
  WindowClose(SessionPtr session, const Expiry& expiry, RowTypes types, bool settled)
      : Operator("window close", types, settled),
        lateness_(expiry.lateness),
        end_(std::move(session), {expiry.end}),
        codec_(types),
        out_(types) {
    decoded_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types), 1);
  }

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override {
    if (port != 0) return;
    duckdb::UnifiedVectorFormat format;
    end_.Run(rows).data[0].ToUnifiedFormat(rows.size(), format);
    auto* ends = duckdb::UnifiedVectorFormat::GetDataUnsafe<int64_t>(format);
    auto& encoded = codec_.Encode(rows);
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      auto at = format.sel->get_index(i);
      if (!format.validity.RowIsValid(at)) continue;                              // in no window
      if (!duckdb::Timestamp::IsFinite(duckdb::timestamp_t(ends[at]))) continue;  // never over
      Keep(ends[at], std::string(encoded[i]), weights ? weights[i] : 1);
    }
  }

  void Flush() override {
    auto emit = [&](duckdb::DataChunk& rows, const int64_t* weights) { Emit(rows, weights); };
    while (IsDue()) {
      bytes_ -= kEndBytes;
      for (auto& [row, weight] : waiting_.begin()->second) {
        bytes_ -= RowBytes(row);
        EmitRow(row, weight, emit);
      }
      waiting_.erase(waiting_.begin());
    }
    out_.Flush(emit);
  }

  std::optional<Micros> WaitsForWatermark() const override {
    if (waiting_.empty()) return std::nullopt;
    return OverAt(waiting_.begin()->first, lateness_);
  }
  bool IsDue() const override {
    return static_cast<const WatermarkOperator&>(*inputs[1]).HasPassed(WaitsForWatermark());
  }
  bool HasState() const override { return true; }
  size_t StateBytes() const override { return bytes_; }

  void Save(StateWriter& writer) const override {
    writer.Put<uint64_t>(waiting_.size());
    for (auto& [end, rows] : waiting_) {
      writer.Put(end);
      writer.Put<uint64_t>(rows.size());
      for (auto& [row, weight] : rows) {
        writer.PutString(row);
        writer.Put(weight);
      }
    }
  }
  void Load(StateReader& reader) override {
    for (auto ends = reader.Get<uint64_t>(); ends > 0; ends--) {
      auto end = reader.Get<Micros>();
      for (auto rows = reader.Get<uint64_t>(); rows > 0; rows--) {
        std::string row(reader.GetString());
        Keep(end, std::move(row), reader.Get<int64_t>());
      }
    }
  }

 private:
  using Rows = std::unordered_map<std::string, int64_t>;
  static constexpr size_t kEndBytes = TreeNodeBytes<std::pair<Micros, Rows>>();
  static size_t RowBytes(const std::string& row) {
    return TextBytes(row.capacity()) + HashNodeBytes<std::pair<std::string, int64_t>>() +
           sizeof(size_t);  // its hash
  }

  void Keep(Micros end, std::string row, int64_t weight) {
    auto [rows, is_new] = waiting_.try_emplace(end);
    if (is_new) bytes_ += kEndBytes;
    auto [entry, added] = rows->second.try_emplace(std::move(row), 0);
    if (added) bytes_ += RowBytes(entry->first);
    AddWeight(entry->second, weight);
    if (entry->second != 0) return;
    bytes_ -= RowBytes(entry->first);
    rows->second.erase(entry);
    if (!rows->second.empty()) return;
    bytes_ -= kEndBytes;
    waiting_.erase(rows);
  }

  template <class EmitRows>
  void EmitRow(const std::string& row, int64_t weight, EmitRows emit) {
    decoded_.Reset();
    codec_.Decode(row, decoded_, 0);
    decoded_.SetCardinality(1);
    for (duckdb::idx_t column = 0; column < decoded_.ColumnCount(); column++) {
      duckdb::VectorOperations::Copy(decoded_.data[column], out_.chunk().data[column], 1, 0,
                                     out_.next());
    }
    out_.Added(weight, emit);
  }

  Micros lateness_;
  Evaluator end_;
  RowCodec codec_;
  std::map<Micros, Rows> waiting_;  // by end
  size_t bytes_ = 0;
  duckdb::DataChunk decoded_;
  RowBuffer out_;
};

}  // namespace

std::unique_ptr<Operator> MakeWindowClose(SessionPtr session, Expiry expiry, RowTypes types,
                                          bool settled) {
  return std::make_unique<WindowClose>(std::move(session), expiry, std::move(types), settled);
}

}  // namespace weir
