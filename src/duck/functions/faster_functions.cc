#include "duck/functions/faster_functions.h"

#include "duck/functions/shallow_documents.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "duck/functions/each_text.h"
#include "duck/functions/short_texts.h"
#include "duck/functions/simple_pattern.h"
#include "duck/functions/text_choices.h"
#include "duck/functions/text_lengths.h"
#include "duck/functions/time_steps.h"
#include "duckdb/common/types/hash.hpp"
#include "duckdb/common/types/vector_buffer.hpp"
#include "duckdb/execution/expression_executor_state.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace weir {
namespace {

using duckdb::string_t;

// The value of a constant; null when the expression is none.
const duckdb::Value* Constant(const duckdb::Expression& expression) {
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT) return nullptr;
  auto& value = expression.Cast<duckdb::BoundConstantExpression>().value;
  return value.IsNull() ? nullptr : &value;
}

// ---- split_part ---------------------------------------------------------------------------------

// The bytes from `at` on that are `separator`, as bits; at most 16.
uint32_t Separators(const char* at, size_t bytes, char separator) {
#ifdef __SSE2__
  char few[16] = {};
  if (bytes < 16) {
    std::memcpy(few, at, bytes);
    at = few;
  }
  __m128i equal = _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)),
                                 _mm_set1_epi8(separator));
  auto bits = static_cast<uint32_t>(_mm_movemask_epi8(equal));
  return bytes < 16 ? bits & ((1u << bytes) - 1) : bits;
#else
  uint32_t bits = 0;
  for (size_t i = 0; i < std::min<size_t>(bytes, 16); i++) bits |= (at[i] == separator) << i;
  return bits;
#endif
}

// Without data when there is no such part.  Parts are short: a call for each separator would cost
// more than the bytes between them.
std::string_view Part(std::string_view text, char separator, int64_t number) {
  const char* begin = number == 1 ? text.data() : nullptr;
  for (size_t done = 0; done < text.size(); done += 16) {
    const char* block = text.data() + done;
    for (auto bits = Separators(block, text.size() - done, separator); bits; bits &= bits - 1) {
      const char* found = block + std::countr_zero(bits);
      if (begin) return {begin, static_cast<size_t>(found - begin)};
      if (--number == 1) begin = found + 1;
    }
  }
  if (!begin) return {};
  return {begin, static_cast<size_t>(text.data() + text.size() - begin)};
}

duckdb::scalar_function_t SplitPart(char separator, int64_t number) {
  return [separator, number](duckdb::DataChunk& arguments, duckdb::ExpressionState&,
                             duckdb::Vector& result) {
    auto* parts = duckdb::FlatVector::GetDataUnsafe<string_t>(result);
    ForEachText(arguments.data[0], arguments.size(), result,
                [&](const string_t& text, duckdb::idx_t row) {
                  auto part = Part({text.GetData(), text.GetSize()}, separator, number);
                  if (part.data()) {
                    parts[row] = TextOf(part.data(), part.size());
                  } else {
                    SetRowNull(result, row);
                  }
                });
    duckdb::StringVector::AddHeapReference(result, arguments.data[0]);
  };
}

// ---- lower --------------------------------------------------------------------------------------

bool IsAscii(const char* text, size_t size) {
  unsigned char all = 0;
  for (size_t i = 0; i < size; i++) all |= static_cast<unsigned char>(text[i]);
  return all < 0x80;
}

// Eight bytes at a time: the high bit of a byte becomes whether it is a capital (after Mycroft's
// test for bytes in a range).
uint64_t LowerWord(uint64_t bytes) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  uint64_t above_z = bytes + kOnes * (0x7f - 'Z');
  uint64_t from_a = bytes + kOnes * (0x80 - 'A');
  return bytes | ((from_a ^ above_z) & kOnes * 0x80) >> 2;
}

void LowerAscii(const char* text, size_t size, char* to) {
  for (; size >= 8; size -= 8, text += 8, to += 8) {
    uint64_t bytes;
    std::memcpy(&bytes, text, 8);
    bytes = LowerWord(bytes);
    std::memcpy(to, &bytes, 8);
  }
  uint64_t bytes = 0;
  std::memcpy(&bytes, text, size);
  bytes = LowerWord(bytes);
  std::memcpy(to, &bytes, size);
}

// A short text, of which all 12 bytes are there, zeros behind its end; false when it is not ASCII.
bool LowerShort(const string_t& text, string_t& to) {
  uint64_t first, rest = 0;
  std::memcpy(&first, text.GetData(), 8);
  std::memcpy(&rest, text.GetData() + 8, 4);
  if ((first | rest) & 0x8080808080808080) return false;
  first = LowerWord(first);
  rest = LowerWord(rest);
  to = text;
  std::memcpy(to.GetDataWriteable(), &first, 8);
  std::memcpy(to.GetDataWriteable() + 8, &rest, 4);
  return true;
}

