// A query's answer on its way out of the worker: vectors of rows become bytes in one format.
// One thread; pieces are handed to `out` as they become large enough.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "duckdb/common/types/data_chunk.hpp"
#include "query/messages.h"

namespace duckdb {
class ClientContext;
}

namespace weir {

using AnswerOut = std::function<void(std::string bytes)>;

class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;
  virtual void Begin(const std::vector<Column>& columns) = 0;
  virtual void Rows(duckdb::DataChunk& rows) = 0;
  virtual void End(bool more) = 0;  // `more`: rows were left out
};

struct AnswerOptions {
  Offset offset;
  Micros as_of = 0;
  bool exact = false;
};

// For every format but Parquet, which the batch engine writes by itself.
std::unique_ptr<AnswerWriter> MakeAnswerWriter(AnswerFormat format, const AnswerOptions& options,
                                               duckdb::ClientContext& context, AnswerOut out);

}  // namespace weir
