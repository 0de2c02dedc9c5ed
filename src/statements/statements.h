// Executes our own statements: they change or show the catalog, durably, and the engine follows;
// those that write rows go through TableWrites.
// Thread-safe.  Owned by main.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "sql/names_in.h"
#include "sql/statement.h"
#include "statements/table_writes.h"
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

 private:
  ResultTable Do(const CreateStream& create);
  ResultTable Do(const CreatePump& create);
  ResultTable Do(const CreateView& create);
  ResultTable Do(const Drop& drop);
  ResultTable Do(const Rename& rename);
  ResultTable Do(const Comment& comment);
  ResultTable Do(const Explain& explain);
  ResultTable Do(const Show& show);
  ResultTable Do(const DescribeObject& describe);
  ResultTable Do(const SetTimeZone& set);
  ResultTable Do(const Subscribe& subscribe);
  ResultTable Do(const Query& query);
  ResultTable Do(const CopyFrom& copy);
  ResultTable DoWrite(const Insert& insert, const std::string& params_json);
  ResultTable DoWrite(const Update& update, const std::string& params_json);
  ResultTable DoWrite(const Delete& erase, const std::string& params_json);
  ResultTable CreateDerived(const CreateStream& create);
  ResultTable CreateUnnamedPump(const Insert& insert);
  ResultTable DropPump(const Drop& drop);
  ResultTable ShowPumps(const CatalogState& state);

  Catalog& catalog_;
  Views& views_;
  TableWrites& writes_;
};

// Throws kInUse when pumps have emitted what the present time zone said.
void CheckZoneMayChange(const CatalogState& state, Views& views);
// Throws kAlreadyExists when something has the name.
void CheckNameIsFree(const CatalogState& state, const std::string& name);
// A stream that is no table: they are not the same to statements that say which they mean.
std::shared_ptr<const Stream> GetPlainStream(const CatalogState& state, const std::string& name);

// Edits of a catalog state, for statements and projects.  They throw before the state is made
// current, so what they leave behind then does not matter.

// Whether an INSERT goes on as events come: into a stream, of what a query reads.
bool IsStanding(const CatalogState& state, const Insert& insert);
// Puts a pump (all but its id is set) where it belongs, checked.
void AddPump(CatalogState& state, Views& views, Pump pump);
void RemovePump(CatalogState& state, const std::string& lower_name);
// The pump an INSERT stands for; name and start are left to the caller.
Pump PumpOf(const CatalogState& state, Views& views, const Insert& insert, StreamId stream);
std::string NameForPump(const CatalogState& state, const Stream& stream);
Pump::Start StartNow(const Views& views);
// Gives a stream the columns of the query that feeds it.
void NameColumns(const CatalogState& state, Views& views, const KernelSql& query, Stream& stream);

}  // namespace weir