duckdb::scalar_function_t Lower(duckdb::scalar_function_t of_unicode) {
  return [of_unicode = std::move(of_unicode)](
             duckdb::DataChunk& arguments, duckdb::ExpressionState& state, duckdb::Vector& result) {
    auto* lowered = duckdb::FlatVector::GetDataUnsafe<string_t>(result);
    bool ascii = true;
    ForEachText(arguments.data[0], arguments.size(), result,
                [&](const string_t& text, duckdb::idx_t row) {
                  auto size = text.GetSize();
                  if (text.IsInlined()) {
                    ascii = ascii && LowerShort(text, lowered[row]);
                  } else if (!ascii || !IsAscii(text.GetData(), size)) {
                    ascii = false;
                  } else {
                    lowered[row] = duckdb::StringVector::EmptyString(result, size);
                    LowerAscii(text.GetData(), size, lowered[row].GetDataWriteable());
                    lowered[row].Finalize();
                  }
                });
    if (!ascii) of_unicode(arguments, state, result);
  };
}

// ---- strftime -----------------------------------------------------------------------------------

// Whether times of one minute have one text.
bool IsByMinute(const std::string& format) {
  for (auto at = format.find('%'); at != format.npos; at = format.find('%', at + 2)) {
    if (at + 1 == format.size() || !std::strchr("YmdHMyBbjaAe%", format[at + 1])) return false;
  }
  return true;
}

class ByMinute {
 public:
  explicit ByMinute(duckdb::scalar_function_t function) : function_(std::move(function)) {}

  void Run(duckdb::DataChunk& arguments, duckdb::ExpressionState& state, duckdb::Vector& result) {
    auto rows = arguments.size();
    duckdb::UnifiedVectorFormat format;
    arguments.data[0].ToUnifiedFormat(rows, format);
    if (arguments.data[0].GetVectorType() == duckdb::VectorType::CONSTANT_VECTOR ||
        !format.validity.AllValid() || rows < kFew * 4) {
      return function_(arguments, state, result);
    }
    auto* times = duckdb::UnifiedVectorFormat::GetDataUnsafe<int64_t>(format);
    // The first row of each run of rows of one minute.
    duckdb::SelectionVector firsts(kFew);
    size_t runs = 0;
    int64_t minute = INT64_MIN;
    for (duckdb::idx_t row = 0; row < rows; row++) {
      int64_t own = MinuteOf(times[format.sel->get_index(row)]);
      if (own == minute) continue;
      if (runs == kFew) return function_(arguments, state, result);
      firsts.set_index(runs++, row);
      minute = own;
    }
    duckdb::DataChunk some;
    some.InitializeEmpty(arguments.GetTypes());
    some.Reference(arguments);
    some.Slice(firsts, runs);
    duckdb::Vector texts(duckdb::LogicalType::VARCHAR, runs);
    function_(some, state, texts);
    texts.Flatten(runs);
    auto* text = duckdb::FlatVector::GetDataUnsafe<string_t>(texts);
    auto* out = duckdb::FlatVector::GetDataUnsafe<string_t>(result);
    result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
    for (size_t run = 0; run < runs; run++) {
      auto end = run + 1 < runs ? firsts.get_index(run + 1) : rows;
      bool is_null = duckdb::FlatVector::IsNull(texts, run);
      for (auto row = firsts.get_index(run); row < end; row++) {
        out[row] = text[run];
        if (is_null) duckdb::FlatVector::SetNull(result, row, true);
      }
    }
    duckdb::StringVector::AddHeapReference(result, texts);
  }

 private:
  static constexpr size_t kFew = 32;
  static int64_t MinuteOf(int64_t micros) {
    constexpr int64_t kMinute = 60'000'000;
    return micros / kMinute - (micros % kMinute < 0);
  }
  duckdb::scalar_function_t function_;
};

// ---- regexp_extract of a simple pattern ---------------------------------------------------------

duckdb::scalar_function_t ExtractSimple(SimplePattern pattern, size_t group) {
  return [pattern = std::move(pattern), group](duckdb::DataChunk& arguments,
                                               duckdb::ExpressionState&, duckdb::Vector& result) {
    auto* found = duckdb::FlatVector::GetDataUnsafe<string_t>(result);
    ForEachText(arguments.data[0], arguments.size(), result,
                [&](const string_t& text, duckdb::idx_t row) {
                  auto part = pattern.Extract({text.GetData(), text.GetSize()}, group);
                  found[row] = TextOf(part.data(), part.size());
                });
    duckdb::StringVector::AddHeapReference(result, arguments.data[0]);
  };
}

// ---- remembered results -------------------------------------------------------------------------

