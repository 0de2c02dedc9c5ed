#include "duck/errors.h"

#include <algorithm>
#include <charconv>
#include <new>

#include "base/memory_budget.h"
#include "duckdb/common/error_data.hpp"
#include "duckdb/common/exception.hpp"

namespace weir {
namespace {

// DuckDB starts its messages with the kind ("Binder Error: ") and sometimes appends the place as
// text ("\n\nLINE 1: ..."); we say both in our own way.
std::string Tidy(std::string message) {
  auto line = message.find("\n\nLINE ");
  if (line != std::string::npos) message.resize(line);
  while (!message.empty() && (message.back() == '\n' || message.back() == '.')) message.pop_back();
  if (!message.empty() && message.size() > 1 && std::isupper(message[0]) &&
      std::islower(message[1])) {
    message[0] = static_cast<char>(std::tolower(message[0]));
  }
  return message;
}

ErrorCode CodeOf(duckdb::ExceptionType type) {
  using duckdb::ExceptionType;
  switch (type) {
    case ExceptionType::PARSER:
    case ExceptionType::SYNTAX:
    case ExceptionType::BINDER:
    case ExceptionType::CATALOG:
    case ExceptionType::EXPRESSION:
    case ExceptionType::PARAMETER_NOT_RESOLVED:
    case ExceptionType::PARAMETER_NOT_ALLOWED: return ErrorCode::kInvalidSql;
    case ExceptionType::OUT_OF_MEMORY: return ErrorCode::kLimitExceeded;
    case ExceptionType::INTERRUPT: return ErrorCode::kTimeout;
    case ExceptionType::PERMISSION: return ErrorCode::kForbidden;
    case ExceptionType::INTERNAL:
    case ExceptionType::FATAL: return ErrorCode::kInternal;
    default: return ErrorCode::kQueryFailed;
  }
}

// DuckDB goes on with settings that a query cannot change here.
Error OutOfMemory(const std::string& message) {
  return Error(ErrorCode::kLimitExceeded, Tidy(message.substr(0, message.find('\n'))),
               "The query needs more memory than one query may have. Ask for less at a time (fewer "
               "groups, a shorter span), or keep the answer fresh as a materialized view.");
}

// Of a character of several bytes, one after the first.
bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace

std::pair<size_t, size_t> LineAndColumn(std::string_view text, size_t position) {
  position = std::min(position, text.size());
  size_t line = 1, start = 0;
  for (size_t i = 0; i < position; i++) {
    if (text[i] == '\n') {
      line++;
      start = i + 1;
    }
  }
  // Characters, not bytes.
  auto continues = std::count_if(text.begin() + static_cast<ptrdiff_t>(start),
                                 text.begin() + static_cast<ptrdiff_t>(position), IsContinuation);
  return {line, position - start + 1 - static_cast<size_t>(continues)};
}

std::string CaretBelow(std::string_view text, size_t position) {
  position = std::min(position, text.size());
  size_t begin = position == 0 ? 0 : text.rfind('\n', position - 1) + 1;
  if (begin > position) begin = 0;
  size_t end = std::min(text.find('\n', position), text.size());
  std::string line(text.substr(begin, end - begin));
  std::string caret;
  for (size_t i = begin; i < position; i++) {
    if (!IsContinuation(text[i])) caret += text[i] == '\t' ? '\t' : ' ';
  }
  return line + "\n" + caret + "^";
}

Error CurrentError() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::kLimitExceeded, "there is no memory for it within the memory limit");
  } catch (const std::exception& exception) {
    duckdb::ErrorData data(exception);
    if (data.Type() == duckdb::ExceptionType::INVALID) {
      return Error(ErrorCode::kInternal, Tidy(data.RawMessage()));
    }
    if (data.Type() == duckdb::ExceptionType::OUT_OF_MEMORY) return OutOfMemory(data.RawMessage());
    if (data.Type() == duckdb::ExceptionType::INTERRUPT) {
      return Error(ErrorCode::kTimeout, "it was given up, as it took too long");
    }
    return Error(CodeOf(data.Type()), Tidy(data.RawMessage()));
  } catch (...) {
    return Error(ErrorCode::kInternal, "an unknown exception");
  }
}

void RethrowExpressionFailure(const std::string& expression) {
  Error error = CurrentError();
  bool about_data = error.code == ErrorCode::kQueryFailed || error.code == ErrorCode::kInvalidSql;
  if (error.code == ErrorCode::kLimitExceeded && thread_memory.over_budget) {
    about_data = true;
    error = Error(ErrorCode::kQueryFailed, "it takes more than " +
                                               std::to_string(RowBudget() / 1'000'000) +
                                               " MB of memory, more than one row may");
  }
  if (about_data) throw ExpressionFailed(std::move(error), expression);
  throw;
}

Error SqlErrorFromDuck(std::string_view sql) {
  Error error = CurrentError();
  if (error.code == ErrorCode::kInternal || error.code == ErrorCode::kLimitExceeded) return error;
  error.code = ErrorCode::kInvalidSql;
  try {
    throw;
  } catch (const std::exception& exception) {
    duckdb::ErrorData data(exception);
    auto found = data.ExtraInfo().find("position");
    size_t position = 0;
    if (found != data.ExtraInfo().end() &&
        std::from_chars(found->second.data(), found->second.data() + found->second.size(), position)
                .ec == std::errc()) {
      auto [line, column] = LineAndColumn(sql, position);
      error.message = std::to_string(line) + ":" + std::to_string(column) + ": " + error.message;
      error.hint = CaretBelow(sql, position);
    }
  } catch (...) {
  }
  return error;
}

}  // namespace weir
