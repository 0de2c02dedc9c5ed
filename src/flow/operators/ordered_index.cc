#include "flow/operators/ordered_index.h"

#include <algorithm>

#include "base/error.h"

namespace weir {
namespace {

// Big-endian bytes, as many as there are of eight.
uint64_t Word(const char* bytes, size_t count) {
  uint64_t word = 0;
  for (size_t i = 0; i < 8; i++) {
    word = word << 8 | (i < count ? static_cast<uint8_t>(bytes[i]) : 0u);
  }
  return word;
}

}  // namespace

bool OrderedValues::CanBeOf(const duckdb::LogicalType& type) {
  switch (type.id()) {
    case duckdb::LogicalTypeId::BOOLEAN:
    case duckdb::LogicalTypeId::DATE:
    case duckdb::LogicalTypeId::TIME:
    case duckdb::LogicalTypeId::TIMESTAMP:
    case duckdb::LogicalTypeId::TIMESTAMP_SEC:
    case duckdb::LogicalTypeId::TIMESTAMP_MS:
    case duckdb::LogicalTypeId::TIMESTAMP_NS:
    case duckdb::LogicalTypeId::TIMESTAMP_TZ: return true;
    default: return type.IsNumeric();
  }
}

OrderedValues::OrderedValues(const duckdb::LogicalType& type, bool descending)
    : descending_(descending), codec_({type}, {{descending, false}}) {
  column_.InitializeEmpty({type});
}

namespace {

// Integers, and what is one inside, without a detour over bytes.
template <class Number>
void ReadNumbers(duckdb::Vector& column, duckdb::idx_t count, bool descending,
                 OrderedValue* values) {
  duckdb::UnifiedVectorFormat format;
  column.ToUnifiedFormat(count, format);
  auto* numbers = duckdb::UnifiedVectorFormat::GetDataUnsafe<Number>(format);
  for (duckdb::idx_t i = 0; i < count; i++) {
    auto number = static_cast<int64_t>(numbers[format.sel->get_index(i)]);
    uint64_t word = static_cast<uint64_t>(number) ^ (uint64_t{1} << 63);
    values[i] = {descending ? ~word : word, 0};
  }
}

}  // namespace

void OrderedValues::Read(duckdb::Vector& column, duckdb::idx_t count, OrderedValue* values) {
  switch (column.GetType().InternalType()) {
    case duckdb::PhysicalType::INT16:
      return ReadNumbers<int16_t>(column, count, descending_, values);
    case duckdb::PhysicalType::INT32:
      return ReadNumbers<int32_t>(column, count, descending_, values);
    case duckdb::PhysicalType::INT64:
      return ReadNumbers<int64_t>(column, count, descending_, values);
    default: break;
  }
  column_.data[0].Reference(column);
  column_.SetCardinality(count);
  auto& keys = codec_.Encode(column_);
  for (duckdb::idx_t i = 0; i < count; i++) {
    // A byte that says whether it is NULL, then one to sixteen in order.
    auto bytes = keys[i].substr(1);
    values[i].high = Word(bytes.data(), bytes.size());
    values[i].low = bytes.size() > 8 ? Word(bytes.data() + 8, bytes.size() - 8) : 0;
  }
}

OrderedIndex::OrderedIndex(const SessionPtr& session, const OrderedKey& by, RowTypes types,
                           bool rows_go)
    : RowIndex("ordered index", std::move(types), !rows_go),
      null_is_value_(by.null_is_value),
      evaluator_(session, by.KeysThenValue()),
      reader_(TypeOf(by.value), by.descending),
      is_short_(duckdb::GetTypeIdSize(TypeOf(by.value).InternalType()) <= 8) {
  for (auto& key : by.keys) key_types_.push_back(TypeOf(key));
  if (!key_types_.empty()) {
    table_ = KeyTable::Make(key_types_);
    some_keys_.InitializeEmpty(DuckTypes(key_types_));
    keys_.InitializeEmpty(DuckTypes(key_types_));
  }
  counts_.resize(1);
}

void OrderedIndex::Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) {
  ResolveItems(rows, [&](duckdb::idx_t row, const ExpressionFailed& why) {
    Reject(inputs[0]->TextOf(rows, row), weights ? weights[row] : 1, why);
  });
  auto* refs = this->rows().refs();
  for (duckdb::idx_t i = 0; i < rows.size(); i++) {
    if (slots_[i] != kNoSlot && this->rows().is_new(i)) Link(ItemAt(i, refs[i]));
  }
  CountOut(rows.size());
}