class Memory {
 public:
  explicit Memory(duckdb::scalar_function_t function) : function_(std::move(function)) { Clear(); }

  void Run(duckdb::DataChunk& arguments, duckdb::ExpressionState& state, duckdb::Vector& result) {
    if (gave_up_) return function_(arguments, state, result);
    auto rows = arguments.size();
    auto* values = duckdb::FlatVector::GetDataUnsafe<string_t>(result);
    missing_.clear();
    ForEachText(arguments.data[0], rows, result, [&](const string_t& text, duckdb::idx_t row) {
      auto& entry = Find(text);
      if (!entry.known) {
        missing_.push_back(row);
      } else if (entry.is_null) {
        SetRowNull(result, row);
      } else {
        values[row] = entry.value;
      }
    });
    asked_ += rows;
    if (!missing_.empty()) Compute(arguments, state, result);
    // Whoever has the result has the texts in it, even when they are forgotten here.
    duckdb::StringVector::AddBuffer(result, texts_);
    if (asked_ >= kEnoughToTell) {
      gave_up_ = computed_ * 2 > asked_;
      asked_ = computed_ = 0;
    }
    if (entries_.size() * 2 > kCells || text_bytes_ > kMostBytes) Clear();
  }

 private:
  static constexpr size_t kCells = 1 << 16;
  static constexpr size_t kMostBytes = 16 << 20;
  static constexpr uint64_t kEnoughToTell = 100'000;

  struct Entry {
    string_t text, value;
    uint64_t hash = 0;
    bool known = false, is_null = false;
  };

  void Clear() {
    cells_.assign(kCells, 0);
    entries_.clear();
    texts_ = duckdb::make_buffer<duckdb::VectorStringBuffer>();
    text_bytes_ = 0;
  }

  string_t Keep(const string_t& text) {
    if (text.IsInlined()) return text;
    text_bytes_ += text.GetSize();
    return texts_->AddBlob(text);
  }

  Entry& Find(const string_t& text) {
    uint64_t hash = duckdb::Hash(text);
    for (size_t at = hash % kCells;; at = (at + 1) % kCells) {
      if (cells_[at] == 0) {
        entries_.push_back({Keep(text), string_t(), hash});
        cells_[at] = static_cast<uint32_t>(entries_.size());
        return entries_.back();
      }
      Entry& entry = entries_[cells_[at] - 1];
      if (entry.hash == hash && entry.text == text) return entry;
    }
  }

  void Compute(duckdb::DataChunk& arguments, duckdb::ExpressionState& state,
               duckdb::Vector& result) {
    duckdb::SelectionVector chosen(missing_.size());
    for (size_t i = 0; i < missing_.size(); i++) chosen.set_index(i, missing_[i]);
    duckdb::DataChunk some;
    some.InitializeEmpty(arguments.GetTypes());
    some.Reference(arguments);
    some.Slice(chosen, missing_.size());
    duckdb::Vector computed(result.GetType(), missing_.size());
    function_(some, state, computed);
    duckdb::UnifiedVectorFormat texts, format;
    some.data[0].ToUnifiedFormat(missing_.size(), texts);
    computed.ToUnifiedFormat(missing_.size(), format);
    auto* keys = duckdb::UnifiedVectorFormat::GetData<string_t>(texts);
    auto* found = duckdb::UnifiedVectorFormat::GetDataUnsafe<string_t>(format);
    auto* values = duckdb::FlatVector::GetDataUnsafe<string_t>(result);
    for (size_t i = 0; i < missing_.size(); i++) {
      auto index = format.sel->get_index(i);
      Entry& entry = Find(keys[texts.sel->get_index(i)]);
      if (!entry.known) {
        entry.known = true;
        entry.is_null = !format.validity.RowIsValid(index);
        if (!entry.is_null) entry.value = Keep(found[index]);
        computed_++;
      }
      if (entry.is_null) {
        SetRowNull(result, missing_[i]);
      } else {
        values[missing_[i]] = entry.value;
      }
    }
  }

  duckdb::scalar_function_t function_;
  std::vector<uint32_t> cells_;  // open addressing: place in entries_ + 1, 0 where there is none
  std::vector<Entry> entries_;
  duckdb::buffer_ptr<duckdb::VectorStringBuffer> texts_;
  size_t text_bytes_ = 0;
  uint64_t asked_ = 0, computed_ = 0;
  bool gave_up_ = false;
  std::vector<duckdb::idx_t> missing_;
};

// ---- where they go ------------------------------------------------------------------------------

duckdb::BoundFunctionExpression* AsCall(duckdb::Expression& expression) {
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_FUNCTION) return nullptr;
  return &expression.Cast<duckdb::BoundFunctionExpression>();
}

bool OnlyFirstVaries(const duckdb::BoundFunctionExpression& call) {
  for (size_t i = 1; i < call.children.size(); i++) {
    if (!Constant(*call.children[i])) return false;
  }
  return !call.children.empty();
}

