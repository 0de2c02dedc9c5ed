// Executes our own statements: they change or show the catalog, durably, and the engine follows;
// those that write rows go through TableWrites.
// Thread-safe.  Owned by main.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "query/table_writes.h"
#include "sql/statement.h"
#include "views/views.h"

namespace weir {

struct ResultTable {
  std::vector<std::string> columns = {};
  std::vector<std::vector<std::string>> rows = {};
  std::string notice = "";                  // what was done, for statements without rows
  std::optional<WriteResult> written = {};  // by statements that write rows
};

class Statements {
 public:
  Statements(Catalog& catalog, Views& views, TableWrites& writes)
      : catalog_(catalog), views_(views), writes_(writes) {}

  // Throws what the statement's own errors are; a Query is not ours and throws kInternal.
  // `params_json`: values of $1, $2, ... for those that write rows.
  ResultTable Run(const Statement& statement, const std::string& params_json = "");

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
  ResultTable Do(const CopyFrom& copy);
  ResultTable DoWrite(const Insert& insert, const std::string& params_json);
  ResultTable DoWrite(const Update& update, const std::string& params_json);
  ResultTable DoWrite(const Delete& erase, const std::string& params_json);

  Catalog& catalog_;
  Views& views_;
  TableWrites& writes_;
};

// The tables, streams and views a query names in FROM, lower-case.
std::vector<std::string> NamesIn(const std::string& query);

}  // namespace weir
