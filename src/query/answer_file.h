// A file that only exists as bytes on their way out: what COPY writes to "answer:" goes to the
// client.  Owned by the worker's engine.
#pragma once

#include <memory>
#include <string>

#include "duckdb/common/file_system.hpp"
#include "query/answer.h"

namespace weir {

inline constexpr char kAnswerPath[] = "answer:rows";

class AnswerFile {
 public:
  void Direct(AnswerOut out) { out_ = std::move(out); }
  duckdb::unique_ptr<duckdb::FileSystem> MakeFileSystem();
  void Append(const char* bytes, size_t size);
  void Flush();

 private:
  AnswerOut out_;
  std::string buffer_;
};

}  // namespace weir
