#include "duck/functions/text_lengths.h"

#include <cstring>
#include <string>

#include "duck/functions/each_text.h"
#include "duck/functions/find_byte.h"
#include "duckdb/planner/expression/bound_constant_expression.hpp"

namespace weir {
namespace {

using Text = std::string_view;

constexpr uint64_t kOnes = 0x0101010101010101;

// How many bytes are so; `so` says it of eight, by the lowest bit of each.
template <class So>
int64_t Count(Text text, So so) {
  size_t count = 0, at = 0;
  uint64_t bytes;
  for (; at + 8 <= text.size(); at += 8) {
    std::memcpy(&bytes, text.data() + at, 8);
    count += (so(bytes) * kOnes) >> 56;
  }
  if (size_t left = text.size() - at; left > 0) {
    bytes = 0;
    std::memcpy(&bytes, text.data() + at, left);
    uint64_t mask = (uint64_t{1} << left * 8) - 1;
    count += ((so(bytes) & mask) * kOnes) >> 56;
  }
  return static_cast<int64_t>(count);
}

// All bytes but 10xxxxxx begin a character.
int64_t Characters(Text text) {
  return Count(text, [](uint64_t bytes) { return (~bytes >> 7 | bytes >> 6) & kOnes; });
}

int64_t Occurrences(Text text, char wanted) {
  return Count(text, [all = kOnes * static_cast<uint8_t>(wanted)](uint64_t bytes) {
    constexpr uint64_t kLow = kOnes * 0x7f;
    uint64_t differ = bytes ^ all;
    return ~(((differ & kLow) + kLow) | differ) >> 7 & kOnes;
  });
}

// How often `wanted` is in a text, from the left, without overlaps.
int64_t Occurrences(Text text, Text wanted) {
  if (wanted.size() == 1) return Occurrences(text, wanted[0]);
  int64_t found = 0;
  for (size_t at = 0; at + wanted.size() <= text.size();) {
    at = FindByte(text, at, wanted[0]);
    if (at + wanted.size() > text.size()) break;
    bool is_one = AreEqual(text.data() + at, wanted.data(), wanted.size());
    found += is_one;
    at += is_one ? wanted.size() : 1;
  }
  return found;
}

bool IsText(const duckdb::Expression& expression) {
  return expression.return_type.id() == duckdb::LogicalTypeId::VARCHAR;
}

const std::string* TextConstant(const duckdb::Expression& expression) {
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT) return nullptr;
  auto& value = expression.Cast<duckdb::BoundConstantExpression>().value;
  return value.IsNull() || !IsText(expression) ? nullptr : &duckdb::StringValue::Get(value);
}

template <class Of>
duckdb::scalar_function_t OfEachText(Of of) {
  return [of](duckdb::DataChunk& arguments, duckdb::ExpressionState&, duckdb::Vector& result) {
    auto* numbers = duckdb::FlatVector::GetDataUnsafe<int64_t>(result);
    ForEachText(arguments.data[0], arguments.size(), result,
                [&](const duckdb::string_t& text, duckdb::idx_t row) {
                  numbers[row] = of(Text(text.GetData(), text.GetSize()));
                });
  };
}

}  // namespace

bool UseTextLengths(duckdb::BoundFunctionExpression& call) {
  auto& name = call.function.name;
  bool is_length =
      name == "length" || name == "len" || name == "char_length" || name == "character_length";
  if (!is_length || call.children.size() != 1 || !IsText(*call.children[0]) ||
      call.return_type.id() != duckdb::LogicalTypeId::BIGINT) {
    return false;
  }
  call.function.SetFunctionCallback(OfEachText(Characters));
  auto& text = *call.children[0];
  if (text.GetExpressionClass() != duckdb::ExpressionClass::BOUND_FUNCTION) return true;
  auto& replaced = text.Cast<duckdb::BoundFunctionExpression>();
  if (replaced.function.name != "replace" || replaced.children.size() != 3) return true;
  auto* from = TextConstant(*replaced.children[1]);
  auto* to = TextConstant(*replaced.children[2]);
  if (!from || !to || from->empty() || !IsText(*replaced.children[0])) return true;
  int64_t longer = Characters(*to) - Characters(*from);
  call.function.SetFunctionCallback(OfEachText([wanted = *from, longer](Text whole) {
    return Characters(whole) + longer * Occurrences(whole, wanted);
  }));
  auto whole = std::move(replaced.children[0]);
  call.children[0] = std::move(whole);
  return true;
}

}  // namespace weir
