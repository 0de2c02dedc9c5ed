// DuckDB alone, on one core, over the same rows: what a query costs from scratch, and its answer.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "duckdb.hpp"
#include "duckdb/main/appender.hpp"
#include "formats/columns.h"
#include "report.h"
#include "sql/total_order.h"
#include "sql/window_functions.h"
#include "verify/row_difference.h"

namespace weir {

class BatchDatabase {
 public:
  BatchDatabase() : database_(nullptr), connection_(database_) {
    Run("SET threads = 1");
    Run("SET TimeZone = 'UTC'");
  }

  duckdb::Connection& connection() { return connection_; }

  Columns Run(const std::string& sql) {
    auto result = connection_.Query(sql);
    if (result->HasError()) {
      std::fprintf(stderr, "%s\n%s\n", sql.c_str(), result->GetError().c_str());
      std::exit(1);
    }
    Columns answer;
    while (auto chunk = result->Fetch()) {
      if (chunk->size() == 0) break;
      answer.rows += chunk->size();
      answer.chunks.emplace_back(chunk.release());
    }
    return answer;
  }
  // Seconds of a view's query; the best of some.
  double Seconds(const KernelSql& query, int times) {
    double best = 1e9;
    for (int i = 0; i < times; i++) {
      best = std::min(best, weir::Seconds([&] { Run(query.text); }));
    }
    return best;
  }
  // Ends the program when `kept` is not what the view's query answers: a wrong answer has no speed.
  void MustEqual(const std::string& name, const KernelSql& query,
                 const std::vector<duckdb::LogicalType>& types, const Columns& kept) {
    auto expected = Run(WithTotalOrder(query, types.size()).text);
    auto difference = CompareRows(expected, kept, types, 3);
    if (difference.missing_rows == 0 && difference.unexpected_rows == 0) return;
    std::fprintf(stderr, "%s: differs from its batch query: %zu rows missing, %zu unexpected\n",
                 name.c_str(), static_cast<size_t>(difference.missing_rows),
                 static_cast<size_t>(difference.unexpected_rows));
    for (auto* rows : {&difference.missing, &difference.unexpected}) {
      for (auto& row : *rows) {
        std::string text = rows == &difference.missing ? "missing:" : "unexpected:";
        for (auto& field : row) text += " " + field.value_or("NULL");
        std::fprintf(stderr, "  %s\n", text.c_str());
      }
    }
    std::exit(1);
  }

 private:
  duckdb::DuckDB database_;
  duckdb::Connection connection_;
};

}  // namespace weir
