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
        evaluator_(std::move(session), std::move(lists)),
        lists_(evaluator_.types().size()) {
    out_.InitializeEmpty(DuckTypes(this->types()));
    padded_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(this->types()));
  }

  void Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) override {
    auto& values = evaluator_.Run(rows);
    for (size_t i = 0; i < lists_.size(); i++) {
      lists_[i].values = &values.data[i];
      values.data[i].ToUnifiedFormat(rows.size(), lists_[i].format);
    }
    for (duckdb::idx_t row = 0; row < rows.size(); row++) {
      uint64_t longest = 0;
      for (auto& list : lists_) {
        list.entry = list.Entry(row);
        longest = std::max(longest, list.entry.length);
      }
      for (uint64_t element = 0; element < longest; element++) {
        source_rows_.set_index(filled_, row);
        for (auto& list : lists_) {
          bool is_there = element < list.entry.length;
          list.elements.set_index(filled_, is_there ? list.entry.offset + element : kPadding);
          list.is_padded |= !is_there;
        }
        weights_[filled_] = weights ? weights[row] : 1;
        if (++filled_ == STANDARD_VECTOR_SIZE) Send(rows, weights);
      }
    }
    Send(rows, weights);
  }

 private:
  static constexpr uint32_t kPadding = UINT32_MAX;

  struct List {
    duckdb::list_entry_t Entry(duckdb::idx_t row) const {
      auto index = format.sel->get_index(row);
      if (!format.validity.RowIsValid(index)) return {0, 0};
      return duckdb::UnifiedVectorFormat::GetDataUnsafe<duckdb::list_entry_t>(format)[index];
    }
    duckdb::Vector* values = nullptr;
    duckdb::UnifiedVectorFormat format;
    duckdb::list_entry_t entry;                              // of the row at hand
    duckdb::SelectionVector elements{STANDARD_VECTOR_SIZE};  // of the rows to send
    bool is_padded = false;
  };

  void Send(duckdb::DataChunk& rows, const int64_t* weights) {
    if (filled_ == 0) return;
    for (duckdb::idx_t i = 0; i < rows.ColumnCount(); i++) {
      out_.data[i].Slice(rows.data[i], source_rows_, filled_);
    }
    padded_.Reset();
    for (size_t i = 0; i < lists_.size(); i++) {
      auto& list = lists_[i];
      auto& child = duckdb::ListVector::GetEntry(*list.values);
      auto& out = out_.data[rows.ColumnCount() + i];
      if (list.is_padded) {
        Pad(list, child, padded_.data[rows.ColumnCount() + i]);
        out.Reference(padded_.data[rows.ColumnCount() + i]);
      } else {
        out.Slice(child, list.elements, filled_);
      }
      list.elements.Initialize(STANDARD_VECTOR_SIZE);
      list.is_padded = false;
    }
    out_.SetCardinality(filled_);
    Emit(out_, weights ? weights_ : nullptr);
    source_rows_.Initialize(STANDARD_VECTOR_SIZE);
    filled_ = 0;
  }

  // Element by element, with NULL where a list has ended.
  void Pad(const List& list, duckdb::Vector& child, duckdb::Vector& out) {
    for (duckdb::idx_t i = 0; i < filled_; i++) {
      auto at = list.elements.get_index(i);
      if (at == kPadding) {
        duckdb::FlatVector::SetNull(out, i, true);
      } else {
        duckdb::VectorOperations::Copy(child, out, at + 1, at, i);
      }
    }
  }

  Evaluator evaluator_;
  std::vector<List> lists_;
  duckdb::DataChunk out_, padded_;
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
