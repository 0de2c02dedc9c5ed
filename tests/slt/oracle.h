// What plain DuckDB says: the batch engine of the SQL text tests.
//
// Every stream becomes a table of all its rows up to the position asked for, every view a DuckDB
// view, and the clock stands where the request says.  Shares no code with the circuit.
#pragma once

#include "catalog/catalog.h"
#include "lake/lake.h"
#include "views/views.h"

namespace weir {

class Oracle : public BatchEngine {
 public:
  Oracle(Catalog& catalog, Lake& lake) : catalog_(catalog), lake_(lake) {}
  void Run(BatchRequest request, std::function<void(BatchResult)> done) override;

 private:
  BatchResult Answer(const BatchRequest& request);

  Catalog& catalog_;
  Lake& lake_;
};

}  // namespace weir
