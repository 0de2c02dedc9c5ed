// What plain DuckDB says: the batch engine of the SQL text tests.
//
// Every stream becomes a table of all its rows up to the position asked for, every view a DuckDB
// view, and the clock stands where the request says.  Shares no code with the circuit.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "catalog/catalog.h"
#include "lake/lake.h"
#include "views/views.h"

namespace duckdb {
class Connection;
}

namespace weir {

class Oracle : public BatchEngine {
 public:
  // `rule_off`: a rule of the optimizer that is left out; "" for none.
  Oracle(Catalog& catalog, Lake& lake, std::string rule_off = "");
  ~Oracle() override;
  void Run(BatchRequest request, std::function<void(BatchResult)> done) override;

 private:
  struct Tables;
  BatchResult Answer(const BatchRequest& request);
  duckdb::Connection& Load(const CatalogState& catalog, Offset at, bool hidden);

  Catalog& catalog_;
  Lake& lake_;
  const std::string rule_off_;
  std::mutex mutex_;
  uint64_t version_ = 0;
  std::map<bool, std::unique_ptr<Tables>> tables_;  // with and without hidden columns
};

}  // namespace weir
