#include "duck/functions/decimal_casts.h"

#include <string>
#include <string_view>

#include "duck/functions/decimal_text.h"
#include "duckdb/common/operator/cast_operators.hpp"
#include "duckdb/common/string_util.hpp"
#include "duckdb/common/types/decimal.hpp"
#include "duckdb/common/vector_operations/unary_executor.hpp"
#include "duckdb/function/cast/cast_function_set.hpp"
#include "duckdb/function/cast/default_casts.hpp"
#include "duckdb/main/config.hpp"
#include "duckdb/main/database.hpp"

namespace weir {
namespace {

using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::string_t;

// Without the underscores, when each of them stands between two digits; else as it is, which is no
// number then.
std::string_view WithoutUnderscores(std::string_view text, std::string& memory) {
  memory.clear();
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] != '_') {
      memory += text[i];
      continue;
    }
    bool between = i > 0 && i + 1 < text.size() &&
                   duckdb::StringUtil::CharacterIsDigit(text[i - 1]) &&
                   duckdb::StringUtil::CharacterIsDigit(text[i + 1]);
    if (!between) return text;
  }
  return memory;
}

bool ReadDecimal(std::string_view text, uint8_t width, uint8_t scale, std::string& memory,
                 duckdb::hugeint_t& value) {
  while (!text.empty() && duckdb::StringUtil::CharacterIsSpace(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && duckdb::StringUtil::CharacterIsSpace(text.back())) text.remove_suffix(1);
  if (text.find('_') != text.npos) text = WithoutUnderscores(text, memory);
  return ReadDecimalText(text, width, scale, value) == DecimalText::kGood;
}

template <class Stored>
bool CastToDecimal(duckdb::Vector& source, duckdb::Vector& result, idx_t count,
                   duckdb::CastParameters& parameters) {
  auto width = duckdb::DecimalType::GetWidth(result.GetType());
  auto scale = duckdb::DecimalType::GetScale(result.GetType());
  bool all = true;
  std::string memory;
  duckdb::UnaryExecutor::ExecuteWithNulls<string_t, Stored>(
      source, result, count,
      [&](const string_t& text, duckdb::ValidityMask& valid, idx_t row) -> Stored {
        duckdb::hugeint_t value;
        if (ReadDecimal({text.GetData(), text.GetSize()}, width, scale, memory, value)) {
          if constexpr (std::is_same_v<Stored, duckdb::hugeint_t>) {
            return value;
          } else {
            return static_cast<Stored>(static_cast<int64_t>(value.lower));
          }
        }
        duckdb::HandleCastError::AssignError("Could not convert string \"" + text.GetString() +
                                                 "\" to DECIMAL(" + std::to_string(width) + "," +
                                                 std::to_string(scale) + ")",
                                             parameters);
        all = false;
        valid.SetInvalid(row);
        return Stored();
      });
  return all;
}

duckdb::BoundCastInfo BindDecimalCast(duckdb::BindCastInput&, const LogicalType&,
                                      const LogicalType& target) {
  switch (target.InternalType()) {
    case duckdb::PhysicalType::INT16: return CastToDecimal<int16_t>;
    case duckdb::PhysicalType::INT32: return CastToDecimal<int32_t>;
    case duckdb::PhysicalType::INT64: return CastToDecimal<int64_t>;
    default: return CastToDecimal<duckdb::hugeint_t>;
  }
}

}  // namespace

void InstallDecimalCasts(duckdb::DuckDB& database) {
  auto& casts = duckdb::DBConfig::GetConfig(*database.instance).GetCastFunctions();
  LogicalType text(LogicalTypeId::VARCHAR), decimal(LogicalTypeId::DECIMAL);
  auto cost = duckdb::CastFunctionSet::ImplicitCastCost(*database.instance, text, decimal);
  casts.RegisterCastFunction(text, decimal, BindDecimalCast, cost);
}

}  // namespace weir
