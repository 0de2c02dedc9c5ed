// `SELECT * FROM view [WHERE column = literal] [LIMIT n]`: what most dashboards ask.  It is
// answered from the view's content, without planning and without a query worker.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "catalog/catalog.h"
#include "views/views.h"

namespace weir {

// Rows of one view in one answer; more are refused, as in answers to queries.
inline constexpr uint64_t kViewRowsMax = 1'000'000;

struct PlainRead {
  std::string view;
  ReadOptions options;
  bool is_text = false;  // the literal stands in quotes
};

std::optional<PlainRead> AsPlainRead(const std::string& sql, const CatalogState& catalog);

// Whether the content says exactly what the batch engine would: the view is not behind, and the
// literal means the same without the engine's rules of comparison.
bool IsServedFromContent(Views& views, const PlainRead& read);

}  // namespace weir
