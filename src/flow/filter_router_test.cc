// What a router hands to filters is what they would have taken of everything.
#include "flow/filter_router.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace weir {
namespace {

using duckdb::LogicalType;
using duckdb::Value;

// A row as text, and its weight.
using Rows = std::vector<std::pair<std::string, int64_t>>;

class Feed : public Operator {
 public:
  explicit Feed(RowTypes types) : Operator("feed", std::move(types), false) {}
  void Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) override {
    Emit(rows, weights);
  }
  static std::string Text(duckdb::DataChunk& rows, duckdb::idx_t row) {
    return ValuesOf(rows, row);
  }
};

// Takes what it gets; says that it wants a constant only.
class Taker : public Operator {
 public:
  Taker(RowTypes types, std::optional<ColumnEquals> only)
      : Operator("taker", std::move(types), false), only_(std::move(only)) {}
  const ColumnEquals* passes_only() const override { return only_ ? &*only_ : nullptr; }
  void Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) override {
    for (duckdb::idx_t row = 0; row < rows.size(); row++) {
      taken.emplace_back(Feed::Text(rows, row), weights ? weights[row] : 1);
    }
    calls++;
  }
  bool Wants(duckdb::DataChunk& rows, duckdb::idx_t row) const {
    return !only_ || Value::NotDistinctFrom(rows.GetValue(only_->column, row), only_->constant);
  }
  Rows taken;
  size_t calls = 0;

 private:
  std::optional<ColumnEquals> only_;
};

class RouterTest : public testing::Test {
 protected:
  RouterTest() {
    Add(std::nullopt);
    for (int i = 0; i < 40; i++) {
      Add(ColumnEquals{0, Value("device " + std::to_string(i))});
      if (i % 2) Add(ColumnEquals{1, Value::INTEGER(i)});
      if (i % 5 == 0) Add(ColumnEquals{0, Value("device " + std::to_string(i))});  // one more
    }
  }

  void Add(std::optional<ColumnEquals> only) {
    takers_.push_back(std::make_unique<Taker>(types_, std::move(only)));
    feed_.outputs.push_back({takers_.back().get(), 0});
    expected_.emplace_back();
  }

  // Texts beside and in their string_t, NULLs, nested values; few of them make most rows.
  Value Draw(size_t column) {
    auto number = static_cast<int>(random_() % 4 ? random_() % 2 : random_() % 60);
    if (random_() % 16 == 0) return Value(types_[column]);
    switch (column) {
      case 0: return Value("device " + std::to_string(number));
      case 1: return Value::INTEGER(number);
      case 2: return Value::DOUBLE(number * 0.5);
      case 3: return Value(std::string(static_cast<size_t>(number), 'x'));
      case 4: return Value::LIST(LogicalType::INTEGER, {Value::INTEGER(number), Value()});
      default: return Value::BOOLEAN(number % 2);
    }
  }

  void Push(size_t count, bool weighted) {
    duckdb::DataChunk rows;
    rows.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types_));
    for (size_t row = 0; row < count; row++) {
      for (size_t column = 0; column < types_.size(); column++) {
        rows.SetValue(column, row, Draw(column));
      }
    }
    rows.SetCardinality(count);
    std::vector<int64_t> weights;
    for (size_t row = 0; row < count; row++) {
      weights.push_back(weighted ? static_cast<int64_t>(random_() % 3) - 1 : 1);
    }
    for (size_t i = 0; i < takers_.size(); i++) {
      for (size_t row = 0; row < count; row++) {
        if (!takers_[i]->Wants(rows, row)) continue;
        expected_[i].emplace_back(Feed::Text(rows, row), weights[row]);
      }
    }
    feed_.Receive(0, rows, weighted ? weights.data() : nullptr);
  }

  void Flush() {
    feed_.ReceiveFlush();
    for (size_t i = 0; i < takers_.size(); i++) {
      EXPECT_EQ(takers_[i]->failure(), "");
      EXPECT_EQ(takers_[i]->taken, expected_[i]) << i;
      takers_[i]->taken.clear();
      expected_[i].clear();
    }
    EXPECT_EQ(feed_.failure(), "");
  }

  RowTypes types_{LogicalType::VARCHAR,
                  LogicalType::INTEGER,
                  LogicalType::DOUBLE,
                  LogicalType::VARCHAR,
                  LogicalType::LIST(LogicalType::INTEGER),
                  LogicalType::BOOLEAN};
  Feed feed_{types_};
  std::vector<std::unique_ptr<Taker>> takers_;
  std::vector<Rows> expected_;
  std::mt19937 random_{5};
};

TEST_F(RouterTest, HandsEachFilterItsRowsInOrder) {
  Push(1, false);
  Flush();
  for (int i = 0; i < 3; i++) Push(STANDARD_VECTOR_SIZE, false);
  Flush();
  Push(100, false);
  Push(STANDARD_VECTOR_SIZE, true);
  Push(7, false);
  Flush();
  Push(500, false);
  Flush();
}

TEST_F(RouterTest, HandsAFilterAllItsRowsOfAStepAtOnce) {
  for (int i = 0; i < 5; i++) Push(100, false);
  Flush();
  for (size_t i = 1; i < takers_.size(); i++) EXPECT_LE(takers_[i]->calls, 1u);
}

TEST_F(RouterTest, HandsOnWithinAStepWhenThereAreTooManyRows) {
  for (int i = 0; i < 28; i++) Push(STANDARD_VECTOR_SIZE, i % 2);
  EXPECT_GT(takers_[1]->taken.size(), 0u);
  Flush();
}

TEST_F(RouterTest, KnowsFiltersThatCameLater) {
  Push(100, false);
  Flush();
  Add(ColumnEquals{0, Value("device 50")});
  feed_.OutputsChanged();
  Push(STANDARD_VECTOR_SIZE, false);
  Flush();
}

}  // namespace
}  // namespace weir
