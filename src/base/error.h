// The one error type of the program, and the checks that stop it.
//
// Three kinds of failure (STYLE.md, "Errors"):
//   our bug            ASSERT stops the process wherever bytes outlive it; CHECK throws, so that
//                      only the view it happened in is parked; DEBUG_ASSERT, in loops over rows,
//                      looks in debug builds and those with a sanitizer
//   something failed   throw Error; let it pass; catch at an edge
//   expected outcome   a value
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

// Stable names: clients see them (`error.code`), so one is never renamed.
enum class ErrorCode {
  kInvalidRequest,  // the request itself makes no sense
  kInvalidSql,      // SQL that does not parse or bind
  kInvalidData,     // bytes that are not what they claim to be
  kUnknownStream,
  kUnknownView,
  kUnknownRoute,
  kMethodNotAllowed,
  kAlreadyExists,
  kInUse,  // something depends on it
  kUnsupportedMediaType,
  kTooLarge,
  kTooDeep,
  kConflict,   // the same idempotency key with another body
  kForbidden,  // reaches outside what a query may touch
  kTimeout,
  kTooManyRequests,  // the engine is behind, or too many connections: try again later
  kLimitExceeded,    // memory or row limit of a query
  kQueryFailed,      // a query failed while running
  kUnavailable,      // starting, stopping, or the disk is full: try again later
  kCorruption,       // stored bytes are damaged
  kInternal,
};

std::string_view ToString(ErrorCode code);

class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message, std::string hint = "")
      : code(code), message(std::move(message)), hint(std::move(hint)) {}
  const char* what() const noexcept override { return message.c_str(); }

  ErrorCode code;
  std::string message;  // lower case, no full stop, values in double quotes
  std::string hint;     // a sentence, or empty
};

// Returns the candidate nearest to `name` in edit distance, or "" when none is near.
std::string NearestName(std::string_view name, const std::string_view* begin,
                        const std::string_view* end);

[[noreturn]] void AssertFailed(const char* condition, const char* file, int line);
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);

// CMakeLists.txt has WEIR_DEBUG_CHECKS where a sanitizer looks.  NDEBUG says nothing: no preset
// defines it.
#if !defined(__OPTIMIZE__) || defined(WEIR_DEBUG_CHECKS)
inline constexpr bool kDebugChecks = true;
#else
inline constexpr bool kDebugChecks = false;
#endif

}  // namespace weir

#define ASSERT(condition) \
  ((condition) ? (void)0 : ::weir::AssertFailed(#condition, __FILE__, __LINE__))
#define CHECK(condition) \
  ((condition) ? (void)0 : ::weir::CheckFailed(#condition, __FILE__, __LINE__))
#define DEBUG_ASSERT(condition)                     \
  ((!::weir::kDebugChecks || (condition)) ? (void)0 \
                                          : ::weir::AssertFailed(#condition, __FILE__, __LINE__))
