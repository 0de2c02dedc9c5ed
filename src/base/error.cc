#include "base/error.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <vector>

namespace weir {

std::string_view ToString(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidRequest: return "invalid_request";
    case ErrorCode::kInvalidSql: return "invalid_sql";
    case ErrorCode::kInvalidData: return "invalid_data";
    case ErrorCode::kUnknownStream: return "unknown_stream";
    case ErrorCode::kUnknownView: return "unknown_view";
    case ErrorCode::kUnknownRoute: return "unknown_route";
    case ErrorCode::kMethodNotAllowed: return "method_not_allowed";
    case ErrorCode::kAlreadyExists: return "already_exists";
    case ErrorCode::kInUse: return "in_use";
    case ErrorCode::kUnsupportedMediaType: return "unsupported_media_type";
    case ErrorCode::kTooLarge: return "too_large";
    case ErrorCode::kTooDeep: return "too_deep";
    case ErrorCode::kConflict: return "conflict";
    case ErrorCode::kForbidden: return "forbidden";
    case ErrorCode::kTimeout: return "timeout";
    case ErrorCode::kTooManyRequests: return "too_many_requests";
    case ErrorCode::kLimitExceeded: return "limit_exceeded";
    case ErrorCode::kQueryFailed: return "query_failed";
    case ErrorCode::kUnavailable: return "unavailable";
    case ErrorCode::kCorruption: return "corruption";
    case ErrorCode::kInternal: return "internal";
  }
  return "internal";
}

namespace {

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); j++) {
      size_t substitute = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string NearestName(std::string_view name, const std::string_view* begin,
                        const std::string_view* end) {
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
  std::string_view best;
  for (const std::string_view* candidate = begin; candidate != end; candidate++) {
    size_t distance = EditDistance(name, *candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = *candidate;
    }
  }
  return std::string(best);
}

void AssertFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "weir: bug: %s is false at %s:%d\n", condition, file, line);
  std::abort();
}

void CheckFailed(const char* condition, const char* file, int line) {
  throw Error(ErrorCode::kInternal, std::string("bug: ") + condition + " is false at " + file +
                                        ":" + std::to_string(line));
}

}  // namespace weir