bool IsText(const duckdb::Expression& expression) {
  return expression.return_type.id() == duckdb::LogicalTypeId::VARCHAR;
}

// string_split(text, 'c')[n], or null.
duckdb::unique_ptr<duckdb::Expression> AsSplitPart(duckdb::BoundFunctionExpression& call) {
  if (call.function.name != "array_extract" && call.function.name != "list_extract") return nullptr;
  if (call.children.size() != 2 || !IsText(call) || !OnlyFirstVaries(call)) return nullptr;
  auto* split = AsCall(*call.children[0]);
  if (!split || split->function.name != "string_split" || split->children.size() != 2 ||
      !OnlyFirstVaries(*split) || !IsText(*split->children[0])) {
    return nullptr;
  }
  auto& separator = duckdb::StringValue::Get(*Constant(*split->children[1]));
  auto number = Constant(*call.children[1])->GetValue<int64_t>();
  if (separator.size() != 1 || number < 1) return nullptr;
  duckdb::ScalarFunction function("split_part", {duckdb::LogicalType::VARCHAR},
                                  duckdb::LogicalType::VARCHAR, SplitPart(separator[0], number));
  duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> children;
  children.push_back(std::move(split->children[0]));
  return duckdb::make_uniq<duckdb::BoundFunctionExpression>(
      duckdb::LogicalType::VARCHAR, std::move(function), std::move(children), nullptr);
}

// regexp_extract(text, 'pattern'[, group]) whose pattern needs no automaton.
std::optional<SimplePattern> AsSimplePattern(const duckdb::BoundFunctionExpression& call) {
  if (call.function.name != "regexp_extract" || !IsText(call) || !IsText(*call.children[0]) ||
      call.children.size() < 2 || call.children.size() > 3 || !OnlyFirstVaries(call) ||
      !IsText(*call.children[1])) {
    return std::nullopt;
  }
  if (call.children.size() == 3 && !call.children[2]->return_type.IsIntegral()) return std::nullopt;
  return SimplePattern::Parse(duckdb::StringValue::Get(*Constant(*call.children[1])));
}

bool IsStrftimeByMinute(const duckdb::BoundFunctionExpression& call) {
  return call.function.name == "strftime" && call.children.size() == 2 && OnlyFirstVaries(call) &&
         call.children[0]->return_type.id() == duckdb::LogicalTypeId::TIMESTAMP &&
         IsByMinute(duckdb::StringValue::Get(*Constant(*call.children[1])));
}

void Remember(duckdb::BoundFunctionExpression& call) {
  auto memory = std::make_shared<Memory>(call.function.GetFunctionCallback());
  call.function.SetFunctionCallback(
      [memory](duckdb::DataChunk& arguments, duckdb::ExpressionState& state,
               duckdb::Vector& result) { memory->Run(arguments, state, result); });
}

}  // namespace

void UseFasterFunctions(duckdb::unique_ptr<duckdb::Expression>& expression) {
  UseTextChoices(expression);
  GuardDeepDocuments(*expression);
  if (auto* call = AsCall(*expression)) {
    auto& name = call->function.name;
    if (UseTimeSteps(*call) || UseTextLengths(*call)) {
      // done
    } else if (auto part = AsSplitPart(*call)) {
      expression = std::move(part);
    } else if (name == "lower" && IsText(*call) && call->children.size() == 1) {
      call->function.SetFunctionCallback(Lower(call->function.GetFunctionCallback()));
    } else if (IsStrftimeByMinute(*call)) {
      auto by_minute = std::make_shared<ByMinute>(call->function.GetFunctionCallback());
      call->function.SetFunctionCallback(
          [by_minute](duckdb::DataChunk& arguments, duckdb::ExpressionState& state,
                      duckdb::Vector& result) { by_minute->Run(arguments, state, result); });
    } else if (auto pattern = AsSimplePattern(*call)) {
      auto group =
          call->children.size() == 3 ? Constant(*call->children[2])->GetValue<int64_t>() : 0;
      if (group >= 0 && static_cast<size_t>(group) < pattern->groups()) {
        call->function.SetFunctionCallback(
            ExtractSimple(std::move(*pattern), static_cast<size_t>(group)));
        call->function.SetErrorMode(duckdb::FunctionErrors::CANNOT_ERROR);
      }
    } else if ((name == "regexp_extract" || name == "regexp_replace") && IsText(*call) &&
               OnlyFirstVaries(*call) && IsText(*call->children[0])) {
      Remember(*call);
    }
  }
  duckdb::ExpressionIterator::EnumerateChildren(
      *expression,
      [](duckdb::unique_ptr<duckdb::Expression>& child) { UseFasterFunctions(child); });
}

}  // namespace weir
