// One row for each element of the lists; shorter lists are padded with NULL, as DuckDB does.
#include "duck/evaluator.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "flow/operators/operators.h"

namespace weir {
namespace {

class Unnest : public Operator {
 public:
  Unnest(SessionPtr session, std::vector<ExpressionPtr> lists, RowTypes types, bool append_only)
      : Operator("unnest", std::move(types), append_only),
        evaluator_(std::move(session), std::move(lists)) {
    out_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(this->types()));
  }

  void Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) override {
    auto& lists = evaluator_.Run(rows);
    size_t list_count = lists.ColumnCount();
    std::vector<duckdb::UnifiedVectorFormat> formats(list_count);
    for (size_t i = 0; i < list_count; i++) {
      lists.data[i].ToUnifiedFormat(rows.size(), formats[i]);
    }
    for (duckdb::idx_t row = 0; row < rows.size(); row++) {
      uint64_t longest = 0;
      for (auto& format : formats) longest = std::max(longest, Entry(format, row).length);
      for (uint64_t element = 0; element < longest; element++) {
        Place(rows, lists, formats, row, element);
        weights_[filled_] = weights ? weights[row] : 1;
        if (++filled_ == STANDARD_VECTOR_SIZE) Send(rows, weights);
      }
    }
    Send(rows, weights);
  }

 private:
  static duckdb::list_entry_t Entry(const duckdb::UnifiedVectorFormat& format, duckdb::idx_t row) {
    auto index = format.sel->get_index(row);
    if (!format.validity.RowIsValid(index)) return {0, 0};
    return duckdb::UnifiedVectorFormat::GetDataUnsafe<duckdb::list_entry_t>(format)[index];
  }

  void Place(duckdb::DataChunk& rows, duckdb::DataChunk& lists,
             const std::vector<duckdb::UnifiedVectorFormat>& formats, duckdb::idx_t row,
             uint64_t element) {
    source_rows_.set_index(filled_, row);
    for (size_t i = 0; i < formats.size(); i++) {
      auto entry = Entry(formats[i], row);
      auto& target = out_.data[rows.ColumnCount() + i];
      if (element >= entry.length) {
        duckdb::FlatVector::SetNull(target, filled_, true);
        continue;
      }
      auto& child = duckdb::ListVector::GetEntry(lists.data[i]);
      auto at = entry.offset + element;
      duckdb::VectorOperations::Copy(child, target, at + 1, at, filled_);
    }
  }

  void Send(duckdb::DataChunk& rows, const int64_t* weights) {
    if (filled_ == 0) return;
    for (duckdb::idx_t i = 0; i < rows.ColumnCount(); i++) {
      out_.data[i].Slice(rows.data[i], source_rows_, filled_);
    }
    out_.SetCardinality(filled_);
    Emit(out_, weights ? weights_ : nullptr);
    out_.Reset();
    source_rows_.Initialize(STANDARD_VECTOR_SIZE);
    filled_ = 0;
  }

  Evaluator evaluator_;
  duckdb::DataChunk out_;
  duckdb::SelectionVector source_rows_{STANDARD_VECTOR_SIZE};
  int64_t weights_[STANDARD_VECTOR_SIZE];
  duckdb::idx_t filled_ = 0;
};

}  // namespace

std::unique_ptr<Operator> MakeUnnest(SessionPtr session, std::vector<ExpressionPtr> lists,
                                     RowTypes types, bool append_only) {
  return std::make_unique<Unnest>(std::move(session), std::move(lists), std::move(types),
                                  append_only);
}

}  // namespace weir