template <class OnFailure>
void OrderedIndex::ResolveItems(duckdb::DataChunk& rows, OnFailure on_failure) {
  auto count = rows.size();
  auto& given = evaluator_.Run(rows, on_failure);
  without_.assign(count, false);
  keys_.SetCardinality(count);
  for (size_t c = 0; c < key_types_.size(); c++) keys_.data[c].Reference(given.data[c]);
  FindWithoutKey(keys_, count, null_is_value_, without_);
  auto& value = given.data[key_types_.size()];
  reader_.Read(value, count, values_);
  duckdb::UnifiedVectorFormat format;
  value.ToUnifiedFormat(count, format);
  for (duckdb::idx_t i = 0; i < count; i++) {
    bool failed = evaluator_.any_failed() && evaluator_.failed()[i];
    if (failed || !format.validity.RowIsValid(format.sel->get_index(i))) without_[i] = true;
  }
  if (!table_) {
    for (duckdb::idx_t i = 0; i < count; i++) slots_[i] = without_[i] ? kNoSlot : 0;
    return;
  }
  SlotsOf(keys_, count, without_, some_keys_, slots_,
          [&](duckdb::DataChunk& keys, uint32_t* slots) { table_->Resolve(keys, slots); });
  if (counts_.size() < table_->Slots()) counts_.resize(table_->Slots());
}

void OrderedIndex::Link(const Item& item) {
  is_short_ ? short_items_.Add(item) : items_.Add(item);
  counts_[item.slot]++;
}

void OrderedIndex::Unlink(const Item& item) {
  is_short_ ? short_items_.Erase(item) : items_.Erase(item);
  CHECK(counts_[item.slot] > 0);
  if (--counts_[item.slot] == 0 && table_) table_->Erase(item.slot);
}

void OrderedIndex::IsGone(duckdb::idx_t row) {
  if (slots_[row] != kNoSlot) gone_.push_back(ItemAt(row, rows().refs()[row]));
}

void OrderedIndex::Forget() {
  std::sort(gone_.begin(), gone_.end());
  gone_.erase(std::unique(gone_.begin(), gone_.end()), gone_.end());
  for (auto& item : gone_) {
    if (rows().WeightOf(item.row) == 0) Unlink(item);
  }
  gone_.clear();
}

void OrderedIndex::PutIn(duckdb::DataChunk& rows, const RowRef* refs) {
  ResolveItems(rows, [](duckdb::idx_t, const ExpressionFailed&) {});
  for (duckdb::idx_t i = 0; i < rows.size(); i++) {
    if (slots_[i] != kNoSlot) Link(ItemAt(i, refs[i]));
  }
}

void OrderedIndex::TakeOut(duckdb::DataChunk& rows, const RowRef* refs) {
  ResolveItems(rows, [](duckdb::idx_t, const ExpressionFailed&) {});
  for (duckdb::idx_t i = 0; i < rows.size(); i++) {
    if (slots_[i] != kNoSlot) Unlink(ItemAt(i, refs[i]));
  }
}

void OrderedIndex::Find(duckdb::DataChunk& keys, uint32_t* slots) const {
  if (table_) {
    table_->Find(keys, slots);
  } else {
    std::fill_n(slots, keys.size(), 0);
  }
}

void OrderedIndex::Clear() {
  short_items_.Clear();
  items_.Clear();
  gone_.clear();
  if (table_) table_ = KeyTable::Make(key_types_);
  counts_.assign(1, 0);
}

void OrderedIndex::CheckInvariants() const {
  Operator::CheckInvariants();
  if (table_) table_->CheckInvariants();
  short_items_.CheckInvariants();
  items_.CheckInvariants();
  CHECK((is_short_ ? items_.size() : short_items_.size()) == 0);
  std::vector<uint32_t> counts(counts_.size(), 0);
  auto count = [&](const Item& item) {
    counts.at(item.slot)++;
    return true;
  };
  Item first{{}, 0, kNoRow};
  is_short_ ? short_items_.From(first, count) : items_.From(first, count);
  CHECK(counts == counts_);
  auto empty = static_cast<size_t>(std::count(counts.begin(), counts.end(), 0u));
  CHECK(!table_ || table_->KeysThere() == counts.size() - empty);
}

size_t OrderedIndex::StateBytes() const {
  return (table_ ? table_->Bytes() : 0) + short_items_.Bytes() + items_.Bytes() +
         counts_.capacity() * sizeof(uint32_t) + gone_.capacity() * sizeof(Item);
}

}  // namespace weir
