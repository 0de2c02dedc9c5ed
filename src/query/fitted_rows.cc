#include "query/fitted_rows.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "duck/union_structs.h"
#include "duckdb/common/allocator.hpp"
#include "duckdb/common/types/hugeint.hpp"
#include "duckdb/common/types/vector.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "duckdb/main/query_result.hpp"

namespace weir {
namespace {

using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;

// Of a type without unions; HUGEINT as text.
LogicalType Exact(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::LIST: return LogicalType::LIST(Exact(duckdb::ListType::GetChildType(type)));
    case LogicalTypeId::ARRAY:
      return LogicalType::LIST(Exact(duckdb::ArrayType::GetChildType(type)));
    case LogicalTypeId::MAP:
      return LogicalType::MAP(Exact(duckdb::MapType::KeyType(type)),
                              Exact(duckdb::MapType::ValueType(type)));
    case LogicalTypeId::STRUCT: {
      auto children = duckdb::StructType::GetChildTypes(type);
      for (auto& child : children) child.second = Exact(child.second);
      return LogicalType::STRUCT(children);
    }
    case LogicalTypeId::SQLNULL: return LogicalType::INTEGER;
    case LogicalTypeId::HUGEINT:
    case LogicalTypeId::UHUGEINT:
    case LogicalTypeId::INTERVAL:
    case LogicalTypeId::TIME_TZ:
    case LogicalTypeId::BIT:
    case LogicalTypeId::BIGNUM:
    case LogicalTypeId::ENUM: return LogicalType::VARCHAR;
    default: return type;
  }
}

bool Fits(duckdb::Vector& vector, idx_t count) {
  vector.Flatten(count);
  auto* values = duckdb::FlatVector::GetData<duckdb::hugeint_t>(vector);
  auto& validity = duckdb::FlatVector::Validity(vector);
  auto end = duckdb::Hugeint::POWERS_OF_TEN[38];
  for (idx_t i = 0; i < count; i++) {
    if (validity.RowIsValid(i) && (values[i] >= end || values[i] <= -end)) return false;
  }
  return true;
}

// Once, since the rows are there once.
class FittedCursor : public RowCursor {
 public:
  FittedCursor(std::shared_ptr<FittedRows> rows, std::vector<size_t> columns)
      : rows_(std::move(rows)), columns_(std::move(columns)) {}
  void Next(duckdb::DataChunk& out) override {
    auto* chunk = rows_->Next();
    if (!chunk) return;
    for (size_t i = 0; i < columns_.size(); i++) {
      out.data[i].Reference(chunk->data[columns_[i]]);
    }
    out.SetCardinality(chunk->size());
  }

 private:
  std::shared_ptr<FittedRows> rows_;
  std::vector<size_t> columns_;
};

class FittedSource : public RowSource {
 public:
  explicit FittedSource(std::shared_ptr<FittedRows> rows)
      : rows_(std::move(rows)), types_(rows_->types()) {
    std::set<std::string> taken;
    for (auto& name : rows_->names()) {
      std::string unique = name;
      for (int i = 1; !taken.insert(Lower(unique)).second; i++) {
        unique = name + "_" + std::to_string(i);
      }
      names_.push_back(unique);
    }
  }
  const std::vector<std::string>& Names() const override { return names_; }
  const std::vector<LogicalType>& Types() const override { return types_; }
  uint64_t EstimatedRows() const override { return 1000; }
  std::unique_ptr<RowCursor> Scan(std::vector<size_t> columns) override {
    return std::make_unique<FittedCursor>(rows_, std::move(columns));
  }

 private:
  std::shared_ptr<FittedRows> rows_;
  std::vector<std::string> names_;
  std::vector<LogicalType> types_;
};

}  // namespace

LogicalType FittedType(const LogicalType& type, bool fits) {
  if (type.id() == LogicalTypeId::HUGEINT && fits) return LogicalType::DECIMAL(38, 0);
  return Exact(UnionsAsStructs(type));
}

FittedRows::FittedRows(duckdb::ClientContext& context, Ask ask, uint64_t held_bytes)
    : context_(context), ask_(std::move(ask)), result_(ask_()) {
  for (auto& name : result_->names) names_.push_back(name);
  fits_.assign(result_->types.size(), true);
  bool unsure = std::any_of(result_->types.begin(), result_->types.end(),
                            [](auto& type) { return type.id() == LogicalTypeId::HUGEINT; });
  if (unsure) Look(held_bytes);
  for (size_t i = 0; i < result_->types.size(); i++) {
    types_.push_back(FittedType(result_->types[i], fits_[i]));
  }
}

FittedRows::~FittedRows() = default;

// Goes through the rows to see what fits.
void FittedRows::Look(uint64_t held_bytes) {
  uint64_t bytes = 0;
  bool hold = true;
  while (auto chunk = Fetch()) {
    NoteValues(*chunk);
    bytes += chunk->GetAllocationSize();
    if (bytes > held_bytes) {
      hold = false;
      held_.clear();
    }
    if (hold) held_.push_back(std::move(chunk));
  }
  if (hold) return;
  result_ = ask_();
  ended_ = false;
}

void FittedRows::NoteValues(duckdb::DataChunk& chunk) {
  for (idx_t i = 0; i < chunk.ColumnCount(); i++) {
    if (chunk.data[i].GetType().id() != LogicalTypeId::HUGEINT) continue;
    if (fits_[i] && !Fits(chunk.data[i], chunk.size())) fits_[i] = false;
  }
}

std::unique_ptr<duckdb::DataChunk> FittedRows::Fetch() {
  if (ended_) return nullptr;
  auto chunk = result_->Fetch();
  if (result_->HasError()) result_->ThrowError();
  ended_ = !chunk || chunk->size() == 0;
  return ended_ ? nullptr : std::move(chunk);
}

duckdb::DataChunk* FittedRows::Next() {
  if (!held_.empty()) {
    chunk_ = std::move(held_.front());
    held_.pop_front();
  } else {
    chunk_ = Fetch();
  }
  if (!chunk_) return nullptr;
  fitted_ = std::make_unique<duckdb::DataChunk>();
  fitted_->Initialize(duckdb::Allocator::DefaultAllocator(),
                      duckdb::vector<LogicalType>(types_.begin(), types_.end()));
  for (size_t i = 0; i < types_.size(); i++) {
    auto& from = chunk_->data[i];
    auto& to = fitted_->data[i];
    duckdb::Vector without_unions(UnionsAsStructs(from.GetType()), chunk_->size());
    RelabelVector(from, without_unions, chunk_->size());
    if (without_unions.GetType() == types_[i]) {
      to.Reference(without_unions);
    } else {
      duckdb::VectorOperations::Cast(context_, without_unions, to, chunk_->size());
    }
  }
  fitted_->SetCardinality(chunk_->size());
  return fitted_.get();
}

std::shared_ptr<RowSource> MakeFittedSource(std::shared_ptr<FittedRows> rows) {
  return std::make_shared<FittedSource>(std::move(rows));
}

}  // namespace weir
