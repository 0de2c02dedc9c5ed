// Executes our own statements: they change or show the catalog, durably, and the engine follows.
// Thread-safe.  Owned by main.
#pragma once

#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "sql/statement.h"
#include "views/views.h"

namespace weir {

struct ResultTable {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
  std::string notice;  // what was done, for statements without rows
};

class Statements {
 public:
  Statements(Catalog& catalog, Views& views) : catalog_(catalog), views_(views) {}

  // Throws what the statement's own errors are; a Query is not ours and throws kInternal.
  ResultTable Run(const Statement& statement);

  // Names of the views (direct and indirect, in the order they must go) that read `name`.
  static std::vector<std::string> Dependents(const CatalogState& state, const std::string& name);

 private:
  ResultTable Do(const CreateStream& create);
  ResultTable Do(const CreateView& create);
  ResultTable Do(const Drop& drop);
  ResultTable Do(const Comment& comment);
  ResultTable Do(const Explain& explain);
  ResultTable Do(const Show& show);
  ResultTable Do(const Describe& describe);
  ResultTable Do(const SetTimeZone& set);
  ResultTable Do(const Query& query);

  Catalog& catalog_;
  Views& views_;
};

// The tables, streams and views a query names in FROM, lower-case.
std::vector<std::string> NamesIn(const std::string& query);

}  // namespace weir
