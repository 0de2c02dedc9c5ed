// Operators that answer row by row and keep nothing: project, union all; and constants, which come
// once at the start.
#include "duck/evaluator.h"
#include "flow/operators/operators.h"

namespace weir {
namespace {

class Project : public Operator {
 public:
  Project(std::unique_ptr<Evaluator> evaluator, bool append_only)
      : Operator("project", evaluator->types(), append_only), evaluator_(std::move(evaluator)) {}
  void Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) override {
    Emit(evaluator_->Run(rows), weights);
  }

 private:
  std::unique_ptr<Evaluator> evaluator_;
};

class UnionAll : public Operator {
 public:
  UnionAll(RowTypes types, bool append_only)
      : Operator("union all", std::move(types), append_only) {}
  void Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) override {
    Emit(rows, weights);
  }
};

// Emits its rows in the first step of its life; a loaded state says that they are out.
class Constant : public Operator {
 public:
  Constant(RowTypes types, std::vector<std::vector<duckdb::Value>> rows)
      : Operator("constant", std::move(types), true), rows_(std::move(rows)) {}

  void Push(size_t, duckdb::DataChunk&, const int64_t*) override {}

  void Flush() override {
    if (emitted_) return;
    emitted_ = true;
    duckdb::DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types()));
    for (auto& row : rows_) {
      for (size_t column = 0; column < row.size(); column++) {
        chunk.SetValue(column, chunk.size(), row[column]);
      }
      chunk.SetCardinality(chunk.size() + 1);
      if (chunk.size() == STANDARD_VECTOR_SIZE) {
        Emit(chunk, nullptr);
        chunk.Reset();
      }
    }
    Emit(chunk, nullptr);
  }

  bool HasState() const override { return true; }
  void Save(StateWriter& writer) const override { writer.Put(emitted_); }
  void Load(StateReader& reader) override { emitted_ = reader.Get<bool>(); }

 private:
  std::vector<std::vector<duckdb::Value>> rows_;
  bool emitted_ = false;
};

}  // namespace

std::unique_ptr<Operator> MakeProject(SessionPtr session, std::vector<ExpressionPtr> expressions,
                                      bool append_only) {
  return std::make_unique<Project>(
      std::make_unique<Evaluator>(std::move(session), std::move(expressions)), append_only);
}

std::unique_ptr<Operator> MakeUnionAll(RowTypes types, bool append_only) {
  return std::make_unique<UnionAll>(std::move(types), append_only);
}

std::unique_ptr<Operator> MakeConstant(RowTypes types,
                                       std::vector<std::vector<duckdb::Value>> rows) {
  return std::make_unique<Constant>(std::move(types), std::move(rows));
}

}  // namespace weir
